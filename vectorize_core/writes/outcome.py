"""The outcome of a write: what became of every position of its input."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vectorize_core.errors import (
    CheckpointMismatchError,
    LateRequestError,
    PartialWriteError,
    RecordRefusedError,
)
from vectorize_core.models import Mutation
from vectorize_core.transport.retry import is_outcome_unknown
from vectorize_core.writes.batching import Batch, Entry, Piece
from vectorize_core.writes.checkpoint import Checkpoint
from vectorize_core.writes.ranges import Positions, runs
from vectorize_core.writes.sources import Source


class WriteOutcome:
    """Which positions are written, which may be, and why others failed; as ranges."""

    def __init__(self, source: Source[Any], checkpoint: Checkpoint) -> None:
        self.causes: list[Exception] = []
        self._mutations: list[tuple[int, Mutation]] = []
        self.source = source
        self._checkpoint = checkpoint
        self._accepted = 0
        self._written: list[range] = []
        self._unknown: list[range] = []

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        """The accepted mutations, in the order of the input."""
        return tuple(mutation for _, mutation in sorted(self._mutations, key=lambda m: m[0]))

    @property
    def written(self) -> int:
        """How many records are written, including those written before this write."""
        return self._accepted + self.source.skipped_count

    def add(self, batch: Batch, piece: Piece) -> list[Entry]:
        """Add the outcome of a part of a batch; returns the records it has written."""
        whole = len(piece.entries) == len(batch.sent)
        entries = batch.entries if whole else _records(batch, {e.id for e in piece.entries})
        positions = [entry.position for entry in entries]
        if piece.error is None:
            self._written += runs(positions)
            self._accepted += len(positions)
            self._mutations.append((positions[0], Mutation(piece.own_write.mutation_id)))
            return entries
        self.causes.append(piece.error)
        if is_outcome_unknown(piece.error):
            self._unknown += runs(positions)
        return []

    def add_unanswered(self, batch: Batch) -> None:
        """Note that the outcome is unknown for parts of ``batch`` without an answer."""
        answered = {entry.id for piece in batch.pieces for entry in piece.entries}
        if batch.begun and not batch.answered:
            lost = _records(batch, batch.sent.keys() - answered)
            self._unknown += runs([entry.position for entry in lost])

    def failure(self) -> PartialWriteError:
        """The outcome of all records that were taken from the source."""
        source, before = self.source, self._checkpoint
        # What was written of another input says nothing of this one.
        other = any(isinstance(cause, CheckpointMismatchError) for cause in self.causes)
        known = [*self._written, *source.skipped, *runs(() if other else before.written)]
        written, unknown = Positions(known), Positions(self._unknown)
        ids = (*source.ids, *(() if other else before.ids[len(source.ids) :]))
        rest = Positions([*written.ranges, *unknown.ranges]).missing(source.taken)
        mutation_ids = [m.mutation_id for m in self.mutations if m.mutation_id is not None]
        return PartialWriteError(
            written,
            unknown,
            rest,
            self.causes,
            mutation_ids,
            ids=ids,
            progress=self._checkpoint.progress(self._written, source.digest),
        )

    def raise_failure(self) -> None:
        """Raise what went wrong: the cause itself if all records share one outcome."""
        if not self.causes:
            return
        failure, cause = self.failure(), self.causes[0]
        shared = not self.written and not (failure.unknown and failure.not_written)
        if isinstance(cause, CheckpointMismatchError) and not (self._accepted or self._unknown):
            # Nothing was sent, and what was written before is not in this index.
            raise cause
        if isinstance(cause, LateRequestError):
            # The write itself was accepted, so what matters is which records may not stay.
            raise failure from cause
        if shared and (len(self.causes) == 1 or not isinstance(cause, RecordRefusedError)):
            raise cause
        raise failure from cause


def _records(batch: Batch, ids: Collection[str]) -> list[Entry]:
    """All records of the input with these ids, those included that were not sent themselves."""
    if len(ids) == len(batch.sent):
        return batch.entries
    return [entry for entry in batch.entries if entry.id in ids]
