"""What people do who look after a store: a part of `VectorizeVectorStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from llama_index.core.storage.docstore import BaseDocumentStore

from llama_index_vectorize.comparing import compare
from llama_index_vectorize.nodes import edited
from llama_index_vectorize.options import CompareOptions
from vectorize_core.api.validation import as_ids, flag, text
from vectorize_core.client import AsyncVectorizeClient
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id
from vectorize_core.records import whole_index
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.records.updating import NO_CHANGES, Changes, update_metadata
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.transport.io import Io, run


@checks_keywords()
class Upkeep(FrameworkStore):
    """Methods of `VectorizeVectorStore` for what is there already."""

    if TYPE_CHECKING:
        show_progress: bool

    @property
    def aclient(self) -> AsyncVectorizeClient:
        """The async variant of `client`."""
        return whole_index.the_client(self._records, "aclient").to_async()

    # Words

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

    def explain_text(self, query_str: str) -> TextExplanation:
        """Which words of ``query_str`` a query looks for, and how many nodes have each.

        Words that very many nodes have are dropped, unless there is no other. A view counts none:
        `InvalidInputError`.
        """
        return run(whole_index.explain_text(self._io, self._records, text("query_str", query_str)))

    async def aexplain_text(self, query_str: str) -> TextExplanation:
        """The async variant of `explain_text`."""
        query_str = text("query_str", query_str)
        return await whole_index.explain_text(self._async_io, self._records, query_str)

    # Nodes

    def update_metadata(
        self,
        node_ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[str] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """Merge ``metadata`` into the metadata of nodes: one for all, or one for each id.

        The keys ``remove`` are taken out before; with ``replace``, ``metadata`` replaces it all.
        Texts and embeddings stay. This waits until reads see this client's own writes, reads the
        nodes and writes them again, so a write of another client in between is lost. Options:
        ``wait``, ``wait_timeout``. Returns those of ``node_ids`` that are stored, in order.
        """
        update = self._update_metadata
        return run(update(self._io, node_ids, metadata, remove, options, replace=replace))

    async def aupdate_metadata(
        self,
        node_ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[str] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """The async variant of `update_metadata`."""
        io, update = self._async_io, self._update_metadata
        return await update(io, node_ids, metadata, remove, options, replace=replace)

    async def _update_metadata(
        self,
        io: Io,
        node_ids: Sequence[Id],
        metadata: Changes,
        remove: Iterable[str],
        options: WaitOptions,
        *,
        replace: bool,
    ) -> list[str]:
        node_ids = as_ids(node_ids, "node_ids")
        return await update_metadata(
            io,
            self._records,
            node_ids,
            metadata,
            remove=remove,
            replace=replace,
            edit=edited,
            **options,
        )

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
        one of its nodes is.

        With ``repair``, nodes of extra and changed documents are deleted, and missing and changed
        documents are deleted from ``docstore``: the next run of the pipeline adds them; with
        ``repair="all"`` so are incomplete ones, which stay as they are otherwise. An empty
        ``docstore`` repairs nothing: `InvalidInputError`. Of documents that are the same, text and
        metadata, only one can be found missing. Nobody should write meanwhile. A store without a
        namespace has the nodes of all of them, which are extra unless ``docstore`` lists them.

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
