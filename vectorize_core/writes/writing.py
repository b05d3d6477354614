"""Writing and deleting any number of records: batches, order, and an outcome of every one."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Unpack

from vectorize_core import limits
from vectorize_core.api import validation
from vectorize_core.api.operations import DeleteByIds, Insert, Op, Upsert
from vectorize_core.errors import (
    InvalidInputError,
    RecordRefusedError,
)
from vectorize_core.models import Mutation, UnparsableBehavior, Vector
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.own_writes import OwnWrite
from vectorize_core.state.waiting import (
    DEFAULT_WAIT_TIMEOUT,
    Wait,
    WaitOptions,
    begin,
    prepare,
    wait_for,
    wait_goal,
)
from vectorize_core.transport.events import BatchEvent
from vectorize_core.transport.io import Io, SyncIo
from vectorize_core.transport.retry import is_refusal
from vectorize_core.writes import progress
from vectorize_core.writes.batching import Batch, Batcher, Entry, Piece, check_batch_size
from vectorize_core.writes.checkpoint import Checkpoint, Resume, open_checkpoint
from vectorize_core.writes.outcome import WriteOutcome
from vectorize_core.writes.sources import Ids, Records, Source, Vectors

DEFAULT_CONCURRENCY = 4
_LOOKS = 8
"""Requests before which their records are read, if they will be waited for: not all, for the last
ones of a long write stand for it."""
_MOST_REFUSALS = 200
"""Requests refused in search of refused records, until a write is given up."""

Mode = Literal["upsert", "insert", "delete"]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Progress of a write: ``records`` were accepted now, and ``written`` are in, in all."""

    written: int
    mutation_id: str | None
    records: int


OnBatch = Callable[[BatchReport], Awaitable[None] | None]


class WriteOptions(WaitOptions, total=False):
    """How to write.

    ``batch_size`` is the number of records a request (500, at most 5,000), ``max_batch_bytes`` its
    size (8,000,000, at most 100,000,000), ``concurrency`` the number of requests at once (4).
    ``on_batch`` is called with a `BatchReport` after each; an async write takes an async function
    too. ``show_progress`` draws a bar (with tqdm). ``resume`` goes on with a write of the same
    input that ended early: the path of a file, which is kept until everything is written, or the
    `PartialWriteError` that it ended with. ``unparsable_behavior`` says whether the service
    refuses a request for a line it cannot parse ("error") or leaves the line out ("discard").
    """

    batch_size: int | None
    max_batch_bytes: int | None
    concurrency: int
    on_batch: OnBatch | None
    show_progress: bool
    resume: Resume | None
    unparsable_behavior: UnparsableBehavior | None


async def upsert(
    io: Io, state: IndexState, vectors: Records[Vector], **options: Unpack[WriteOptions]
) -> tuple[Mutation, ...]:
    """Write ``vectors``, replacing those that exist."""
    return await write(io, state, Vectors(io, state, vectors), "upsert", **options)


async def insert(
    io: Io, state: IndexState, vectors: Records[Vector], **options: Unpack[WriteOptions]
) -> tuple[Mutation, ...]:
    """Write those of ``vectors`` that do not exist."""
    return await write(io, state, Vectors(io, state, vectors), "insert", **options)


async def delete(
    io: Io,
    state: IndexState,
    ids: Sequence[str],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    skip_impossible: bool = False,
    **waits: Unpack[WaitOptions],
) -> tuple[Mutation, ...]:
    """Delete the records with these ids, in requests of 100; unknown ids are no error.

    With ``skip_impossible`` neither are those that no record can have.
    """
    if skip_impossible:
        validation.check_id_list(ids)
    else:
        validation.check_ids(ids)
    most = limits.MAX_IDS_PER_DELETE
    return await write(
        io, state, Ids(ids), "delete", batch_size=most, concurrency=concurrency, **waits
    )


async def write(
    io: Io,
    state: IndexState,
    source: Source[Any],
    mode: Mode,
    *,
    batch_size: int | None = None,
    max_batch_bytes: int | None = None,
    resume: Resume | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    on_batch: OnBatch | None = None,
    show_progress: bool = False,
    unparsable_behavior: UnparsableBehavior | None = None,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> tuple[Mutation, ...]:
    """Send the records of ``source`` in batches, several at once; returns the mutations.

    Of records with the same id the last wins (with "insert" the first), as if they were written
    one after the other. A record that the service refuses is found by splitting its batch, and
    the write goes on without it. After any other failure nothing more is taken from the source.
    `PartialWriteError` accounts for what was, unless all of it failed in one way: then the cause
    itself is raised. An interruption (Ctrl-C, a cancelled task) is raised with that error as its
    ``__cause__``.
    """
    if concurrency < 1:
        raise InvalidInputError(f"concurrency is at least 1; got {concurrency}")
    if isinstance(io, SyncIo):
        if isinstance(source.records, AsyncIterable):
            raise InvalidInputError("an async iterable is for the async method to write")
        if inspect.iscoroutinefunction(on_batch):
            raise InvalidInputError("on_batch of a sync write is a plain function")
    goal = wait_goal(wait)
    batch_size = check_batch_size(batch_size)
    checkpoint = await open_checkpoint(io, resume, state.name)
    batcher = Batcher(
        io,
        state.in_flight,
        source.entries(checkpoint, batch_size),
        batch_size=batch_size,
        max_batch_bytes=max_batch_bytes,
        keep_last=mode != "insert",
    )
    if goal is not None and source.total != 0:
        await prepare(io, state)
    await checkpoint.begin(io)
    with progress.shown(source.total, on_batch, show=show_progress) as tell:
        under_way = _Write(
            io,
            state,
            batcher=batcher,
            checkpoint=checkpoint,
            outcome=WriteOutcome(source, checkpoint),
            request=_requests(state.name, mode, unparsable_behavior),
            name=source.name,
            mode=mode,
            on_batch=tell,
            looks=0 if goal is None else _LOOKS,
            last=deque(maxlen=concurrency),
        )
        await under_way.carry_out(concurrency)
    await checkpoint.finish(io)
    await wait_for(io, state, under_way.last, wait, wait_timeout)
    return under_way.outcome.mutations


def _requests(
    index: str, mode: Mode, behavior: UnparsableBehavior | None
) -> Callable[[Sequence[Entry]], Op[Mutation]]:
    """What turns entries into the operation that sends them."""
    if mode == "delete":
        return lambda entries: DeleteByIds(index, tuple(entry.id for entry in entries))
    kind = Upsert if mode == "upsert" else Insert
    return lambda entries: kind(
        index, tuple(entry.vector for entry in entries if entry.vector is not None), behavior
    )


@dataclass(slots=True)
class _Write:
    """One write under way."""

    io: Io
    state: IndexState
    batcher: Batcher
    checkpoint: Checkpoint
    outcome: WriteOutcome
    request: Callable[[Sequence[Entry]], Op[Mutation]]
    name: Callable[[Entry], str]
    mode: Mode
    on_batch: OnBatch | None
    looks: int
    # Mutations take effect in order, so those last on their way stand for all.
    last: deque[OwnWrite]
    refusals: int = 0

    async def carry_out(self, concurrency: int) -> None:
        """Send everything, or raise the outcome of what was."""
        batcher, interruption = self.batcher, None
        try:
            while not batcher.finished:
                # One round. It ends early where the next batch has to wait for one on its way.
                async with (
                    aclosing(batcher.batches()) as batches,
                    aclosing(self.io.map(self.send, batches, limit=concurrency)) as landed,
                ):
                    async for done in landed:
                        await self.land(done.item)
        except Exception as error:
            # The input itself: its iterator, a check or the embedder.
            self.outcome.causes.append(error)
        except BaseException as error:
            interruption = error
        await batcher.aclose()
        for batch in tuple(batcher.on_the_way):
            self.outcome.cut_off(batch)
            await self.land(batch, tell=False)
        if interruption is not None:
            failure = self.outcome.failure()
            interruption.add_note(str(failure))
            raise interruption from failure
        self.outcome.raise_failure()

    async def send(self, batch: Batch) -> None:
        """Send ``batch``, in parts where the service refuses it whole; notes what became of it."""
        batch.begun = True
        parts = [tuple(batch.sent.values())]
        while parts:
            part = parts.pop()
            written = {entry.id: entry.vector for entry in part}
            look, self.looks = self.looks > 0, self.looks - 1
            own_write = await begin(self.io, self.state, self.mode, written, look=look)
            started = self.io.now()
            try:
                mutation = await self.io.call(self.request(part))
            except Exception as error:
                self.refusals += is_refusal(error)
                if self.mode != "delete" and is_refusal(error) and self.refusals <= _MOST_REFUSALS:
                    if len(part) > 1:
                        half = len(part) // 2
                        parts += [part[half:], part[:half]]
                        continue
                    error = RecordRefusedError(error, self.name(part[0]), part[0].position)
                batch.pieces.append(Piece(part, self.io.now() - started, own_write, error))
                if not isinstance(error, RecordRefusedError):
                    break
            else:
                self.state.own_writes.accept(own_write, mutation.mutation_id)
                batch.pieces.append(Piece(part, self.io.now() - started, own_write))
        self.batcher.ended(batch)

    async def land(self, batch: Batch, *, tell: bool = True) -> None:
        """Take over what became of ``batch``; does nothing twice that must not be done twice."""
        while batch.pieces:
            piece = batch.pieces[0]
            written = self.outcome.settle(batch, piece)
            if written:
                self.last.append(piece.own_write)
            try:
                await self.checkpoint.note(self.io, written)
            except Exception as error:
                self._stop(error)
            batch.pieces.pop(0)
            self._report(piece, len(written))
            if piece.error is not None and not isinstance(piece.error, RecordRefusedError):
                self.batcher.finished = True
            elif written and tell:
                await self._tell(
                    BatchReport(self.outcome.written, piece.own_write.mutation_id, len(written))
                )
        self.batcher.landed(batch)

    def _stop(self, error: Exception) -> None:
        # Not by raising: what is on its way has to be accounted for.
        self.batcher.finished = True
        self.outcome.causes.append(error)

    async def _tell(self, report: BatchReport) -> None:
        try:
            told = self.on_batch(report) if self.on_batch is not None else None
            if inspect.isawaitable(told):
                await told
        except Exception as error:
            self._stop(error)

    def _report(self, piece: Piece, written: int) -> None:
        self.io.emit(
            BatchEvent(
                index=self.state.name,
                records=len(piece.entries),
                written=written,
                seconds=piece.seconds,
                mutation_id=piece.own_write.mutation_id,
                error=None if piece.error is None else type(piece.error).__name__,
            )
        )
