"""`PutNotes`: which records may have rows that FTS5 has to look up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from vectorize_core import jsontext
from vectorize_core.api.known_ids import KnownIds
from vectorize_core.errors import IndexNotFoundError, UnexpectedAnswerError, shown
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts.puts import is_old
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.texts.upkeep import Upkeep
from vectorize_core.transport.io import Io

_PUT: Final = "put-"
"""What the name of the note of a put begins with; its token follows."""
_DELETE: Final = "delete-"
"""The same of a delete."""


@dataclass(frozen=True, slots=True)
class PutNotes:
    """Notes of records that may have rows and no vectors; for an embedded Vectorize.

    It tells in a microsecond whether it has an id. FTS5 takes 15 to 60 to find that one has no
    row, more in large tables. But rows are put before their vectors, so those of a put that was
    interrupted are of ids that nobody has. So each put notes its new ids, in its transaction. The
    note goes with a later put, once all of them have vectors or are put again; or after a quarter
    of an hour, with their rows. A process knows of its own puts when their vectors are written, so
    it looks into the notes of others only, and of what has failed. A table of which not all puts
    were noted is not ``traced``.
    Rows are deleted after their vectors, so each delete is noted until its rows are gone. That note
    is not synced, to cost little: only a loss of power may take it.
    """

    index: TextIndex
    state: IndexState
    upkeep: Upkeep

    async def begin(self, io: Io, created: str) -> None:
        """Note that a table without rows is traced, for the index that was created then."""
        name = self.state.name
        is_traced = (await self.index.noted(io, name)).get("traced") == created
        if not is_traced and await self.index.is_empty(io, name):
            await self.index.note(io, name, traced=created)

    async def note_orphans(self, io: Io, ids: Collection[str], token: str) -> None:
        """Note records that are not there and have rows that are too young to be deleted."""
        note = jsontext.dumps([*ids]).decode()
        await self.index.note(io, self.state.name, **{f"{_PUT}{token}": note})

    async def note_delete(self, io: Io, ids: Collection[str], token: str) -> str:
        """Note that the vectors of these are about to be deleted; returns the name of the note."""
        name, note = f"{_DELETE}{token}", jsontext.dumps([*ids]).decode()
        await self.index.note_unsynced(io, self.state.name, name, note)
        return name

    async def look(
        self, io: Io, created: str, ids: Collection[str], *, put: Collection[str], token: str
    ) -> tuple[Collection[str], dict[str, str | None]]:
        """Those of ``ids`` that may have rows, and what to note when those of ``put`` are put."""
        noted = await self.index.noted(io, self.state.name)
        notes: dict[str, str | None] = dict.fromkeys(self.upkeep.settled(noted))
        noted_ids = {
            name: _ids(note)
            for name, note in noted.items()
            if name.startswith((_PUT, _DELETE)) and name not in notes
        }
        there = await self._known(io, [*ids, *(some[-1] for some in noted_ids.values())])
        notes |= dict.fromkeys(await self._over(io, noted_ids, there.union(put)))
        new = [record_id for record_id in put if record_id not in there]
        if new:
            notes[f"{_PUT}{token}"] = jsontext.dumps(new).decode()
        if noted.get("traced") == created:
            may_have = there.union(*noted_ids.values())
            ids = [record_id for record_id in ids if record_id in may_have]
        return ids, notes

    async def _over(
        self, io: Io, noted_ids: Mapping[str, Sequence[str]], settled: frozenset[str]
    ) -> list[str]:
        """The notes that are over: nothing is left of what they name, or they are old.

        What an old one names and has no vector loses its old rows. ``settled`` are ids that are
        known to have vectors, or that are put now.
        """
        # Of a put that is under way the last id is not there, so its others need no look.
        ended = [n for n, ids in noted_ids.items() if n.startswith(_PUT) and ids[-1] in settled]
        looked_at = {*self.upkeep.claim(ended, noted_ids), *filter(is_old, noted_ids)}
        others = {i for name in looked_at for i in noted_ids[name]} - settled
        settled |= await self._known(io, others)
        over: list[str] = []
        for name, ids in noted_ids.items():
            left = set(ids) - settled
            if left and is_old(name):
                await self._remove_old(io, left)
            # Of a delete that is under way the vectors may be there still.
            if is_old(name) or not (left or name.startswith(_DELETE)):
                over.append(name)
        return over

    async def _known(self, io: Io, ids: Collection[str]) -> frozenset[str]:
        try:
            return await io.call(KnownIds(self.state.name, tuple(ids))) if ids else frozenset()
        except IndexNotFoundError:
            # The write itself will be told.
            return frozenset()

    async def _remove_old(self, io: Io, ids: Collection[str]) -> None:
        """Delete the old rows of records that are not there."""
        puts = await self.index.versions(io, self.state.name, list(ids))
        old = {i: [put for put in some if is_old(put)] for i, some in puts.items()}
        await self.index.delete(io, self.state.name, old)


def _ids(note: str) -> list[str]:
    with suppress(ValueError):
        ids = jsontext.loads(note)
        if isinstance(ids, list) and {*map(type, ids)} == {str}:
            return ids
    raise UnexpectedAnswerError(f"{shown(note)} is no note of the ids that a text index has put")
