"""Searches by maximal marginal relevance: near to the query, and little alike."""

from __future__ import annotations

from typing import Unpack

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize.documents import Scored, bare, scored
from langchain_vectorize.options import ELSEWHERE, SearchOptions, asked
from langchain_vectorize.parts import StoreParts
from langchain_vectorize.retrieval import MMR
from vectorize_core.api.validation import query_vector
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Values
from vectorize_core.records.diversity import search_diverse
from vectorize_core.transport.io import Io, run


@checks_keywords(ELSEWHERE)
class DiverseSearches(StoreParts, VectorStore):
    """The part of `VectorizeVectorStore` that weighs nearness against diversity."""

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
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """`max_marginal_relevance_search` for an embedding."""
        values = query_vector(embedding, "embedding")
        return bare(run(self._mmr(self._io, values, k, fetch_k, lambda_mult, **options)))

    async def amax_marginal_relevance_search_by_vector(  # type: ignore[override]
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, awaited."""
        values = query_vector(embedding, "embedding")
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
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search_with_score` for an embedding."""
        return run(
            self._mmr(
                self._io, query_vector(embedding, "embedding"), k, fetch_k, lambda_mult, **options
            )
        )

    async def amax_marginal_relevance_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Unpack[SearchOptions],
    ) -> Scored:
        """`max_marginal_relevance_search_with_score_by_vector`, awaited."""
        values = query_vector(embedding, "embedding")
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
