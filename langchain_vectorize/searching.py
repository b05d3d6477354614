"""The searches of the LangChain store: similarity, with scores, relevance, marginal relevance.

Every one takes ``filter=`` (docs/filters.md) and the options of `SearchOptions`, and is a line for
each face over one flow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, TypedDict

import numpy as np
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever

from langchain_vectorize.documents import document_filter, to_document
from langchain_vectorize.relevance import RELEVANCE
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.plan import Unindexed
from vectorize_core.models import Filter, as_values
from vectorize_core.reads.by_id import check_k
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import RecordStore
from vectorize_core.scoring import choose_diverse
from vectorize_core.transport.io import AsyncIo, Io, SyncIo, run

Scored = list[tuple[Document, float]]
DocumentFilter: TypeAlias = AnyFilter | Callable[[Document], bool]
"""The dict form of a filter, an expression, or a function of a document."""


ELSEWHERE = {
    "score_threshold": "search_type='similarity_score_threshold', or "
    "similarity_search_with_relevance_scores(),",
    "fetch_k": "search_type='mmr', or max_marginal_relevance_search(),",
    "lambda_mult": "search_type='mmr', or max_marginal_relevance_search(),",
}
"""What takes the options that a retriever with another search type has."""


class SearchOptions(TypedDict, total=False):
    """What every search takes besides ``filter``.

    ``namespace`` narrows the search to one namespace. ``vectorize_filter`` is a filter that is
    sent to the service as it is. ``unindexed="scan"`` allows reading documents to evaluate what no
    metadata index can look up, ``max_requests`` is how many requests a search may take (100).
    """

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int


class RetrieverOptions(TypedDict, total=False):
    """What a retriever is made with; ``search_kwargs`` are the options of its searches."""

    search_type: str
    search_kwargs: dict[str, Any]
    tags: list[str] | None
    metadata: dict[str, Any] | None
    name: str | None


IN_SEARCH_KWARGS = dict.fromkeys(
    ("k", "filter", *inspect.get_annotations(SearchOptions), *ELSEWHERE), "search_kwargs={...}"
)
"""What a retriever's searches take, and it does not itself."""


class Searching(VectorStore):
    """What `VectorizeVectorStore` searches with."""

    _records: RecordStore
    _io: SyncIo
    _async_io: AsyncIo
    _relevance_score_fn: Callable[[float], float] | None

    def similarity_search(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` documents nearest to ``query``, best first.

        ``filter`` is a dict such as ``{"year": {"$gte": 1960}}``, an expression, or a function of
        a document (docs/filters.md). `UnindexedPropertyError` for what no metadata index can look
        up; ``unindexed="scan"`` evaluates it on what is read instead. Other options: ``namespace``
        (None searches all of them), ``vectorize_filter`` and ``max_requests``;
        `TooManyRequestsNeededError` where a search takes more than those.
        """
        options = _accept(kwargs, self.similarity_search)
        return _bare(run(self._search(self._io, query, k, filter, options)))

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search`, awaited."""
        options = _accept(kwargs, self.asimilarity_search)
        return _bare(await self._search(self._async_io, query, k, filter, options))

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        """`similarity_search` with Vectorize's own scores.

        Cosine similarity (larger is nearer), Euclidean distance or negative dot product (smaller
        is nearer), by the metric of the index; best first in each case.
        """
        options = _accept(kwargs, self.similarity_search_with_score)
        return run(self._search(self._io, query, k, filter, options))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        """`similarity_search_with_score`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_score)
        return await self._search(self._async_io, query, k, filter, options)

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The ``k`` documents nearest to an embedding, best first. See `similarity_search`."""
        options = _accept(kwargs, self.similarity_search_by_vector)
        return _bare(run(self._search(self._io, embedding, k, filter, options)))

    async def asimilarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`similarity_search_by_vector`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_by_vector)
        return _bare(await self._search(self._async_io, embedding, k, filter, options))

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_score` for an embedding."""
        options = _accept(kwargs, self.similarity_search_with_score_by_vector)
        return run(self._search(self._io, embedding, k, filter, options))

    async def asimilarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_score_by_vector`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_score_by_vector)
        return await self._search(self._async_io, embedding, k, filter, options)

    def similarity_search_by_id(
        self, id: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` documents nearest to a stored one, itself left out; nothing is embedded.

        `InvalidInputError` if no document has the id.
        """
        options = _accept(kwargs, self.similarity_search_by_id)
        return run(self._search_like(self._io, id, k, filter, options))

    async def asimilarity_search_by_id(
        self, id: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search_by_id`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_by_id)
        return await self._search_like(self._async_io, id, k, filter, options)

    async def _search_like(
        self, io: Io, id: str, k: int, filter: DocumentFilter | None, options: SearchOptions
    ) -> list[Document]:
        hits = await self._records.search_like(io, id, k, filter=as_filter(filter), **options)
        return [to_document(hit.record) for hit in hits]

    async def _search(
        self,
        io: Io,
        query: str | list[float],
        k: int,
        filter: DocumentFilter | None,
        options: SearchOptions,
    ) -> Scored:
        hits = await self._records.search(io, query, k, filter=as_filter(filter), **options)
        return [(to_document(hit.record), hit.match.score) for hit in hits]

    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """A retriever over this store; its options are those of `RetrieverOptions`.

        ``search_type`` is "similarity", "similarity_score_threshold" or "mmr"; ``search_kwargs``
        are the keyword arguments of that search, such as ``{"k": 4, "filter": {...}}``.
        """
        accept(RetrieverOptions, kwargs, self.as_retriever, IN_SEARCH_KWARGS)
        return super().as_retriever(**kwargs)

    # Relevance

    def similarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        score_threshold: float | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search` with relevance from 0 to 1, larger for nearer, for every metric.

        Only documents of at least ``score_threshold``, unless that is None. The constructor's
        ``relevance_score_fn`` makes relevance out of Vectorize's scores otherwise.
        """
        options = _accept(kwargs, self.similarity_search_with_relevance_scores)
        return super().similarity_search_with_relevance_scores(
            query, k, filter=filter, score_threshold=score_threshold, **options
        )

    async def asimilarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        score_threshold: float | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_relevance_scores`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_relevance_scores)
        return await super().asimilarity_search_with_relevance_scores(
            query, k, filter=filter, score_threshold=score_threshold, **options
        )

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return run(self._relevance(self._io))

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        options = _accept(kwargs, self.similarity_search)
        return run(self._search_relevance(self._io, query, k, filter, options))

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        options = _accept(kwargs, self.asimilarity_search)
        return await self._search_relevance(self._async_io, query, k, filter, options)

    async def _search_relevance(
        self, io: Io, query: str, k: int, filter: DocumentFilter | None, options: SearchOptions
    ) -> Scored:
        scored = await self._search(io, query, k, filter, options)
        relevance = await self._relevance(io)
        return [(document, relevance(score)) for document, score in scored]

    async def _relevance(self, io: Io) -> Callable[[float], float]:
        if self._relevance_score_fn is not None:
            return self._relevance_score_fn
        return RELEVANCE[await self._records.index.metric_of(io)]

    # Maximal marginal relevance

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The ``k`` documents of the ``fetch_k`` nearest that repeat each other least.

        ``lambda_mult`` weighs nearness against novelty: 1 gives the nearest, 0 the most diverse.
        Both are measured by the metric of the index. In order of selection.
        """
        options = _accept(kwargs, self.max_marginal_relevance_search)
        return run(self._mmr(self._io, query, k, fetch_k, lambda_mult, filter, options))

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search`, awaited."""
        options = _accept(kwargs, self.amax_marginal_relevance_search)
        return await self._mmr(self._async_io, query, k, fetch_k, lambda_mult, filter, options)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` for an embedding."""
        options = _accept(kwargs, self.max_marginal_relevance_search_by_vector)
        return run(self._mmr(self._io, embedding, k, fetch_k, lambda_mult, filter, options))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, awaited."""
        options = _accept(kwargs, self.amax_marginal_relevance_search_by_vector)
        return await self._mmr(self._async_io, embedding, k, fetch_k, lambda_mult, filter, options)

    async def _mmr(
        self,
        io: Io,
        query: str | list[float],
        k: int,
        fetch_k: int,
        lambda_mult: float,
        filter: DocumentFilter | None,
        options: SearchOptions,
    ) -> list[Document]:
        check_k(k)
        check_k(fetch_k, "fetch_k")
        if not 0 <= lambda_mult <= 1:
            raise InvalidInputError(f"lambda_mult is from 0 to 1; got {lambda_mult!r}")
        if isinstance(query, str):
            embedded = await self._records.embed_query(io, query, as_filter(filter), **options)
            if embedded is None:
                return []
            query = list(embedded)
        hits = await self._records.search(
            io, query, max(k, fetch_k), filter=as_filter(filter), return_values=True, **options
        )
        if not hits:
            return []
        matrix = np.stack([values for hit in hits if (values := hit.match.values) is not None])
        choose = partial(
            choose_diverse,
            await self._records.index.metric_of(io),
            matrix,
            as_values(query),
            lambda_mult,
            k,
        )
        # Of many, this takes a while.
        return [to_document(hits[position].record) for position in await io.offload(choose)]


def as_filter(given: DocumentFilter | None) -> AnyFilter | None:
    """A filter as the core takes it: a function of a document becomes an expression."""
    return document_filter(given) if callable(given) else given


def _accept(kwargs: dict[str, Any], method: Callable[..., Any]) -> SearchOptions:
    return accept(SearchOptions, kwargs, method, ELSEWHERE)


def _bare(scored: Scored) -> list[Document]:
    return [document for document, _ in scored]
