"""How documents of the LangChain store are read without a query: by id, by filter, or all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize.documents import to_document
from langchain_vectorize.searching import DocumentFilter, as_filter
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import CountOptions, FindOptions, RecordStore
from vectorize_core.transport.io import AsyncIo, Io, SyncIo, iterate, run


class Reading(VectorStore):
    """What `VectorizeVectorStore` reads with."""

    _records: RecordStore
    _io: SyncIo
    _async_io: AsyncIo

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in the order of ``ids``; missing ones are left out."""
        return [to_document(record) for record in run(self._records.get(self._io, ids))]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, awaited."""
        return [to_document(record) for record in await self._records.get(self._async_io, ids)]

    def iter_documents(
        self, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Iterator[Document]:
        """Every document that ``filter`` matches, or there is, in no order, as answers come in.

        Waits first until reads see this client's own writes. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000; about thirty documents each).
        """
        options = accept(FindOptions, kwargs, self.iter_documents)
        return iterate(self._iter_documents(self._io, filter, options))

    def aiter_documents(
        self, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> AsyncIterator[Document]:
        """`iter_documents`, for ``async for``."""
        options = accept(FindOptions, kwargs, self.aiter_documents)
        return self._iter_documents(self._async_io, filter, options)

    async def _iter_documents(
        self, io: Io, filter: DocumentFilter | None, options: FindOptions
    ) -> AsyncGenerator[Document, None]:
        found = self._records.iter_records(io, filter=as_filter(filter), **options)
        async with aclosing(found) as records:
            async for record in records:
                yield to_document(record)

    def iter_ids(self, filter: DocumentFilter | None = None, **kwargs: Any) -> Iterator[str]:
        """The id of every document that ``filter`` matches, or there is. See `iter_documents`.

        Without a filter or a namespace a request lists a thousand.
        """
        options = accept(FindOptions, kwargs, self.iter_ids)
        return iterate(self._records.iter_ids(self._io, filter=as_filter(filter), **options))

    def aiter_ids(self, filter: DocumentFilter | None = None, **kwargs: Any) -> AsyncIterator[str]:
        """`iter_ids`, for ``async for``."""
        options = accept(FindOptions, kwargs, self.aiter_ids)
        return self._records.iter_ids(self._async_io, filter=as_filter(filter), **options)

    def count(self, filter: DocumentFilter | None = None, **kwargs: Any) -> int:
        """How many documents ``filter`` matches, or there are; this client's own writes included.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), and
        ``precision="high"``, which leaves nothing to the service's approximation.
        """
        options = accept(CountOptions, kwargs, self.count)
        return run(self._records.count(self._io, filter=as_filter(filter), **options))

    async def acount(self, filter: DocumentFilter | None = None, **kwargs: Any) -> int:
        """`count`, awaited."""
        options = accept(CountOptions, kwargs, self.acount)
        return await self._records.count(self._async_io, filter=as_filter(filter), **options)

    def explain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """How a search for ``k`` (None: for all) would be answered, and for how many requests."""
        given = as_filter(filter)
        return run(self._records.explain_filter(self._io, given, k, unindexed=unindexed))

    async def aexplain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """`explain_filter`, awaited."""
        given = as_filter(filter)
        return await self._records.explain_filter(self._async_io, given, k, unindexed=unindexed)
