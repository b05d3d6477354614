"""What the stores of all frameworks have in common, for sync and for async code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from vectorize_core.client import VectorizeClient
from vectorize_core.index import Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import IndexType
from vectorize_core.records import whole_index
from vectorize_core.records.store import RecordStore
from vectorize_core.records.whole_index import METADATA_INDEX_TIMEOUT
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.io import AsyncIo, SyncIo, run


@checks_keywords()
class FrameworkStore(SyncClosing, AsyncClosing):
    """Records, and what carries calls out; the index under them, waiting, and closing."""

    if TYPE_CHECKING:  # pydantic would take them for its own
        _records: RecordStore
        _io: SyncIo
        _async_io: AsyncIo

    def _work_on(self, records: RecordStore) -> None:
        self._records = records
        self._io = records.connection.io()
        self._async_io = records.connection.async_io()

    def __vectorize_records__(self) -> RecordStore:
        """The records of this store, for `vectorize_core.moving`."""
        return self._records

    @property
    def index(self) -> Index:
        """The index underneath, of all namespaces; ``index.to_async()`` is for async code.

        A tenant's view has none: `TenantViewError`.
        """
        return whole_index.the_index(self._records)

    @property
    def client(self) -> VectorizeClient:
        """A client of the store's connection; ``client.to_async()`` is for async code.

        To close it is to close that. A tenant's view has none: `TenantViewError`.
        """
        return whole_index.the_client(self._records)

    def create_metadata_index(
        self,
        property_name: str,
        index_type: IndexType,
        *,
        wait_timeout: float = METADATA_INDEX_TIMEOUT,
    ) -> None:
        """Make a property filterable, as "string", "number" or "boolean", and wait until it is.

        That covers records that are written from then on; `reindex_metadata` makes it cover the
        others. It takes a minute or three on Cloudflare: `WaitTimeoutError` after ``wait_timeout``
        seconds (600). A metadata index that is there is no error, unless it is of another type.
        """
        io, create = self._io, whole_index.create_metadata_index
        run(create(io, self._records, property_name, index_type, wait_timeout=wait_timeout))

    async def acreate_metadata_index(
        self,
        property_name: str,
        index_type: IndexType,
        *,
        wait_timeout: float = METADATA_INDEX_TIMEOUT,
    ) -> None:
        """`create_metadata_index`, awaited."""
        io, create = self._async_io, whole_index.create_metadata_index
        await create(io, self._records, property_name, index_type, wait_timeout=wait_timeout)

    def reindex_metadata(self, **options: Unpack[WaitOptions]) -> int:
        """Write every vector of the index again, unchanged; returns how many there are.

        A metadata index covers only what is written after it was created. This makes it cover
        older records too, in all namespaces. No other client should write meanwhile. Options:
        ``wait``, ``wait_timeout``.
        """
        return run(whole_index.reindex_metadata(self._io, self._records, **options))

    async def areindex_metadata(self, **options: Unpack[WaitOptions]) -> int:
        """`reindex_metadata`, awaited."""
        return await whole_index.reindex_metadata(self._async_io, self._records, **options)

    def reset(self) -> None:
        """Delete all records, and make the index anew as it was, with its metadata indexes.

        Of a large index that is faster than to delete all its records: LlamaIndex's `clear`, and
        LangChain's ``delete(delete_all=True)``. In a store with a namespace and in a tenant's view
        it is the same as these, of that namespace. Long texts and the text index go too. The index
        is gone for a moment, and its metadata indexes are waited for. Nobody should write
        meanwhile.
        """
        run(whole_index.reset(self._io, self._records))

    async def areset(self) -> None:
        """`reset`, awaited."""
        await whole_index.reset(self._async_io, self._records)

    def drop(self) -> None:
        """Delete the index with all its records, long texts and text index.

        In a store with a namespace and in a tenant's view, that is an `InvalidInputError`. The
        next write makes a new index if the store may (``create_index``).
        """
        run(whole_index.drop(self._io, self._records))

    async def adrop(self) -> None:
        """`drop`, awaited."""
        await whole_index.drop(self._async_io, self._records)

    async def await_writes(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store and of its client.

        Raises `WaitTimeoutError` after ``wait_timeout`` seconds (by default the store's own).
        """
        await self._records.await_writes(self._async_io, wait_timeout)

    def close(self) -> None:
        """Close the connection, if the store opened it; safe to call again."""
        self._records.close()

    async def aclose(self) -> None:
        """`close`, awaited; closes what the sync methods opened too."""
        await self._records.aclose()
