"""First writes to an index that does not exist: it is made once, and nothing is written early."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, async_call, both_ways, recorded, sync_call, vector
from vectorize_core import AsyncVectorizeClient, VectorizeClient, layout
from vectorize_core.api.operations import (
    CreateIndex,
    CreateMetadataIndex,
    DeleteByIds,
    GetIndex,
    ListMetadataIndexes,
    Query,
    Upsert,
)
from vectorize_core.errors import ConfigurationError, IndexNotFoundError, InvalidInputError
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings

WRITERS = 12
YEAR: Any = {"year": "number"}
Clients = Callable[..., VectorizeClient]
"""Makes clients of one Vectorize, each with a connection of its own."""


BEHAVIOR = Behavior(metadata_index_delay=0.1)
"""Metadata indexes take a moment to be live."""


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(Settings(behavior=BEHAVIOR)) as server:
        yield server


@pytest.fixture(params=["memory", "directory", "server"])
async def clients(
    request: pytest.FixtureRequest, server: BackgroundServer, tmp_path: Path
) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        made: list[VectorizeClient] = []
        # Of this test alone.
        account = uuid.uuid4().hex

        def make() -> VectorizeClient:
            if request.param == "server":
                made.append(VectorizeClient(account, base_url=server.base_url))
            elif request.param == "directory":
                made.append(VectorizeClient.local(tmp_path / "data", behavior=BEHAVIOR))
            elif not made:
                # Another connection would have a memory of its own.
                made.append(VectorizeClient.local(behavior=BEHAVIOR))
            stack.push_async_callback(made[-1].connection.aclose)
            return made[-1]

        yield make


def assert_whole(client: VectorizeClient, count: int) -> None:
    """All records are there, with all of the layout, and every filter finds all."""
    index = client.index("docs")
    assert {m.property_name for m in index.list_metadata_indexes()} == {
        *layout.METADATA_INDEXES,
        "year",
    }
    vectors = list(index.iter())
    assert len(vectors) == count
    for each in vectors:
        assert each.metadata is not None
        assert {"_vs", "_vs_bucket", "_vs_own"} <= each.metadata.keys()
    ask = {"vector": vector("a"), "top_k": 50}
    for filter_ in ({"year": 1}, {"_vs_own": True}, {"_vs_bucket": {"$gte": 0}}):
        assert len(index.query(**ask, vectorize_filter=filter_)) == count


@both_stores
@pytest.mark.covering(2)
@pytest.mark.parametrize("writers", ["tasks", "threads"])
@pytest.mark.parametrize("stores", ["one", "one each", "clients"])
async def test_first_writes_at_once_all_succeed(
    kind: Kind, clients: Clients, writers: str, stores: str
) -> None:
    client = clients()
    shared = kind.over(client, metadata_indexes=YEAR)

    def store() -> Any:
        if stores == "one":
            return shared
        return kind.over(client if stores == "one each" else clients(), metadata_indexes=YEAR)

    rows = [[(f"{n}", f"text {n}", {"year": 1})] for n in range(WRITERS)]
    if writers == "tasks":
        adds = (kind.add_rows(async_call, store(), row) for row in rows)
        assert await asyncio.gather(*adds) == [[row[0][0]] for row in rows]
    else:
        results: list[Any] = []

        def write(own: Any, row: Any) -> None:
            results.append(asyncio.run(kind.add_rows(sync_call, own, row)))

        threads = [threading.Thread(target=write, args=(store(), row)) for row in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == sorted([row[0][0]] for row in rows)
    assert_whole(client, WRITERS)
    if kind is LLAMA_INDEX:
        await async_call(shared, "delete", "doc", verify=True)
        assert client.index("docs").info().vector_count == 0


async def index_of(client: VectorizeClient) -> None:
    """Wait until the index exists, though it is not finished."""
    for _ in range(1_000):
        if client.connection.state("docs").began:
            return
        await asyncio.sleep(0.01)


async def test_both_frameworks_may_be_first(clients: Clients) -> None:
    client = clients()
    kinds = [LANGCHAIN, LLAMA_INDEX] * 4
    stores = [kind.over(client, metadata_indexes=YEAR) for kind in kinds]
    rows = [[(f"{n}", f"text {n}", {"year": 1})] for n in range(len(kinds))]
    calls = zip(kinds, stores, rows, strict=True)
    await asyncio.gather(*(kind.add_rows(async_call, store, row) for kind, store, row in calls))
    assert_whole(client, len(kinds))


async def test_the_index_is_made_once(client: VectorizeClient) -> None:
    sent = recorded(client)
    store = LANGCHAIN.over(client, metadata_indexes=YEAR)
    await asyncio.gather(*(store.aadd_texts([f"{n}"], [{"year": 1}]) for n in range(WRITERS)))
    assert len(sent.of(CreateIndex)) == 1
    assert len(sent.of(CreateMetadataIndex)) == 4
    assert len(sent.of(Upsert)) == WRITERS


@both_stores
@both_ways
@pytest.mark.parametrize("wait", [False, "processed", True])
async def test_a_first_write_asks_once_whether_the_index_exists(
    kind: Kind, client: VectorizeClient, call: Call, wait: Any
) -> None:
    sent = recorded(client)
    await kind.add(call, kind.over(client, metadata_indexes=YEAR), *"abc", wait=wait)
    assert len(sent.of(GetIndex)) == 1
    assert len(sent.of(CreateIndex)) == 1
    first = [type(op) for op in sent.ops if not isinstance(op, ListMetadataIndexes)][:6]
    assert first == [GetIndex, CreateIndex, *[CreateMetadataIndex] * 4]


@both_stores
@both_ways
async def test_a_write_after_a_search_in_vain_finds_what_was_made_since(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    store = kind.over(client, metadata_indexes=YEAR)
    assert await kind.search(call, store, "a") == []
    client.create_index("docs", dimensions=32, metadata_indexes=YEAR)
    assert await kind.add(call, store, "a") == ["a"]
    assert await kind.search(call, store, "a") == ["a"]
    assert len(sent.of(CreateIndex)) == 1


@pytest.mark.covering(2)
@pytest.mark.parametrize("writers", ["tasks", "threads"])
@pytest.mark.parametrize("differing", [False, True])
async def test_create_index_raced_is_no_error(
    clients: Clients, writers: str, differing: bool
) -> None:
    connections = [clients() for _ in range(3)]
    properties = ["year", "lang", "kind"] if differing else ["year"]
    wanted = [{"dimensions": 32, "exist_ok": True} for _ in range(9)]
    for n, options in enumerate(wanted):
        options["metadata_indexes"] = {properties[n % len(properties)]: "string"}
    results: list[Any] = []
    if writers == "tasks":
        made = [connection.to_async() for connection in connections]
        calls = (made[n % 3].create_index("docs", **each) for n, each in enumerate(wanted))
        results = await asyncio.gather(*calls)
    else:

        def create(n: int) -> None:
            results.append(connections[n % 3].create_index("docs", **wanted[n]))  # type: ignore[arg-type]

        threads = [threading.Thread(target=create, args=(n,)) for n in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 9
    assert {repr(details) for details in results} == {repr(connections[0].get_index("docs"))}
    live = connections[0].index("docs").list_metadata_indexes()
    assert {m.property_name for m in live} == {*layout.METADATA_INDEXES, *properties}


@both_stores
async def test_a_sync_write_inside_a_loop_that_is_creating_the_index(kind: Kind) -> None:
    """The task that creates it cannot go on before the sync call returns."""
    behavior = Behavior(metadata_index_delay=0.2)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind.over(client, metadata_indexes=YEAR)
        first = asyncio.create_task(kind.add_rows(async_call, store, [("a", "a", {"year": 1})]))
        await index_of(client)
        assert await kind.add_rows(sync_call, store, [("b", "b", {"year": 1})]) == ["b"]
        assert await first == ["a"]
        assert_whole(client, 2)


@both_stores
async def test_a_cancelled_first_write_leaves_the_rest_to_the_others(kind: Kind) -> None:
    behavior = Behavior(metadata_index_delay=0.3)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind.over(client, metadata_indexes=YEAR)
        rows = [[(f"{n}", f"text {n}", {"year": 1})] for n in range(4)]
        tasks = [asyncio.create_task(kind.add_rows(async_call, store, row)) for row in rows]
        await index_of(client)
        tasks[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
        assert await asyncio.gather(*tasks[1:]) == [["1"], ["2"], ["3"]]
        assert_whole(client, 3)


# An index that another client deletes


@both_stores
@both_ways
async def test_a_write_to_an_index_that_is_gone_makes_it_again(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    store = kind.over(client, metadata_indexes=YEAR)
    await kind.add(call, store, "a")
    other = other_client(client)
    other.delete_index("docs")
    assert await kind.add(call, store, "b") == ["b"]
    other.delete_index("docs")
    # Another model, say.
    special = {"c": [1.0] * 64, "d": [1.0] * 96}
    assert await kind.add_rows(call, store, [("d", "d", {})], special) == ["d"]
    other.delete_index("docs")
    other.create_index("docs", dimensions=64, metric="euclidean", metadata_indexes=YEAR)
    assert await kind.add_rows(call, store, [("c", "c", {"year": 1})], special) == ["c"]
    found = client.index("docs").get(["a", "b", "c", "d"])
    assert [each.id for each in found] == ["c"]


@both_stores
@both_ways
async def test_so_does_a_write_of_many_requests_if_none_was_accepted(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    store = kind.over(client)
    await kind.add(call, store, "a")
    other_client(client).delete_index("docs")
    assert await kind.add(call, store, *"bcdefgh", batch_size=1) == [*"bcdefgh"]
    assert client.index("docs").info().vector_count == 7


@both_stores
@both_ways
async def test_what_may_not_be_made_again_is_an_error_once_and_then_known(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    made = kind.over(client)
    await kind.add(call, made, "a")
    store = kind.over(client, create_index=False)
    assert await kind.search(call, store, "a") == ["a"]
    other_client(client).delete_index("docs")
    with pytest.raises(IndexNotFoundError):
        await kind.add(call, store, "b")
    with pytest.raises(IndexNotFoundError, match="create_index=True"):
        await kind.add(call, store, "b")
    assert client.list_indexes() == ()
    assert await kind.search(call, made, "a") == []
    assert await kind.add(call, made, "c") == ["c"]
    assert await kind.search(call, store, "a") == ["c"]


@both_stores
@both_ways
async def test_a_search_of_an_index_that_is_gone_is_an_error_once(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    store = kind.over(client)
    await kind.add(call, store, "a")
    other_client(client).delete_index("docs")
    with pytest.raises(IndexNotFoundError):
        await kind.search(call, store, "a")
    assert await kind.search(call, store, "a") == []
    assert await kind.add(call, store, "b") == ["b"]


def other_client(client: VectorizeClient) -> VectorizeClient:
    """A client of the same service, which knows nothing of what this one knows."""
    connection = type(client.connection)(client.connection.executor)
    other = object.__new__(VectorizeClient)
    other._connection = connection
    return other


# What a store was told that cannot be


@both_stores
@both_ways
async def test_a_conflicting_type_is_seen_by_every_call(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=32, metadata_indexes=YEAR)
    sent = recorded(client)
    store = kind.over(client, metadata_indexes={"year": "string"})
    said = "'year' of the type 'number', the store was given {'year': 'string'}.*reindex_metadata"
    for use in (kind.search, kind.add, kind.get, kind.delete):
        with pytest.raises(ConfigurationError, match=said):
            await use(call, store, "a")
    with pytest.raises(ConfigurationError, match=said):
        await kind.delete_where(call, store, "year", "1")
    with pytest.raises(ConfigurationError, match=said):
        await kind.clear(call, store)
    assert sent.changes == []
    agreeing = kind.over(client, metadata_indexes=YEAR)
    assert await kind.add(call, agreeing, "a") == ["a"]
    assert await kind.search(call, agreeing, "a") == ["a"]
    # Whether the types agree is asked once, and not by every search.
    assert not sent.of(DeleteByIds)
    before = len(sent.ops)
    for _ in range(3):
        await kind.search(call, agreeing, "a")
    assert [type(op) for op in sent.ops[before:]] == [Query] * 3


BAD_NAMES: list[Any] = ["", "a b", "docs/a", ".", "..", "a.b", "é", "x" * 65, "docs\n", 7, b"docs"]


@both_stores
@pytest.mark.parametrize("name", [*BAD_NAMES, ["docs"]], ids=repr)
@pytest.mark.parametrize("place", ["path", "client"])
def test_a_bad_index_name_is_refused_by_the_constructor(
    kind: Kind, client: VectorizeClient, name: Any, place: str
) -> None:
    where: Any = {"path": ":memory:"} if place == "path" else {"client": client}
    with pytest.raises(InvalidInputError, match="index name"):
        kind.make(index_name=name, **where)


@both_stores
@pytest.mark.parametrize("name", ["_vs_ref", "_vs_own", "_vs_bucket"])
def test_another_type_for_a_property_of_the_layout_is_refused_by_the_constructor(
    kind: Kind, name: str
) -> None:
    other = "string" if name == "_vs_bucket" else "number"
    with pytest.raises(InvalidInputError, match=f"'{name}' belongs to the record layout"):
        kind.make(index_name="docs", path=":memory:", metadata_indexes={name: other})


@pytest.mark.parametrize("name", [*BAD_NAMES, ["docs"], None], ids=repr)
async def test_a_bad_index_name_is_refused_by_a_client(client: VectorizeClient, name: Any) -> None:
    sent = recorded(client)
    awaited: AsyncVectorizeClient = client.to_async()
    for use in (client.index, client.get_index, client.delete_index, awaited.index):
        with pytest.raises(InvalidInputError, match="index name"):
            use(name)
    with pytest.raises(InvalidInputError, match="index name"):
        client.create_index(name, dimensions=32)
    for refused in (
        awaited.get_index(name),
        awaited.delete_index(name),
        awaited.create_index(name, dimensions=32),
    ):
        with pytest.raises(InvalidInputError, match="index name"):
            await refused
    assert sent.ops == []
