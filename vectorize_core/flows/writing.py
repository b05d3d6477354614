"""Writing and deleting any number of records: batches, order, and an account of every one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple, Unpack

from vectorize_core import checks, json, limits
from vectorize_core.errors import (
    ConnectionFailedError,
    IndexNotFoundError,
    InvalidInputError,
    PartialWriteError,
    ServerError,
)
from vectorize_core.flows.state import IndexState, OwnWrite, Span, get_details
from vectorize_core.flows.waiting import (
    DEFAULT_WAIT_TIMEOUT,
    Wait,
    WaitOptions,
    observe,
    wait_for,
    wait_goal,
)
from vectorize_core.io import Io, each
from vectorize_core.models import Mutation, UnparsableBehavior, Vector
from vectorize_core.operations import DeleteByIds, Insert, Upsert

DEFAULT_BATCH_SIZE = 500
DEFAULT_CONCURRENCY = 4
MAX_BATCH_BYTES = 8_000_000
_BYTES_PER_VALUE = 17
"""A float32 in decimal form, with its comma, is never longer."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Progress of a write: a batch was accepted, and ``written`` records have been in all."""

    written: int
    mutation_id: str | None


OnBatch = Callable[[BatchReport], None]


class Measured(NamedTuple):
    """A record that has been checked, and the size of its metadata in bytes."""

    vector: Vector
    metadata_size: int


@dataclass(slots=True)
class _Batch:
    """Consecutive records of the input. Of records with the same id one is sent for all."""

    start: int
    records: int = 0
    size: int = 0
    vectors: dict[str, Vector] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[Vector, Vector]:
        """The first and the last record, the same one if there is one."""
        return next(iter(self.vectors.values())), next(reversed(self.vectors.values()))

    @property
    def positions(self) -> range:
        return range(self.start, self.start + self.records)


class _Account:
    """What became of every input position, as ranges: input may be long."""

    def __init__(self, state: IndexState, concurrency: int) -> None:
        self.mutations: list[Mutation] = []
        self.written = 0
        self.causes: list[Exception] = []
        self._state = state
        self._positions: dict[str, list[range]] = {"written": [], "unknown": [], "not_written": []}
        # Mutations take effect in order, so those last on their way stand for all.
        self._last: deque[OwnWrite] = deque(maxlen=concurrency)

    def accepted(self, batch: _Batch, own: OwnWrite, ids: Collection[str]) -> None:
        self._state.remember(own, ids)
        self._last.append(own)
        self.mutations.append(Mutation(own.mutation_id))
        self._positions["written"].append(batch.positions)
        self.written += batch.records

    def failed(self, batch: _Batch, error: Exception) -> None:
        lost = isinstance(error, ServerError) or (
            isinstance(error, ConnectionFailedError) and error.sent
        )
        self._positions["unknown" if lost else "not_written"].append(batch.positions)
        self.causes.append(error)

    def unsent(self, positions: range) -> None:
        if positions:
            self._positions["not_written"].append(positions)

    def raise_failure(self) -> None:
        """Raise what went wrong; the cause itself where all records share one fate."""
        if not self.causes:
            return
        written, unknown, not_written = (
            sorted(chain.from_iterable(ranges)) for ranges in self._positions.values()
        )
        if not written and not (unknown and not_written):
            raise self.causes[0]
        ids = [m.mutation_id for m in self.mutations if m.mutation_id is not None]
        raise PartialWriteError(written, unknown, not_written, self.causes, ids) from self.causes[0]

    async def wait(self, io: Io, wait: Wait, wait_timeout: float) -> None:
        if wait is not False and self._last:
            last = self._state.still_unseen(self._last)
            await wait_for(io, self._state, last, wait, wait_timeout)


class WriteOptions(WaitOptions, total=False):
    """How to write: request size, concurrency, what to wait for, whom to tell.

    ``batch_size`` is the number of records a request (500, at most 5,000), ``concurrency`` the
    number of requests at once (4), ``on_batch`` is called with a `BatchReport` after each,
    ``unparsable_behavior`` says whether the service refuses a request for a line it cannot parse
    ("error") or leaves the line out ("discard").
    """

    batch_size: int | None
    concurrency: int
    unparsable_behavior: UnparsableBehavior | None
    on_batch: OnBatch | None


async def upsert(
    io: Io,
    state: IndexState,
    vectors: Iterable[Vector] | AsyncIterable[Vector],
    **options: Unpack[WriteOptions],
) -> tuple[Mutation, ...]:
    """Write ``vectors``, replacing those that exist."""
    source = _Checked(io, state, vectors)
    return await write(io, state, source.measured(), "upsert", taken=source.count, **options)


async def insert(
    io: Io,
    state: IndexState,
    vectors: Iterable[Vector] | AsyncIterable[Vector],
    **options: Unpack[WriteOptions],
) -> tuple[Mutation, ...]:
    """Write those of ``vectors`` that do not exist."""
    source = _Checked(io, state, vectors)
    return await write(io, state, source.measured(), "insert", taken=source.count, **options)


async def write(
    io: Io,
    state: IndexState,
    records: AsyncIterator[Measured],
    mode: Literal["upsert", "insert"] = "upsert",
    *,
    batch_size: int | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    unparsable_behavior: UnparsableBehavior | None = None,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    on_batch: OnBatch | None = None,
    taken: Callable[[], int] | None = None,
) -> tuple[Mutation, ...]:
    """Write ``records`` in batches, several at once; returns the mutations as accepted.

    Of records with the same id the last wins (with ``insert`` the first), as if they were written
    one after the other: a batch holding an id that is on its way waits for it. After a failure
    nothing more is taken from ``records``; `PartialWriteError` accounts for what was, unless
    nothing was written: then the cause itself is raised. ``taken`` counts the input positions
    used up, where that is more than came out of ``records``.
    """
    check_batch_size(batch_size)
    _check_concurrency(concurrency)
    account = _Account(state, concurrency)
    make = Upsert if mode == "upsert" else Insert
    if wait_goal(wait) is not None:
        # An index that is yet to be made holds nothing to be mistaken for this write.
        with suppress(IndexNotFoundError):
            await observe(io, state)

    async def send(batch: _Batch) -> tuple[str | None, Span]:
        sent = state.moment()
        op = make(state.name, tuple(batch.vectors.values()), unparsable_behavior)
        mutation_id = (await io.call(op)).mutation_id
        return mutation_id, Span(sent, state.moment())

    source = _Batcher(records, batch_size, keep_last=mode == "upsert")
    while not source.finished:
        # One round. It ends early where the next batch has to wait for one on its way.
        async with aclosing(io.map(send, source.batches(), limit=concurrency)) as outcomes:
            try:
                async for done in outcomes:
                    source.landed(done.item)
                    if done.error is not None:
                        source.finished = True
                        account.failed(done.item, done.error)
                        continue
                    mutation_id, span = done.result()
                    first, probe = map(_copy, done.item.ends)
                    own = OwnWrite(
                        mutation_id,
                        probe.id,
                        probe,
                        span,
                        exact=mode == "upsert",
                        spare=first if first.id != probe.id else None,
                    )
                    account.accepted(done.item, own, done.item.vectors)
                    if on_batch is not None:
                        try:
                            on_batch(BatchReport(account.written, mutation_id))
                        except Exception as error:
                            # Not from here: what is on its way has to be accounted for.
                            source.finished = True
                            account.causes.append(error)
            except Exception as error:
                # The input itself: its iterator, a check or the embedder.
                source.finished = True
                account.causes.append(error)
    account.unsent(source.unsent(taken() if taken is not None else 0))
    account.raise_failure()
    await account.wait(io, wait, wait_timeout)
    return tuple(account.mutations)


class _Batcher:
    """Cuts the input into batches, by count and by bytes."""

    def __init__(
        self, records: AsyncIterator[Measured], batch_size: int | None, *, keep_last: bool
    ) -> None:
        self._records = records
        self._batch_size = check_batch_size(batch_size)
        self._keep_last = keep_last
        self._on_the_way: set[str] = set()
        self._held: _Batch | None = None
        self._carried: Measured | None = None
        self._sent = self._taken = 0
        self.finished = False

    def landed(self, batch: _Batch) -> None:
        """``batch`` is no longer on its way."""
        self._on_the_way.difference_update(batch.vectors)

    def unsent(self, taken: int) -> range:
        """Positions that were taken from the input but never sent."""
        return range(self._sent, max(self._taken, taken))

    async def batches(self) -> AsyncIterator[_Batch]:
        """Batches until the input ends, or until one shares an id with one on its way."""
        while not self.finished:
            if self._held is None:
                self._held = await self._fill()
            batch = self._held
            if batch is None:
                self.finished = True
                return
            if not self._on_the_way.isdisjoint(batch.vectors):
                return
            self._on_the_way.update(batch.vectors)
            self._held = None
            self._sent = batch.start + batch.records
            yield batch

    async def _fill(self) -> _Batch | None:
        batch = _Batch(self._sent)
        while batch.records < self._batch_size:
            measured, self._carried = self._carried, None
            if measured is None:
                measured = await anext(self._records, None)
                if measured is None:
                    break
                self._taken += 1
            size = len(measured.vector.values) * _BYTES_PER_VALUE + measured.metadata_size + 200
            if batch.records and batch.size + size > MAX_BATCH_BYTES:
                self._carried = measured
                break
            self._add(batch, measured.vector, size)
        return batch if batch.records else None

    def _add(self, batch: _Batch, vector: Vector, size: int) -> None:
        batch.records += 1
        batch.size += size
        if self._keep_last:
            # Taken out first: the record keeps the place of its last occurrence.
            batch.vectors.pop(vector.id, None)
            batch.vectors[vector.id] = vector
        else:
            batch.vectors.setdefault(vector.id, vector)


def check_batch_size(batch_size: int | None) -> int:
    """The number of records a request, at most what the service takes."""
    if batch_size is None:
        return DEFAULT_BATCH_SIZE
    if batch_size < 1:
        raise InvalidInputError(f"batch_size is at least 1; got {batch_size}")
    return min(batch_size, limits.MAX_VECTORS_PER_WRITE)


def _check_concurrency(concurrency: int) -> None:
    if concurrency < 1:
        raise InvalidInputError(f"concurrency is at least 1; got {concurrency}")


def _copy(vector: Vector) -> Vector:
    """As the service has it, whatever becomes of the caller's metadata and array."""
    metadata = json.loads(json.dumps(vector.metadata or {}))
    return Vector(vector.id, vector.values.copy(), vector.namespace, metadata)


class _Checked:
    """Vectors once they are checked, and how many input positions that has used up."""

    def __init__(
        self, io: Io, state: IndexState, vectors: Iterable[Vector] | AsyncIterable[Vector]
    ) -> None:
        self._io = io
        self._state = state
        self._vectors = vectors
        self._taken = 0

    def count(self) -> int:
        """Input positions used up: of a sequence all, once it is checked."""
        return self._taken

    async def measured(self) -> AsyncIterator[Measured]:
        """A sequence once it is checked as a whole, anything else as it comes."""
        if isinstance(self._vectors, Sequence):
            self._taken = len(self._vectors)
            for measured in [await self._check(vector) for vector in self._vectors]:
                yield measured
            return
        vectors = self._vectors
        async for vector in vectors if isinstance(vectors, AsyncIterable) else each(vectors):
            self._taken += 1
            yield await self._check(vector)

    async def _check(self, vector: Vector) -> Measured:
        size = checks.check_record(vector.id, vector.namespace, vector.metadata)
        await check_values(self._io, self._state, vector)
        return Measured(vector, size)


async def check_values(io: Io, state: IndexState, vector: Vector) -> None:
    """Finite values, as many as the index has dimensions."""
    checks.check_finite(vector)
    got = len(vector.values)
    if (await get_details(io, state)).config.dimensions != got:
        details = await get_details(io, state, refresh=True)
        checks.check_dimensions(
            f"vector {vector.id!r}", details.config.dimensions, got, index=state.name
        )


async def delete(
    io: Io,
    state: IndexState,
    ids: Sequence[str],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> tuple[Mutation, ...]:
    """Delete the records with these ids, in requests of 100; unknown ids are no error."""
    _check_concurrency(concurrency)
    goal = wait_goal(wait)
    checks.check_ids(ids)
    account = _Account(state, concurrency)
    if goal is not None and ids:
        await observe(io, state)

    async def send(batch: _Batch) -> tuple[str | None, Span]:
        sent = state.moment()
        op = DeleteByIds(state.name, tuple(ids[i] for i in batch.positions))
        mutation_id = (await io.call(op)).mutation_id
        return mutation_id, Span(sent, state.moment())

    step = limits.MAX_IDS_PER_DELETE
    batches = [_Batch(at, min(step, len(ids) - at)) for at in range(0, len(ids), step)]
    async with aclosing(io.map(send, each(batches), limit=concurrency)) as outcomes:
        async for done in outcomes:
            if done.error is not None:
                account.failed(done.item, done.error)
                continue
            mutation_id, span = done.result()
            own = OwnWrite(mutation_id, ids[done.item.start], None, span)
            account.accepted(done.item, own, {ids[at] for at in done.item.positions})
    account.raise_failure()
    await account.wait(io, wait, wait_timeout)
    return tuple(account.mutations)
