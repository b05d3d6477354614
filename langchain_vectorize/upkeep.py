"""What a store has for those who look after it: its index, and how that is made and checked."""

from __future__ import annotations

from typing import Unpack

from langchain_core.indexing import RecordManager

from langchain_vectorize import record_managers
from langchain_vectorize.options import ELSEWHERE, CompareOptions, KeyEncoder
from langchain_vectorize.parts import StoreParts
from vectorize_core.client import VectorizeClient
from vectorize_core.index import Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import IndexType
from vectorize_core.records import whole_index
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.whole_index import METADATA_INDEX_TIMEOUT
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.transport.io import run


@checks_keywords(ELSEWHERE)
class StoreUpkeep(StoreParts):
    """The part of `VectorizeVectorStore` that is about its index."""

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

    # Metadata indexes, texts

    def create_metadata_index(
        self,
        property_name: str,
        index_type: IndexType,
        *,
        wait_timeout: float = METADATA_INDEX_TIMEOUT,
    ) -> None:
        """Make a property filterable, as "string", "number" or "boolean", and wait until it is.

        That covers documents that are written from then on; `reindex_metadata` makes it cover the
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
        older documents too, in all namespaces. No other client should write meanwhile. Options:
        ``wait``, ``wait_timeout``.
        """
        return run(whole_index.reindex_metadata(self._io, self._records, **options))

    async def areindex_metadata(self, **options: Unpack[WaitOptions]) -> int:
        """`reindex_metadata`, awaited."""
        return await whole_index.reindex_metadata(self._async_io, self._records, **options)

    def reindex_texts(self, *, show_progress: bool = False) -> int:
        """Put the texts of all documents into the text index; returns how many were missing.

        For an index that held documents before it had a text index, or that was written to
        without. It reads all vectors, of all namespaces, and writes none. Call it again if it is
        interrupted: it continues. ``show_progress`` draws a bar (with tqdm).
        """
        io, records = self._io, self._records
        return run(whole_index.reindex_texts(io, records, show_progress=show_progress))

    async def areindex_texts(self, *, show_progress: bool = False) -> int:
        """`reindex_texts`, awaited."""
        io, records = self._async_io, self._records
        return await whole_index.reindex_texts(io, records, show_progress=show_progress)

    # All of it

    def reset(self) -> None:
        """Delete all documents, and make the index anew as it was, with its metadata indexes.

        In a store with a namespace and in a tenant's view, only the documents of that namespace
        are deleted. Long texts and the text index go too. The index is gone for a moment, and its
        metadata indexes are waited for. Nobody should write meanwhile.
        """
        run(whole_index.reset(self._io, self._records))

    async def areset(self) -> None:
        """`reset`, awaited."""
        await whole_index.reset(self._async_io, self._records)

    def drop(self) -> None:
        """Delete the index with all its documents, long texts and text index.

        In a store with a namespace and in a tenant's view, that is an `InvalidInputError`. The
        next write makes a new index if the store may (``create_index``).
        """
        run(whole_index.drop(self._io, self._records))

    async def adrop(self) -> None:
        """`drop`, awaited."""
        await whole_index.drop(self._async_io, self._records)

    def compare(
        self,
        record_manager: RecordManager,
        *,
        key_encoder: KeyEncoder | None = None,
        check_contents: bool = True,
        repair: bool = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """How the documents differ from what LangChain's ``index()`` noted in a record manager.

        ``missing`` are noted, and not in the store; ``extra`` are in the store, and not noted;
        ``changed`` have another text or other metadata than ``index()`` wrote, which shows in
        their ids. With ``repair``, documents that are extra or changed are deleted, and what is
        missing or changed is no longer noted: so the next ``index()`` of the sources writes it.
        An empty record manager repairs nothing. Nobody should write meanwhile. A store without a
        namespace has the documents of all of them, which are extra unless ``index()`` wrote them.

        Args:
            record_manager: that of ``index()``.
            key_encoder: that of ``index()``, if it was a function.
            check_contents: False compares ids alone. Of a whole index, a request then lists a
                thousand, instead of reading about thirty documents.
            repair: whether to repair what differs.
            **options: ``namespace``, to compare only its documents, and ``max_requests`` (1,000).
        """
        return run(
            record_managers.compare(
                self._io,
                self._records,
                record_manager,
                key_encoder=key_encoder,
                check_contents=check_contents,
                repair=repair,
                **options,
            )
        )

    async def acompare(
        self,
        record_manager: RecordManager,
        *,
        key_encoder: KeyEncoder | None = None,
        check_contents: bool = True,
        repair: bool = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """`compare`, awaited."""
        return await record_managers.compare(
            self._async_io,
            self._records,
            record_manager,
            key_encoder=key_encoder,
            check_contents=check_contents,
            repair=repair,
            **options,
        )
