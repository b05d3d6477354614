"""Deleting and getting: by source document, by id, by filter, all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import equal_to
from tests.llama_index.helpers import text_node as node
from tests.stores import Call, Make, Recorder, both_ways, vector
from vectorize_core import (
    IndexNotFoundError,
    InvalidInputError,
    UnindexedPropertyError,
    VectorizeClient,
)
from vectorize_core.api.operations import ListVectors

pytestmark = pytest.mark.covering(2)

INDEXES = {"kind": "string", "n": "number"}


def kind_is(value: str) -> MetadataFilters:
    return equal_to("kind", value)


def left(client: VectorizeClient) -> set[str]:
    return set(client.index("docs").list_ids())


def ids(nodes: Iterable[Any]) -> list[str]:
    return [node.node_id for node in nodes]


@both_ways
@pytest.mark.parametrize("count", [0, 1, 250])
async def test_all_nodes_of_a_document_go_and_no_others(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, count: int
) -> None:
    others = [node("other", "doc-2"), node("none")]
    store.add([*(node(f"{i}", "doc-1") for i in range(count)), *others])
    await call(store, "delete", "doc-1")
    assert left(client) == {"other", "none"}
    await call(store, "delete", "unknown")
    assert left(client) == {"other", "none"}


def test_a_sample_of_all_nodes_is_read_once_not_by_every_deletion(
    store: VectorizeVectorStore, client: VectorizeClient, sent: Recorder
) -> None:
    store.add(node(f"{i}", f"doc-{i}") for i in range(5))
    store.delete("doc-0")
    sent.ops.clear()
    for i in range(1, 5):
        store.delete(f"doc-{i}")
    assert sent.of(ListVectors) == []
    assert left(client) == set()


LONG = "x" * 64


@both_ways
@pytest.mark.parametrize(
    "refs",
    [
        (LONG + "a", LONG + "b", LONG),
        ("é" * 40 + "a", "é" * 40 + "b", "é" * 40),
        ("a.b/c d", "a", '"'),
    ],
)
async def test_documents_with_long_or_odd_names_are_told_apart(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, refs: tuple[str, ...]
) -> None:
    store.add([node(f"{i}", ref) for i, ref in enumerate(refs)])
    await call(store, "delete", refs[0])
    assert left(client) == {"1", "2"}
    (found,) = await call(store, "get_nodes", ["1"])
    assert found.ref_doc_id == refs[1]


@both_ways
@pytest.mark.parametrize("ref", ["", "\ud800", LONG * 40, 7, "\x00"], ids=ascii)
async def test_a_document_that_nothing_can_be_of_has_no_nodes(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, ref: Any
) -> None:
    store.add([node("a", "doc")])
    await call(store, "delete", ref)
    await call(store, "delete_many", [ref])
    for embedding in (vector("q"), None):
        query = VectorStoreQuery(embedding, doc_ids=[ref])
        assert (await call(store, "query", query)).ids == []
    assert left(client) == {"a"}


@both_ways
async def test_a_document_of_several_namespaces(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    make().add([node("1", "doc")], namespace="a")
    make().add([node("2", "doc")], namespace="b")
    await call(make(namespace="a"), "delete", "doc")
    assert left(client) == {"2"}
    await call(make(), "delete", "doc")
    assert left(client) == set()


@pytest.fixture
def filled(make: Make) -> VectorizeVectorStore:
    """Nodes 0 to 9, of which the odd ones are of kind "odd"."""
    store: VectorizeVectorStore = make(metadata_indexes=INDEXES)
    kinds = ("even", "odd")
    store.add([node(f"{i}", kind=kinds[i % 2], n=i) for i in range(10)])
    return store


SELECTIONS: list[tuple[list[str] | None, MetadataFilters | None, str]] = [
    (["3", "1", "unknown"], None, "31"),
    ([], None, ""),
    (["x" * 65], None, ""),
    (None, kind_is("odd"), "13579"),
    (None, kind_is("neither"), ""),
    (["1", "2", "3"], kind_is("odd"), "13"),
    ([], kind_is("odd"), ""),
    (["1"], MetadataFilters(filters=[]), "1"),
]


@both_ways
@pytest.mark.parametrize(("node_ids", "filters", "expected"), SELECTIONS)
@pytest.mark.covering(2)
async def test_nodes_are_selected_by_ids_and_filters(
    filled: VectorizeVectorStore,
    client: VectorizeClient,
    call: Call,
    node_ids: Any,
    filters: Any,
    expected: str,
) -> None:
    got = ids(await call(filled, "get_nodes", node_ids, filters))
    assert (got if filters is None else sorted(got)) == list(expected)
    await call(filled, "delete_nodes", node_ids, filters)
    assert left(client) == set("0123456789") - set(expected)


@both_ways
async def test_without_a_selection_all_are_read_and_none_deleted(
    filled: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    empty = MetadataFilters(filters=[])
    for args in ((), (None,), (None, None), (None, empty), (None, {})):
        assert set(ids(await call(filled, "get_nodes", *args))) == set("0123456789")
    filled.wait_for_writes()
    sent.ops.clear()
    for args in ((), (None,), (None, None), ([],), ([], empty)):
        await call(filled, "delete_nodes", *args)
    # A filter is meant to say something.
    for filters in (empty, {}):
        with pytest.raises(InvalidInputError, match=r"clear\(\)"):
            await call(filled, "delete_nodes", None, filters)
    assert sent.ops == []
    assert filled.count() == 10


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_nodes_come_with_their_embeddings_where_they_are_asked_for(
    make: Make, call: Call, tenant: bool
) -> None:
    store = make(metadata_indexes={"n": "number"})
    if tenant:
        store.add([node("of another")])
        store = store.with_namespace("acme")
    store.add([node(f"{at}", n=at % 2) for at in range(120)])
    for args in ((), (["7", "3"],), (["7", "3"], {"n": 1}), (None, {"n": 1})):
        for plain in await call(store, "get_nodes", *args):
            assert plain.embedding is None
        found = await call(store, "get_nodes", *args, include_embeddings=True)
        assert len(found) == (2 if args and args[0] else 120 if not args else 60)
        for one in found:
            assert one.embedding == pytest.approx(vector(one.node_id), rel=1e-6)
            assert isinstance(one.embedding, list)
    for wrong in (1, "yes", None):
        with pytest.raises(InvalidInputError, match="include_embeddings is True or False"):
            await call(store, "get_nodes", include_embeddings=wrong)


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_not_more_nodes_are_read_than_are_wanted(
    make: Make, sent: Recorder, call: Call, tenant: bool
) -> None:
    store = make(metadata_indexes={"n": "number"})
    store = store.with_namespace("acme") if tenant else store
    store.add([node(f"{at}", n=at % 2) for at in range(300)])
    for limit, expected in ((0, 0), (1, 1), (np.int64(5), 5), (70.0, 70), (300, 300), (None, 300)):
        found = await call(store, "get_nodes", limit=limit)
        assert len(set(ids(found))) == len(found) == expected
    sent.ops.clear()
    assert len(await call(store, "get_nodes", None, {"n": 1}, limit=3)) == 3
    assert len(sent.ops) <= 4
    assert ids(await call(store, "get_nodes", ["9", "x", "3", "5"], limit=2)) == ["9", "3"]
    for wrong in (-1, "5", 2.5, True):
        with pytest.raises(InvalidInputError, match="limit is"):
            await call(store, "get_nodes", limit=wrong)


@both_ways
async def test_one_string_is_no_list_of_ids(filled: VectorizeVectorStore, call: Call) -> None:
    for method in ("get_nodes", "delete_nodes"):
        for filters in (None, kind_is("odd")):
            with pytest.raises(InvalidInputError, match="list of ids"):
                await call(filled, method, "123", filters)
    assert len(filled.get_nodes(list("123"))) == 3


@both_ways
@pytest.mark.covering(1)
async def test_many_nodes_of_a_filter_are_all_found(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    store = make(metadata_indexes=INDEXES)
    store.add([node(f"{i}", kind="many" if i % 4 else "few") for i in range(500)])
    assert len(await call(store, "get_nodes", filters=kind_is("many"))) == 375
    await call(store, "delete_nodes", filters=kind_is("many"))
    assert left(client) == {f"{i}" for i in range(0, 500, 4)}


@both_ways
async def test_a_filter_without_metadata_index_is_an_error(
    filled: VectorizeVectorStore, call: Call
) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key="colour", value="red")])
    query = VectorStoreQuery(query_embedding=vector("q"), filters=filters)
    for method, args in (
        ("get_nodes", (None, filters)),
        ("delete_nodes", (None, filters)),
        ("query", (query,)),
    ):
        with pytest.raises(UnindexedPropertyError, match=r"'colour'.*metadata_indexes="):
            await call(filled, method, *args)


@both_ways
async def test_clearing_empties_the_index_or_the_stores_namespace(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    await call(make(), "clear")
    make().add([node(f"{i}") for i in range(130)])
    make(namespace="a").add([node("in a")])
    await call(make(namespace="a"), "clear")
    assert len(left(client)) == 130
    await call(make(), "clear")
    assert left(client) == set()


@both_ways
async def test_before_the_first_write_there_is_nothing(
    make: Make, sent: Recorder, call: Call
) -> None:
    calls: list[tuple[str, tuple[Any, ...], Any]] = [
        ("delete", ("doc",), None),
        ("delete_nodes", (["a"],), None),
        ("get_nodes", (["a"],), []),
        ("clear", (), None),
    ]
    query = VectorStoreQuery(query_embedding=vector("q"))
    for method, args, answer in calls:
        assert await call(make(), method, *args) == answer
    assert (await call(make(), "query", query)).nodes == []
    assert sent.changes == []
    for method, args in [(m, a) for m, a, _ in calls] + [("query", (query,))]:
        with pytest.raises(IndexNotFoundError, match="create_index=True"):
            await call(make(create_index=False), method, *args)


@both_ways
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("delete", ("doc",)),
        ("delete_many", (["doc", "other"],)),
        ("delete_nodes", (["1", "2"],)),
        ("delete_nodes", (None, kind_is("k"))),
        ("delete_nodes", (["1", "2"], kind_is("k"))),
    ],
)
@pytest.mark.covering(2)
async def test_a_deletion_keeps_to_its_namespace(
    make: Make, client: VectorizeClient, call: Call, method: str, args: Any
) -> None:
    def fill() -> None:
        make(metadata_indexes=INDEXES).add([node("1", "doc", kind="k")], namespace="a")
        make().add([node("2", "doc", kind="k")], namespace="b")

    fill()
    await call(make(), method, *args, namespace="a")
    assert left(client) == {"2"}
    fill()
    await call(make(namespace="b"), method, *args)
    assert left(client) == {"1"}
    assert ids(await call(make(namespace="a"), "get_nodes", ["1", "2"])) == ["1"]
    assert await call(make(namespace="b"), "get_nodes", ["1", "2"]) == []


@both_ways
async def test_options_that_go_with_filters_only_are_refused_with_ids(
    filled: VectorizeVectorStore, call: Call
) -> None:
    for method in ("get_nodes", "delete_nodes"):
        with pytest.raises(InvalidInputError, match="vectorize_filter= cannot be combined"):
            await call(filled, method, ["1"], vectorize_filter={"n": 1})
    await call(filled, "delete_nodes", None, vectorize_filter={"n": {"$lte": 4}})
    assert ids(await call(filled, "get_nodes", None, vectorize_filter={"n": {"$lte": 5}})) == ["5"]


@both_ways
async def test_a_list_of_documents_is_no_string(store: VectorizeVectorStore, call: Call) -> None:
    with pytest.raises(InvalidInputError, match="list of ids"):
        await call(store, "delete_many", "doc")
