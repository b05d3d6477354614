"""Queries by words, and by words and nearness together: how many, among which, and how weighed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import IndexNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import MODEL, Hashed, equal_to, text_node
from tests.stores import METRICS, Call, Make, both_ways, vector
from vectorize_core import (
    ConfigurationError,
    D1TextIndex,
    InvalidInputError,
    SqliteTextIndex,
    TextIndex,
    VectorizeClient,
)
from vectorize_core.api.operations import GetByIds

COUNT = 90
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
MODES = ("text_search", "sparse", "hybrid")
every_mode = pytest.mark.parametrize("mode", MODES)


def texts() -> Iterator[str]:
    for n in range(COUNT):
        yield " ".join(("common", f"number{n}", *(WORDS[(n + i) % 7] for i in range(n % 6))))


@pytest.fixture(scope="module")
def store() -> Iterator[VectorizeVectorStore]:
    """90 nodes of four documents; no test may change them."""
    with VectorizeVectorStore(
        "docs", path=":memory:", text_index=True, metadata_indexes={"n": "number"}
    ) as store:
        nodes = [text_node(f"{n}", f"doc {n % 4}", n=n % 3) for n in range(COUNT)]
        for node, text in zip(nodes, texts(), strict=True):
            node.text = text
        store.add(nodes)
        yield store


def asked(mode: Any, words: str = "common beta", k: int = 5, **options: Any) -> VectorStoreQuery:
    query = VectorStoreQuery(query_str=words, mode=mode, similarity_top_k=k, **options)
    if mode == "hybrid":
        query.query_embedding = vector("query")
    return query


def near(store: VectorizeVectorStore, k: int) -> list[str]:
    found = store.query(VectorStoreQuery(query_embedding=vector("query"), similarity_top_k=k))
    return found.ids or []


# How many


@both_ways
async def test_each_search_has_a_number_of_its_own(store: VectorizeVectorStore, call: Call) -> None:
    for mode in ("text_search", "sparse"):
        assert len((await call(store, "query", asked(mode, k=3))).ids) == 3
        assert len((await call(store, "query", asked(mode, k=3, sparse_top_k=60))).ids) == 60
        assert (await call(store, "query", asked(mode, k=3, sparse_top_k=0))).ids == []
    everything = await call(store, "query", asked("hybrid", k=COUNT))
    assert len({*everything.ids}) == COUNT
    for options, count in (
        ({"k": 3}, 3),
        ({"k": 3, "hybrid_top_k": 7}, 7),
        ({"k": 30, "hybrid_top_k": 7}, 7),
        ({"k": 2, "sparse_top_k": 3, "hybrid_top_k": 60}, 60),
        ({"k": 51, "sparse_top_k": 1}, 51),
        ({"k": 1_000}, COUNT),
        ({"k": 3, "hybrid_top_k": 0}, 0),
        ({"k": 0}, 0),
    ):
        found = await call(store, "query", asked("hybrid", **options), max_requests=500)
        assert found.ids == everything.ids[:count]
        assert found.similarities == everything.similarities[:count]
        assert [node.node_id for node in found.nodes] == found.ids


# How weighed


@both_ways
@every_mode
async def test_nodes_have_their_embeddings_if_these_are_wanted(
    store: VectorizeVectorStore, call: Call, mode: str
) -> None:
    for query in (asked(mode), asked(mode, node_ids=["1", "2", "3"]), asked(mode, k=60)):
        result = await call(store, "query", query, include_embeddings=True)
        assert len(result.nodes) >= 3
        for node in result.nodes:
            assert node.embedding == np.float32(vector(node.node_id)).tolist()
        plain = await call(store, "query", query)
        assert plain.ids == result.ids
        assert {node.embedding for node in plain.nodes} == {None}


@both_ways
async def test_alpha_is_the_weight_of_nearness(store: VectorizeVectorStore, call: Call) -> None:
    words = "number7 number11 number13"
    by_words = (await call(store, "query", asked("text_search", words))).ids
    found = {
        alpha: (await call(store, "query", asked("hybrid", words, 3, alpha=alpha)))
        for alpha in (None, 0.0, 0, 0.6, 1, 1.0)
    }
    assert found[0.0].ids == found[0].ids == by_words
    assert {*by_words} == {"7", "11", "13"}
    assert found[1.0].ids == near(store, 3)
    assert found[None] == found[0.6] != found[0.0]


@both_ways
async def test_ranks_may_be_fused_instead_of_scores(
    store: VectorizeVectorStore, call: Call
) -> None:
    found = await call(store, "query", asked("hybrid", "number7", 3), fusion="rrf")
    assert {*found.ids[:2]} == {"7", *near(store, 1)}
    assert max(found.similarities) <= 2 / 61
    relative = asked("hybrid", "number7", 3)
    plain = await call(store, "query", relative)
    assert plain == await call(store, "query", relative, fusion="relative")
    assert plain == await call(store, "query", relative, fusion=None)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_larger_for_better_whatever_the_metric(metric: Any) -> None:
    with VectorizeVectorStore("docs", path=":memory:", metric=metric, text_index=True) as store:
        store.add([text_node(f"{n}") for n in range(30)])
        for mode in MODES:
            scores = store.query(asked(mode, "text 7", 30)).similarities or []
            assert len(scores) == 30
            assert scores == sorted(scores, reverse=True)
        nearest = store.query(asked("hybrid", "text", 5, alpha=1.0)).ids
        assert nearest == near(store, 5)


# Among which


def between(least: int, most: int) -> MetadataFilters:
    ends = ((FilterOperator.GTE, least), (FilterOperator.LTE, most))
    return MetadataFilters(
        filters=[MetadataFilter(key="n", value=value, operator=op) for op, value in ends]
    )


@both_ways
@every_mode
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"filters": equal_to("n", 1)}, range(1, COUNT, 3)),
        ({"filters": between(1, 2)}, [n for n in range(COUNT) if n % 3]),
        ({"doc_ids": ["doc 1", "doc 3", "none"]}, range(1, COUNT, 2)),
        ({"node_ids": ["3", "4", "8", "unknown"]}, [3, 4, 8]),
        ({"node_ids": ["3", "4", "7"], "filters": equal_to("n", 1)}, [4, 7]),
        ({"node_ids": ["3", "4", "7"], "doc_ids": ["doc 3"]}, [3, 7]),
        ({"node_ids": [], "doc_ids": [], "filters": equal_to("n", 9)}, []),
        ({"filters": {"n": {"$lt": 1}}}, range(0, COUNT, 3)),
    ],
)
@pytest.mark.covering(1)
async def test_filters_and_ids_mean_what_they_mean_by_vectors(
    store: VectorizeVectorStore, call: Call, mode: str, options: Any, expected: Any
) -> None:
    for k in (2, 1_000):
        found = await call(store, "query", asked(mode, k=k, **options), max_requests=500)
        assert len(found.ids) == len({*found.ids}) == min(k, len(expected))
        assert {int(one) for one in found.ids} <= {*expected}


@both_ways
@every_mode
async def test_more_ids_than_may_be_read_restrict_too(
    store: VectorizeVectorStore, call: Call, mode: str
) -> None:
    ids = [f"{n}" for n in range(0, COUNT, 2)] + [f"unknown {n}" for n in range(300)]
    query = asked(mode, k=5, node_ids=ids)
    found = await call(store, "query", query, max_requests=10)
    assert len(found.ids) == 5
    assert {*found.ids} <= {*ids}


@both_ways
@every_mode
async def test_a_namespace_is_looked_in_alone(make: Make, call: Call, mode: str) -> None:
    store = make(text_index=SqliteTextIndex())
    for name in ("a", "b"):
        await call(store, "add", [text_node(f"{name}{n}") for n in range(3)], namespace=name)
    found = await call(store, "query", asked(mode, "text"), namespace="b")
    assert sorted(found.ids) == ["b0", "b1", "b2"]
    assert len((await call(store, "query", asked(mode, "text", 9))).ids) == 6


@both_ways
async def test_a_service_s_own_filter_is_refused_by_words(
    store: VectorizeVectorStore, call: Call
) -> None:
    for mode in MODES:
        with pytest.raises(InvalidInputError, match="vectorize_filter"):
            await call(store, "query", asked(mode), vectorize_filter={"n": 1})


# What is indexed


@both_ways
@pytest.mark.parametrize("node_layout", ["compact", "stock"])
async def test_the_words_are_those_of_the_text_alone(
    make: Make, call: Call, node_layout: str
) -> None:
    store = make(text_index=SqliteTextIndex(), node_layout=node_layout)
    node = TextNode(id_="a", text="plain", metadata={"title": "heading"}, embedding=vector("a"))
    assert "heading" in node.get_content(MetadataMode.EMBED)
    await call(store, "add", [node])
    assert (await call(store, "query", asked("text_search", "plain"))).ids == ["a"]
    assert (await call(store, "query", asked("text_search", "heading"))).ids == []
    node.text = "other"
    await call(store, "add", [node])
    assert (await call(store, "query", asked("text_search", "plain"))).ids == []
    assert (await call(store, "query", asked("text_search", "other"))).ids == ["a"]
    await call(store, "delete_nodes", ["a"])
    assert (await call(store, "query", asked("text_search", "other"))).ids == []


# Through an index of LlamaIndex


class Counting(Hashed):
    """Counts the queries that it embeds."""

    asked: int = 0

    def _get_query_embedding(self, query: str) -> list[float]:
        self.asked += 1
        return super()._get_query_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        self.asked += 1
        return await super()._aget_query_embedding(query)


@both_ways
async def test_a_retriever_looks_for_words(store: VectorizeVectorStore, call: Call) -> None:
    model = Counting(embed_dim=32)
    index = VectorStoreIndex.from_vector_store(store, model)
    for mode in ("text_search", "sparse"):
        retriever = index.as_retriever(vector_store_query_mode=mode, sparse_top_k=1)
        (found,) = await call(retriever, "retrieve", "number42!")
        assert (found.node.node_id, found.score > 0) == ("42", True)
        assert await call(retriever, "retrieve", "") == []
    assert model.asked == 0
    retriever = index.as_retriever(
        vector_store_query_mode="hybrid",
        alpha=0.0,
        similarity_top_k=2,
        hybrid_top_k=3,
        filters=equal_to("n", 0),
        vector_store_kwargs={"fusion": "relative"},
    )
    found = await call(retriever, "retrieve", "number42 OR number43")
    assert (found[0].node.node_id, found[0].score, len(found)) == ("42", 1.0, 3)
    assert model.asked == 1
    with pytest.raises(InvalidInputError, match="text is empty"):
        await call(retriever, "retrieve", "")


@both_ways
async def test_an_index_with_index_nodes_is_searched_whole(make: Make, call: Call) -> None:
    # Its retrievers pass the ids of those, and mean all nodes.
    context = StorageContext.from_defaults(vector_store=make(text_index=SqliteTextIndex()))
    index = VectorStoreIndex([], storage_context=context, embed_model=MODEL)
    nodes = [TextNode(id_="a", text="one word"), IndexNode(id_="b", text="a word", index_id="x")]
    await call(index, "insert_nodes", nodes)
    for mode in MODES:
        retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=9)
        assert {one.node.node_id for one in await call(retriever, "retrieve", "word")} == {"a", "b"}


# As a setting


class OfMine(SqliteTextIndex):
    """One that no store knows how to make again."""


def described(tmp_path: Path) -> list[tuple[Any, Any]]:
    """Text indexes, and what is written of them."""
    d1 = {"database_id": "words", "table": "t", "tokenizer": "porter"}
    sqlite = {"path": str(tmp_path / "words"), "tokenizer": "trigram"}
    return [
        (None, None),
        (True, True),
        (D1TextIndex(**d1), d1),
        (SqliteTextIndex(**sqlite), sqlite),
    ]


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize(
    "again",
    [
        lambda store: VectorizeVectorStore.from_dict(store.to_dict()),
        lambda store: VectorizeVectorStore.from_json(store.to_json()),
        lambda store: VectorizeVectorStore.model_validate(store.model_dump()),
        lambda store: VectorizeVectorStore.model_validate_json(store.model_dump_json()),
        lambda store: VectorizeVectorStore(**store.model_dump()),
        lambda store: pickle.loads(pickle.dumps(store)),
    ],
)
@pytest.mark.covering(1)
def test_a_store_that_was_written_down_has_its_text_index(
    tmp_path: Path, case: int, again: Callable[[VectorizeVectorStore], VectorizeVectorStore]
) -> None:
    given, written = described(tmp_path)[case]
    with VectorizeVectorStore("docs", path=tmp_path / "vectors", text_index=given) as store:
        assert json.loads(store.to_json())["text_index"] == written
        store.add([text_node("a")])
        with again(store) as other:
            assert other.to_dict() == store.to_dict()
            if given is None:
                return
            for one in (other, other.with_namespace("tenant")):
                one.add([text_node("b")])
            found = store.query(asked("text_search", "text", 9))
            assert len(found.ids or ()) == 3


@pytest.mark.parametrize("kind", ["with a client", "of mine"])
def test_a_text_index_that_cannot_be_written_down_is_asked_for(tmp_path: Path, kind: str) -> None:
    client = VectorizeClient.local()
    given: TextIndex = OfMine(tmp_path)
    if kind == "with a client":
        given = D1TextIndex("words", client=client)
    with VectorizeVectorStore("docs", path=tmp_path, text_index=given) as store:
        assert store.text_index is given
        data = store.to_dict()
        with pytest.raises(
            ConfigurationError, match=r"text_index is .*got .(OfMine|D1TextIndex)\("
        ):
            VectorizeVectorStore.from_dict(data)
        with VectorizeVectorStore.from_dict(data, text_index=given) as again:
            assert again.text_index is given
    client.close()


@both_ways
async def test_node_ids_are_looked_at_only_where_a_retriever_may_have_given_them(
    make: Make, sent: Any, call: Call
) -> None:
    store = make(text_index=SqliteTextIndex())
    store.add([text_node("a"), text_node("b")])
    for strict, reads in ((True, 1), (False, 2)):
        sent.ops.clear()
        query = asked("text_search", "text", node_ids=["a"])
        assert (await call(store, "query", query, strict_node_ids=strict)).ids == ["a"]
        assert len(sent.of(GetByIds)) == reads
    with pytest.raises(InvalidInputError, match="strict_node_ids"):
        await call(store, "query", query, strict_node_ids="yes")
