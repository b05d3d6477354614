"""Updates of records: what has not changed is not embedded again."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias, Unpack

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.errors import At, InvalidInputError, OversizedError, shown
from vectorize_core.layout import Record, RecordReader
from vectorize_core.layout.oversize import oversized
from vectorize_core.models import Id, IndexType, Vector
from vectorize_core.records.ingest import as_item
from vectorize_core.records.item import Item
from vectorize_core.records.store import AddOptions, RecordStore
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts.keeping import Putting
from vectorize_core.texts.store import text_name
from vectorize_core.transport.io import Io
from vectorize_core.writes import writing
from vectorize_core.writes.sources import Records, Vectors

Changes: TypeAlias = Mapping[Any, Any] | Sequence[Mapping[Any, Any]]
"""Metadata for all records of a call, or for each its own."""
NO_CHANGES: Final[Changes] = MappingProxyType({})
"""Where keys are only removed."""
Change: TypeAlias = Callable[[Mapping[Any, Any]], dict[Any, Any]]
"""Of metadata, what they become."""


async def update(
    io: Io, records: RecordStore, items: Records[Item], **options: Unpack[AddOptions]
) -> list[str]:
    """`RecordStore.add` of records that have ids; texts that are stored are not embedded again."""
    records.check_adding(**options)
    given = [i async for i in items] if isinstance(items, AsyncIterable) else [*items]
    given = [as_item(item, position) for position, item in enumerate(given)]
    lacking = [position for position, item in enumerate(given) if not item.named]
    if lacking:
        raise InvalidInputError(
            f"an update needs the id of every record; position {lacking[0]} has none"
        )
    await _settled(io, records)
    ids = [item.record.id for item in given]
    found = {vector.id: vector for vector in await records.vectors(io, ids)}

    def known(item: Item) -> Item:
        vector = found.get(records.stored_id(item.record.id))
        if vector is None or item.values is not None:
            return item
        text, stored = item.record.text, _stored(records, vector)
        if text is not None and stored.text_name is not None:
            same = stored.text_name == text_name(records.index.name, vector.id, text)
        else:
            same = stored.text == text
        return dataclasses.replace(item, values=vector.values) if same else item

    return await records.add(io, [*map(known, given)], **options)


def edited(record: Record, change: Change) -> Record:
    """A record whose metadata a change is made to."""
    return dataclasses.replace(record, metadata=change(record.metadata))


async def update_metadata(
    io: Io,
    records: RecordStore,
    ids: Sequence[Id],
    changes: Changes = NO_CHANGES,
    *,
    remove: Iterable[Hashable] = (),
    replace: bool = False,
    edit: Callable[[Record, Change], Record] = edited,
    **waits: Unpack[WaitOptions],
) -> list[str]:
    """Take keys out of the metadata of records, then merge ``changes`` into it.

    With ``replace`` they are put in its place. ``edit`` does so where a record holds them otherwise
    than in its metadata. Text and values stay, and are not embedded again.
    Returns the ids of the records that are there, in order.
    """
    ids = validation.as_ids(ids)
    each = _each_change(len(ids), changes, remove, replace=replace)
    goal = records.waits(**waits)
    await _settled(io, records)
    old = {vector.id: vector for vector in await records.vectors(io, ids)}
    changed: dict[str, Record] = {}
    for name, change in zip(ids, each, strict=True):
        vector_id = records.stored_id(name)
        if vector_id in old:
            record = changed.get(vector_id) or _stored(records, old[vector_id])
            changed[vector_id] = edit(record, change)
    indexed = await records.index.properties(io) if changed else {}
    if changed:
        records.index.warn_of_text_index()
    given = {records.stored_id(name): At(name, at, "record") for at, name in enumerate(ids)}
    putting = records.putting()
    fitting = [
        _fitting(records, putting, given[vector_id], record, old[vector_id], indexed)
        for vector_id, record in changed.items()
    ]
    if putting is not None:
        await putting.put_again(io, [record for record, _ in fitting])
    vectors = [vector for _, vector in fitting]
    source = Vectors(io, records.state, vectors)
    source.ids += [given[vector_id].name for vector_id in changed]
    rows = records.row_writing()
    if rows is not None:
        source.rewriting = await rows.rewriting(io, records.reading, old, vectors, indexed)
    await writing.write(io, records.state, source, "upsert", batch_size=records.batch_size, **goal)
    if rows is not None:
        await rows.finish(io, seen=records.sees(goal))
    return [name for name in ids if records.stored_id(name) in old]


async def _settled(io: Io, records: RecordStore) -> None:
    """What is read, to be written again, must not be older than what this client wrote."""
    if await records.index.exists(io):
        await records.await_writes(io, purpose="an update")


def _stored(records: RecordStore, vector: Vector) -> Record:
    """The record of a vector under the id that it is stored under."""
    return RecordReader(records.text_key).read(vector)


def _fitting(
    records: RecordStore,
    putting: Putting | None,
    at: At,
    record: Record,
    old: Vector,
    indexed: Mapping[str, IndexType],
) -> tuple[Record, Vector]:
    """A record and its vector; a text that does not fit into the vector is kept outside."""
    try:
        return record, _encoded(records, at, record, old, indexed)
    except OversizedError:
        if putting is None or record.text is None:
            raise
        record = putting.outside(record, at)
        return record, _encoded(records, at, record, old, indexed)


def _encoded(
    records: RecordStore, at: At, record: Record, old: Vector, indexed: Mapping[str, IndexType]
) -> Vector:
    metadata = layout.encode(record, text_key=records.text_key, indexed=indexed, at=at)
    ref = (old.metadata or {}).get(layout.REF)
    if ref is not None:
        metadata[layout.REF] = ref
    if validation.check_encoded(at, metadata) is None:
        raise oversized(at, metadata, records.text_key)
    return Vector(old.id, old.values, old.namespace, metadata)


def _each_change(
    count: int, changes: Changes, remove: Iterable[Hashable], *, replace: bool
) -> list[Change]:
    """What is to be done to the metadata of each of ``count`` records."""
    removed = _keys(remove)
    if validation.flag("replace", replace) and removed:
        raise InvalidInputError("replace=True leaves nothing of the old metadata to remove")
    if changes is NO_CHANGES and not removed:
        raise InvalidInputError("an update takes metadata, or keys to remove")
    added = _changes(changes, count)
    return [partial(_merged, one, removed, replace) for one in added]


def _merged(
    added: Mapping[Any, Any],
    removed: frozenset[Hashable],
    replace: bool,
    old: Mapping[Any, Any],
) -> dict[Any, Any]:
    kept = {} if replace else {key: value for key, value in old.items() if key not in removed}
    return {**kept, **added}


def _keys(remove: Iterable[Hashable]) -> frozenset[Hashable]:
    """The keys to take out of metadata."""
    keys = list(validation.several("remove", remove, of="keys"))
    for position, key in enumerate(keys):
        if not isinstance(key, Hashable):
            raise InvalidInputError(f"remove[{position}] is a key of metadata; got {shown(key)}")
    return frozenset(keys)


def _changes(changes: Changes, count: int) -> list[Mapping[Any, Any]]:
    """The metadata to merge into each of ``count`` records."""
    if isinstance(changes, Mapping):
        return [changes] * count
    each = list(validation.several("metadata", changes, of="dicts, or one dict for all"))
    for position, change in enumerate(each):
        if not isinstance(change, Mapping):
            raise InvalidInputError(f"metadata[{position}] is a dict; got {shown(change)}")
    if len(each) != count:
        raise InvalidInputError(f"{count} ids, but the metadata of {len(each)} records")
    return each
