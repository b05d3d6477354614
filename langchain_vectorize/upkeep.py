"""What a store has for those who look after it: its texts, and a comparison with `index()`."""

from __future__ import annotations

from typing import Unpack

from langchain_core.indexing import RecordManager

from langchain_vectorize import record_managers
from langchain_vectorize.options import CompareOptions, KeyEncoder
from vectorize_core.kwargs import checks_keywords
from vectorize_core.records import whole_index
from vectorize_core.records.comparison import Comparison
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.transport.io import run


@checks_keywords()
class Upkeep(FrameworkStore):
    """The part of `VectorizeVectorStore` for those who look after it."""

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
