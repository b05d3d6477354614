"""Tenants of both stores: views of one namespace each, that can reach nothing of another's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.held_time import HeldClock
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.llama_index.helpers import equal_to
from tests.stores import DIMENSIONS, Call, Recorder, both_ways, recorded, sync_call, vector
from vectorize_core import (
    InvalidInputError,
    InvalidVectorError,
    PartialIndexError,
    PartialWriteError,
    RequestTimeoutError,
    RetryPolicy,
    UnindexedPropertyError,
    Vector,
    VectorizeClient,
    layout,
)
from vectorize_core.api.operations import GetByIds, Op, Upsert
from vectorize_core.errors import ApiMessage, RecordRefusedError, error_from_answer
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer
from vectorize_core.transport.executor import Answer

pytestmark = pytest.mark.covering(2)

IDS = ["1", "2", "3"]
MINE, THEIRS = ([layout.stored_id(name, row_id) for row_id in IDS] for name in "ab")


def rows(whose: str) -> list[Row]:
    return [(row_id, f"{whose} {row_id}", {"kind": "x", "n": int(row_id)}) for row_id in IDS]


@pytest.fixture
def store(kind: Kind, client: VectorizeClient) -> Any:
    return kind.over(client, metadata_indexes={"kind": "string", "n": "number"})


@pytest.fixture
async def mine(kind: Kind, store: Any) -> Any:
    view = store.with_namespace("a")
    assert await kind.add_rows(sync_call, view, rows("my")) == IDS
    return view


@pytest.fixture
async def theirs(kind: Kind, store: Any) -> Any:
    view = store.with_namespace("b")
    assert await kind.add_rows(sync_call, view, rows("their")) == IDS
    return view


def stored(client: VectorizeClient, ids: list[str]) -> list[tuple[Any, ...]]:
    """Vectors as the service has them."""
    found = client.index("docs").get(ids)
    return [(v.id, v.namespace, v.values.tolist(), v.metadata) for v in found]


@both_stores
@both_ways
async def test_tenants_may_use_the_same_ids(
    kind: Kind, mine: Any, theirs: Any, client: VectorizeClient, call: Call
) -> None:
    for view, whose, ids in ((mine, "my", MINE), (theirs, "their", THEIRS)):
        assert await kind.get(call, view, IDS) == rows(whose)
        assert sorted(await kind.search(call, view, f"{whose} 2", 9)) == IDS
        assert await kind.search(call, view, f"{whose} 2", 1) == ["2"]
        assert await call(view, "count") == 3
        assert {vector[0] for vector in stored(client, ids)} == set(ids)
    new = ("1", "my new", {})
    assert await kind.add_rows(call, mine, [new]) == ["1"]
    assert await kind.get(call, mine, ["1"]) == [new]
    assert await kind.get(call, theirs, IDS) == rows("their")


DELETIONS = [
    (LANGCHAIN, "delete", (["1", "2"],), {}, ["3"]),
    (LANGCHAIN, "delete", (), {"filter": {"n": 3}}, ["1", "2"]),
    (LANGCHAIN, "delete", (), {"delete_all": True}, []),
    (LLAMA_INDEX, "delete", ("doc",), {}, []),
    (LLAMA_INDEX, "delete_many", (["doc", "other"],), {}, []),
    (LLAMA_INDEX, "delete_nodes", (["1", "2"],), {}, ["3"]),
    (LLAMA_INDEX, "delete_nodes", (None, equal_to("n", 3)), {}, ["1", "2"]),
    (LLAMA_INDEX, "delete_nodes", (["1", "3"], equal_to("n", 3)), {}, ["1", "2"]),
    (LLAMA_INDEX, "clear", (), {}, []),
]


@both_ways
@pytest.mark.parametrize(("kind", "method", "args", "options", "left"), DELETIONS)
async def test_deleting_leaves_others_alone(
    kind: Kind,
    mine: Any,
    theirs: Any,
    client: VectorizeClient,
    call: Call,
    method: str,
    args: Any,
    options: dict[str, Any],
    left: list[str],
) -> None:
    before = stored(client, THEIRS)
    await call(mine, method, *args, **options)
    assert [row[0] for row in await kind.get(call, mine, IDS)] == left
    assert stored(client, THEIRS) == before
    assert client.index("docs").info().vector_count == 3 + len(left)


@both_stores
@both_ways
async def test_clearing_a_view_reads_and_deletes_its_own_only(
    kind: Kind, mine: Any, theirs: Any, client: VectorizeClient, call: Call
) -> None:
    await kind.add(call, mine, *(f"text {n}" for n in range(130)))
    client.index("docs").wait()  # Which reads what this client has written, whoever's it is.
    before, sent = stored(client, THEIRS), recorded(client)
    await kind.clear(call, mine)
    assert {i for get in sent.of(GetByIds) for i in get.ids}.isdisjoint(THEIRS)
    assert stored(client, THEIRS) == before
    assert sorted(client.index("docs").list_ids()) == sorted(THEIRS)


@both_stores
@pytest.mark.parametrize("finds", [True, False])
async def test_a_view_is_cleared_alone_where_nothing_divides_the_index(
    kind: Kind, finds: bool
) -> None:
    with VectorizeClient.local(behavior=Behavior(negation_matches_missing=finds)) as client:
        client.create_index("docs", dimensions=32, record_layout=False)
        store = kind.over(client)
        for name in "ab":
            view = store.with_namespace(name)
            await kind.add(sync_call, view, *(f"text {n}" for n in range(120)))
        await kind.clear(sync_call, store.with_namespace("a"))
        assert {v.namespace for v in client.index("docs").iter()} == {"b"}


@both_stores
@both_ways
async def test_the_ids_that_others_are_stored_under_are_of_no_use(
    kind: Kind, mine: Any, theirs: Any, client: VectorizeClient, call: Call
) -> None:
    before = stored(client, THEIRS)
    assert await kind.get(call, mine, THEIRS) == []
    await kind.delete(call, mine, THEIRS)
    await kind.add_rows(call, mine, [(THEIRS[0], "over it", {})])
    assert stored(client, THEIRS) == before


@both_stores
async def test_a_vector_under_a_tenants_id_elsewhere_is_not_the_tenants(
    kind: Kind, mine: Any, client: VectorizeClient
) -> None:
    intruder = Vector(layout.stored_id("a", "9"), vector("x"), "b", {"text": "not mine"})
    client.index("docs").upsert([intruder])
    assert await kind.get(sync_call, mine, ["9"]) == []


@both_stores
@both_ways
async def test_the_store_shows_all_tenants_records_by_their_stored_ids(
    kind: Kind, mine: Any, theirs: Any, store: Any, call: Call
) -> None:
    assert sorted(await kind.search(call, store, "q", 10)) == sorted(MINE + THEIRS)
    assert len(await kind.get(call, store, [*MINE, *THEIRS, *IDS])) == 6
    await kind.delete(call, store, MINE[:1])
    assert await call(mine, "count") == 2


@both_stores
@both_ways
async def test_what_was_written_without_a_view_is_found_by_searches(
    kind: Kind, store: Any, call: Call
) -> None:
    await kind.add(call, store, "older", namespace="a")
    view = store.with_namespace("a")
    assert await kind.search(call, view, "older") == ["older"]
    assert await kind.get(call, view, ["older"]) == []
    await kind.clear(call, view)
    assert await call(store, "count") == 0


@both_stores
@both_ways
async def test_ids_of_a_tenant_are_of_any_length(
    kind: Kind, mine: Any, store: Any, call: Call
) -> None:
    """They are stored as digests; only a store itself is limited to what Vectorize takes."""
    long = ["https://example.com/" + "é" * length for length in (22, 23, 2_000)]
    rows = [(name, f"text {at}", {"n": at}) for at, name in enumerate(long)]
    assert await kind.add_rows(call, mine, rows) == long
    assert [row[0] for row in await kind.get(call, mine, long)] == long
    assert set(await kind.search(call, mine, "text 1", k=9)) == {*long, *IDS}
    if kind is LANGCHAIN:
        assert await call(mine, "update_metadata", long[2:], {"n": 9}) == long[2:]
        assert (await kind.get(call, mine, long[2:]))[0][2] == {"n": 9}
    await kind.add_rows(call, mine, rows[1:])
    assert await call(mine, "count") == 3 + len(IDS)
    await kind.delete(call, mine, long[1:])
    assert [row[0] for row in await kind.get(call, mine, long)] == long[:1]
    assert await kind.get(call, store, long) == []
    with pytest.raises(InvalidVectorError, match=r"66 bytes; Vectorize allows 64.*shorter id"):
        await kind.add_rows(call, store, rows[1:2])


# What a view does not do

SPECIAL = {"bad": [float("nan")] * 32, "short": [1.0] * 31, "text": ["x"] * 32}
MESSAGES = {"bad": "not a finite", "short": "31 dimensions", "text": "is a list of numbers"}


@both_stores
@both_ways
async def test_errors_name_a_tenants_record_as_it_does(kind: Kind, store: Any, call: Call) -> None:
    view = store.with_namespace("a")
    for _ in range(2):  # The second time there is an index.
        for text, message in MESSAGES.items():
            if kind is LLAMA_INDEX and text == "text":
                continue  # Which its nodes refuse themselves.
            with pytest.raises(InvalidVectorError, match=f"'7'.*{message}"):
                await kind.add_rows(call, view, [("1", "fine", {}), ("7", text, {})], SPECIAL)
        for text, metadata, message in (
            ("t", {"a": "x" * 10_240}, "10240"),
            ("t", {"a": object()}, "object"),
        ):
            with pytest.raises(InvalidVectorError, match=f"'7'.*{message}"):
                await kind.add_rows(call, view, [("7", text, metadata)])
        await kind.add_rows(call, view, [("1", "fine", {})])


@both_stores
async def test_a_view_is_of_one_namespace(kind: Kind, mine: Any, store: Any) -> None:
    with pytest.raises(TypeError, match=r"bound to the namespace 'a'.*with_namespace\(\)"):
        mine.with_namespace("b")
    with pytest.raises(TypeError, match="bound to the namespace 'a'"):
        await kind.add(sync_call, mine, "t", namespace="b")
    for wrong in (None, "", "n" * 65):
        with pytest.raises(InvalidInputError, match="namespace"):
            store.with_namespace(wrong)
    assert "namespace='a'" in repr(mine)


@both_stores
@both_ways
async def test_closing_a_view_leaves_the_store_open(kind: Kind, call: Call) -> None:
    with kind.local() as store:
        async with store.with_namespace("a") as view:
            await kind.add(call, view, "t")
        with store.with_namespace("b") as view:
            await call(view, "close")
        assert await call(store, "count") == 1


class Refusing(Recorder):
    """A service that refuses records with the property ``bad``."""

    def refuse(self, op: Op[Any]) -> None:
        if isinstance(op, Upsert) and any("bad" in v.metadata for v in op.vectors):
            raise error_from_answer(str(op), 400, [ApiMessage(40023, "not that one")])

    def send(self, op: Op[Any], /) -> Answer[Any]:
        self.refuse(op)
        return super().send(op)

    async def asend(self, op: Op[Any], /) -> Answer[Any]:
        self.refuse(op)
        return await super().asend(op)


@both_ways
async def test_an_update_that_the_service_refuses_names_the_record_as_its_caller_does(
    client: VectorizeClient, call: Call
) -> None:
    client.connection.executor = Refusing(client.connection.executor)
    store = LANGCHAIN.over(client)
    view = store.with_namespace("a")
    await LANGCHAIN.add_rows(call, view, rows("my"))
    for one, ids in ((view, IDS), (store, MINE)):
        with pytest.raises(RecordRefusedError) as alone:
            await call(one, "update_metadata", ids[2:], {"bad": 1})
        with pytest.raises(PartialWriteError) as caught:
            await call(one, "update_metadata", ids, [{}, {"bad": 1}, {}])
        (cause,) = caught.value.causes
        assert alone.value.record_id == ids[2]
        assert str(cause).startswith(f"record {ids[1]!r}, position 1: ")
        assert caught.value.ids == tuple(ids)


@both_ways
async def test_the_log_names_a_tenants_record_as_it_does(
    call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a write comes after one that got no answer."""

    class Losing(Refusing):
        loses = True

        def refuse(self, op: Op[Any]) -> None:
            if isinstance(op, Upsert) and self.loses:
                raise RequestTimeoutError("no answer")

    HeldClock().rule(monkeypatch)
    with VectorizeClient.local(retry=RetryPolicy(request_lifetime=1)) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        client.connection.executor = losing = Losing(client.connection.executor)
        view = LANGCHAIN.over(client).with_namespace("a")
        with pytest.raises(RequestTimeoutError):
            await LANGCHAIN.add(call, view, "mine")
        losing.loses = False
        await LANGCHAIN.add_rows(call, view, [("mine", "another text", {})])
    assert "a request that wrote 'mine' (and 0 more" in caplog.text


@both_stores
@both_ways
@pytest.mark.parametrize("name", ["color", "namespace"])
async def test_advice_is_not_about_what_a_view_has_not(
    kind: Kind, mine: Any, store: Any, call: Call, name: str
) -> None:
    matching = {name: "x"} if kind is LANGCHAIN else equal_to(name, "x")
    with pytest.raises(UnindexedPropertyError) as said:
        await call(mine, "count", matching)
    assert f"client.index('docs').create_metadata_index('{name}'" in str(said.value)
    for absent in ("store.client", "store.index", "namespace="):
        assert absent not in str(said.value)
    if kind is LLAMA_INDEX:
        with pytest.raises(UnindexedPropertyError, match=r"store\.create|as namespace="):
            await call(store, "count", matching)


@both_stores
@both_ways
async def test_a_partial_index_names_a_tenants_record_as_it_does(kind: Kind, call: Call) -> None:
    with BackgroundServer() as server:
        client = VectorizeClient("a", base_url=server.base_url)
        async with client.to_async():
            client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
            view = kind.over(client).with_namespace("a")
            await kind.add_rows(call, view, [("my own", "t", {"kind": "x"})], wait=True)
            client.index("docs").create_metadata_index("kind", "string")
            matching = {"kind": "x"} if kind is LANGCHAIN else equal_to("kind", "x")
            with pytest.raises(PartialIndexError, match="not hold the vector 'my own', for one"):
                await call(view, "count", matching)
