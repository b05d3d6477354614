"""Queries: as many as asked for, in the exact order, restricted as told, honest about the rest."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_vectorize import VectorizeVectorStore
from llama_index_vectorize.filters import to_expression
from tests.llama_index.helpers import equal_to, text_node
from tests.nightly import examples
from tests.stores import METRICS, Call, Make, Recorder, both_ways, ranking, raw_scores, vector
from vectorize_core import (
    InvalidFilterError,
    InvalidInputError,
    UnindexedPropertyError,
    VectorizeClient,
)
from vectorize_core.api.operations import Query
from vectorize_core.filters import F
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.models import Metric

COUNT = 120
TEXTS = [f"text {i}" for i in range(COUNT)]
ROWS = [vector(text) for text in TEXTS]
INDEXES = {"year": "number", "kind": "string", "rate": "number"}
KINDS = ("a", "b", "ab", "", "é", "Z", "10")


def metadata_of(i: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {"i": i}
    if i % 5:
        metadata["year"] = 1990 + i % 7
    if i % 3:
        metadata["kind"] = KINDS[i % len(KINDS)]
    if i % 2:
        metadata["rate"] = i / 8 - 5
    return metadata


METADATAS = [metadata_of(i) for i in range(COUNT)]
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def filled() -> Iterator[Callable[[Metric], VectorizeVectorStore]]:
    """Stores that hold `TEXTS`, one for each metric; no test may change them."""
    nodes = [
        TextNode(
            id_=f"{i}",
            text=TEXTS[i],
            metadata=METADATAS[i],
            embedding=ROWS[i],
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc {i % 4}")},
        )
        for i in range(COUNT)
    ]
    with VectorizeClient.local() as client:
        stores = {
            metric: VectorizeVectorStore(
                metric, client=client, create_index=True, metric=metric, metadata_indexes=INDEXES
            )
            for metric in METRICS
        }
        for store in stores.values():
            store.add(nodes)
        yield stores.__getitem__


def asked(k: int = 4, text: str = "query", **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=vector(text), similarity_top_k=k, **options)


def found(result: VectorStoreQueryResult) -> list[int]:
    """Positions of the nodes found; the three lists of a result agree."""
    assert [node.node_id for node in result.nodes or ()] == result.ids
    assert len(result.similarities or ()) == len(result.ids or ())
    return [int(node_id) for node_id in result.ids or ()]


@both_ways
@every_metric
async def test_k_nodes_come_back_in_the_exact_order(
    filled: Any, call: Call, metric: Metric
) -> None:
    order = ranking(metric, vector("query"), ROWS)
    for k in (0, 1, 4, 20, 50, 51, 75, 100):
        result = await call(filled(metric), "query", asked(k))
        assert found(result) == order[:k]
        assert [node.text for node in result.nodes] == [TEXTS[i] for i in order[:k]]
        assert [node.metadata for node in result.nodes] == [METADATAS[i] for i in order[:k]]
        assert [node.ref_doc_id for node in result.nodes] == [f"doc {i % 4}" for i in order[:k]]


@both_ways
@pytest.mark.parametrize("restricted", [False, True])
async def test_a_negative_k_is_refused(filled: Any, call: Call, restricted: bool) -> None:
    options = {"node_ids": ["1"]} if restricted else {}
    with pytest.raises(InvalidInputError, match="not negative"):
        await call(filled("cosine"), "query", asked(-1, **options))


@both_ways
@every_metric
@pytest.mark.parametrize("restricted", [False, True])
async def test_similarities_are_larger_for_nearer_nodes(
    filled: Any, call: Call, metric: Metric, restricted: bool
) -> None:
    options = {"node_ids": list(map(str, range(COUNT)))} if restricted else {}
    result = await call(filled(metric), "query", asked(100, **options))
    assert result.similarities == sorted(result.similarities, reverse=True)
    convert: Callable[[float], float] = {
        "cosine": lambda score: score,
        "dot-product": lambda score: -score,
        "euclidean": lambda score: 1 / (1 + score),
    }[metric]
    expected = [convert(score) for score in raw_scores(metric, vector("query"), ROWS)]
    assert result.similarities == pytest.approx([expected[i] for i in found(result)], abs=1e-5)
    assert found(result) == ranking(metric, vector("query"), ROWS)[:100]


# Restrictions


@both_ways
@every_metric
@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"node_ids": []}, range(COUNT)),
        ({"doc_ids": []}, range(COUNT)),
        ({"node_ids": ["3", "5", "70", "unknown", "x" * 65]}, (3, 5, 70)),
        ({"node_ids": list(map(str, range(60)))}, range(60)),
        ({"doc_ids": ["doc 1", "unknown"]}, range(1, COUNT, 4)),
        ({"doc_ids": ["doc 1", "doc 2"], "node_ids": ["1", "2", "3", "4"]}, (1, 2)),
        ({"node_ids": ["unknown"]}, ()),
        ({"doc_ids": ["unknown"]}, ()),
    ],
)
async def test_a_query_can_be_restricted_to_nodes_and_documents(
    filled: Any, call: Call, metric: Metric, options: Any, allowed: Any
) -> None:
    order = [i for i in ranking(metric, vector("query"), ROWS) if i in set(allowed)]
    assert found(await call(filled(metric), "query", asked(50, **options))) == order[:50]
    year = MetadataFilters(filters=[MetadataFilter(key="year", value=1991)])
    narrowed = [i for i in order if METADATAS[i].get("year") == 1991]
    query = asked(50, **options, filters=year)
    assert found(await call(filled(metric), "query", query)) == narrowed[:50]


@both_ways
async def test_restrictions_hold_in_a_namespace(make: Make, call: Call) -> None:
    store = make()
    nodes = [TextNode(id_=f"{i}", text="t", embedding=ROWS[i]) for i in range(4)]
    store.add(nodes[:2], namespace="a")
    store.add(nodes[2:], namespace="b")
    for options in ({}, {"node_ids": ["0", "1", "2", "3"]}):
        of_a = await call(store, "query", asked(**options), namespace="a")
        of_b = await call(make(namespace="b"), "query", asked(**options))
        everywhere = await call(store, "query", asked(**options))
        assert [sorted(found(r)) for r in (of_a, of_b, everywhere)] == [
            [0, 1],
            [2, 3],
            [0, 1, 2, 3],
        ]


@both_ways
async def test_a_vectorize_filter_is_sent_untouched(make: Make, sent: Recorder, call: Call) -> None:
    store = make()
    store.add([TextNode(id_="0", text="t", embedding=ROWS[0])])
    native = {"unindexed": {"$eq": "x"}}
    assert found(await call(store, "query", asked(), vectorize_filter=native)) == []
    assert [query.filter for query in sent.of(Query)] == [native]
    for options in (
        {"node_ids": ["0"]},
        {"filters": MetadataFilters(filters=[MetadataFilter(key="year", value=1)])},
    ):
        with pytest.raises(InvalidInputError, match="vectorize_filter"):
            await call(store, "query", asked(**options), vectorize_filter=native)


# Filters, against a plain evaluation of what LlamaIndex means by them

COMPARE: dict[FilterOperator, Callable[[Any, Any], bool]] = {
    FilterOperator.EQ: operator.eq,
    FilterOperator.NE: operator.ne,
    FilterOperator.LT: operator.lt,
    FilterOperator.LTE: operator.le,
    FilterOperator.GT: operator.gt,
    FilterOperator.GTE: operator.ge,
    FilterOperator.IN: lambda value, many: value in many,
    FilterOperator.NIN: lambda value, many: value not in many,
}


def holds(filters: MetadataFilters | MetadataFilter, metadata: dict[str, Any]) -> bool:
    if isinstance(filters, MetadataFilters):
        return all(holds(one, metadata) for one in filters.filters)
    if filters.key not in metadata:
        return filters.operator in (FilterOperator.NE, FilterOperator.NIN)
    return COMPARE[filters.operator](metadata[filters.key], filters.value)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "year": st.integers(1988, 1999) | st.sampled_from((1990.5, 1992.0)),
    "kind": st.sampled_from((*KINDS, "c", "1", "x" * 60)),
    "rate": st.sampled_from((-5, -4.875, 0, 0.125, 2.5, 100)),
}
LISTS: dict[str, st.SearchStrategy[Any]] = {
    "year": st.lists(st.integers(1988, 1999), min_size=1, max_size=3),
    "kind": st.lists(st.sampled_from((*KINDS, "c")), min_size=1, max_size=3),
    "rate": st.lists(st.sampled_from((-4.875, 0.125, 2.5)), min_size=1, max_size=3),
}
LOWER = st.sampled_from((FilterOperator.GT, FilterOperator.GTE))
UPPER = st.sampled_from((FilterOperator.LT, FilterOperator.LTE))


@st.composite
def on_one_property(draw: st.DrawFn, key: str) -> list[MetadataFilter]:
    """One operator, or a lower bound with an upper one: what the service takes."""

    def one(operators: st.SearchStrategy[FilterOperator]) -> MetadataFilter:
        chosen = draw(operators)
        many = chosen in (FilterOperator.IN, FilterOperator.NIN)
        value = draw((LISTS if many else VALUES)[key])
        return MetadataFilter(key=key, operator=chosen, value=value)

    if draw(st.booleans()):
        return [one(LOWER), one(UPPER)]
    return [one(st.sampled_from(tuple(COMPARE)))]


@st.composite
def trees(draw: st.DrawFn) -> MetadataFilters:
    """An AND of them, nested anyhow."""
    keys = draw(st.lists(st.sampled_from(tuple(VALUES)), unique=True, max_size=3))
    leaves: list[Any] = [leaf for key in keys for leaf in draw(on_one_property(key))]
    while len(leaves) > 1 and draw(st.booleans()):
        at = draw(st.integers(1, len(leaves)))
        condition = draw(st.sampled_from((FilterCondition.AND, None)))
        leaves = [MetadataFilters(filters=leaves[:at], condition=condition), *leaves[at:]]
    return MetadataFilters(filters=leaves)


@examples(60)
@given(filters=trees(), metric=st.sampled_from(METRICS))
def test_filters_mean_what_they_say(filled: Any, filters: MetadataFilters, metric: Metric) -> None:
    store: VectorizeVectorStore = filled(metric)
    order = ranking(metric, vector("query"), ROWS)
    matching = [i for i in order if holds(filters, METADATAS[i])]
    query = asked(100, filters=filters)
    assert found(store.query(query)) == matching[:100]
    assert found(asyncio.run(store.aquery(query))) == matching[:100]
    if filters.filters:
        got = store.get_nodes(filters=filters)
        assert {int(node.node_id) for node in got} == set(matching)


def leaf(key: str, value: Any, operator: str = "==") -> MetadataFilter:
    return MetadataFilter(key=key, value=value, operator=FilterOperator(operator))


PAIR: list[Any] = [leaf("year", 1990), leaf("kind", "a")]
ANY_FILTERS: dict[str, MetadataFilters] = {
    "or": MetadataFilters(filters=PAIR, condition=FilterCondition.OR),
    "not": MetadataFilters(filters=PAIR[:1], condition=FilterCondition.NOT),
    "nested or": MetadataFilters(
        filters=[PAIR[0], MetadataFilters(filters=PAIR, condition=FilterCondition.OR)]
    ),
    **{
        name: MetadataFilters(filters=[leaf("kind", value, name)])
        for name, value in (
            ("any", ["a"]),
            ("all", ["a"]),
            ("text_match", "a"),
            ("text_match_insensitive", "A"),
            ("contains", "a"),
            ("is_empty", None),
            ("nin", ["a", "b"]),
        )
    },
    "equal to None": MetadataFilters(filters=[leaf("kind", None)]),
    "a long text": MetadataFilters(filters=[leaf("kind", "é" * 31)]),
    "twice": MetadataFilters(filters=[leaf("year", 1), leaf("year", 2)]),
    "two kinds": MetadataFilters(filters=[leaf("year", 1990), leaf("year", 2, ">")]),
}


@both_ways
@pytest.mark.parametrize("filters", ANY_FILTERS.values(), ids=list(ANY_FILTERS))
async def test_any_filters_select_what_they_mean(
    filled: Any, call: Call, filters: MetadataFilters
) -> None:
    expression = to_expression(filters)
    assert expression is not None
    expected = {i for i in range(COUNT) if evaluate(expression, METADATAS[i])}
    store = filled("cosine")
    assert set(found(await call(store, "query", asked(COUNT, filters=filters)))) == expected
    nodes = await call(store, "get_nodes", None, filters)
    assert {int(node.node_id) for node in nodes} == expected
    some = await call(store, "get_nodes", ["1", "2", "3"], filters)
    assert {int(node.node_id) for node in some} == expected & {1, 2, 3}
    assert await call(store, "count", filters) == len(expected)


@both_ways
async def test_reading_what_no_index_can_look_up_has_to_be_asked_for(
    filled: Any, call: Call
) -> None:
    store = filled("cosine")
    for filters, name in (
        (MetadataFilters(filters=[leaf("kind", "abc", "in")]), "'kind' is a part of 'abc'"),
        (MetadataFilters(filters=[leaf("i", 5)]), "no metadata index on 'i'"),
    ):
        expression = to_expression(filters)
        assert expression is not None
        expected = {i for i in range(COUNT) if evaluate(expression, METADATAS[i])}
        query = asked(COUNT, filters=filters)
        with pytest.raises(UnindexedPropertyError, match=name):
            await call(store, "query", query)
        with pytest.raises(UnindexedPropertyError, match=name):
            await call(store, "delete_nodes", None, filters)
        assert set(found(await call(store, "query", query, unindexed="scan"))) == expected
        assert await call(store, "count", filters, unindexed="scan") == len(expected)


@both_ways
async def test_an_or_of_one_condition_is_that_condition(filled: Any, call: Call) -> None:
    filters = MetadataFilters(filters=PAIR[:1], condition=FilterCondition.OR)
    result = await call(filled("cosine"), "query", asked(100, filters=filters))
    assert {METADATAS[i]["year"] for i in found(result)} == {1990}


# What a query cannot be


@both_ways
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ([1.0] * 31, "31 dimensions.* 32"),
        ([float("nan")] * 32, "NaN"),
    ],
)
async def test_a_query_needs_a_vector_of_the_indexs_dimensions(
    filled: Any, call: Call, restricted: bool, embedding: Any, message: str
) -> None:
    node_ids = ["1", "2"] if restricted else None
    query = VectorStoreQuery(query_embedding=embedding, node_ids=node_ids)
    with pytest.raises(InvalidInputError, match=message):
        await call(filled("cosine"), "query", query)


@both_ways
async def test_a_filter_can_be_explained(call: Call, make: Make) -> None:
    store = make(metadata_indexes={"year": "number"})
    await call(store, "add", [TextNode(id_="a", text="a", embedding=vector("a"))])
    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=1960, operator=">=")])
    said = await call(store, "explain_filter", filters)
    assert said.branches == ({"year": {"$gte": 1960}},)
    assert "year" in str(await call(store, "explain_filter", filters, None))


# This project's own filters, which know booleans


OPEN: dict[str, Any] = {
    "a dict": {"open": True},
    "an expression": F("open") == True,  # noqa: E712
    "with another": (F("open") == True) & to_expression(equal_to("n", 3)),  # noqa: E712
}


@both_ways
@pytest.mark.parametrize("name", OPEN)
async def test_booleans_are_reached_by_filters_of_our_own(
    make: Make, call: Call, name: str
) -> None:
    filters, expected = OPEN[name], {"3"} if name == "with another" else {"1", "3", "5"}
    store = make(metadata_indexes={"open": "boolean", "n": "number"})
    await call(store, "add", [text_node(f"{i}", n=i, open=i % 2 == 1) for i in range(6)])
    index = VectorStoreIndex.from_vector_store(store)
    retriever = index.as_retriever(filters=filters, similarity_top_k=9)
    assert {one.node.node_id for one in await call(retriever, "retrieve", "q")} == expected
    only = VectorStoreQuery(filters=filters, similarity_top_k=9)
    assert set((await call(store, "query", only)).ids) == expected
    assert {node.node_id for node in await call(store, "get_nodes", None, filters)} == expected
    assert await call(store, "count", filters) == len(expected)
    await call(store, "delete_nodes", None, filters)
    assert {node.node_id for node in store.iter_nodes()} == {f"{i}" for i in range(6)} - expected


@both_ways
async def test_what_is_no_filter_is_refused(make: Make, call: Call) -> None:
    for method, args in (("get_nodes", (None, "year > 1")), ("count", (["year"],))):
        with pytest.raises(InvalidFilterError, match="filters is a MetadataFilters; got"):
            await call(make(), method, *args)
