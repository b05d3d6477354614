"""Deletes of records: by ids, by filters and source documents, and of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Unpack

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.models import Id
from vectorize_core.reads import by_id, enumeration
from vectorize_core.reads.selection import AnyFilter, SelectOptions, check_is_filter
from vectorize_core.records.reading import selected
from vectorize_core.records.store import RecordStore
from vectorize_core.state.waiting import Wait, WaitOptions
from vectorize_core.texts.keeping import Keeping
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes import writing


async def delete(
    io: Io,
    records: RecordStore,
    ids: Sequence[Id],
    *,
    wait: Wait | None = None,
    wait_timeout: float | None = None,
) -> None:
    """Delete the records with these ids; unknown ids are no error.

    Where texts stand elsewhere, they are deleted when reads no longer see their records: now, if
    that is so or this waits for it, otherwise at the next wait or when the store is closed.
    """
    ids = validation.as_ids(ids)
    waits = records.waits(wait, wait_timeout)
    if ids and await records.index.exists(io):
        await delete_stored(io, records, [*map(records.stored_id, ids)], waits)


async def delete_among(
    io: Io,
    records: RecordStore,
    ids: Sequence[str],
    *,
    filter: AnyFilter | None = None,
    namespace: str | None = None,
    wait: Wait | None = None,
    wait_timeout: float | None = None,
) -> None:
    """Delete those of the records with these ids that a filter matches, in a namespace.

    Waits until reads see what this client has written under these ids, unless only the namespace
    counts, which it knows of them.
    """
    waits = records.waits(wait, wait_timeout)
    namespace = records.in_namespace(namespace)
    # A tenant's ids are stored under digests of its own; other ids may be in any namespace.
    if filter is None and (namespace is None or records.bound):
        await delete(io, records, ids, **waits)
        return
    ids = validation.as_ids(ids)
    if not ids or not await records.index.exists(io):
        return
    if filter is None:
        found = await _in_namespace(io, records, ids, namespace)
    else:
        if records.state.own_writes.unseen_among([*map(records.stored_id, ids)]):
            await records.await_writes(
                io, waits["wait_timeout"], purpose="a delete by id and filter"
            )
        found = [v.id for v in await selected(io, records, ids, filter, namespace=namespace)]
    if found:
        await delete_stored(io, records, [*dict.fromkeys(found)], waits)


async def _in_namespace(
    io: Io, records: RecordStore, ids: Sequence[str], namespace: str | None
) -> list[str]:
    """Those of the ids that are in a namespace: as read, or as this client has written them."""
    own = records.state.own_writes
    last = {i: w for i, w in own.unseen_among(ids).items() if w.sure}
    unknown = [vector_id for vector_id in ids if vector_id not in last]
    there = await by_id.get_many(io, records.state, unknown) if unknown else {}
    found = [v.id for v in there.values() if v.namespace == namespace]
    found += [i for i, w in last.items() if w.there and w.namespace == namespace]
    found += set(unknown).intersection(own.uncertain(namespace))
    return found


async def delete_matching(
    io: Io,
    records: RecordStore,
    *,
    refs: Sequence[str] | None = None,
    verify: bool = False,
    wait: Wait | None = None,
    wait_timeout: float | None = None,
    **options: Unpack[SelectOptions],
) -> None:
    """Delete all records that a filter matches, or of the source documents ``refs``.

    With ``verify``, it waits until the deletion is visible and looks again until nothing is left.
    """
    waits = records.waits("visible" if verify else wait, wait_timeout)
    if refs is None:
        check_is_filter(options.get("filter"), options.get("vectorize_filter"))
    chosen = await records.select(io, options, refs=refs)
    if chosen is None:
        return
    chosen = dataclasses.replace(chosen, wait_timeout=waits["wait_timeout"])
    pending = None
    if refs is not None and not verify and not {"filter", "vectorize_filter"} & options.keys():
        values = [layout.ref_value(ref) for ref in refs]
        pending = records.state.own_writes.of_documents(values, chosen.namespace)
    rounds = enumeration.rounds_to_delete(io, records.state, chosen, verify=verify, pending=pending)
    async with aclosing(rounds) as found:
        async for ids in found:
            await delete_stored(io, records, ids, waits)


async def clear(
    io: Io, records: RecordStore, *, wait: Wait | None = None, wait_timeout: float | None = None
) -> None:
    """Delete every record; in a store with a namespace, every record of that namespace."""
    waits = records.waits(wait, wait_timeout)
    if records.namespace is None:
        if not await records.index.exists(io, refresh=True):
            return
        await records.await_writes(io, waits["wait_timeout"], purpose="deleting everything")
        everything = by_id.iter_ids(io, records.state)
    else:
        chosen = await records.select(io, {"max_requests": None}, precision="high")
        if chosen is None:
            return
        chosen = dataclasses.replace(chosen, wait_timeout=waits["wait_timeout"])
        everything = enumeration.matching_ids(io, records.state, chosen)
    async with aclosing(everything) as found:
        ids = [vector_id async for vector_id in found]
    ids += records.state.own_writes.uncertain(records.namespace)
    await delete_stored(io, records, [*dict.fromkeys(ids)], waits)


async def delete_stored(
    io: Io, records: RecordStore, stored_ids: Sequence[str], waits: WaitOptions
) -> None:
    """Delete vectors, by their own ids, with their texts and rows.

    Ids that no record can have are as good as deleted.
    """
    if not stored_ids:
        return
    long_texts, rows = records.long_texts, records.rows
    keeping = Keeping(long_texts, records.state) if long_texts is not None else None
    possible = [*filter(validation.possible_id, stored_ids)]
    texts = await keeping.find(io, possible) if keeping is not None else None
    puts = await rows.find(io, possible) if rows is not None else {}
    noted = await rows.note_delete(io, puts) if rows is not None else None
    await writing.delete(io, records.state, stored_ids, skip_impossible=True, **waits)
    if rows is not None:
        await rows.remove(io, puts, over=noted)
    if keeping is not None and texts:
        if records.sees(waits):
            await keeping.remove(io, texts, waits["wait_timeout"])
        else:
            await records.due.leave(io, keeping, texts)
