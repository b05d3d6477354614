"""The outcome of a write: what became of every position of its input."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vectorize_core.errors import PartialWriteError, RecordRefusedError
from vectorize_core.models import Mutation
from vectorize_core.transport.retry import is_open
from vectorize_core.writes.batching import Batch, Entry, Piece
from vectorize_core.writes.checkpoint import Checkpoint
from vectorize_core.writes.ranges import Positions, runs
from vectorize_core.writes.sources import Source


class WriteOutcome:
    """What is in, what may be, and why the rest is not, as ranges: input may be long."""

    def __init__(self, source: Source[Any], checkpoint: Checkpoint) -> None:
        self.causes: list[Exception] = []
        self._mutations: list[tuple[int, Mutation]] = []
        self._source = source
        self._checkpoint = checkpoint
        self._accepted = 0
        self._written: list[range] = []
        self._unknown: list[range] = []

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        """The mutations as accepted, in the order of the input."""
        return tuple(mutation for _, mutation in sorted(self._mutations, key=lambda m: m[0]))

    @property
    def written(self) -> int:
        """How many records are in, those included that were before the write."""
        return self._accepted + self._source.skipped

    def settle(self, batch: Batch, piece: Piece) -> list[Entry]:
        """Note what became of part of a batch; returns the records that are in now."""
        entries = _of(batch, {entry.id for entry in piece.entries})
        positions = [entry.position for entry in entries]
        if piece.error is None:
            self._written += runs(positions)
            self._accepted += len(positions)
            self._mutations.append((positions[0], Mutation(piece.own_write.mutation_id)))
            return entries
        self.causes.append(piece.error)
        if is_open(piece.error):
            self._unknown += runs(positions)
        return []

    def cut_off(self, batch: Batch) -> None:
        """Note that nobody knows what became of the parts of ``batch`` that no answer came for."""
        answered = {entry.id for piece in batch.pieces for entry in piece.entries}
        if batch.begun and not batch.ended:
            lost = _of(batch, batch.sent.keys() - answered)
            self._unknown += runs(entry.position for entry in lost)

    def failure(self) -> PartialWriteError:
        """The outcome of what was taken from the source."""
        source, before = self._source, self._checkpoint
        known = [*self._written, *source.known, *runs(before.written)]
        written, unknown = Positions(known), Positions(self._unknown)
        ids = (*source.ids, *before.ids[len(source.ids) :])
        rest = Positions([*written.ranges, *unknown.ranges]).missing(source.taken)
        mutation_ids = [m.mutation_id for m in self.mutations if m.mutation_id is not None]
        return PartialWriteError(written, unknown, rest, self.causes, mutation_ids, ids=ids)

    def raise_failure(self) -> None:
        """Raise what went wrong; the cause itself where all records share one fate."""
        if not self.causes:
            return
        failure, cause = self.failure(), self.causes[0]
        shared = not self.written and not (failure.unknown and failure.not_written)
        if shared and (len(self.causes) == 1 or not isinstance(cause, RecordRefusedError)):
            raise cause
        raise failure from cause


def _of(batch: Batch, ids: Collection[str]) -> list[Entry]:
    """The records of the input that the entries with these ids stand for."""
    if len(ids) == len(batch.sent):
        return batch.entries
    return [entry for entry in batch.entries if entry.id in ids]
