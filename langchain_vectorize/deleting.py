"""How documents leave the LangChain store: by id, by filter, or all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from langchain_core.vectorstores import VectorStore

from langchain_vectorize.searching import DocumentFilter, as_filter
from vectorize_core.errors import InvalidInputError
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import FindOptions, RecordStore
from vectorize_core.state.waiting import Wait, WaitOptions
from vectorize_core.transport.io import AsyncIo, Io, SyncIo, run


class DeleteOptions(WaitOptions, FindOptions, total=False):
    """What a delete takes besides ids."""

    delete_all: bool
    filter: DocumentFilter | None
    verify: bool


class Deleting(VectorStore):
    """What `VectorizeVectorStore` deletes with."""

    _records: RecordStore
    _io: SyncIo
    _async_io: AsyncIo

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id, or those that ``filter=`` matches, however many. Returns True.

        Unknown ids are no error. Everything goes with ``delete_all=True`` only; in a store with a
        namespace, everything in it. Options: ``wait`` and ``wait_timeout``; with a filter also
        those of the searches, and ``verify=True``, which looks again after the deletion is
        visible until nothing that matches is left.
        """
        options = accept(DeleteOptions, kwargs, self.delete)
        return run(self._delete(self._io, ids, **options))

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """`delete`, awaited."""
        options = accept(DeleteOptions, kwargs, self.adelete)
        return await self._delete(self._async_io, ids, **options)

    async def _delete(
        self,
        io: Io,
        ids: Sequence[str] | None,
        *,
        delete_all: bool = False,
        verify: bool = False,
        filter: DocumentFilter | None = None,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[FindOptions],
    ) -> bool:
        filtered = filter is not None or options.get("vectorize_filter") is not None
        if (ids is not None) + delete_all + filtered != 1:
            raise InvalidInputError(
                "delete takes ids, or filter=, or delete_all=True to delete everything"
            )
        if (verify or options) and not filtered:
            names = ", ".join(["verify"] * verify + list(options))
            raise InvalidInputError(f"{names}: only a delete with filter= takes that")
        if filtered:
            await self._records.delete_matching(
                io,
                filter=as_filter(filter),
                verify=verify,
                wait=wait,
                wait_timeout=wait_timeout,
                **options,
            )
        elif ids is None:
            await self._records.clear(io, wait=wait, wait_timeout=wait_timeout)
        else:
            await self._records.delete(io, ids, wait=wait, wait_timeout=wait_timeout)
        return True
