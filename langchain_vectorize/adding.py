"""How documents get into the LangChain store: texts, documents or embeddings, any number.

The options of every method are those of `AddOptions`, each else the store's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from numpy.typing import ArrayLike

from langchain_vectorize.documents import from_documents, from_embeddings, from_texts
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import AddOptions, RecordStore
from vectorize_core.transport.io import AsyncIo, SyncIo, run
from vectorize_core.writes.sources import Records


class Adding(VectorStore):
    """What `VectorizeVectorStore` writes with."""

    _records: RecordStore
    _io: SyncIo
    _async_io: AsyncIo

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and write them; a text whose id exists replaces the old one whole.

        ``texts`` may be a generator of any length: it is embedded and sent a batch at a time. Ids
        that are None become UUIDs; of equal ids in one call the last wins. Options: ``namespace``,
        ``dry_run`` (returns a `WriteEstimate`; nothing is embedded or written) and those of
        `WriteOptions`: ``batch_size``, ``wait``, ``wait_timeout``, ``on_batch``,
        ``show_progress``, ``resume`` and more.

        Returns the ids in input order. Raises `InvalidVectorError` naming the record,
        `PartialWriteError` when some were written and some not, `WaitTimeoutError`.
        """
        options = accept(AddOptions, kwargs, self.add_texts)
        items = from_texts(texts, metadatas, ids)
        return run(self._records.add(self._io, items, **options))

    async def aadd_texts(
        self,
        texts: Records[str],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_texts)
        items = from_texts(texts, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)

    def add_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed documents and write them; ids are ``ids``, else the documents', else UUIDs.

        See `add_texts`; the documents are not changed.
        """
        options = accept(AddOptions, kwargs, self.add_documents)
        return run(self._records.add(self._io, from_documents(documents, ids), **options))

    async def aadd_documents(
        self,
        documents: Records[Document],
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_documents)
        return await self._records.add(self._async_io, from_documents(documents, ids), **options)

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Iterable[ArrayLike],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts` with embeddings that were made before; nothing is embedded.

        An embedding for each text, of as many numbers as the index has dimensions.
        """
        options = accept(AddOptions, kwargs, self.add_embeddings)
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return run(self._records.add(self._io, items, **options))

    async def aadd_embeddings(
        self,
        texts: Records[str],
        embeddings: Records[ArrayLike],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_embeddings`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_embeddings)
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)
