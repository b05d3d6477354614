"""How records that exist are changed, and no more of them embedded than has to be."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any, Unpack

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, OversizedError
from vectorize_core.layout import Record
from vectorize_core.models import Vector
from vectorize_core.records.adding import Adding, AddOptions
from vectorize_core.records.ingest import Item
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts.keeping import Putting
from vectorize_core.texts.names import text_name
from vectorize_core.transport.io import Io
from vectorize_core.writes import by_filter, writing
from vectorize_core.writes.sources import Records

Changes = Mapping[Any, Any] | Sequence[Mapping[Any, Any]]
"""Metadata for all records of a call, or for each its own."""


class Updating(Adding):
    """What `RecordStore` updates with."""

    __slots__ = ()

    async def update(
        self, io: Io, items: Records[Item], **options: Unpack[AddOptions]
    ) -> list[str]:
        """`add` of records that have ids, without embedding texts that are stored already."""
        given = [i async for i in items] if isinstance(items, AsyncIterable) else [*items]
        if not all(item.named for item in given):
            raise InvalidInputError("an update needs the id of every record")
        await self._settled(io)
        ids = [item.record.id for item in given]
        found = {vector.id: vector for vector in await self._vectors(io, ids)}

        def known(item: Item) -> Item:
            vector = found.get(self.stored_id(item.record.id))
            if vector is None or item.values is not None:
                return item
            text, stored = item.record.text, self._decoded(vector)
            if text is not None and stored.text_name is not None:
                same = stored.text_name == text_name(self.index.name, vector.id, text)
            else:
                same = stored.text == text
            return item._replace(values=vector.values) if same else item

        return await self.add(io, [*map(known, given)], **options)

    async def update_metadata(
        self,
        io: Io,
        ids: Sequence[str],
        changes: Changes,
        *,
        replace: bool = False,
        **waits: Unpack[WaitOptions],
    ) -> list[str]:
        """Merge ``changes`` into the metadata of records, or put them in its place.

        Text and values stay, and are not embedded again. Returns the ids of the records that are
        there, in order.
        """
        validation.check_id_list(ids)
        each = [changes] * len(ids) if isinstance(changes, Mapping) else list(changes)
        if len(each) != len(ids):
            raise InvalidInputError(f"{len(ids)} ids, but the metadata of {len(each)} records")
        await self._settled(io)
        found = {vector.id: vector for vector in await self._vectors(io, ids)}
        changed: dict[str, Record] = {}
        for name, change in zip(ids, each, strict=True):
            vector_id = self.stored_id(name)
            if vector_id in found:
                record = changed.get(vector_id) or self._decoded(found[vector_id])
                kept = {} if replace else record.metadata
                changed[vector_id] = dataclasses.replace(record, metadata={**kept, **change})
        indexed = await self.index.properties(io) if changed else {}
        putting = Putting(self.long_texts, self._state) if self.long_texts is not None else None
        vectors = []
        for vector_id, record in changed.items():
            try:
                vector = self._encoded(record, found[vector_id], indexed)
            except OversizedError:
                if putting is None or record.text is None:
                    raise
                changed[vector_id] = putting.outside(record)
                vector = self._encoded(changed[vector_id], found[vector_id], indexed)
            vectors.append(vector)
        if putting is not None:
            await putting.put_again(io, changed.values())
        goal = self._waiting(waits.get("wait"), waits.get("wait_timeout"))
        await writing.upsert(io, self._state, vectors, batch_size=self.batch_size, **goal)
        return [name for name in ids if self.stored_id(name) in found]

    async def reindex_metadata(self, io: Io, **waits: Unpack[WaitOptions]) -> int:
        """Write every vector of the index again as it is. See `by_filter.reindex_metadata`."""
        if self.bound:
            raise InvalidInputError(
                "reindex_metadata() writes every vector of the index, of other namespaces too: "
                "call it on the store that this view is of"
            )
        if not await self.index.exists(io):
            return 0
        return await by_filter.reindex_metadata(
            io, self._state, **self._waiting(waits.get("wait"), waits.get("wait_timeout"))
        )

    async def _settled(self, io: Io) -> None:
        """What is read, to be written again, must not be older than what this client wrote."""
        if await self.index.exists(io):
            await self.await_writes(io)

    def _decoded(self, vector: Vector) -> Record:
        return layout.decode(vector.id, vector.metadata, text_key=self.text_key)

    def _encoded(self, record: Record, old: Vector, indexed: Mapping[str, Any]) -> Vector:
        metadata = layout.encode(record, text_key=self.text_key, indexed=indexed)
        ref = (old.metadata or {}).get(layout.REF)
        if ref is not None:
            metadata[layout.REF] = ref
        validation.check_record(record.name, old.namespace, metadata)
        return Vector(old.id, old.values, old.namespace, metadata)
