"""Adding, updating and deleting documents, and waiting until reads see it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from numpy.typing import ArrayLike

from langchain_vectorize.documents import from_documents, from_embeddings, from_texts
from langchain_vectorize.options import (
    DeleteOptions,
    DocumentFilter,
    DocumentOptions,
    as_filter,
    of_writing,
)
from vectorize_core.api.validation import flag
from vectorize_core.errors import InvalidInputError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records import deleting, updating
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.records.store import AddOptions
from vectorize_core.records.updating import NO_CHANGES
from vectorize_core.state.waiting import Wait, WaitOptions
from vectorize_core.transport.io import Io, run
from vectorize_core.writes.sources import Records


@checks_keywords()
class Writing(FrameworkStore, VectorStore):
    """The part of `VectorizeVectorStore` that writes and deletes."""

    # Adding

    def add_texts(  # type: ignore[override]
        self,
        texts: Iterable[str],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """Embed texts and write them; a text with an existing id replaces the old one.

        ``texts`` may be a generator of any length: it is embedded and sent in batches. An id that
        is None becomes a new UUID. If an id is repeated, the last text with it is kept. The
        options are ``namespace``, ``dry_run`` (embeds and writes nothing, and returns a
        `WriteEstimate`), and those of `WriteOptions`: ``batch_size``, ``wait``, ``wait_timeout``,
        ``on_batch``, ``show_progress``, ``resume`` and more.

        Returns the ids in input order. Raises `InvalidVectorError` naming the document that the
        service would refuse, `PartialWriteError` if only some were written, `WaitTimeoutError`.
        """
        return run(self._records.add(self._io, from_texts(texts, metadatas, ids), **options))

    async def aadd_texts(  # type: ignore[override]
        self,
        texts: Records[str],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """`add_texts`, awaited; takes async iterables too."""
        items = from_texts(texts, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)

    def add_documents(  # type: ignore[override]
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[DocumentOptions],
    ) -> list[str]:
        """Embed documents and write them. See `add_texts` for options, result and errors.

        The ids are ``ids`` if given, otherwise those of the documents; a missing one becomes a
        new UUID. The documents themselves are not changed. ``current_time``, which LangChain's
        ``TimeWeightedVectorStoreRetriever`` passes on, is ignored.
        """
        items = from_documents(documents, ids)
        return run(self._records.add(self._io, items, **of_writing(options)))

    async def aadd_documents(  # type: ignore[override]
        self,
        documents: Records[Document],
        *,
        ids: Records[Id | None] | None = None,
        **options: Unpack[DocumentOptions],
    ) -> list[str]:
        """`add_documents`, awaited; takes async iterables too."""
        items = from_documents(documents, ids)
        return await self._records.add(self._async_io, items, **of_writing(options))

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Iterable[ArrayLike],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """`add_texts` with precomputed embeddings: one for each text, none is computed.

        Each has as many numbers as the index has dimensions.
        """
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return run(self._records.add(self._io, items, **options))

    async def aadd_embeddings(
        self,
        texts: Records[str],
        embeddings: Records[ArrayLike],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """`add_embeddings`, awaited; takes async iterables too."""
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)

    # Updating

    def update_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """`add_documents` for documents with ids; only changed texts are embedded.

        This first waits until reads see this client's own writes, then reads the stored
        documents. Documents that are not stored yet are added. Options as in `add_texts`.
        """
        return run(
            updating.update(self._io, self._records, from_documents(documents, ids), **options)
        )

    async def aupdate_documents(
        self,
        documents: Records[Document],
        *,
        ids: Records[Id | None] | None = None,
        **options: Unpack[AddOptions],
    ) -> list[str]:
        """`update_documents`, awaited."""
        items = from_documents(documents, ids)
        return await updating.update(self._async_io, self._records, items, **options)

    def update_metadata(
        self,
        ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[Hashable] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """Merge ``metadata`` into the metadata of documents: one for all, or one for each id.

        The keys ``remove`` are taken out of it before. With ``replace``, ``metadata`` replaces it
        all. Texts and embeddings stay as they are; nothing is embedded. This waits until reads see
        this client's own writes, then reads the documents and writes them again, so a write of
        another client in between is lost. Options: ``wait``, ``wait_timeout``. Returns those of
        ``ids`` that are stored, in order.
        """
        return run(
            updating.update_metadata(
                self._io, self._records, ids, metadata, remove=remove, replace=replace, **options
            )
        )

    async def aupdate_metadata(
        self,
        ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[Hashable] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """`update_metadata`, awaited."""
        return await updating.update_metadata(
            self._async_io, self._records, ids, metadata, remove=remove, replace=replace, **options
        )

    # Deleting

    def delete(  # type: ignore[override]
        self, ids: Sequence[Id] | None = None, **options: Unpack[DeleteOptions]
    ) -> bool:
        """Delete documents by id, or all that ``filter=`` matches. Returns True.

        Unknown ids are no error. ``delete_all=True`` deletes everything, in a store with a
        namespace everything in that namespace. Options: ``wait`` and ``wait_timeout`` (the
        store's); with a filter also ``namespace``, ``vectorize_filter``, ``unindexed`` and
        ``max_requests`` (1,000), as in `iter_documents`, and ``verify=True``, which waits until
        the deletion is visible and deletes again until no document matches.
        """
        return run(self._delete(self._io, ids, **options))

    async def adelete(  # type: ignore[override]
        self, ids: Sequence[Id] | None = None, **options: Unpack[DeleteOptions]
    ) -> bool:
        """`delete`, awaited."""
        return await self._delete(self._async_io, ids, **options)

    async def _delete(
        self,
        io: Io,
        ids: Sequence[Id] | None,
        *,
        delete_all: bool = False,
        verify: bool = False,
        filter: DocumentFilter | None = None,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[FindOptions],
    ) -> bool:
        flag("delete_all", delete_all)
        flag("verify", verify)
        filtered = filter is not None or options.get("vectorize_filter") is not None
        if (ids is not None) + delete_all + filtered != 1:
            raise InvalidInputError(
                "delete takes ids, or filter=, or delete_all=True to delete everything"
            )
        if (verify or options) and not filtered:
            names = ", ".join(["verify"] * verify + list(options))
            raise InvalidInputError(f"{names}: only a delete with filter= takes that")
        if filtered:
            await deleting.delete_matching(
                io,
                self._records,
                filter=as_filter(filter),
                verify=verify,
                wait=wait,
                wait_timeout=wait_timeout,
                **options,
            )
        elif ids is None:
            await deleting.clear(io, self._records, wait=wait, wait_timeout=wait_timeout)
        else:
            await deleting.delete(io, self._records, ids, wait=wait, wait_timeout=wait_timeout)
        return True

    # Waiting

    def wait(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store and of its client.

        Raises `WaitTimeoutError` after ``wait_timeout`` seconds (by default the store's own).
        """
        run(self._records.await_writes(self._io, wait_timeout))
