"""Any filter on any metadata, over both stores: the answer of the evaluator and an exact search."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from langchain_vectorize import VectorizeVectorStore as LangChainStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from llama_index_vectorize.filters import to_expression
from tests.core.filters.strategies import (
    BEHAVIORS,
    INDEXED,
    PATHS,
    SOME_NUMBERS,
    SOME_TEXTS,
    expressions,
    metadatas,
)
from tests.nightly import examples, sized
from tests.stores import (
    METRICS,
    Call,
    Given,
    async_call,
    both_ways,
    ranking,
    raw_scores,
    sync_call,
    vector,
)
from vectorize_core import (
    Index,
    SqliteTextIndex,
    TextIndex,
    UnindexedPropertyError,
    VectorizeClient,
)
from vectorize_core.filters import F
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.local import Behavior
from vectorize_core.models import Metric
from vectorize_core.scoring import similarity

COUNT = 160
TEXTS = [f"text {i}" for i in range(COUNT)]
ROWS = np.array([vector(text) for text in TEXTS], np.float32)
QUERY = vector("the query")
SCAN: dict[str, Any] = {"unindexed": "scan", "max_requests": 1_000}


@cache
def given_metadata() -> list[dict[str, Any]]:
    """A year alone is always of its index's type, so that answers need not be read whole."""
    return [{**metadata, "year": i} for i, metadata in enumerate(metadatas(COUNT))]


YEARS = st.integers(0, COUNT)


class Store(ABC):
    """A store of one framework with all records in it, and how each thing is asked of it."""

    def __init__(
        self, behavior: Behavior, metric: Metric, text_key: str, text_index: TextIndex | None
    ) -> None:
        self.metric = metric
        client = VectorizeClient.local(behavior=behavior)
        options: dict[str, Any] = {
            "index_name": "docs",
            "client": client,
            "create_index": True,
            "metadata_indexes": {**INDEXED, "year": "number"},
            "metric": metric,
            "text_key": text_key,
        }
        if text_index is not None:
            options["text_index"] = text_index
        self.store: Any = self.made(options)
        self.index = Index(client.connection, "docs")
        self.write(range(COUNT))

    @abstractmethod
    def made(self, options: dict[str, Any]) -> Any: ...

    @abstractmethod
    def write(self, which: Collection[int]) -> None: ...

    @abstractmethod
    def meaning(self, filter: Any) -> Expression: ...

    @abstractmethod
    async def search(self, call: Call, filter: Any, k: int) -> list[tuple[int, float]]:
        """Positions and scores."""

    @abstractmethod
    async def search_by(self, call: Call, mode: str, text: str, filter: Any, k: int) -> list[str]:
        """Ids by words ("text") or by both ("hybrid")."""

    @abstractmethod
    def score(self, raw: float) -> float:
        """What it says for a score of Vectorize."""

    @abstractmethod
    async def matching(self, call: Call, filter: Any) -> set[int] | None:
        """The positions of all that match, if it can list them."""

    @abstractmethod
    async def delete(self, call: Call, filter: Any, *, verify: bool) -> None: ...

    def expected(self, filter: Any) -> list[int]:
        expression = self.meaning(filter)
        return [i for i in range(COUNT) if evaluate(expression, given_metadata()[i])]


class InLangChain(Store):
    filters = expressions
    ranges = st.builds(F("year").between, st.integers(0, 40), YEARS)

    def made(self, options: dict[str, Any]) -> LangChainStore:
        return LangChainStore(Given(ROWS, QUERY), **options)

    def write(self, which: Collection[int]) -> None:
        metadatas = [given_metadata()[i] for i in which]
        self.store.add_texts([TEXTS[i] for i in which], metadatas, ids=map(str, which))

    def meaning(self, filter: Expression) -> Expression:
        return filter

    async def search(self, call: Call, filter: Any, k: int) -> list[tuple[int, float]]:
        found = await call(
            self.store, "similarity_search_with_score", "the query", k, filter=filter, **SCAN
        )
        return [(int(document.id), score) for document, score in found]

    async def search_by(self, call: Call, mode: str, text: str, filter: Any, k: int) -> list[str]:
        options = {"filter": filter, "retrieval_mode": mode, **SCAN}
        found = await call(self.store, "similarity_search", text, k, **options)
        return [document.id for document in found]

    def score(self, raw: float) -> float:
        return raw

    async def matching(self, call: Call, filter: Any) -> None:
        return None

    async def delete(self, call: Call, filter: Any, *, verify: bool) -> None:
        await call(self.store, "delete", filter=filter, verify=verify, **SCAN)


def _leaves() -> st.SearchStrategy[MetadataFilter]:
    texts, numbers = st.sampled_from(SOME_TEXTS), st.sampled_from(SOME_NUMBERS)
    lists = st.one_of(st.lists(texts, max_size=3), st.lists(numbers, max_size=3))
    op = FilterOperator
    operands: dict[FilterOperator, st.SearchStrategy[Any]] = {
        **dict.fromkeys((op.EQ, op.NE, op.CONTAINS), st.one_of(texts, numbers, st.none(), lists)),
        **dict.fromkeys((op.GT, op.GTE, op.LT, op.LTE), st.one_of(texts, numbers)),
        **dict.fromkeys((op.IN, op.NIN), st.one_of(texts, lists)),
        **dict.fromkeys((op.ANY, op.ALL), lists),
        **dict.fromkeys((op.TEXT_MATCH, op.TEXT_MATCH_INSENSITIVE), texts),
        op.IS_EMPTY: st.none(),
    }
    keys = st.sampled_from(PATHS)
    return st.one_of(
        st.builds(MetadataFilter, key=keys, value=value, operator=st.just(operator))
        for operator, value in operands.items()
    )


class InLlamaIndex(Store):
    filters = st.recursive(
        st.builds(MetadataFilters, filters=st.lists(_leaves(), max_size=3)),
        lambda inner: st.builds(
            MetadataFilters,
            filters=st.lists(st.one_of(inner, _leaves()), max_size=3),
            condition=st.sampled_from(FilterCondition),
        ),
        max_leaves=4,
    )

    ranges = st.builds(
        lambda year: MetadataFilters(
            filters=[MetadataFilter(key="year", value=year, operator=FilterOperator.LT)]
        ),
        YEARS,
    )

    def made(self, options: dict[str, Any]) -> LlamaIndexStore:
        return LlamaIndexStore(**options)

    def write(self, which: Collection[int]) -> None:
        self.store.add(
            TextNode(
                id_=str(i), text=TEXTS[i], metadata=given_metadata()[i], embedding=ROWS[i].tolist()
            )
            for i in which
        )

    def meaning(self, filter: MetadataFilters) -> Expression:
        expression = to_expression(filter)
        assert expression is not None
        return expression

    async def search(self, call: Call, filter: Any, k: int) -> list[tuple[int, float]]:
        query = VectorStoreQuery(query_embedding=QUERY, similarity_top_k=k, filters=filter)
        found = await call(self.store, "query", query, **SCAN)
        return list(zip(map(int, found.ids), found.similarities, strict=True))

    async def search_by(self, call: Call, mode: str, text: str, filter: Any, k: int) -> list[str]:
        query = VectorStoreQuery(
            query_str=text,
            query_embedding=QUERY,
            filters=filter,
            mode=VectorStoreQueryMode.TEXT_SEARCH
            if mode == "text"
            else VectorStoreQueryMode.HYBRID,
            similarity_top_k=k,
            sparse_top_k=k,
            hybrid_top_k=k,
        )
        found: list[str] = (await call(self.store, "query", query, **SCAN)).ids
        return found

    def score(self, raw: float) -> float:
        return similarity(self.metric, raw)

    async def matching(self, call: Call, filter: MetadataFilters) -> set[int] | None:
        if not filter.filters:
            return None
        found = await call(self.store, "get_nodes", None, filter, **SCAN)
        assert all(node.metadata == given_metadata()[int(node.node_id)] for node in found)
        return {int(node.node_id) for node in found}

    async def delete(self, call: Call, filter: Any, *, verify: bool) -> None:
        await call(self.store, "delete_nodes", None, filter, verify=verify, **SCAN)


class Stores:
    """Both stores for each behavior, filled when they are first asked for."""

    def __init__(self) -> None:
        self._made: dict[Any, Store] = {}

    def __call__(
        self, kind: type[Store], behavior: Behavior, number: int, *, by_words: bool = False
    ) -> Store:
        metric, text_key = METRICS[number % 3], ("text", "content")[number % 2]
        key = (kind, behavior, metric, by_words)
        if key not in self._made:
            text_index = SqliteTextIndex() if by_words else None
            self._made[key] = kind(behavior, metric, text_key, text_index)
        return self._made[key]

    def close(self) -> None:
        for made in self._made.values():
            made.index.connection.close()


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    made = Stores()
    given_metadata()  # Drawn before a test draws its own.
    yield made
    made.close()


KINDS = st.sampled_from([InLangChain, InLlamaIndex])
KINDS_AND_FILTERS = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), kind.filters))
KINDS_AND_RANGES = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), kind.ranges))
CALLS = st.sampled_from([sync_call, async_call])
NUMBERS = st.integers(0, len(BEHAVIORS) - 1)


@examples(100)
@given(NUMBERS, KINDS_AND_FILTERS, CALLS, st.sampled_from([4, 60, 120, 500]))
def test_a_store_is_exact_whatever_the_service_does(
    stores: Stores, number: int, chosen: Any, call: Call, k: int
) -> None:
    kind, wanted = chosen
    store = stores(kind, BEHAVIORS[number], number)
    matching = store.expected(wanted)
    rows = [ROWS[i].tolist() for i in matching]
    best = ranking(store.metric, QUERY, rows)[:k] if matching else []
    scores = raw_scores(store.metric, QUERY, rows) if matching else []

    async def check() -> None:
        found = await store.search(call, wanted, k)
        assert [i for i, _ in found] == [matching[at] for at in best]
        assert [score for _, score in found] == pytest.approx(
            [store.score(scores[at]) for at in best], rel=1e-4, abs=1e-5
        )
        assert await call(store.store, "count", wanted, **SCAN) == len(matching)
        assert await store.matching(call, wanted) in (None, set(matching))

    asyncio.run(check())


WITH_WORDS = InLangChain.filters.map(lambda wanted: (InLangChain, wanted))


@examples(20)
@given(
    sized(st.sampled_from([0, 13, 30]), NUMBERS),
    WITH_WORDS,
    CALLS,
    st.sampled_from(["text", "hybrid"]),
    st.sampled_from([4, 60, 500]),
)
def test_a_search_by_words_finds_what_the_filter_means(
    stores: Stores, number: int, chosen: Any, call: Call, mode: str, k: int
) -> None:
    kind, wanted = chosen
    store = stores(kind, BEHAVIORS[number], number, by_words=True)
    matching = store.expected(wanted)

    async def check() -> None:
        # All have the first word, and one the second.
        found = await store.search_by(call, mode, "text 77", wanted, k)
        assert len(found) == len(set(found)) == min(k, len(matching))
        assert set(found) <= {str(i) for i in matching}
        assert mode == "hybrid" or 77 not in matching or found[0] == "77"

    asyncio.run(check())


# A search may overlook what the service does. What finds all may not, in silence or otherwise.


@examples(30)
@given(
    st.one_of(KINDS_AND_FILTERS, KINDS_AND_RANGES),
    CALLS,
    st.sampled_from([(0.02, "high"), (0.3, "high"), (0.3, "normal"), (1.0, "normal")]),
    st.integers(0, 2),
)
def test_all_that_matches_is_found_despite_overlooked_records(
    stores: Stores, chosen: Any, call: Call, loss: tuple[float, Any], number: int
) -> None:
    (kind, wanted), (overlooked, precision) = chosen, loss
    store = stores(kind, Behavior(overlooked=overlooked, overlooked_seed=number), number)
    matching = store.expected(wanted)

    async def check() -> None:
        count = await call(store.store, "count", wanted, precision=precision, **SCAN)
        assert count == len(matching)
        assert await store.matching(call, wanted) in (None, set(matching))
        found = [i for i, _ in await store.search(call, wanted, COUNT)]
        rows = [ROWS[i].tolist() for i in found]
        assert set(found) <= set(matching)
        assert not found or ranking(store.metric, QUERY, rows) == [*range(len(found))]

    asyncio.run(check())


@examples(30)
@given(
    st.one_of(KINDS_AND_FILTERS, KINDS_AND_RANGES),
    CALLS,
    st.sampled_from([(0.0, False), (0.02, True), (0.02, True), (0.3, False)]),
    st.integers(0, 2),
)
def test_a_deletion_leaves_nothing_despite_overlooked_records(
    stores: Stores, chosen: Any, call: Call, loss: tuple[float, bool], number: int
) -> None:
    (kind, wanted), (overlooked, verify) = chosen, loss
    store = stores(kind, Behavior(overlooked=overlooked, overlooked_seed=number), number)
    matching = store.expected(wanted)
    if len(matching) == COUNT:
        return  # a filter that is everything is refused
    asyncio.run(store.delete(call, wanted, verify=verify))
    left = {int(i) for i in store.index.list_ids()}
    store.write(matching)
    assert left == set(range(COUNT)) - set(matching)


@both_ways
@pytest.mark.parametrize("seed", range(4))
async def test_a_document_is_deleted_whole_despite_overlooked_records(
    call: Call, seed: int
) -> None:
    behavior = Behavior(overlooked=0.02, overlooked_seed=seed)
    client = VectorizeClient.local(behavior=behavior)
    store = LlamaIndexStore("docs", client=client, create_index=True)
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="document")}
    store.add(
        TextNode(id_=str(i), text="t", embedding=ROWS[i].tolist(), relationships=source)
        for i in range(COUNT)
    )
    await call(store, "delete", "document", verify=True)
    assert await call(store, "count") == 0
    client.close()


@both_ways
async def test_a_filter_may_be_a_function_of_the_document(call: Call, stores: Stores) -> None:
    store = stores(InLangChain, Behavior(), 0).store

    def chosen(document: Document) -> bool:
        return document.page_content.endswith("7") and int(document.id or 0) > 20

    expected = {i for i in range(COUNT) if TEXTS[i].endswith("7") and i > 20}
    with pytest.raises(UnindexedPropertyError, match="chosen cannot be looked up"):
        await call(store, "similarity_search", "the query", COUNT, filter=chosen)
    options = {"filter": chosen, "unindexed": "scan"}
    found = await call(store, "similarity_search", "the query", COUNT, **options)
    assert {int(document.id) for document in found} == expected
    assert await call(store, "count", **options) == len(expected)
