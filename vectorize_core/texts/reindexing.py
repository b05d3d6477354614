"""Putting the texts of all records of an index into its text index: of an older index, say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import Final

from vectorize_core import jsontext
from vectorize_core.api.operations import GetInfo
from vectorize_core.reads.by_id import get_many, iter_ids
from vectorize_core.state.index_state import get_metadata_indexes, look_again
from vectorize_core.state.waiting import wait_for_own
from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.indexing import Rows, row_of
from vectorize_core.texts.puts import Puts, is_old, is_put_by, is_put_of, new_token
from vectorize_core.texts.reading import TextReading
from vectorize_core.texts.text_index import KeptRow
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes.progress import BatchReport, progress_bar

_AT_ONCE: Final = 500


async def reindex_texts(
    io: Io, rows: Rows, reading: TextReading, *, wait_timeout: float, show_progress: bool = False
) -> int:
    """Put what lacks in a text index, note that it is complete, and return how many rows were put.

    It lists the index and reads all vectors, twenty a request. One that was interrupted is
    continued: what it has put is not read again. Others may write meanwhile. No vector is written.
    Rows of records that are gone are deleted.
    ``show_progress`` draws a bar (with tqdm).
    """
    index, state = rows.index, rows.state
    await look_again(io, state)
    await wait_for_own(io, state, wait_timeout, purpose="reindex_texts")
    created = await rows.created(io)
    begun_for, _, token = ((await index.notes(io, state.name)).cursor or "").rpartition(" ")
    if begun_for != created:
        token = new_token(rows.writer)
        await index.note(io, state.name, cursor=f"{created} {token}")
    total = (await io.call(GetInfo(state.name))).vector_count
    put, listed = 0, set[int]()
    with progress_bar(total, None) if show_progress else nullcontext() as report:
        async for ids in in_batches(iter_ids(io, state), _AT_ONCE):
            put += await _put_missing(io, rows, reading, ids, token)
            listed.update(map(hash, ids))
            if report is not None:
                report(BatchReport(len(listed), None, len(ids)))
    await _remove_orphans(io, rows, listed)
    await rows.note_complete(io, created)
    return put


async def _remove_orphans(io: Io, rows: Rows, listed: Collection[int]) -> None:
    """Delete old rows of records that are gone: not ``listed`` by their hashes, nor there by id.

    Young ones may be of writes that are under way, and are noted.
    """
    young: set[str] = set()
    async with aclosing(rows.index.every(io, rows.state.name)) as every:
        async for some in every:
            old: Puts = {}
            for record_id, put in some:
                if hash(record_id) in listed:
                    continue
                if is_old(put):
                    old.setdefault(record_id, []).append(put)
                else:
                    young.add(record_id)
            there = await get_many(io, rows.state, list(old)) if old else {}
            await rows.remove(io, {i: puts for i, puts in old.items() if i not in there})
    if young and rows.put_notes is not None:
        await rows.put_notes.note_orphans(io, young, new_token(rows.writer))


async def _put_missing(
    io: Io, rows: Rows, reading: TextReading, ids: Sequence[str], token: str
) -> int:
    state = rows.state
    old = await rows.index.kept(io, state.name, ids)
    left = [i for i in ids if not any(is_put_by(row.put, token) for row in old.get(i, ()))]
    vectors = [*(await get_many(io, state, left)).values()]
    found = await reading.records(io, vectors)
    indexed = await get_metadata_indexes(io, state)
    wanted = []
    for vector, record in found:
        row = row_of(vector.id, record.text, vector.namespace, vector.metadata or {}, indexed)
        if row is not None and not any(_is_as_new(kept, row) for kept in old.get(vector.id, ())):
            wanted.append(row)
    if wanted:
        await rows.index.put(io, state.name, wanted, token)
    # What is young may be of a write that is still going on.
    over = {row.id: [o.put for o in old.get(row.id, ()) if is_old(o.put)] for row in wanted}
    await rows.remove(io, {record_id: puts for record_id, puts in over.items() if puts})
    return len(wanted)


def _is_as_new(kept: KeptRow, row: TextRow) -> bool:
    """Whether a row would be put as it is there, and was put lately."""
    if is_old(kept.put) or not is_put_of(kept.put, row.text):
        return False
    try:
        return bool(jsontext.loads(kept.properties) == row.properties)
    except ValueError:
        return False
