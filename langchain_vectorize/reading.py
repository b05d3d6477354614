"""Documents without a query: by their ids, all that a filter matches, and how many."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from typing import Unpack

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize.columns import DOCUMENTS_AND_METADATAS, Columns, check_included, columns
from langchain_vectorize.documents import to_document
from langchain_vectorize.options import DocumentFilter, Included, as_filter, asked
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records import reading, whole_index
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.records.paging import page
from vectorize_core.records.reading import CountOptions
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.transport.io import Io, iterate, run
from vectorize_core.transport.workers import aclosing


@checks_keywords()
class Reading(FrameworkStore, VectorStore):
    """The part of `VectorizeVectorStore` that reads without a query, and says how it would."""

    def get_by_ids(self, ids: Sequence[Id], /) -> list[Document]:
        """The documents with these ids, in the order of ``ids``; missing ones are left out."""
        return [to_document(record) for record in run(self._records.get(self._io, ids))]

    async def aget_by_ids(self, ids: Sequence[Id], /) -> list[Document]:
        """`get_by_ids`, awaited."""
        return [to_document(record) for record in await self._records.get(self._async_io, ids)]

    def get(
        self,
        ids: Sequence[Id] | None = None,
        *,
        filter: DocumentFilter | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include: Iterable[Included] = DOCUMENTS_AND_METADATAS,
        **options: Unpack[FindOptions],
    ) -> Columns:
        """Documents by id, or all that ``filter`` matches, as lists side by side.

        At most ``limit`` of them, after the first ``offset``; in the order of ``ids``, or of all
        ids. For that the ids of all that match are listed: to read everything, `iter_documents`
        takes fewer requests. ``include`` says which lists there are, besides the ids: "documents",
        "metadatas", "embeddings"; the others are None. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000); see `iter_documents`.
        """
        return run(self._get(self._io, ids, filter, limit, offset, include, options))

    async def aget(
        self,
        ids: Sequence[Id] | None = None,
        *,
        filter: DocumentFilter | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include: Iterable[Included] = DOCUMENTS_AND_METADATAS,
        **options: Unpack[FindOptions],
    ) -> Columns:
        """`get`, awaited."""
        return await self._get(self._async_io, ids, filter, limit, offset, include, options)

    async def _get(
        self,
        io: Io,
        ids: Sequence[Id] | None,
        filter: DocumentFilter | None,
        limit: int | None,
        offset: int | None,
        include: Iterable[Included],
        options: FindOptions,
    ) -> Columns:
        included = check_included(include)
        found = await page(
            io,
            self._records,
            ids=ids,
            limit=limit,
            offset=offset,
            return_values="embeddings" in included,
            filter=as_filter(filter),
            **options,
        )
        return columns(found, included)

    def iter_documents(
        self, filter: DocumentFilter | None = None, **options: Unpack[FindOptions]
    ) -> Iterator[Document]:
        """All documents that ``filter`` matches, or all without one, in no particular order.

        They are yielded as answers come in, about thirty from each request. This first waits until
        reads see this client's own writes. Options: ``namespace`` (the store's, or all),
        ``vectorize_filter``, ``unindexed`` ("error", or "scan") and ``max_requests`` (1,000;
        embedded, and with None, any number); see `FindOptions`.
        """
        return iterate(self._iter_documents(self._io, filter, options))

    def aiter_documents(
        self, filter: DocumentFilter | None = None, **options: Unpack[FindOptions]
    ) -> AsyncIterator[Document]:
        """`iter_documents`, for ``async for``."""
        return self._iter_documents(self._async_io, filter, options)

    async def _iter_documents(
        self, io: Io, filter: DocumentFilter | None, options: FindOptions
    ) -> AsyncGenerator[Document, None]:
        every = reading.iter_found(io, self._records, filter=as_filter(filter), **options)
        async with aclosing(every):
            async for found in every:
                yield to_document(found.record)

    def iter_ids(
        self, filter: DocumentFilter | None = None, **options: Unpack[FindOptions]
    ) -> Iterator[str]:
        """The ids of all documents that ``filter`` matches. See `iter_documents`.

        Without a filter and a namespace, each request lists a thousand. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000).
        """
        return iterate(
            reading.iter_ids(self._io, self._records, filter=as_filter(filter), **options)
        )

    def aiter_ids(
        self, filter: DocumentFilter | None = None, **options: Unpack[FindOptions]
    ) -> AsyncIterator[str]:
        """`iter_ids`, for ``async for``."""
        return reading.iter_ids(self._async_io, self._records, filter=as_filter(filter), **options)

    def count(self, filter: DocumentFilter | None = None, **options: Unpack[CountOptions]) -> int:
        """How many documents ``filter`` matches, or there are without one.

        This client's own writes are counted. Options: ``namespace``, ``vectorize_filter``,
        ``unindexed``, ``max_requests`` (1,000), as in `iter_documents`, and ``precision``
        ("normal"): "high" leaves nothing to the service's approximation.
        """
        return run(reading.count(self._io, self._records, filter=as_filter(filter), **options))

    async def acount(
        self, filter: DocumentFilter | None = None, **options: Unpack[CountOptions]
    ) -> int:
        """`count`, awaited."""
        return await reading.count(
            self._async_io, self._records, filter=as_filter(filter), **options
        )

    def explain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """How a search for ``k`` documents would be answered, and with how many requests.

        With None as ``k``, how all documents that ``filter`` matches would be read.
        """
        given = as_filter(filter)
        return run(reading.explain_filter(self._io, self._records, given, k, unindexed=unindexed))

    async def aexplain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """`explain_filter`, awaited."""
        given = as_filter(filter)
        return await reading.explain_filter(
            self._async_io, self._records, given, k, unindexed=unindexed
        )

    def explain_text(self, query: str) -> TextExplanation:
        """Which words of ``query`` a search by words looks for, and how many documents have each.

        Words that very many documents have are dropped, unless there is no other.
        """
        return run(whole_index.explain_text(self._io, self._records, asked(query)))

    async def aexplain_text(self, query: str) -> TextExplanation:
        """`explain_text`, awaited."""
        return await whole_index.explain_text(self._async_io, self._records, asked(query))
