"""One rule for ids that are not strings, wherever one is given: in both stores and in `Index`."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, Recorder, both_ways, recorded, sync_call, vector
from vectorize_core import AsyncIndex, InvalidInputError, Vector, VectorizeClient

pytestmark = pytest.mark.covering(2)


class Name(enum.StrEnum):
    A = "a"


class Old(str, enum.Enum):  # noqa: UP042 - the older way, still common
    A = "a"


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()

    __repr__ = __str__


KNOWN = UUID(int=5)
TAKEN = {
    "str": ("a", "a"),
    "int": (7, "7"),
    "negative": (-7, "-7"),
    "numpy.int64": (np.int64(7), "7"),
    "IntEnum": (enum.IntEnum("Number", {"SEVEN": 7}).SEVEN, "7"),
    "UUID": (KNOWN, str(KNOWN)),
    "numpy.str_": (np.str_("a"), "a"),
    "StrEnum": (Name.A, "a"),
    "str and Enum": (Old.A, "a"),
    "a class of its own": (Shouting("a"), "a"),
}
REFUSED = (None, 1.0, float("nan"), True, b"a", [], ("a",), object(), np.bool_(1), 10**5_000)
taken = pytest.mark.parametrize(("given", "known"), TAKEN.values(), ids=TAKEN)
refused = pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: type(bad).__name__)


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@pytest.fixture
def store(kind: Kind, client: VectorizeClient, sent: Recorder) -> Any:
    return kind.over(client)


@taken
@both_ways
@both_stores
async def test_a_record_is_found_and_deleted_by_what_it_was_added_as(
    kind: Kind, store: Any, call: Call, given: Any, known: str
) -> None:
    # LlamaIndex itself refuses a node whose id is no string.
    added = given if kind is LANGCHAIN else known
    rows: list[Any] = [(added, "text", {"n": 1}), ("other", "other", {})]
    ids = await kind.add_rows(call, store, rows)
    assert ids == [known, "other"]
    assert [type(one) for one in ids] == [str, str]
    for name in (given, known):
        assert await kind.get(call, store, [name]) == [(known, "text", {"n": 1})]
    if kind is LANGCHAIN:
        assert await call(store, "update_metadata", [given], {"n": 2}) == [known]
        (nearest,) = await call(store, "similarity_search_by_id", given, 1)
        assert nearest.id == "other"
    await kind.delete(call, store, [given])
    assert await kind.get(call, store, [known]) == []


@taken
@both_ways
async def test_an_index_follows_the_same_rule(
    client: VectorizeClient, call: Call, given: Any, known: str
) -> None:
    client.create_index("docs", dimensions=32)
    index = client.index("docs") if call is sync_call else AsyncIndex(client.connection, "docs")

    async def ask(method: str, *args: Any, **options: Any) -> Any:
        found = getattr(index, method)(*args, **options)
        return await found if inspect.isawaitable(found) else found

    made: Any = Vector(given, vector("a"), given)
    await ask("upsert", [made])
    assert made.id is given
    (found,) = await ask("get", [given])
    assert (found.id, found.namespace) == (known, known)
    nearest = await ask("query_by_id", given, namespace=given)
    assert [match.id for match in nearest] == [known]
    await ask("delete", [given])
    assert await ask("get", [known]) == []


@taken
@both_ways
@both_stores
async def test_a_namespace_follows_the_same_rule(
    kind: Kind, store: Any, client: VectorizeClient, call: Call, given: Any, known: str
) -> None:
    await kind.add_rows(call, store, [("x", "text", {})], namespace=given)
    (found,) = client.index("docs").get(["x"])
    assert found.namespace == known
    assert await kind.search(call, store, "text", namespace=given) == ["x"]
    assert await kind.search(call, store, "text", namespace="elsewhere") == []
    for view in (store.with_namespace(given), store.with_namespace(known)):
        await kind.add_rows(call, view, [("mine", "text", {})])
        assert [row[0] for row in await kind.get(call, view, ["mine"])] == ["mine"]
    assert await kind.get(call, kind.over(client, namespace=given), ["x"]) != []


@taken
@both_ways
async def test_a_source_document_follows_the_same_rule(
    client: VectorizeClient, call: Call, given: Any, known: str
) -> None:
    store = LLAMA_INDEX.over(client)
    nodes = [
        TextNode.model_construct(
            id_=f"{number}",
            text="t",
            metadata={},
            embedding=vector("t"),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=ref)},
        )
        for number, ref in enumerate([known, known, "other"])
    ]
    await call(store, "add", nodes)
    await call(store, "delete", given)
    assert [row[0] for row in await LLAMA_INDEX.get(call, store, "012")] == ["2"]
    await call(store, "delete_many", ["other"])
    assert await LLAMA_INDEX.get(call, store, "012") == []


@refused
@both_ways
@both_stores
async def test_anything_else_is_refused_by_argument_and_position(
    kind: Kind, store: Any, sent: Recorder, call: Call, bad: Any
) -> None:
    wanted = r"an int or a UUID is taken"
    for ids in (["a", bad], iter(["a", bad]), ("a", bad)):
        with pytest.raises(InvalidInputError, match=rf"ids\[1\] is .*{wanted}"):
            await kind.delete(call, store, ids)
    with pytest.raises(InvalidInputError, match=rf"ids\[1\] is .*{wanted}"):
        await kind.get(call, store, ["a", bad])
    if kind is LANGCHAIN:
        with pytest.raises(InvalidInputError, match=rf"ids\[0\] is .*{wanted}"):
            await call(store, "update_metadata", [bad], {"a": 1})
    if kind is LLAMA_INDEX:
        with pytest.raises(InvalidInputError, match=rf"ref_doc_ids\[0\] is .*{wanted}"):
            await call(store, "delete_many", [bad])
    if bad is not None and kind is LANGCHAIN:
        rows: list[Any] = [("a", "t", {}), (bad, "t", {})]
        for given in (rows, iter(rows)):
            with pytest.raises(InvalidInputError, match=rf"position 1 is .*{wanted}"):
                await kind.add_rows(call, store, given)
    assert sent.changes == []


@refused
def test_an_index_refuses_the_same(client: VectorizeClient, bad: Any) -> None:
    client.create_index("docs", dimensions=32)
    sent = recorded(client)
    index = client.index("docs")
    good = Vector("a", vector("a"))
    for what, ask in (
        (r"ids\[1\]", lambda: index.get(["a", bad])),
        (r"ids\[1\]", lambda: index.delete(["a", bad])),
        ("vector_id", lambda: index.query_by_id(bad)),
        (r"vectors\[1\]", lambda: index.upsert([good, Vector(bad, vector("a"))])),
        (r"vectors\[1\]", lambda: index.insert(iter([good, Vector(bad, vector("a"))]))),
        (r"vectors\[1\]", lambda: index.upsert([good, bad])),
    ):
        with pytest.raises(InvalidInputError, match=what):
            ask()
    assert sent.changes == []


@pytest.mark.parametrize("bad", ["abc", b"abc", 7, KNOWN, 1.5, None, {"a": 1}, object()])
@both_stores
async def test_what_is_no_list_of_ids_is_refused(
    kind: Kind, store: Any, client: VectorizeClient, sent: Recorder, bad: Any
) -> None:
    said = rf"ids is a list of ids; got {re.escape(repr(bad)[:10])}"
    if bad is not None:
        with pytest.raises(InvalidInputError, match=said):
            (store.delete if kind is LANGCHAIN else store.delete_nodes)(bad)
    if kind is LANGCHAIN or bad is not None:
        with pytest.raises(InvalidInputError, match=said):
            (store.get_by_ids if kind is LANGCHAIN else store.get_nodes)(bad)
    with pytest.raises(InvalidInputError, match=said):
        client.index("docs").get(bad)
    assert sent.ops == []


@both_ways
@both_stores
@pytest.mark.parametrize(
    "form",
    [list, tuple, iter, np.array, dict.fromkeys, lambda ids: (i for i in ids)],
    ids=["list", "tuple", "iterator", "ndarray", "keys", "generator"],
)
async def test_ids_come_in_any_collection(kind: Kind, store: Any, call: Call, form: Any) -> None:
    def given() -> Iterable[str]:
        formed = form(["a", "b"])
        return formed.keys() if isinstance(formed, dict) else formed

    await kind.add(call, store, "a", "b", "c")
    get, delete = ("get_by_ids", "delete") if kind is LANGCHAIN else ("get_nodes", "delete_nodes")
    assert len(await call(store, get, given())) == 2
    await call(store, delete, given())
    assert [row[0] for row in await kind.get(call, store, "abc")] == ["c"]
