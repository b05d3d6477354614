"""What a write takes its records from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence, Sized
from contextlib import aclosing
from typing import Generic, TypeVar

from vectorize_core import checks
from vectorize_core.flows.batching import Entry
from vectorize_core.flows.checkpoint import Checkpoint
from vectorize_core.flows.state import IndexState, get_details
from vectorize_core.io import Io
from vectorize_core.models import Vector

T = TypeVar("T")
Records = Iterable[T] | AsyncIterable[T]
TURN = 64
"""Records that are checked before an event loop gets its turn."""


class Source(Generic[T]):
    """Records on their way into a write, checked as they come; a sequence as a whole first.

    ``taken`` is how many of the input are used up, ``total`` how many there are, where it can be
    known. ``ids`` are those of the records so far, where the caller gets them back. ``known`` are
    the positions that a checkpoint says are in.
    """

    def __init__(self, records: Records[T]) -> None:
        self.records = records
        self.total = len(records) if isinstance(records, Sized) else None
        self.taken = 0
        self.ids: list[str] = []
        self.known: list[range] = []

    def entries(
        self, checkpoint: Checkpoint, *, dry_run: bool = False
    ) -> AsyncGenerator[Entry, None]:
        """What is to be sent; ``dry_run``: nothing will be, so nothing is to be paid for."""
        raise NotImplementedError

    async def numbered(self) -> AsyncGenerator[tuple[int, T], None]:
        """The records with their positions; of a sequence all count as taken at once."""
        if isinstance(self.records, AsyncIterable):
            async for record in self.records:
                self.taken += 1
                yield self.taken - 1, record
            return
        if isinstance(self.records, Sequence):
            self.taken = len(self.records)
        for position, record in enumerate(self.records):
            self.taken = max(self.taken, position + 1)
            yield position, record

    def skip(self, position: int) -> None:
        """The record at ``position`` is in already."""
        if self.known and self.known[-1].stop == position:
            self.known[-1] = range(self.known[-1].start, position + 1)
        else:
            self.known.append(range(position, position + 1))

    @property
    def skipped(self) -> int:
        """How many records were in already."""
        return sum(map(len, self.known))


class Vectors(Source[Vector]):
    """Vectors to write."""

    def __init__(self, io: Io, state: IndexState, vectors: Records[Vector]) -> None:
        super().__init__(vectors)
        self._io = io
        self._state = state

    async def entries(
        self, checkpoint: Checkpoint, *, dry_run: bool = False
    ) -> AsyncGenerator[Entry, None]:
        """Vectors that the service takes."""
        async with aclosing(self._checked(checkpoint)) as checked:
            if not isinstance(self.records, Sequence):
                async for entry in checked:
                    yield entry
                return
            for entry in [entry async for entry in checked]:
                yield entry

    async def _checked(self, checkpoint: Checkpoint) -> AsyncGenerator[Entry, None]:
        async with aclosing(self.numbered()) as vectors:
            async for position, vector in vectors:
                if position % TURN == 0:
                    await self._io.sleep(0)
                size = checks.check_record(vector.id, vector.namespace, vector.metadata)
                await check_values(self._io, self._state, vector)
                digest = checkpoint.digest(vector.id)
                if checkpoint.holds(position, vector.id, digest):
                    self.skip(position)
                else:
                    yield Entry(position, vector.id, vector, size, digest)


class Ids(Source[str]):
    """Ids to delete."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(ids)
        self.taken = len(ids)
        self._ids = ids

    async def entries(
        self, checkpoint: Checkpoint, *, dry_run: bool = False
    ) -> AsyncGenerator[Entry, None]:
        """The ids that a record can have."""
        for position, record_id in enumerate(self._ids):
            if checks.possible_id(record_id):
                yield Entry(position, record_id)
            else:
                # There is no such record, so it is as good as deleted.
                self.skip(position)


async def check_values(io: Io, state: IndexState, vector: Vector) -> None:
    """Finite values, as many as the index has dimensions."""
    checks.check_finite(vector)
    got = len(vector.values)
    if (await get_details(io, state)).config.dimensions != got:
        details = await get_details(io, state, refresh=True)
        checks.check_dimensions(
            f"vector {vector.id!r}", details.config.dimensions, got, index=state.name
        )
