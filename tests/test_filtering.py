"""Both stores, filters and any number of matches: at the price promised, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from langchain_vectorize import VectorizeVectorStore as LangChainStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.held_time import HeldClock
from tests.stores import (
    DIMENSIONS,
    Call,
    Embedder,
    Given,
    Recorder,
    both_ways,
    ranking,
    recorded,
    vector,
)
from vectorize_core import (
    Index,
    InvalidInputError,
    PartialIndexError,
    UnindexedPropertyError,
    Vector,
    VectorizeClient,
    layout,
)
from vectorize_core.api.operations import DeleteByIds, Op, Query
from vectorize_core.filters import F
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.filters.parse import parse
from vectorize_core.layout import Record
from vectorize_core.local import Behavior

COUNT = 160
TEXTS = [f"text {i}" for i in range(COUNT)]


ROWS = np.array([vector(text) for text in TEXTS], np.float32)
QUERY = vector("the query")


class Ticking(Recorder):
    """Time passes with each request, so that mutations take effect some time later."""

    def __init__(self, executor: Any, clock: HeldClock) -> None:
        super().__init__(executor)
        self._clock = clock

    def send(self, op: Op[Any], /) -> Any:
        self._clock.now += 0.5
        return super().send(op)

    async def asend(self, op: Op[Any], /) -> Any:
        self._clock.now += 0.5
        return await super().asend(op)


MANY, MATCHING = 25_000, 7_000


@pytest.fixture(scope="module")
def large() -> Iterator[tuple[LangChainStore, Ticking, Any]]:
    """25,000 documents, 7,000 of them of the kind "x"; what is written takes effect later."""
    rows = np.random.default_rng(2).standard_normal((MANY, DIMENSIONS)).astype(np.float32)
    clock = HeldClock()
    client = VectorizeClient.local(
        behavior=Behavior(process_delay=2.0, propagate_delay=1.0), clock=clock
    )
    sent = Ticking(client.connection.executor, clock)
    client.connection.executor = sent
    store = LangChainStore(
        Given(rows, QUERY),
        index_name="docs",
        client=client,
        create_index=True,
        metadata_indexes={"kind": "string", "year": "number"},
        batch_size=5_000,
    )
    texts = [f"text {i}" for i in range(MANY)]
    metadatas = [{"kind": "x" if i % 25 < 7 else "y", "year": i % 50} for i in range(MANY)]
    store.add_texts(texts, metadatas, ids=[f"id-{i}" for i in range(MANY)])
    yield store, sent, rows
    client.close()


def is_x(i: int) -> bool:
    return i % 25 < 7


def test_seven_thousand_of_many_are_counted_searched_and_deleted(large: Any) -> None:
    store, sent, rows = large
    assert store.count({"kind": "x"}) == MATCHING

    sent.ops.clear()
    found = store.similarity_search("the query", 1_000, filter={"kind": "x"})
    assert len(sent.ops) <= 35
    matching = [i for i in range(MANY) if is_x(i)]
    best = [matching[at] for at in ranking("cosine", QUERY, rows[matching].tolist())]
    assert [document.id for document in found] == [f"id-{i}" for i in best[:1_000]]

    sent.ops.clear()
    store.delete(filter={"kind": "x"})
    assert len(sent.of(Query)) <= 1.6 * MATCHING / 100
    assert len(sent.of(DeleteByIds)) == MATCHING / 100
    assert len(sent.ops) <= 1.6 * MATCHING / 100 + MATCHING / 100
    assert store.count({"kind": "x"}) == 0
    assert set(_ids(store)) == {f"id-{i}" for i in range(MANY) if not is_x(i)}


def _ids(store: LangChainStore) -> Iterator[str]:
    target = store._records.index.target
    return Index(target.connection, target.state.name).list_ids()


@both_ways
async def test_a_document_of_many_new_nodes_is_deleted_whole(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HeldClock()
    clock.rule(monkeypatch)
    behavior = Behavior(process_delay=1.0, propagate_delay=0.5)
    client = VectorizeClient.local(behavior=behavior, clock=clock)
    client.connection.executor = Ticking(client.connection.executor, clock)
    store = LlamaIndexStore("docs", client=client, create_index=True)

    def nodes(ref: str, count: int) -> list[TextNode]:
        source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=ref)}
        return [
            TextNode(
                id_=f"{ref} {i}", text="t", embedding=vector(f"{ref}{i}"), relationships=source
            )
            for i in range(count)
        ]

    await call(store, "add", nodes("other", 150))
    await call(store, "add", nodes("wanted", 1_200))
    await call(store, "delete", "wanted")
    assert await call(store, "count") == 150
    await call(store, "delete", "unknown")
    assert await call(store, "count") == 150
    result = await call(
        store, "query", VectorStoreQuery(query_embedding=QUERY, similarity_top_k=1_000)
    )
    assert {node.ref_doc_id for node in result.nodes} == {"other"}
    assert len(result.nodes) == 150
    client.close()


CHOICES: dict[str, Any] = {
    "a dict": {"year": {"$gte": 40}, "$or": [{"kind": "x"}, {"kind": {"$like": "%y%"}}]},
    "an expression": (F("year") > 10) & ~(F("kind") == "x"),
    "a list": F("tags").contains("b"),
    "no index": {"i": {"$between": [30, 90]}},
}


@pytest.fixture
def filled() -> Iterator[Callable[[], tuple[LangChainStore, Recorder]]]:
    client = VectorizeClient.local()
    sent = recorded(client)

    def make() -> tuple[LangChainStore, Recorder]:
        store = LangChainStore(
            Given(ROWS, QUERY),
            index_name="docs",
            client=client,
            create_index=True,
            metadata_indexes={"kind": "string", "year": "number"},
        )
        ids = [str(i) for i in range(COUNT)]
        store.add_texts(TEXTS, [metadata_of(i) for i in range(COUNT)], ids=ids)
        return store, sent

    yield make
    client.close()


def metadata_of(i: int) -> dict[str, Any]:
    return {"i": i, "kind": "xyz"[i % 3], "year": i % 50, "tags": ["a", "b"][: i % 3]}


@both_ways
@pytest.mark.parametrize("chosen", CHOICES.values(), ids=list(CHOICES))
@pytest.mark.parametrize("verify", [False, True])
async def test_a_delete_by_filter_removes_exactly_what_it_matches(
    filled: Any, call: Call, chosen: Any, verify: bool
) -> None:
    store, sent = filled()
    expression = parse(chosen)
    left = {i for i in range(COUNT) if not evaluate(expression, Record("", "", metadata_of(i)))}
    options = {"unindexed": "scan", "verify": verify}
    assert await call(store, "delete", filter=chosen, **options) is True
    assert {int(i) for i in _ids(store)} == left
    assert await call(store, "count") == len(left)
    sent.ops.clear()
    assert await call(store, "delete", filter=chosen, **options) is True
    assert not sent.of(DeleteByIds)


@both_ways
async def test_a_delete_has_ids_or_a_filter_or_says_all(filled: Any, call: Call) -> None:
    store, _ = filled()
    refused: list[dict[str, Any]] = [
        {},
        {"filter": None},
        {"ids": ["1"], "filter": {"kind": "x"}},
        {"filter": {"kind": "x"}, "delete_all": True},
        {"delete_all": True, "verify": True},
        {"ids": ["1"], "max_requests": 3},
    ]
    for options in refused:
        with pytest.raises(InvalidInputError, match="delete"):
            await call(store, "delete", **options)
    with pytest.raises(InvalidInputError, match="empty filter would delete everything"):
        await call(store, "delete", filter={})
    assert await call(store, "count") == COUNT


@both_ways
async def test_a_filter_is_explained_before_it_is_paid_for(filled: Any, call: Call) -> None:
    store, sent = filled()
    told = await call(store, "explain_filter", CHOICES["a dict"], 10)
    assert "everything" not in str(told).split("\n")[1]
    assert "$like" in str(told)
    assert not sent.of(Query)
    with pytest.raises(UnindexedPropertyError, match="'i'"):
        await call(store, "explain_filter", CHOICES["no index"])


@both_ways
@pytest.mark.parametrize("kind", [LangChainStore, LlamaIndexStore])
async def test_a_record_older_than_its_index_is_found_rewritten(call: Call, kind: Any) -> None:
    client = VectorizeClient.local()
    options: Any = {"index_name": "docs", "client": client}
    filled = LangChainStore(Given(ROWS, QUERY), create_index=True, **options)
    metadatas = [metadata_of(i) for i in range(COUNT)]
    filled.add_texts(TEXTS, metadatas, ids=[str(i) for i in range(COUNT)])
    before = {v.id: v for v in client.index("docs").iter()}
    client.index("docs").create_metadata_index("year", "number")
    store = kind(Given(ROWS, QUERY), **options) if kind is LangChainStore else kind(**options)
    with pytest.raises(PartialIndexError, match=r"'year'.*reindex_metadata\(\)"):
        filled.count({"year": 3})
    assert await call(store, "reindex_metadata", wait=True) == COUNT
    assert filled.count({"year": 3}) == sum(i % 50 == 3 for i in range(COUNT))
    assert {v.id: v for v in client.index("docs").iter()} == before
    with pytest.raises(TypeError, match="wait"):
        await call(store, "reindex_metadata", wiat=True)
    client.close()


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"_vs_own": True}, {"a", "b"}),
        ({"_vs_own": {"$ne": True}}, {"c"}),
        ({"_vs_ref": "x"}, {"a"}),
        ({"_vs_bucket": {"$gte": 5}}, {"b"}),
        ({"_vs_own": True, "_vs_bucket": {"$lt": 5}}, {"a"}),
    ],
)
def test_raw_vectors_are_found_by_what_the_layout_has_an_index_on(
    client: VectorizeClient, given: Any, ids: set[str]
) -> None:
    client.create_index("docs", dimensions=32, record_layout=True)
    index = client.index("docs")
    own = {"_vs_own": True}
    index.upsert(
        [
            Vector("a", vector("a"), metadata={**own, "_vs_bucket": 1, "_vs_ref": "x"}),
            Vector("b", vector("b"), metadata={**own, "_vs_bucket": 9, "_vs_ref": "y"}),
            Vector("c", vector("c"), metadata={}),
        ]
    )
    assert {match.id for match in index.query(vector("a"), filter=given)} == ids
    assert set(index.iter_ids(filter=given)) == ids
    assert index.count(filter=given) == len(ids)


def test_many_raw_vectors_are_found_by_whose_they_are(client: VectorizeClient) -> None:
    store = LangChainStore(Embedder(), index_name="docs", client=client, create_index=True)
    store.add_texts([f"text {i}" for i in range(230)], ids=[f"{i}" for i in range(230)])
    index = client.index("docs")
    index.upsert([Vector(f"raw {i}", vector(f"{i}")) for i in range(90)])
    assert index.count(filter={"_vs_own": True}) == 230
    assert len(index.query(vector("q"), 300, filter={"_vs_own": True})) == 230
    half = {"_vs_bucket": {"$lt": layout.BUCKETS // 2}, "_vs_own": True}
    lower = {f"{i}" for i in range(230) if layout.bucket(f"{i}") < layout.BUCKETS // 2}
    assert set(index.iter_ids(filter=half)) == lower
