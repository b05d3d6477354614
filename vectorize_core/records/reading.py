"""How records are read by id or filter, counted, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Unpack

from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.layout import Record
from vectorize_core.reads import by_id, enumeration, selection
from vectorize_core.reads.enumeration import Precision
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.base import FindOptions, RecordBase
from vectorize_core.transport.io import Io


class CountOptions(FindOptions, total=False):
    """As `FindOptions`; ``precision="high"`` leaves nothing to the service's approximation."""

    precision: Precision


class Reading(RecordBase):
    """What `RecordStore` reads with."""

    __slots__ = ()

    async def get(self, io: Io, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in the order of ``ids``; missing ones are left out."""
        return [record for _, record in await self.whole(io, await self._vectors(io, ids))]

    async def records(
        self,
        io: Io,
        *,
        ids: Sequence[str] | None = None,
        filter: AnyFilter | None = None,
        **options: Unpack[FindOptions],
    ) -> list[Record]:
        """All records that a filter matches; of those with ``ids``, in their order, unless None."""
        if ids is not None:
            namespace = self.in_namespace(options.get("namespace"))
            found = await self._selected(io, ids, filter, namespace=namespace)
            return [record for _, record in await self.whole(io, found)]
        async with aclosing(self.iter_records(io, filter=filter, **options)) as records:
            return [record async for record in records]

    async def iter_records(
        self,
        io: Io,
        *,
        filter: AnyFilter | None = None,
        refs: Sequence[str] | None = None,
        **options: Unpack[FindOptions],
    ) -> AsyncGenerator[Record, None]:
        """All records that a filter matches, and of ``refs``; as answers come in, in no order."""
        plan, namespace, most = await self._find(io, filter, options, refs)
        if plan.impossible or not await self.index.exists(io):
            return
        rounds = enumeration.iter_matching(
            io,
            self._state,
            plan=plan,
            read=self._reader,
            namespace=namespace,
            return_metadata="all",
            max_requests=most,
        )
        async with aclosing(rounds) as found:
            async for some in found:
                for _, record in await self.whole(io, some):
                    yield record

    async def iter_ids(
        self, io: Io, *, filter: AnyFilter | None = None, **options: Unpack[FindOptions]
    ) -> AsyncGenerator[str, None]:
        """The ids of all records that a filter matches, or there are, in no order."""
        if self.bound:
            # What its tenant calls a record is in its metadata.
            async with aclosing(self.iter_records(io, filter=filter, **options)) as records:
                async for record in records:
                    yield record.id
            return
        plan, namespace, most = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return
        if plan.everything and namespace is None:
            await self.await_writes(io)
            ids = by_id.iter_ids(io, self._state)
        else:
            ids = enumeration.matching_ids(
                io,
                self._state,
                plan=plan,
                read=self._reader,
                namespace=namespace,
                max_requests=most,
            )
        async with aclosing(ids) as found:
            async for vector_id in found:
                yield vector_id

    async def count(
        self,
        io: Io,
        *,
        filter: AnyFilter | None = None,
        precision: Precision = "normal",
        **options: Unpack[FindOptions],
    ) -> int:
        """How many records a filter matches, or there are without one."""
        plan, namespace, most = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return 0
        return await enumeration.count(
            io,
            self._state,
            plan=plan,
            read=self._reader,
            namespace=namespace,
            precision=precision,
            max_requests=most,
        )

    async def explain_filter(
        self,
        io: Io,
        filter: AnyFilter | None,
        k: int | None,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """How a filter is answered, and for how many requests."""
        plan = await self.plan(io, filter, unindexed=unindexed)
        count = await self.count(io) if self.bound else None
        return await selection.explain_plan(io, self._state, plan, k, count)
