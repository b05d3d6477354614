"""What a write takes its records from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence, Sized
from contextlib import aclosing
from typing import Generic, TypeVar

from vectorize_core.api import validation
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.transport.io import Io, each
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.checkpoint import Checkpoint

S = TypeVar("S")
T = TypeVar("T")
Records = Iterable[T] | AsyncIterable[T]
CHUNK_SIZE = 64
"""Records that are worked on at once, before an event loop gets its chunk."""


class Source(Generic[T]):
    """Records on their way into a write, checked as they come; a collection as a whole first.

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

    def name(self, entry: Entry) -> str:
        """What the caller calls the record of an entry."""
        return self.ids[entry.position] if self.ids else entry.id

    def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """What is to be sent, some at a time but never nothing.

        ``dry_run``: nothing will be, so nothing is to be paid for.
        """
        raise NotImplementedError

    async def chunks(self, batch_size: int) -> AsyncGenerator[tuple[int, list[T]], None]:
        """The records, some at a time and never of two batches, each with the first's position.

        Of a collection all count as taken at once.
        """
        chunk: list[T] = []
        start = 0
        self.taken = self.total if self.total is not None else 0
        async with aclosing(each(self.records)) as records:
            async for record in records:
                chunk.append(record)
                stop = start + len(chunk)
                self.taken = max(self.taken, stop)
                if len(chunk) == CHUNK_SIZE or stop % batch_size == 0:
                    yield start, chunk
                    start, chunk = stop, []
        if chunk:
            yield start, chunk

    async def checked(self, chunks: AsyncGenerator[S, None]) -> AsyncGenerator[S, None]:
        """``chunks`` as they come; all of a collection's first, so that none is sent in vain."""
        async with aclosing(chunks):
            if self.total is None:
                async for chunk in chunks:
                    yield chunk
                return
            for chunk in [chunk async for chunk in chunks]:
                yield chunk

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
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """Vectors that the service takes."""
        async with aclosing(self.checked(self._chunks(checkpoint, batch_size))) as chunks:
            async for entries in chunks:
                yield entries

    async def _chunks(
        self, checkpoint: Checkpoint, batch_size: int
    ) -> AsyncGenerator[list[Entry], None]:
        async with aclosing(self.chunks(batch_size)) as chunks:
            async for start, vectors in chunks:
                await self._io.sleep(0)
                sizes = [
                    validation.check_record(vector.id, vector.namespace, vector.metadata)
                    for vector in vectors
                ]
                await check_values(self._io, self._state, vectors)
                entries = []
                for position, (vector, size) in enumerate(zip(vectors, sizes, strict=True), start):
                    digest = checkpoint.digest(vector.id)
                    if checkpoint.holds(position, vector.id, digest):
                        self.skip(position)
                    else:
                        entries.append(Entry.of(position, vector, size, digest))
                if entries:
                    yield entries


class Ids(Source[str]):
    """Ids to delete."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(ids)
        self.taken = len(ids)
        self._ids = ids

    async def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """The ids that a record can have."""
        possible = []
        for position, record_id in enumerate(self._ids):
            if validation.possible_id(record_id):
                possible.append(Entry(position, record_id))
            else:
                # There is no such record, so it is as good as deleted.
                self.skip(position)
        if possible:
            yield possible


async def check_values(io: Io, state: IndexState, vectors: Sequence[Vector]) -> None:
    """Finite values, as many in each vector as the index has dimensions."""
    validation.check_finite(vectors)
    expected = (await get_details(io, state)).config.dimensions
    if any(len(vector.values) != expected for vector in vectors):
        expected = (await get_details(io, state, refresh=True)).config.dimensions
        validation.check_values(vectors, expected, index=state.name)
