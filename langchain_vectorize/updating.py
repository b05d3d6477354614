"""How documents of the LangChain store are changed: whole, their metadata, how it is indexed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize.documents import from_documents
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import AddOptions, RecordStore
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.transport.io import AsyncIo, SyncIo, run
from vectorize_core.writes.sources import Records


class Updating(VectorStore):
    """What `VectorizeVectorStore` updates with."""

    _records: RecordStore
    _io: SyncIo
    _async_io: AsyncIo

    def update_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents` of documents that have ids; only texts that have changed are embedded.

        What is stored is read first, once reads see this client's own writes. A document that is
        not there is added. Options as of `add_texts`.
        """
        options = accept(AddOptions, kwargs, self.update_documents)
        return run(self._records.update(self._io, from_documents(documents, ids), **options))

    async def aupdate_documents(
        self,
        documents: Records[Document],
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`update_documents`, awaited."""
        options = accept(AddOptions, kwargs, self.aupdate_documents)
        items = from_documents(documents, ids)
        return await self._records.update(self._async_io, items, **options)

    def update_metadata(
        self,
        ids: Sequence[str],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        replace: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Merge ``metadata``, one for all or one for each id, into that of documents.

        With ``replace`` it takes the old one's place. Texts and embeddings stay as they are and
        nothing is embedded. They are read and written again, once reads see this client's own
        writes: what another client writes in between is set back. Options: ``wait``,
        ``wait_timeout``. Returns the ids of the documents that are there, in order.
        """
        options = accept(WaitOptions, kwargs, self.update_metadata)
        changed = self._records.update_metadata(self._io, ids, metadata, replace=replace, **options)
        return run(changed)

    async def aupdate_metadata(
        self,
        ids: Sequence[str],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        replace: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """`update_metadata`, awaited."""
        options = accept(WaitOptions, kwargs, self.aupdate_metadata)
        return await self._records.update_metadata(
            self._async_io, ids, metadata, replace=replace, **options
        )

    def reindex_metadata(self, **kwargs: Any) -> int:
        """Write every vector of the index again as it is; returns how many there were.

        A metadata index covers what is written once it is live; this makes it cover what is older,
        in all namespaces. Nobody else should write meanwhile. Options: ``wait``, ``wait_timeout``.
        """
        options = accept(WaitOptions, kwargs, self.reindex_metadata)
        return run(self._records.reindex_metadata(self._io, **options))

    async def areindex_metadata(self, **kwargs: Any) -> int:
        """`reindex_metadata`, awaited."""
        options = accept(WaitOptions, kwargs, self.areindex_metadata)
        return await self._records.reindex_metadata(self._async_io, **options)
