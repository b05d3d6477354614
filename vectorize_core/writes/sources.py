"""The sources of a write: vectors to write, or ids to delete."""

from __future__ import annotations

from array import array
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from itertools import islice
from typing import Generic, TypeAlias, TypeVar, cast

from vectorize_core import jsontext
from vectorize_core.api import validation
from vectorize_core.api.validation import Named
from vectorize_core.errors import At, InvalidInputError, shown
from vectorize_core.layout.nearest import UnstorableError, normal
from vectorize_core.models import Metadata, ValueRows, Vector, packed
from vectorize_core.state import lifecycle
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes.batching import Entry
from vectorize_core.writes.checkpoint import Checkpoint, digest_of

S = TypeVar("S")
T = TypeVar("T")
Records = Iterable[T] | AsyncIterable[T]
Prepare: TypeAlias = Callable[[Io, Collection[Entry]], Awaitable[Callable[[], None]]]
"""Awaited with entries that are about to be sent, while no other write of their ids is. What it
returns is called once all of them are written."""
CHUNK_SIZE = 64
"""Records that are worked on at once; between chunks an event loop runs other tasks."""


class Source(Generic[T]):
    """The records of a write, checked as they come; a collection is checked as a whole first.

    ``taken`` is how many of the input were taken, ``total`` how many there are, or None for a
    generator. ``ids`` are those of the records so far, if the caller gets them back. ``skipped``
    are the positions that need not be sent, ``skipped_count`` of them. ``first`` is the
    position of the first one: those before it were written by earlier calls.
    """

    def __init__(self, records: Records[T], first: int = 0) -> None:
        self.records = records
        self.total = len(records) if isinstance(records, Sized) else None
        self.first = self.taken = first
        self.ids: list[str] = []
        self.skipped = [range(first)] if first else []
        self.skipped_count = first
        # An array, since input may be long.
        self._digests = array("Q")

    @property
    def prepare(self) -> Prepare | None:
        """Awaited before records are sent, unless None; if it fails, they are not."""
        # Not an attribute: what refers to its own methods is kept until the collector comes.
        return None

    def digest(self, position: int) -> int:
        """What a checkpoint recognises the record at a position by, of those taken so far."""
        return self._digests[position - self.first]

    def name(self, entry: Entry) -> str:
        """The id by which the caller knows the record of an entry."""
        return self.ids[entry.position - self.first] if self.ids else entry.id

    def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries to send, in lists that are never empty.

        With ``dry_run`` nothing will be sent, so nothing that costs money is done.
        """
        raise NotImplementedError

    async def chunks(self, batch_size: int) -> AsyncGenerator[tuple[int, list[T]], None]:
        """The records in chunks, none across two batches, each with the position of its first.

        The records of a collection all count as taken from the beginning.
        """
        given = self.records
        records = aiter(given) if isinstance(given, AsyncIterable) else iter(given)
        start, more = self.first, True
        self.taken += self.total if self.total is not None else 0
        while more:
            room = min(CHUNK_SIZE, batch_size - start % batch_size)
            chunk: list[T] = []
            try:
                await _fill(chunk, records, room)
            finally:
                self.taken = max(self.taken, start + len(chunk))
            more = len(chunk) == room
            if chunk:
                yield start, chunk
            start += len(chunk)

    async def checked(self, chunks: AsyncGenerator[S, None]) -> AsyncGenerator[S, None]:
        """``chunks``; those of a collection only once all are checked, before anything is sent."""
        async with aclosing(chunks):
            if self.total is None:
                async for chunk in chunks:
                    yield chunk
                return
            for chunk in [chunk async for chunk in chunks]:
                yield chunk

    def skip(self, position: int) -> None:
        """Note that the record at ``position`` need not be sent."""
        self.skipped_count += 1
        if self.skipped and self.skipped[-1].stop == position:
            self.skipped[-1] = range(self.skipped[-1].start, position + 1)
        else:
            self.skipped.append(range(position, position + 1))


class Vectors(Source[Vector]):
    """Vectors to write."""

    def __init__(self, io: Io, state: IndexState, vectors: Records[Vector]) -> None:
        super().__init__(validation.several("vectors", vectors, of="Vectors", alone=(Vector,)))
        self._io = io
        self._state = state
        self.rewriting: Prepare | None = None
        # Of a collection, which lasts: few writes end so that digests are needed.
        self._checked: list[Vector] = []

    def digest(self, position: int) -> int:
        """What a checkpoint recognises a vector by; of a collection, found out only now."""
        if self._checked:
            return _digest(self._checked[position - self.first])
        return super().digest(position)

    @property
    def prepare(self) -> Prepare | None:
        """As of a `Source`."""
        return self.rewriting

    def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """The vectors, checked."""
        return self.checked(self._chunks(checkpoint, batch_size, dry_run=dry_run))

    async def _chunks(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool
    ) -> AsyncGenerator[list[Entry], None]:
        asked = checkpoint.resumes
        async with aclosing(self.chunks(batch_size)) as chunks:
            async for start, given in chunks:
                await self._io.sleep(0)
                if not (self._state.finished or dry_run):
                    await lifecycle.finish(self._io, self._state)
                vectors = [_as_vector(v, position) for position, v in enumerate(given, start)]
                rounds = self._state.capabilities.rounds
                sizes = [
                    validation.check_record(v.id, v.namespace, v.metadata, position, rounds=rounds)
                    for position, v in enumerate(vectors, start)
                ]
                values = [vector.values for vector in vectors]
                await check_values(self._io, self._state, values, _numbered(vectors, start))
                if self.total is None or asked:
                    self._digests.extend(map(_digest, vectors))
                else:
                    self._checked += vectors
                entries = []
                for position, (vector, size) in enumerate(zip(vectors, sizes, strict=True), start):
                    if asked and checkpoint.holds(position, vector.id, self.digest(position)):
                        self.skip(position)
                    else:
                        entries.append(Entry.of(position, vector, size))
                if entries:
                    yield entries


def _digest(vector: Vector) -> int:
    return digest_of(vector.id, vector.namespace, vector.metadata, vector.values)


async def _fill(chunk: list[T], records: Iterator[T] | AsyncIterator[T], room: int) -> None:
    """Add so many of ``records`` to ``chunk``, or all there are; those before one that fails."""
    if isinstance(records, Iterator):
        chunk.extend(islice(records, room))
        return
    while len(chunk) < room:
        try:
            chunk.append(await anext(records))
        except StopAsyncIteration:
            return


def _numbered(vectors: Sequence[Vector], start: int) -> Named:
    return lambda i: At(vectors[i].id, start + i)


def _as_vector(given: Vector, position: int) -> Vector:
    """A vector of float32 whose id and namespace are plain strings, and its metadata JSON's."""
    if not isinstance(given, Vector):
        raise InvalidInputError(f"vectors[{position}] is a Vector; got {shown(given)}")
    metadata = _plain_metadata(given.metadata)
    plain = type(given.id) is str and (given.namespace is None or type(given.namespace) is str)
    # What was assigned to a vector that was made before may be any numbers.
    is_packed = given.values is not None and packed(given.values) is given.values
    if plain and is_packed and metadata is given.metadata:
        return given
    return Vector(
        validation.as_id(given.id, f"the id of vectors[{position}]"),
        given.values,
        validation.as_namespace(given.namespace),
        metadata,
    )


def _plain_metadata(given: Metadata | None) -> Metadata | None:
    """Metadata without NumPy's and other near types; what cannot be stored is left, and refused."""
    if not isinstance(given, Mapping) or jsontext.problem(given) is None:
        return given
    try:
        return cast("Metadata", normal(given))
    except (UnstorableError, RecursionError):
        return given


class Ids(Source[str]):
    """Ids to delete."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(ids)
        self.taken = len(ids)
        self._ids = ids

    def digest(self, position: int) -> int:
        """None, since to delete again what is gone does no harm."""
        return 0

    async def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """The ids that records can have."""
        possible = []
        for position, record_id in enumerate(self._ids):
            if validation.possible_id(record_id):
                possible.append(Entry(position, record_id, None, size=0, made_up=False))
            else:
                # No record can have this id, so there is nothing to delete.
                self.skip(position)
        # By the batch: what a batch leaves of a list is copied for the next one.
        for start in range(0, len(possible), batch_size):
            yield possible[start : start + batch_size]


async def check_values(io: Io, state: IndexState, rows: ValueRows, named: Named) -> None:
    """Check that values are finite, and as many in each row as the index has dimensions."""
    validation.check_finite(rows, named)
    expected = (await get_details(io, state)).config.dimensions
    if set(map(len, rows)) != {expected}:
        expected = (await get_details(io, state, refresh=True)).config.dimensions
        validation.check_values(rows, expected, index=state.name, named=named)
