"""Filters on the source document, by the names that LlamaIndex's stores have for it."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import equal_to, text_node
from tests.stores import Call, Make, Recorder, both_ways, vector
from vectorize_core import UnindexedPropertyError, VectorizeClient
from vectorize_core.api.operations import Query

LONG = "https://example.com/" + "long/" * 20
KEYS = ("ref_doc_id", "doc_id", "document_id")
keys = pytest.mark.parametrize("key", KEYS)
OP = FilterOperator
NODES = [text_node("a1", "a", n=1), text_node("a2", "a", n=2), text_node("l", LONG), text_node("o")]


def leaf(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


@both_ways
@keys
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        (OP.EQ, "a", {"a1", "a2"}),
        (OP.EQ, LONG, {"l"}),
        (OP.EQ, LONG + "x", set()),
        (OP.EQ, "o", {"o"}),
        (OP.EQ, "unknown", set()),
        (OP.EQ, 1, set()),
        (OP.IN, ["a", LONG], {"a1", "a2", "l"}),
        (OP.IN, [], set()),
        (OP.NE, "a", {"l", "o"}),
        (OP.NIN, ["a", LONG], {"o"}),
        (OP.IS_EMPTY, None, set()),
    ],
)
@pytest.mark.covering(1)
async def test_a_source_document_is_looked_up(
    make: Make,
    sent: Recorder,
    call: Call,
    key: str,
    operator: FilterOperator,
    value: Any,
    expected: set[str],
    node_layout: str,
) -> None:
    store = make(node_layout=node_layout)
    store.add(NODES)
    filters = leaf(key, operator, value)
    query = VectorStoreQuery(vector("q"), similarity_top_k=9, filters=filters)
    assert set((await call(store, "query", query)).ids) == expected
    assert {n.node_id for n in await call(store, "get_nodes", None, filters)} == expected
    assert {n.node_id for n in await call(store, "get_nodes", ["a1", "l"], filters)} == (
        expected & {"a1", "l"}
    )
    assert await call(store, "count", filters) == len(expected)
    if operator in (OP.EQ, OP.IN):
        for op in sent.of(Query):
            assert op.filter is not None
            assert "_vs_ref" in op.filter
    await call(store, "delete_nodes", None, filters)
    store.wait_for_writes()
    assert {node.node_id for node in store.iter_nodes()} == {n.node_id for n in NODES} - expected


@both_ways
@keys
@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        (OP.TEXT_MATCH, "example.com", {"l"}),
        (OP.TEXT_MATCH_INSENSITIVE, "EXAMPLE.com/long/long", {"l"}),
        (OP.CONTAINS, "long/long", {"l"}),
        (OP.GT, "b", {"l", "o"}),
        (OP.IN, "abc", {"a1", "a2"}),
    ],
)
@pytest.mark.covering(1)
async def test_what_no_index_holds_of_a_source_document_is_scanned_for(
    store: VectorizeVectorStore,
    call: Call,
    key: str,
    operator: FilterOperator,
    value: Any,
    expected: set[str],
) -> None:
    store.add(NODES)
    filters = leaf(key, operator, value)
    with pytest.raises(UnindexedPropertyError, match="unindexed='scan'"):
        await call(store, "get_nodes", None, filters)
    found = await call(store, "get_nodes", None, filters, unindexed="scan")
    assert {node.node_id for node in found} == expected


@both_ways
@keys
async def test_a_source_document_inside_of_other_filters(make: Make, call: Call, key: str) -> None:
    store = make(metadata_indexes={"n": "number"})
    store.add(NODES)
    of_a, second = equal_to(key, "a").filters[0], equal_to("n", 2).filters[0]
    not_a = MetadataFilters(filters=[of_a], condition=FilterCondition.NOT)
    for filters, expected in (
        (MetadataFilters(filters=[of_a, second]), {"a2"}),
        (MetadataFilters(filters=[of_a, second], condition=FilterCondition.OR), {"a1", "a2"}),
        (MetadataFilters(filters=[not_a, second], condition=FilterCondition.OR), {"a2", "l", "o"}),
        ({key: "a", "n": {"$gt": 1}}, {"a2"}),
    ):
        assert {n.node_id for n in await call(store, "get_nodes", None, filters)} == expected
        query = VectorStoreQuery(vector("q"), similarity_top_k=9, filters=filters)  # type: ignore[arg-type]
        assert set((await call(store, "query", query)).ids) == expected
    both = VectorStoreQuery(vector("q"), 9, doc_ids=["a", LONG], filters=equal_to(key, "a"))
    assert set((await call(store, "query", both)).ids) == {"a1", "a2"}


@both_ways
@keys
async def test_metadata_of_that_name_come_first_where_they_are_indexed(
    make: Make, call: Call, key: str
) -> None:
    own = text_node("own", "a", **{key: "mine"})
    for indexed, found_by in ((True, {"mine": {"own"}, "a": {"a1", "a2"}}), (False, None)):
        store = make(
            index_name=f"i{indexed:d}", metadata_indexes={key: "string"} if indexed else {}
        )
        store.add([*NODES, own])
        for value, expected in (found_by or {"mine": set(), "a": {"a1", "a2", "own"}}).items():
            for filters in (equal_to(key, value), leaf(key, OP.IN, [value, "unknown"])):
                got = await call(store, "get_nodes", None, filters)
                assert {node.node_id for node in got} == expected
            rest = await call(store, "count", leaf(key, OP.NE, value))
            assert rest == 5 - len(expected)


@both_ways
@keys
async def test_tenants_have_documents_of_the_same_name(make: Make, call: Call, key: str) -> None:
    store = make()
    views = [store.with_namespace(name) for name in ("acme", "zeta")]
    for view, nodes in zip(views, (NODES[:1], NODES), strict=True):
        view.add(nodes)
    for view, expected in zip(views, ({"a1"}, {"a1", "a2"}), strict=True):
        got = await call(view, "get_nodes", None, equal_to(key, "a"))
        assert {node.node_id for node in got} == expected
    await call(views[0], "delete_nodes", None, equal_to(key, "a"))
    store.wait_for_writes()
    assert [view.count() for view in views] == [0, 4]


@both_ways
@keys
async def test_an_index_without_the_layout_is_scanned(
    make: Make, client: VectorizeClient, call: Call, key: str
) -> None:
    client.create_index("docs", dimensions=32, record_layout=False)
    store = make()
    store.add(NODES)
    with pytest.raises(UnindexedPropertyError, match="unindexed='scan'"):
        await call(store, "get_nodes", None, equal_to(key, "a"))
    got = await call(store, "get_nodes", None, equal_to(key, "a"), unindexed="scan")
    assert {node.node_id for node in got} == {"a1", "a2"}
