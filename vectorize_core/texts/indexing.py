"""The rows of a text index kept in step with the vectors of an index.

There is no transaction over both, so three rules take its place. New rows are put before their
vectors, old rows go after them. A delete notes rows, deletes vectors, then those rows. And vectors
are the truth: a row counts only if the record that is read has the very text. So whatever is
interrupted, no text is found that is not there, and the same call again ends what was begun.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from vectorize_core.api.known_ids import KnownIds
from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import PartialIndexError
from vectorize_core.filters.sql import looked_up
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.state.waiting import own_are_seen
from vectorize_core.texts.fts import TextRow, put_of
from vectorize_core.texts.put_notes import PutNotes
from vectorize_core.texts.puts import Puts, is_old, is_written_by, new_token, same_text
from vectorize_core.texts.reading import TextReading
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.texts.upkeep import Upkeep
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.sources import Prepare

_SEEN_BY_THEN: Final = 600.0
"""Seconds after which reads see a write."""


def row_of(
    record_id: str,
    text: str | None,
    namespace: str | None,
    metadata: Mapping[str, Any],
    indexed: Collection[str],
) -> TextRow | None:
    """The row of a record with this metadata, in an index with these metadata indexes.

    None where there is no text.
    """
    return TextRow(record_id, namespace, text, looked_up(metadata, indexed)) if text else None


@dataclass(slots=True)
class Rows:
    """The rows of the records of an index."""

    index: TextIndex
    state: IndexState
    upkeep: Upkeep

    @property
    def writer(self) -> str:
        """What the tokens of this client's writes have in common."""
        # A process that was forked is another writer.
        return f"{self.state.writer}{os.getpid():08x}"

    @property
    def put_notes(self) -> PutNotes | None:
        """The notes of puts, where the Vectorize tells which ids it has."""
        if not (self.index.notes_puts and KnownIds in self.state.capabilities.operations):
            return None
        return PutNotes(self.index, self.state, self.upkeep)

    async def find(self, io: Io, ids: Collection[str]) -> Puts:
        """The rows of records whose vectors are about to be deleted."""
        return await self.index.versions(io, self.state.name, list(ids)) if ids else {}

    async def note_delete(self, io: Io, puts: Puts) -> str | None:
        """Note that vectors are about to be deleted that have rows; returns the note's name."""
        if not puts or self.put_notes is None:
            return None
        return await self.put_notes.note_delete(io, puts, new_token(self.writer))

    async def remove(self, io: Io, puts: Puts, *, over: str | None = None) -> None:
        """Delete rows whose vectors are gone, or have other texts; and the note of that name."""
        if puts:
            await self.index.delete(io, self.state.name, puts, over=over)

    async def remove_due(self, io: Io) -> None:
        """Delete what is due; to be awaited when reads see all own writes."""
        await self.remove(io, self.upkeep.take())

    async def remove_seen(self, io: Io) -> None:
        """Delete what is due if reads see all own writes already."""
        if self.upkeep and await own_are_seen(io, self.state):
            await self.remove_due(io)

    async def check_complete(self, io: Io) -> None:
        """`PartialIndexError` if records may stand in the index whose texts have no row."""
        created = await self.created(io)
        if await self.index.is_complete(io, self.state.name, created):
            return
        if not await self._is_empty(io):
            raise PartialIndexError(
                f"the text index of {self.state.name!r} may not have the texts of all records: "
                "some were written before there was one. Call reindex_texts() of the store once, "
                "which adds them"
            )

    async def note_complete(self, io: Io, created: str) -> None:
        """Note that every text in the index that was created then has a row."""
        traced = None if self.put_notes is None else created
        await self.index.note(io, self.state.name, complete=created, cursor=None, traced=traced)

    async def _is_empty(self, io: Io) -> bool:
        return (await io.call(GetInfo(self.state.name))).vector_count == 0

    async def created(self, io: Io) -> str:
        """When the index was created: a table that was complete for another one is not for it."""
        return str((await get_details(io, self.state)).created_on)


@dataclass(slots=True)
class RowWriting(Rows):
    """The rows of one write of records."""

    superseded: Puts = field(default_factory=dict)
    _begun: str = ""
    _repeats: bool = False

    async def put(
        self, io: Io, rows: Mapping[str, TextRow | None], *, new: Collection[str] = ()
    ) -> Callable[[], None]:
        """Put the rows of records that are about to be written, None for one without a text.

        No other record can have had an id that is ``new``. What is returned is to be called when
        all records are written.
        """
        created = await self.created(io)
        if self._begun != created:
            # Where the index was made again meanwhile, the write begins anew.
            self._repeats = self._begun != ""
            await self._begin(io, created)
        # Of each batch its own: it may hold a record of an earlier one again.
        token = new_token(self.writer)
        present = [row for row in rows.values() if row is not None]
        asked: Collection[str] = rows if self._repeats else [i for i in rows if i not in new]
        notes: dict[str, str | None] = {}
        if self.put_notes is not None:
            put = [row.id for row in present]
            asked, notes = await self.put_notes.look(io, created, asked, put=put, token=token)
        old = await self.find(io, asked)
        if present:
            self.index.note_with(token, self.state.name, notes)
            await self.index.put(io, self.state.name, present, token)
        for record_id, puts in old.items():
            row = rows[record_id]
            new_put = None if row is None else put_of(row.text, token)
            over = [one for one in puts if self._is_over(one, new_put)]
            if over:
                self.superseded[record_id] = over
        noted = [name for name, note in notes.items() if note is not None]
        return partial(self.upkeep.settle, noted)

    def _is_over(self, old: str, new: str | None) -> bool:
        """Whether no vector will be written any more that an old row is needed for.

        A client never has two writes of a record on their way at once.
        """
        return same_text(old, new) or is_written_by(old, self.writer) or is_old(old)

    async def _begin(self, io: Io, created: str) -> None:
        """Note that the table is complete if the index is empty: it will be, by this write."""
        name = self.state.name
        complete = await self.index.is_complete(io, name, created)
        if not complete and not self.state.own_writes.pending() and await self._is_empty(io):
            await self.index.note(io, name, complete=created)
        if self.put_notes is not None:
            await self.put_notes.begin(io, created)
        self._begun = created

    async def rewriting(
        self,
        io: Io,
        reading: TextReading,
        old: Mapping[str, Vector],
        new: Sequence[Vector],
        indexed: Collection[str],
    ) -> Prepare:
        """What puts the rows of records whose metadata are changed, before they are sent.

        Only where what a filter looks up has changed; texts stay as they are.
        """
        changed = [
            vector
            for vector in new
            if looked_up(vector.metadata or {}, indexed)
            != looked_up(old[vector.id].metadata or {}, indexed)
        ]
        rows: dict[str, TextRow | None] = {}
        for vector, record in zip(changed, await reading.current(io, changed), strict=True):
            if record is not None and record.text is not None:
                rows[vector.id] = row_of(
                    vector.id, record.text, vector.namespace, vector.metadata or {}, indexed
                )

        async def put(io: Io, entries: Collection[Entry]) -> Callable[[], None]:
            return await self.put(
                io, {entry.id: rows[entry.id] for entry in entries if entry.id in rows}
            )

        return put

    async def finish(self, io: Io, *, seen: bool | None) -> None:
        """Delete what the write has superseded: now if reads see the write, or later.

        Whether they do is looked up if ``seen`` is None.
        """
        ripe = self.upkeep.take(io.now() - _SEEN_BY_THEN)
        if self.superseded:
            if seen or (seen is None and await own_are_seen(io, self.state)):
                for record_id, puts in self.superseded.items():
                    ripe.setdefault(record_id, []).extend(puts)
            else:
                self.upkeep.leave(self.superseded, io.now())
        await self.remove(io, ripe)
