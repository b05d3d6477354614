"""The modes of a query: by embedding, diverse, by filter alone; and those that the store lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core import VectorStoreIndex
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import equal_to, text_node
from tests.nightly import examples
from tests.stores import METRICS, Call, Make, Recorder, both_ways, ranking, vector
from vectorize_core import InvalidInputError, VectorizeClient
from vectorize_core.api.operations import Query
from vectorize_core.models import Metric
from vectorize_core.scoring import choose_diverse

COUNT = 40
ROWS = [vector(f"{i}") for i in range(COUNT)]
MODES = {mode.value: mode for mode in VectorStoreQueryMode}
MMR = VectorStoreQueryMode.MMR
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def filled() -> Iterator[Callable[[Metric], VectorizeVectorStore]]:
    """Nodes 0 to 39 of four documents, in a store for each metric; no test may change them."""
    nodes = [text_node(f"{i}", f"doc {i % 4}", n=i % 2) for i in range(COUNT)]
    with VectorizeClient.local() as client:
        stores = {
            metric: VectorizeVectorStore(
                metric,
                client=client,
                create_index=True,
                metric=metric,
                metadata_indexes={"n": "number"},
            )
            for metric in METRICS
        }
        for store in stores.values():
            store.add(nodes)
        yield stores.__getitem__


def asked(k: int, **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=vector("query"), similarity_top_k=k, **options)


def found(result: VectorStoreQueryResult) -> list[int]:
    assert [node.node_id for node in result.nodes or ()] == result.ids
    return [int(node_id) for node_id in result.ids or ()]


# Maximal marginal relevance


def plain_mmr(
    metric: Metric, rows: list[list[float]], threshold: float, k: int, among: list[int]
) -> list[int]:
    """What it means, one node after the other, in plain Python and float64."""

    def similar(a: list[float], b: list[float]) -> float:
        one, other = np.array(a), np.array(b)
        if metric == "euclidean":
            return 1 / (1 + float(np.linalg.norm(one - other)))
        dot = float(one @ other)
        return (
            dot
            if metric == "dot-product"
            else dot / float(np.linalg.norm(one) * np.linalg.norm(other))
        )

    near = {i: similar(rows[i], vector("query")) for i in among}
    chosen = [max(among, key=near.__getitem__)]
    while len(chosen) < min(k, len(among)):
        chosen.append(
            max(
                (i for i in among if i not in chosen),
                key=lambda i: (
                    threshold * near[i]
                    - (1 - threshold) * max(similar(rows[i], rows[j]) for j in chosen)
                ),
            )
        )
    return chosen


@both_ways
@every_metric
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
async def test_diverse_nodes_are_chosen_among_the_nearest(
    filled: Any, call: Call, metric: Metric, threshold: float
) -> None:
    nearest = ranking(metric, vector("query"), ROWS)
    result = await call(filled(metric), "query", asked(5, mode=MMR, mmr_threshold=threshold))
    assert found(result) == plain_mmr(metric, ROWS, threshold, 5, nearest[:20])
    plain = await call(filled(metric), "query", asked(20))
    similarities = dict(zip(found(plain), plain.similarities, strict=True))
    assert result.similarities == [similarities[i] for i in found(result)]


@both_ways
@every_metric
async def test_a_threshold_of_one_is_the_plain_ranking(
    filled: Any, call: Call, metric: Metric
) -> None:
    for k in (0, 1, 7, 40, 60):
        diverse = await call(filled(metric), "query", asked(k, mode=MMR, mmr_threshold=1))
        assert found(diverse) == found(await call(filled(metric), "query", asked(k)))


@both_ways
async def test_the_threshold_comes_with_the_query_or_as_an_option(filled: Any, call: Call) -> None:
    store = filled("cosine")
    halfway = found(await call(store, "query", asked(5, mode=MMR)))
    assert halfway == found(await call(store, "query", asked(5, mode=MMR), mmr_threshold=0.5))
    diverse = found(await call(store, "query", asked(5, mode=MMR), mmr_threshold=0.0))
    assert diverse == found(await call(store, "query", asked(5, mode=MMR, mmr_threshold=0.0)))
    assert diverse != halfway
    both = asked(5, mode=MMR, mmr_threshold=0.0)
    assert found(await call(store, "query", both, mmr_threshold=1.0)) == diverse


@both_ways
async def test_how_many_to_choose_from_can_be_said(filled: Any, call: Call) -> None:
    store, nearest = filled("cosine"), ranking("cosine", vector("query"), ROWS)
    for options, count in (
        ({"mmr_prefetch_k": 9}, 9),
        ({"mmr_prefetch_k": 40}, 40),
        ({"mmr_prefetch_k": 1}, 3),
        ({"mmr_prefetch_factor": 2.5}, 8),
    ):
        query = asked(3, mode=MMR, mmr_threshold=0.2)
        got = found(await call(store, "query", query, **options))
        assert got == plain_mmr("cosine", ROWS, 0.2, 3, nearest[:count])


@both_ways
async def test_diverse_nodes_are_those_of_filters_and_restrictions(filled: Any, call: Call) -> None:
    nearest = ranking("euclidean", vector("query"), ROWS)
    odd = [i for i in nearest if i % 2]
    for options, among in (
        ({"filters": equal_to("n", 1)}, odd[:12]),
        ({"doc_ids": ["doc 1"]}, [i for i in nearest if i % 4 == 1]),
        ({"node_ids": ["3", "4", "5", "7"]}, [i for i in nearest if i in (3, 4, 5, 7)]),
        ({"node_ids": ["3", "4"], "filters": equal_to("n", 1)}, [3]),
        ({"node_ids": ["unknown"]}, []),
    ):
        query = asked(3, mode=MMR, mmr_threshold=0.4, **options)
        got = found(await call(filled("euclidean"), "query", query))
        assert got == (plain_mmr("euclidean", ROWS, 0.4, 3, among) if among else [])


@both_ways
@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (asked(2, mode=MMR, mmr_threshold=1.1), {}, "mmr_threshold is a number from 0 to 1"),
        (asked(2, mode=MMR), {"mmr_threshold": -0.1}, "mmr_threshold is a number from 0 to 1"),
        (asked(2, mode=MMR), {"mmr_prefetch_k": -1}, "mmr_prefetch_k.*not negative"),
        (asked(2, mode=MMR), {"mmr_prefetch_k": 1, "mmr_prefetch_factor": 2}, "not both"),
        (asked(2), {"mmr_threshold": 0.5}, "mmr_threshold: only .*mode='mmr'"),
        (VectorStoreQuery(mode=MMR, node_ids=["1"]), {}, "needs an embedding"),
    ],
)
async def test_wrong_settings_of_diversity_are_refused(
    filled: Any, call: Call, query: VectorStoreQuery, options: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        await call(filled("cosine"), "query", query, **options)


@given(
    st.integers(0, 8).flatmap(
        lambda n: st.lists(
            st.lists(st.floats(-2, 2, width=16), min_size=3, max_size=3), min_size=n, max_size=n
        )
    ),
    st.floats(0, 1),
    st.integers(0, 9),
    st.sampled_from(METRICS),
)
@examples(30)
def test_any_rows_are_chosen_at_most_once(
    rows: list[list[float]], threshold: float, k: int, metric: Metric
) -> None:
    matrix = np.array(rows, np.float32).reshape(len(rows), 3)
    target = np.array([1, 0, 0], np.float32)
    chosen = choose_diverse(metric, matrix, target, threshold, k)
    assert len(chosen) == len(set(chosen)) == min(k, len(rows))
    assert set(chosen) <= set(range(len(rows)))
    # More of them begin with the same.
    assert (
        choose_diverse(metric, matrix, target, threshold, max(k - 1, 0)) == chosen[: max(k - 1, 0)]
    )


@both_ways
async def test_a_retriever_passes_the_threshold(filled: Any, call: Call) -> None:
    index = VectorStoreIndex.from_vector_store(filled("cosine"))
    retriever = index.as_retriever(
        similarity_top_k=5,
        vector_store_query_mode="mmr",
        vector_store_kwargs={"mmr_threshold": 0.0, "mmr_prefetch_k": 30},
    )
    got = [int(node.node.node_id) for node in await call(retriever, "retrieve", "query")]
    nearest = ranking("cosine", vector("query"), ROWS)
    assert got == plain_mmr("cosine", ROWS, 0.0, 5, nearest[:30])


# Without an embedding


@both_ways
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"filters": equal_to("n", 1)}, set(range(1, COUNT, 2))),
        ({"doc_ids": ["doc 1", "doc 2"]}, {i for i in range(COUNT) if i % 4 in (1, 2)}),
        ({"doc_ids": ["doc 1"], "filters": equal_to("n", 0)}, set()),
        ({"node_ids": ["3", "4", "unknown"]}, {3, 4}),
        ({"node_ids": ["3", "4"], "filters": equal_to("n", 1)}, {3}),
        ({"node_ids": ["3", "4"], "doc_ids": ["doc 0"]}, {4}),
        ({"node_ids": [], "doc_ids": [], "filters": equal_to("n", 5)}, set()),
    ],
)
async def test_a_query_without_embedding_finds_what_filters_select(
    filled: Any, call: Call, options: Any, expected: set[int]
) -> None:
    store = filled("cosine")
    for k in (0, 1, 3, 100):
        query = VectorStoreQuery(similarity_top_k=k, **options)
        result = await call(store, "query", query)
        assert result.similarities is None
        assert len(found(result)) == min(k, len(expected))
        assert set(found(result)) <= expected


@both_ways
async def test_a_query_without_embedding_may_have_a_vectorize_filter(
    filled: Any, call: Call
) -> None:
    query = VectorStoreQuery(similarity_top_k=50)
    result = await call(filled("cosine"), "query", query, vectorize_filter={"n": {"$eq": 1}})
    assert set(found(result)) == set(range(1, COUNT, 2))


@both_ways
@pytest.mark.parametrize(
    "form",
    [list, tuple, np.array, iter, lambda ids: (i for i in ids)],
    ids=["list", "tuple", "array", "iterator", "generator"],
)
@pytest.mark.parametrize("name", ["node_ids", "doc_ids"])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.covering(1)
async def test_ids_of_a_query_come_in_any_collection(
    make: Make, call: Call, form: Any, name: str, nearest: bool
) -> None:
    store = make()
    store.add([text_node("a"), text_node("b"), text_node("c")])
    query = VectorStoreQuery(vector("q") if nearest else None, similarity_top_k=9)
    setattr(query, name, form(["a", "b"]))
    assert {*(await call(store, "query", query)).ids} == {"a", "b"}


@both_ways
async def test_a_query_for_nothing_in_particular_is_an_error(filled: Any, call: Call) -> None:
    for options in ({}, {"filters": MetadataFilters(filters=[]), "node_ids": [], "doc_ids": []}):
        with pytest.raises(InvalidInputError, match=r"neither an embedding nor.*iter_nodes\(\)"):
            await call(filled("cosine"), "query", VectorStoreQuery(**options))


@both_ways
async def test_few_of_many_take_few_requests(make: Make, sent: Recorder, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    store.add([text_node(f"{i}", n=1) for i in range(600)])
    sent.ops.clear()
    query = VectorStoreQuery(similarity_top_k=5, filters=equal_to("n", 1))
    assert len((await call(store, "query", query)).nodes) == 5
    assert len(sent.of(Query)) <= 2


# What the store lacks


@both_ways
@pytest.mark.parametrize(
    ("mode", "who"),
    [
        ("semantic_hybrid", "'hybrid' with a reranker.*Azure AI Search"),
        ("svm", "SimpleVectorStore"),
        ("logistic_regression", "SimpleVectorStore"),
        ("linear_regression", "SimpleVectorStore"),
    ],
)
async def test_a_mode_that_the_store_lacks_says_who_has_it(
    filled: Any, call: Call, mode: str, who: str
) -> None:
    for embedding in (vector("query"), None):
        query = VectorStoreQuery(query_embedding=embedding, query_str="q", mode=MODES[mode])
        with pytest.raises(
            NotImplementedError, match=f"'{mode}': .*{who}.*With this store, use .*'hybrid'"
        ):
            await call(filled("cosine"), "query", query)


@both_ways
async def test_a_mode_may_be_a_string(filled: Any, call: Call) -> None:
    near = await call(filled("cosine"), "query", asked(3, mode="default"))
    assert found(near) == ranking("cosine", vector("query"), ROWS)[:3]
    with pytest.raises(NotImplementedError, match="'svm'"):
        await call(filled("cosine"), "query", asked(3, mode="svm"))
    with pytest.raises(ValueError, match="'unheard of'"):
        await call(filled("cosine"), "query", asked(3, mode="unheard of"))


@both_ways
async def test_a_node_without_a_source_is_its_own(make: Make, call: Call) -> None:
    store = make()
    await call(store, "add", [text_node("own"), text_node("1", "doc")])
    for embedding in (vector("query"), None):
        for options in ({}, {"node_ids": ["own", "1"]}):
            query = VectorStoreQuery(
                query_embedding=embedding, doc_ids=["own"], similarity_top_k=5, **options
            )
            assert (await call(store, "query", query)).ids == ["own"]
    (node,) = await call(store, "get_nodes", ["own"])
    assert node.ref_doc_id is None


def test_every_mode_is_answered_or_refused_here() -> None:
    refused = {"semantic_hybrid", "svm", "logistic_regression", "linear_regression"}
    assert set(MODES) - refused == {"default", "mmr", "text_search", "sparse", "hybrid"}


# What a query returns


@both_ways
@every_metric
async def test_only_nodes_that_are_similar_enough_are_found(
    filled: Any, call: Call, metric: Metric
) -> None:
    store = filled(metric)
    plain = await call(store, "query", asked(COUNT))
    enough = {"similarity_cutoff": plain.similarities[6]}
    near = found(plain)[:7]
    assert found(await call(store, "query", asked(COUNT), **enough)) == near
    assert found(await call(store, "query", asked(100_000), **enough)) == near
    assert found(await call(store, "query", asked(3), **enough)) == near[:3]
    among = [f"{i}" for i in range(0, COUNT, 2)]
    restricted = await call(store, "query", asked(COUNT, node_ids=among), **enough)
    assert found(restricted) == [i for i in near if i % 2 == 0]
    diverse = found(await call(store, "query", asked(5, mode=MMR), **enough))
    assert len(diverse) == 5
    assert {*diverse} <= {*near}
    assert found(await call(store, "query", asked(5, mode=MMR), similarity_cutoff=1e9)) == []
    assert found(await call(store, "query", asked(5), similarity_cutoff=float("inf"))) == []
    assert len(found(await call(store, "query", asked(5), similarity_cutoff=-float("inf")))) == 5


@both_ways
@pytest.mark.parametrize(
    "query",
    [
        asked(3),
        asked(3, mode=MMR),
        asked(3, node_ids=["1", "5", "7"]),
        VectorStoreQuery(filters=equal_to("n", 1), similarity_top_k=3),
        VectorStoreQuery(node_ids=["1", "2"], similarity_top_k=3),
    ],
)
async def test_nodes_have_their_embeddings_if_these_are_wanted(
    filled: Any, call: Call, query: VectorStoreQuery
) -> None:
    store = filled("dot-product")
    result = await call(store, "query", query, include_embeddings=True)
    for node in result.nodes:
        assert node.embedding == np.float32(ROWS[int(node.node_id)]).tolist()
    plain = await call(store, "query", query)
    assert [node.embedding for node in plain.nodes] == [None] * len(result.nodes)
    assert len(result.nodes) >= 2
