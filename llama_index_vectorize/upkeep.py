"""What people do who look after a store: a part of `VectorizeVectorStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from llama_index.core.storage.docstore import BaseDocumentStore

from llama_index_vectorize.comparing import compare
from llama_index_vectorize.options import CompareOptions
from vectorize_core.kwargs import checks_keywords
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import AsyncIo, SyncIo, run


@checks_keywords()
class Upkeep:
    """Methods of `VectorizeVectorStore` that look after what is there."""

    if TYPE_CHECKING:
        _records: RecordStore
        _io: SyncIo
        _async_io: AsyncIo

    def compare(
        self,
        docstore: BaseDocumentStore,
        *,
        repair: bool = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Which documents the store lacks, has beyond ``docstore``, or has otherwise, by id.

        The hashes that ``docstore`` lists, as that of an IngestionPipeline or a VectorStoreIndex,
        are compared with those that nodes name their source documents with; of a node without one,
        with its own. A document that ``docstore`` knows the nodes of is compared by these too. All
        nodes are read, in as many requests as `iter_nodes` takes.

        With ``repair``, nodes of extra and changed documents are deleted, and missing and changed
        documents are deleted from ``docstore``: the next run of the pipeline adds them. Of
        documents that are the same, text and metadata, only one can be found missing.

        Options: ``namespace``, ``max_requests`` (1,000).
        """
        return run(compare(self._io, self._records, docstore, repair=repair, **options))

    async def acompare(
        self,
        docstore: BaseDocumentStore,
        *,
        repair: bool = False,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """The async variant of `compare`."""
        return await compare(self._async_io, self._records, docstore, repair=repair, **options)
