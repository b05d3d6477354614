"""How records are deleted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Unpack

from vectorize_core.api import validation
from vectorize_core.models import Mutation
from vectorize_core.reads import by_id, enumeration, selection
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.base import FindOptions, RecordBase
from vectorize_core.state.waiting import Wait, WaitOptions
from vectorize_core.texts.keeping import Keeping
from vectorize_core.transport.io import Io
from vectorize_core.writes import by_filter, writing


class Deleting(RecordBase):
    """What `RecordStore` deletes with."""

    __slots__ = ()

    async def delete(
        self,
        io: Io,
        ids: Sequence[str],
        *,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
    ) -> None:
        """Delete the records with these ids; unknown ids are no error.

        Where texts stand elsewhere, they are deleted when reads no longer see their records, and
        this waits for that.
        """
        validation.check_id_list(ids)
        if ids and await self.index.exists(io):
            stored = [*map(self.stored_id, ids)]
            await self._delete(io, stored, **self._waiting(wait, wait_timeout))

    async def _delete(
        self, io: Io, ids: Sequence[str], **waits: Unpack[WaitOptions]
    ) -> tuple[Mutation, ...]:
        """Delete vectors and their texts; ids that no record can have are as good as deleted."""
        delete = partial(writing.delete, io, self._state, ids, skip_impossible=True, **waits)
        texts = self.long_texts
        if texts is None:
            return await delete()
        possible = [*filter(validation.possible_id, ids)]
        keeping = Keeping(texts, self._state)
        return await keeping.delete(io, possible, delete, waits["wait_timeout"])

    async def delete_matching(
        self,
        io: Io,
        *,
        filter: AnyFilter | None = None,
        refs: Sequence[str] | None = None,
        verify: bool = False,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[FindOptions],
    ) -> None:
        """Delete all records that a filter matches, or of the source documents ``refs``."""
        if refs is None:
            selection.check_is_filter(filter, options.get("vectorize_filter"))
        plan, namespace, most = await self._find(io, filter, options, refs)
        if plan.impossible or not await self.index.exists(io):
            return
        await by_filter.delete_matching(
            io,
            self._state,
            plan=plan,
            read=self._reader,
            namespace=namespace,
            delete=partial(self._delete, io),
            verify=verify,
            max_requests=most,
            **self._waiting(wait, wait_timeout),
        )

    async def clear(
        self, io: Io, *, wait: Wait | None = None, wait_timeout: float | None = None
    ) -> None:
        """Delete every record; in a store with a namespace, every record of that namespace."""
        if not await self.index.exists(io):
            return
        if self.namespace is None:
            await self.await_writes(io)
            everything = by_id.iter_ids(io, self._state)
        else:
            everything = enumeration.matching_ids(
                io,
                self._state,
                namespace=self.namespace,
                precision="high",
                max_requests=sys.maxsize,
            )
        async with aclosing(everything) as found:
            ids = [vector_id async for vector_id in found]
        await self._delete(io, ids, **self._waiting(wait, wait_timeout))
