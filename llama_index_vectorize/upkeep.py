"""What a store has for those who look after it: its texts, and a comparison with a docstore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack

from llama_index.core.storage.docstore import BaseDocumentStore

from llama_index_vectorize.comparing import compare
from llama_index_vectorize.options import CompareOptions
from vectorize_core.api.validation import flag
from vectorize_core.client import AsyncVectorizeClient
from vectorize_core.kwargs import checks_keywords
from vectorize_core.records import whole_index
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.transport.io import Io, run


@checks_keywords()
class Upkeep(FrameworkStore):
    """The part of `VectorizeVectorStore` for those who look after it."""

    if TYPE_CHECKING:
        show_progress: bool

    @property
    def aclient(self) -> AsyncVectorizeClient:
        """The async variant of `client`."""
        return whole_index.the_client(self._records, "aclient").to_async()

    def reindex_texts(self, *, show_progress: bool | None = None) -> int:
        """Put the texts of all nodes into the text index; returns how many were missing.

        For an index that held nodes before it had a text index, or that was written to without.
        It reads all vectors, of all namespaces, and writes none. Call it again if it is
        interrupted: it continues. ``show_progress`` draws a bar (None: the store's own).
        """
        return run(self._reindex_texts(self._io, show_progress))

    async def areindex_texts(self, *, show_progress: bool | None = None) -> int:
        """The async variant of `reindex_texts`."""
        return await self._reindex_texts(self._async_io, show_progress)

    async def _reindex_texts(self, io: Io, show_progress: bool | None) -> int:
        drawn = (
            self.show_progress if show_progress is None else flag("show_progress", show_progress)
        )
        return await whole_index.reindex_texts(io, self._records, show_progress=drawn)

    def compare(
        self,
        docstore: BaseDocumentStore,
        *,
        repair: bool | Literal["all"] = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Which documents the store lacks, has beyond ``docstore``, or has otherwise, by id.

        The hashes that ``docstore`` lists, as that of an IngestionPipeline or a VectorStoreIndex,
        are compared with those that nodes name their source documents with; of a node without one,
        with its own. A document that ``docstore`` knows the nodes of is compared by these too. All
        nodes are read, in as many requests as `iter_nodes` takes.

        A document store of a pipeline lists no nodes. There a document is ``incomplete`` if one of
        its nodes names a neighbour, as node parsers let them, that is not stored: it was lost, or a
        transformation dropped it on purpose. Without such names a document counts as there while
        one of its nodes is. Where nodes are listed, parents of stored ones, and rows of neighbours
        of which none is stored, are taken for nodes that ``docstore`` keeps alone; of which that
        cannot be told, their document is ``incomplete``.

        With ``repair``, nodes of extra and changed documents are deleted, and missing and changed
        documents get an empty hash in ``docstore``: the next run of the pipeline, or
        ``refresh_ref_docs()`` of the index, writes them again. With ``repair="all"`` so do
        incomplete ones. Nothing is deleted from ``docstore``. A document that nobody is sure to
        write again, since its nodes were put there by hand, stays as it is and is in ``left``; if
        ``docstore`` lists no others, or nothing, a repair is an `InvalidInputError`. Of documents
        that are the same, text and metadata, only one can be found missing. Nobody should write
        meanwhile. A store without a namespace has the nodes of all of them, which are extra unless
        ``docstore`` lists them.

        Options: ``namespace``, ``max_requests`` (1,000).
        """
        return run(compare(self._io, self._records, docstore, repair=repair, **options))

    async def acompare(
        self,
        docstore: BaseDocumentStore,
        *,
        repair: bool | Literal["all"] = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """The async variant of `compare`."""
        return await compare(self._async_io, self._records, docstore, repair=repair, **options)
