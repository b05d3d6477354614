"""The same nodes, queries and deletions as LlamaIndex's own SimpleVectorStore, and beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core import VectorStoreIndex
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import NodeWithScore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import meaning, text_node
from tests.nightly import examples
from tests.stores import METRICS, Call, both_ways, ranking, vector
from vectorize_core.models import Metric

COUNT = 60
KINDS = ("a", "b", "ab", "Ab", "", "é", "x" * 70, "x" * 70 + "y")
LISTS: tuple[list[str], ...] = (["a"], ["a", "b"], [], ["b", "c"])
OP = FilterOperator


def metadata_of(i: int) -> dict[str, Any]:
    """Each key has values of one type, or None, or is missing: what both can compare."""
    metadata: dict[str, Any] = {"year": 1990 + i % 7} if i % 5 else {}
    if i % 3:
        metadata["kind"] = KINDS[i % len(KINDS)] if i % 11 else None
    if i % 2:
        metadata["tags"] = LISTS[i % len(LISTS)]
    return metadata


NODES = [text_node(f"{i}", f"doc {i % 4}", **metadata_of(i)) for i in range(COUNT)]
INDEXES = {"year": "number", "kind": "string"}


def simple() -> SimpleVectorStore:
    store = SimpleVectorStore()
    store.add(NODES)
    return store


@pytest.fixture(scope="module")
def theirs() -> SimpleVectorStore:
    return simple()


@pytest.fixture(scope="module")
def ours() -> Iterator[VectorizeVectorStore]:
    options: Any = {"path": ":memory:", "metadata_indexes": INDEXES, "text_index": True}
    with VectorizeVectorStore("docs", **options) as store:
        store.add(NODES)
        yield store


def leaf(key: str, operator: FilterOperator, value: Any) -> MetadataFilter:
    return MetadataFilter(key=key, operator=operator, value=value)


COMPARISONS = st.sampled_from((OP.EQ, OP.NE, OP.GT, OP.GTE, OP.LT, OP.LTE))
MEMBERSHIP = st.sampled_from((OP.IN, OP.NIN))
TEXTS = st.sampled_from((*KINDS, "c", "A"))
YEARS = st.integers(1988, 1998) | st.sampled_from((1991.0, 1992.5))
LEAVES: st.SearchStrategy[MetadataFilter] = st.one_of(
    st.builds(leaf, st.just("year"), COMPARISONS, YEARS),
    st.builds(leaf, st.just("kind"), COMPARISONS, TEXTS),
    st.builds(leaf, st.just("year"), MEMBERSHIP, st.lists(st.integers(1988, 1998), max_size=3)),
    st.builds(leaf, st.just("kind"), MEMBERSHIP, st.lists(TEXTS, max_size=3)),
    st.builds(leaf, st.just("kind"), MEMBERSHIP, TEXTS),
    st.builds(leaf, st.just("kind"), st.sampled_from((OP.TEXT_MATCH, OP.CONTAINS)), TEXTS),
    st.builds(leaf, st.just("kind"), st.just(OP.TEXT_MATCH_INSENSITIVE), TEXTS),
    st.builds(leaf, st.just("tags"), st.just(OP.CONTAINS), st.sampled_from("abc")),
    st.builds(
        leaf,
        st.just("tags"),
        st.sampled_from((OP.ANY, OP.ALL)),
        st.lists(st.sampled_from("abc"), max_size=2),
    ),
    st.builds(
        leaf, st.sampled_from(("year", "kind", "tags", "none")), st.just(OP.IS_EMPTY), st.none()
    ),
)
CONDITIONS = st.sampled_from((*FilterCondition, None))
FLAT = st.builds(MetadataFilters, filters=st.lists(LEAVES, max_size=3), condition=CONDITIONS)
NESTED: st.SearchStrategy[MetadataFilters] = st.recursive(
    FLAT,
    lambda inner: st.builds(
        MetadataFilters, filters=st.lists(LEAVES | inner, max_size=3), condition=CONDITIONS
    ),
    max_leaves=4,
)
SOME_IDS = st.lists(st.integers(0, COUNT + 5).map(str), max_size=12)


def asked(filters: MetadataFilters, k: int = COUNT, **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_embedding=vector("query"), similarity_top_k=k, filters=filters, **options
    )


@given(filters=FLAT, k=st.integers(1, COUNT))
@examples(40)
def test_queries_find_the_same_in_the_same_order(
    theirs: SimpleVectorStore, ours: VectorizeVectorStore, filters: MetadataFilters, k: int
) -> None:
    expected = theirs.query(asked(filters, k))
    for found in (
        ours.query(asked(filters, k), unindexed="scan"),
        asyncio.run(ours.aquery(asked(filters, k), unindexed="scan")),
    ):
        assert found.ids == expected.ids
        assert found.similarities == pytest.approx(expected.similarities, abs=1e-6)
        assert [node.node_id for node in found.nodes or ()] == found.ids


@given(filters=FLAT, node_ids=SOME_IDS.filter(bool))
@examples(30)
def test_queries_among_some_ids_find_the_same(
    theirs: SimpleVectorStore,
    ours: VectorizeVectorStore,
    filters: MetadataFilters,
    node_ids: list[str],
) -> None:
    expected = theirs.query(asked(filters, node_ids=node_ids))
    assert ours.query(asked(filters, node_ids=node_ids)).ids == expected.ids


@given(filters=FLAT.filter(lambda filters: filters.filters), node_ids=st.none() | SOME_IDS)
@examples(25)
def test_getting_finds_what_deletions_delete(
    ours: VectorizeVectorStore, filters: MetadataFilters, node_ids: list[str] | None
) -> None:
    # What this one deletes everything for is an error with ours.
    theirs = simple()
    theirs.delete_nodes(node_ids, filters)
    left = set(theirs.data.embedding_dict)
    options: dict[str, Any] = {"unindexed": "scan"}
    got = ours.get_nodes(node_ids, filters, **options)
    assert {node.node_id for node in got} == {node.node_id for node in NODES} - left
    if not left:
        return  # A filter that matches everything deletes nothing of ours; see clear().
    try:
        ours.delete_nodes(node_ids, filters, **options)
        assert set(ours.index.list_ids()) == left
    finally:
        ours.add(NODES)


@given(filters=NESTED)
@examples(40)
def test_filters_may_be_nested_anyhow(ours: VectorizeVectorStore, filters: MetadataFilters) -> None:
    expected = {node.node_id for node in NODES if meaning(filters, node.metadata)}
    for mode in ("default", "text_search", "hybrid"):
        by_words = {} if mode == "default" else {"query_str": "text"}
        found = ours.query(asked(filters, mode=mode, **by_words), unindexed="scan").ids or []
        assert (set(found), len(found)) == (expected, len(expected))
    assert ours.count(filters, unindexed="scan") == len(expected)
    assert {node.node_id for node in ours.iter_nodes(filters, unindexed="scan")} == expected


# Cutting off by similarity


@both_ways
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mode", ["default", "mmr"])
async def test_a_cutoff_keeps_the_best_whatever_the_metric(
    call: Call, metric: Metric, mode: str
) -> None:
    with VectorizeVectorStore("docs", path=":memory:", metric=metric) as store:
        store.add(NODES)
        index = VectorStoreIndex.from_vector_store(store)
        retriever = index.as_retriever(similarity_top_k=COUNT, vector_store_query_mode=mode)
        found: list[NodeWithScore] = await call(retriever, "retrieve", "query")
    best = ranking(metric, vector("query"), [node.get_embedding() for node in NODES])
    scores = sorted((one.get_score() for one in found), reverse=True)
    for count in (1, 7, COUNT):
        cutoff = SimilarityPostprocessor(similarity_cutoff=scores[count - 1])
        kept = {one.node.node_id for one in cutoff.postprocess_nodes(found)}
        assert kept == {f"{i}" for i in best[:count]}
