"""Searches for documents that are near to a query, or have its words; and retrievers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Unpack, cast

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever
from numpy.typing import ArrayLike
from pydantic import ValidationError

from langchain_vectorize.documents import Scored, bare, scored, to_document
from langchain_vectorize.options import (
    OF_SEARCHES,
    RelevanceOptions,
    RetrieverOptions,
    SearchKwargs,
    SearchOptions,
    SearchType,
    asked,
    check_search_type,
    checked_search_kwargs,
    selecting,
)
from langchain_vectorize.relevance import relevance_by
from langchain_vectorize.retrieval import BY_EMBEDDING, BY_ID, MMR, RELEVANCE, Retrieval
from vectorize_core.api.validation import number, query_vector, whole_number
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id, Values
from vectorize_core.reads.selection import SelectOptions
from vectorize_core.records.by_ids import search_like
from vectorize_core.records.diversity import search_diverse
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.transport.io import Io, run


@checks_keywords(as_retriever=OF_SEARCHES)
class Searches(FrameworkStore, VectorStore):
    """The part of `VectorizeVectorStore` that answers queries."""

    _retrieval: Retrieval
    _relevance_score_fn: Callable[[float], float] | None

    def similarity_search(  # type: ignore[override]
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """The ``k`` documents nearest to ``query``, best first.

        Options:
            filter: a dict such as ``{"year": {"$gte": 1960}}``, an expression, or a function of a
                document (docs/filters.md).
            unindexed: "error" raises `UnindexedPropertyError` if the filter uses a property
                without a metadata index; "scan" reads documents and filters them here.
            namespace: search only this namespace; None searches the store's, or all.
            vectorize_filter: a filter that is sent to the service as it is.
            score_threshold: only documents whose score, as of `similarity_search_with_score`, is
                not worse: not less for the cosine, not more for the other metrics.
            max_requests: how many requests the search may take (100; embedded, and with None, any
                number). If it needs more, it raises `TooManyRequestsNeededError`.
            retrieval_mode, alpha, fusion: as in the constructor, for this search. By words
                ("text", "hybrid"), ``k`` are found if so many match; "text" embeds nothing.
        """
        return bare(run(self._search(self._io, asked(query), k, **options)))

    async def asimilarity_search(  # type: ignore[override]
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """`similarity_search`, awaited."""
        return bare(await self._search(self._async_io, asked(query), k, **options))

    def similarity_search_with_score(
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> Scored:
        """`similarity_search` with Vectorize's own scores; best first for every metric.

        By the metric of the index, a score is the cosine similarity (larger is nearer), or the
        Euclidean distance or negative dot product (smaller is nearer). With the
        ``retrieval_mode`` "text" it is that of BM25, and with "hybrid" the fused one, from 0 to 1
        (relative) or a sum of reciprocal ranks: larger is better, for one query.
        """
        return run(self._search(self._io, asked(query), k, **options))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> Scored:
        """`similarity_search_with_score`, awaited."""
        return await self._search(self._async_io, asked(query), k, **options)

    def similarity_search_by_vector(  # type: ignore[override]
        self, embedding: ArrayLike, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """The ``k`` documents nearest to an embedding, best first. See `similarity_search`."""
        return bare(run(self._search_near(self._io, _vector(embedding), k, **options)))

    async def asimilarity_search_by_vector(  # type: ignore[override]
        self, embedding: ArrayLike, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """`similarity_search_by_vector`, awaited."""
        return bare(await self._search_near(self._async_io, _vector(embedding), k, **options))

    def similarity_search_with_score_by_vector(
        self, embedding: ArrayLike, k: int = 4, **options: Unpack[SearchOptions]
    ) -> Scored:
        """`similarity_search_with_score` for an embedding."""
        return run(self._search_near(self._io, _vector(embedding), k, **options))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: ArrayLike, k: int = 4, **options: Unpack[SearchOptions]
    ) -> Scored:
        """`similarity_search_with_score_by_vector`, awaited."""
        return await self._search_near(self._async_io, _vector(embedding), k, **options)

    def similarity_search_with_vectors(
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[tuple[Document, Values]]:
        """`similarity_search` with the embeddings of the documents, as arrays of float32."""
        return run(self._search_with_vectors(self._io, asked(query), k, **options))

    async def asimilarity_search_with_vectors(
        self, query: str, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[tuple[Document, Values]]:
        """`similarity_search_with_vectors`, awaited."""
        return await self._search_with_vectors(self._async_io, asked(query), k, **options)

    def similarity_search_by_id(
        self, id: Id, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """The ``k`` documents nearest to a stored one, without itself; nothing is embedded.

        Raises `InvalidInputError` if no document has the id.
        """
        return run(self._search_like(self._io, id, k, **options))

    async def asimilarity_search_by_id(
        self, id: Id, k: int = 4, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """`similarity_search_by_id`, awaited."""
        return await self._search_like(self._async_io, id, k, **options)

    async def _search_like(
        self, io: Io, id: Id, k: int, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        near = self._retrieval.near(options, BY_ID)
        hits = await search_like(io, self._records, id, k, **near)
        return [to_document(hit.record) for hit in hits]

    async def _search_near(
        self, io: Io, embedding: Values, k: int, **options: Unpack[SearchOptions]
    ) -> Scored:
        near = self._retrieval.near(options, BY_EMBEDDING)
        return scored(await self._records.search(io, embedding, k, **near))

    async def _search_with_vectors(
        self, io: Io, query: str, k: int, **options: Unpack[SearchOptions]
    ) -> list[tuple[Document, Values]]:
        retrieval, where = self._retrieval.of_call(options), selecting(options)
        hits = await retrieval.search(self._records, io, query, k, return_values=True, **where)
        return [(to_document(record), cast("Values", match.values)) for record, match in hits]

    async def _search(self, io: Io, query: str, k: int, **options: Unpack[SearchOptions]) -> Scored:
        retrieval = self._retrieval.of_call(options)
        return scored(await retrieval.search(self._records, io, query, k, **selecting(options)))

    # Near to the query, and little alike

    def max_marginal_relevance_search(  # type: ignore[override]
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """From the ``fetch_k`` nearest documents, the ``k`` that repeat each other least.

        ``lambda_mult`` weighs nearness to the query against diversity: 1 gives the nearest
        documents, 0 the most diverse. Both are measured by the metric of the index. Returns
        documents in the order in which they were selected.
        """
        return bare(run(self._mmr(self._io, asked(query), k, fetch_k, lambda_mult, **options)))

    async def amax_marginal_relevance_search(  # type: ignore[override]
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """`max_marginal_relevance_search`, awaited."""
        query = asked(query)
        return bare(await self._mmr(self._async_io, query, k, fetch_k, lambda_mult, **options))

    def max_marginal_relevance_search_by_vector(  # type: ignore[override]
        self,
        embedding: ArrayLike,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """`max_marginal_relevance_search` for an embedding."""
        values = _vector(embedding)
        return bare(run(self._mmr(self._io, values, k, fetch_k, lambda_mult, **options)))

    async def amax_marginal_relevance_search_by_vector(  # type: ignore[override]
        self,
        embedding: ArrayLike,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, awaited."""
        values = _vector(embedding)
        return bare(await self._mmr(self._async_io, values, k, fetch_k, lambda_mult, **options))

    def max_marginal_relevance_search_with_score(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search` with the scores of `similarity_search_with_score`."""
        return run(self._mmr(self._io, asked(query), k, fetch_k, lambda_mult, **options))

    async def amax_marginal_relevance_search_with_score(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search_with_score`, awaited."""
        query = asked(query)
        return await self._mmr(self._async_io, query, k, fetch_k, lambda_mult, **options)

    def max_marginal_relevance_search_with_score_by_vector(
        self,
        embedding: ArrayLike,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search_with_score` for an embedding."""
        values = _vector(embedding)
        return run(self._mmr(self._io, values, k, fetch_k, lambda_mult, **options))

    async def amax_marginal_relevance_search_with_score_by_vector(
        self,
        embedding: ArrayLike,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search_with_score_by_vector`, awaited."""
        values = _vector(embedding)
        return await self._mmr(self._async_io, values, k, fetch_k, lambda_mult, **options)

    async def _mmr(
        self,
        io: Io,
        query: str | Values,
        k: int,
        fetch_k: int,
        lambda_mult: float,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        near = self._retrieval.near(options, MMR)
        hits = await search_diverse(
            io, self._records, query, k, fetch_k=fetch_k, lambda_mult=lambda_mult, **near
        )
        return scored(hits)

    # Relevance

    def similarity_search_with_relevance_scores(  # type: ignore[override]
        self,
        query: str,
        k: int = 4,
        *,
        score_threshold: float | None = None,
        **options: Unpack[RelevanceOptions],
    ) -> Scored:
        """`similarity_search` with relevance: from 0 to 1, for every metric larger is nearer.

        With ``score_threshold``, only documents of at least that relevance. By the cosine it is
        ``(1 + cosine) / 2``: 0.5 at a right angle. The other metrics give the same for embeddings
        as long as the query's; a longer vector's relevance is 1 where it scores better than the
        query's own embedding would, and 0 beyond the opposite. The constructor's
        ``relevance_score_fn`` computes it from Vectorize's scores in another way.
        """
        given = self._threshold(score_threshold)
        return super().similarity_search_with_relevance_scores(
            asked(query), k, score_threshold=given, **options
        )

    async def asimilarity_search_with_relevance_scores(  # type: ignore[override]
        self,
        query: str,
        k: int = 4,
        *,
        score_threshold: float | None = None,
        **options: Unpack[RelevanceOptions],
    ) -> Scored:
        """`similarity_search_with_relevance_scores`, awaited."""
        given = self._threshold(score_threshold)
        return await super().asimilarity_search_with_relevance_scores(
            asked(query), k, score_threshold=given, **options
        )

    def _threshold(self, given: float | None) -> float | None:
        """A relevance, from 0 to 1 unless relevance is the user's own."""
        if given is None:
            return None
        least, most = (0.0, 1.0) if self._relevance_score_fn is None else (-math.inf, math.inf)
        return number("score_threshold", given, least=least, most=most)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return run(self._relevance(self._io))

    def _similarity_search_with_relevance_scores(  # type: ignore[override]
        self, query: str, k: int = 4, **options: Unpack[RelevanceOptions]
    ) -> Scored:
        return run(self._search_relevance(self._io, asked(query), k, **options))

    async def _asimilarity_search_with_relevance_scores(  # type: ignore[override]
        self, query: str, k: int = 4, **options: Unpack[RelevanceOptions]
    ) -> Scored:
        return await self._search_relevance(self._async_io, asked(query), k, **options)

    async def _search_relevance(
        self,
        io: Io,
        query: str,
        k: int,
        **options: Unpack[RelevanceOptions],
    ) -> Scored:
        k = whole_number("k", k)
        near: SelectOptions = self._retrieval.near(options, RELEVANCE)
        embedded = await self._records.embed_query(io, query, **near)
        if embedded is None:
            return []
        hits = await self._records.search(io, embedded, k, **near)
        relevance = await self._relevance(io, embedded)
        checked = partial(number, "what relevance_score_fn returns", least=-math.inf, most=math.inf)
        return [(document, checked(relevance(score))) for document, score in scored(hits)]

    async def _relevance(self, io: Io, query: Values | None = None) -> Callable[[float], float]:
        if self._relevance_score_fn is not None:
            return self._relevance_score_fn
        return relevance_by(await self._records.index.metric_of(io), query)

    # Searches by the name of their type

    def as_retriever(self, **options: Unpack[RetrieverOptions]) -> VectorStoreRetriever:  # type: ignore[override]
        """A retriever over this store. Its options are those of `RetrieverOptions`.

        ``search_type`` is "similarity", "similarity_score_threshold" or "mmr". ``search_kwargs``
        are the keyword arguments of that search, such as ``{"k": 4, "filter": {...}}``.
        """
        kind = check_search_type(options.get("search_type", "similarity"))
        kwargs = checked_search_kwargs(options.get("search_kwargs"), kind, self._threshold)
        self._retrieval.of_call(kwargs).check_retriever(kind, kwargs)
        try:
            return super().as_retriever(**{**options, "search_kwargs": kwargs})
        except ValidationError as error:
            wrong = error.errors()[0]
            name = ".".join(map(str, wrong["loc"]))
            said = f"{name}: {wrong['msg']}; got {shown(wrong['input'])}"
            raise InvalidInputError(f"as_retriever: {said}") from error

    def search(  # type: ignore[override]
        self, query: str, search_type: SearchType, **options: Unpack[SearchKwargs]
    ) -> list[Document]:
        """`similarity_search`, or what else ``search_type`` says, as a retriever searches."""
        kind = check_search_type(search_type)
        return super().search(query, kind, **options)

    async def asearch(  # type: ignore[override]
        self, query: str, search_type: SearchType, **options: Unpack[SearchKwargs]
    ) -> list[Document]:
        """`search`, awaited."""
        kind = check_search_type(search_type)
        return await super().asearch(query, kind, **options)


def _vector(embedding: ArrayLike) -> Values:
    return query_vector(embedding, "embedding")
