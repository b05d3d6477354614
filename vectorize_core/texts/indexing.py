"""The rows of a text index kept in step with the vectors of an index.

There is no transaction over both, so three rules take its place. New rows are put before their
vectors, old rows go after them. A delete notes rows, deletes vectors, then those rows. And vectors
are the truth: a row counts only if the record that is read has the very text. So whatever is
interrupted, no text is found that is not there, and the same call again ends what was begun.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vectorize_core import forks
from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import PartialIndexError, WaitTimeoutError
from vectorize_core.filters.sql import looked_up
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.state.waiting import wait_for_own
from vectorize_core.texts.fts import TextRow, digest_of, put_of
from vectorize_core.texts.reading import TextReading
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.sources import Prepare

logger = logging.getLogger("vectorize_core")

Puts = dict[str, list[str]]
"""The tokens of rows, by the ids of their records."""

_IN_PROGRESS: Final = 900.0
"""Seconds in which another process writes the vector of a row that it has put, or never."""
_SEEN_BY_THEN: Final = 600.0
"""Seconds after which reads see a write."""
_CLOCK: Final = 12
"""Digits of a token that are its time, in milliseconds."""
_MOST_DUE: Final = 10_000
"""Records whose rows may be due; of more, those due longest go with the records' next write."""


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


def is_put_of(put: str, text: str | None) -> bool:
    """Whether a row was put for this very text."""
    return text is not None and put.startswith(f"{digest_of(text)}-")


def same_text(put: str, other: str | None) -> bool:
    """Whether two rows were put for the same text."""
    return other is not None and put.partition("-")[0] == other.partition("-")[0]


def is_put_by(put: str, token: str) -> bool:
    """Whether a row was put by the write of that token."""
    return put.partition("-")[2] == token


def is_old(put: str) -> bool:
    """Whether a row was put so long ago that its write is over."""
    try:
        began = int(put.partition("-")[2][:_CLOCK], 16) / 1_000
    except ValueError:
        return True
    return began <= time.time() - _IN_PROGRESS


class Upkeep:
    """What a store and its views remember of the rows that they keep; thread-safe.

    Rows of replaced texts are due while reads may still see the old vectors: until all own writes
    are awaited, or for ten minutes. What is still due when the process ends goes with the next
    write of its record. ``complete``: when the indexes were created whose table is known to have
    a row of every text.
    """

    def __init__(self) -> None:
        self.complete: set[str] = set()
        self._due: list[tuple[float, Puts]] = []
        self._lock = forks.lock()

    def __reduce__(self) -> tuple[object, ...]:
        # In another process nothing is due.
        return Upkeep, ()

    def leave(self, puts: Puts, now: float) -> None:
        """Note rows that are due from now on."""
        with self._lock:
            self._due.append((now, puts))
            while sum(len(puts) for _, puts in self._due) > _MOST_DUE:
                self._due.pop(0)

    def take(self, until: float = math.inf) -> Puts:
        """The rows that are due since ``until``, which are due no more."""
        taken: Puts = {}
        with self._lock:
            for _, puts in (due for due in self._due if due[0] <= until):
                for record_id, some in puts.items():
                    taken.setdefault(record_id, []).extend(some)
            self._due = [due for due in self._due if due[0] > until]
        return taken


@dataclass(slots=True)
class Rows:
    """The rows of the records of an index."""

    index: TextIndex
    state: IndexState
    upkeep: Upkeep

    def new_token(self) -> str:
        """What the rows of one write are told by: when it began, and by whom."""
        return f"{time.time_ns() // 1_000_000:0{_CLOCK}x}{self._writer}{secrets.token_hex(4)}"

    @property
    def _writer(self) -> str:
        # A process that was forked is another writer.
        return f"{self.state.writer}{os.getpid():08x}"

    def is_over(self, put: str) -> bool:
        """Whether the write that has put a row is over, as far as can be told.

        A connection never has two writes of a record on their way at once.
        """
        return put.partition("-")[2][_CLOCK:].startswith(self._writer) or is_old(put)

    def writing(self, token: str) -> RowWriting:
        """The rows of one write, put under ``token``."""
        return RowWriting(self.index, self.state, self.upkeep, token)

    async def find(self, io: Io, ids: Collection[str]) -> Puts:
        """The rows of records whose vectors are about to be deleted."""
        return await self.index.versions(io, self.state.name, list(ids)) if ids else {}

    async def remove(self, io: Io, puts: Puts) -> None:
        """Delete rows whose vectors are gone, or have other texts."""
        if puts:
            await self.index.delete(io, self.state.name, puts)

    async def remove_due(self, io: Io) -> None:
        """Delete what is due; to be awaited when reads see all own writes."""
        await self.remove(io, self.upkeep.take())

    async def remove_seen(self, io: Io) -> None:
        """Delete what is due if reads see all own writes already."""
        if await self._are_seen(io):
            await self.remove_due(io)

    async def _are_seen(self, io: Io) -> bool:
        try:
            await wait_for_own(io, self.state, 0.0)
        except WaitTimeoutError:
            return False
        return True

    async def check_complete(self, io: Io) -> None:
        """`PartialIndexError` if records may stand in the index whose texts have no row."""
        created = await self._created(io)
        if created in self.upkeep.complete:
            return
        notes = await self.index.notes(io, self.state.name)
        if notes.complete == created:
            self.upkeep.complete.add(created)
        elif not await self._is_empty(io):
            raise PartialIndexError(
                f"the text index of {self.state.name!r} may not have the texts of all records: "
                "some were written before there was one. Call reindex_texts() of the store once, "
                "which adds them"
            )

    async def note_complete(self, io: Io) -> None:
        """Note that the text of every record in the index has a row."""
        created = await self._created(io)
        await self.index.note(io, self.state.name, complete=created, cursor=None)
        self.upkeep.complete.add(created)

    async def _is_empty(self, io: Io) -> bool:
        return (await io.call(GetInfo(self.state.name))).vector_count == 0

    async def _created(self, io: Io) -> str:
        """When the index was created: a table that was complete for another one is not for it."""
        return str((await get_details(io, self.state)).created_on)


@dataclass(slots=True)
class RowWriting(Rows):
    """The rows of one write of records."""

    token: str
    superseded: Puts = field(default_factory=dict)
    _begun: bool = False

    async def put(
        self, io: Io, rows: Mapping[str, TextRow | None], *, new: Collection[str] = ()
    ) -> None:
        """Put the rows of records that are about to be written, None for one without a text.

        No other record can have had an id that is ``new``.
        """
        if not self._begun:
            await self._begin(io)
        old = await self.find(io, [record_id for record_id in rows if record_id not in new])
        present = [row for row in rows.values() if row is not None]
        if present:
            await self.index.put(io, self.state.name, present, self.token)
        for record_id, puts in old.items():
            row = rows[record_id]
            put = None if row is None else put_of(row.text, self.token)
            over = [p for p in puts if p != put and (same_text(p, put) or self.is_over(p))]
            if over:
                self.superseded[record_id] = over

    async def _begin(self, io: Io) -> None:
        """Note that the table is complete if the index is empty: it will be, by this write."""
        created, name = await self._created(io), self.state.name
        complete = created in self.upkeep.complete
        if not complete:
            complete = (await self.index.notes(io, name)).complete == created
        if not complete and not self.state.own_writes.pending() and await self._is_empty(io):
            await self.index.note(io, name, complete=created)
            complete = True
        if complete:
            self.upkeep.complete.add(created)
        self._begun = True

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

        async def put(io: Io, entries: Collection[Entry]) -> None:
            await self.put(io, {entry.id: rows[entry.id] for entry in entries if entry.id in rows})

        return put

    async def finish(self, io: Io, *, seen: bool) -> None:
        """Delete what the write has superseded: now if reads see the write, or later."""
        ripe = self.upkeep.take(io.now() - _SEEN_BY_THEN)
        if self.superseded:
            if seen or await self._are_seen(io):
                for record_id, puts in self.superseded.items():
                    ripe.setdefault(record_id, []).extend(puts)
            else:
                self.upkeep.leave(self.superseded, io.now())
        await self.remove(io, ripe)
