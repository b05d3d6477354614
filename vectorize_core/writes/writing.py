"""Writing and deleting any number of records: in batches, in order, with an outcome for each."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterable, Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Unpack

from vectorize_core import limits
from vectorize_core.api import validation
from vectorize_core.api.operations import DeleteByIds, Insert, Op, Upsert
from vectorize_core.errors import (
    InvalidInputError,
    LateRequestError,
    PartialWriteError,
    RecordRefusedError,
    shown,
)
from vectorize_core.models import Mutation, UnparsableBehavior, Vector
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.own_writes import OwnWrite
from vectorize_core.state.waiting import (
    DEFAULT_WAIT_TIMEOUT,
    Wait,
    WaitOptions,
    begin,
    check_waits,
    prepare,
    wait_for,
)
from vectorize_core.transport.events import BatchEvent
from vectorize_core.transport.executor import GOES_ON, Running
from vectorize_core.transport.io import Io, SyncIo
from vectorize_core.transport.retry import is_outcome_unknown, is_refusal
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes.batching import (
    Batch,
    Batcher,
    Entry,
    Piece,
    check_batch_bytes,
    check_batch_size,
)
from vectorize_core.writes.checkpoint import Checkpoint, Resume, open_checkpoint
from vectorize_core.writes.outcome import WriteOutcome
from vectorize_core.writes.progress import BatchReport, OnBatch, progress_bar
from vectorize_core.writes.sources import Ids, Prepare, Records, Source, Vectors

logger = logging.getLogger("vectorize_core")

DEFAULT_CONCURRENCY = 4
_READ_FIRST = 8
"""Requests whose probes are read first, if the write will be waited for. The last ones of a long
write need not: the first polls of the wait read theirs."""
_MOST_REFUSALS = 200
"""Refused requests, in search of refused records, after which a write is given up."""

_GOES_ON = (RecordRefusedError, LateRequestError)
"""Errors of single records, after which a write goes on with the others."""

Mode = Literal["upsert", "insert", "delete"]


class WriteOptions(WaitOptions, total=False):
    """How to write.

    ``batch_size`` is the number of records in a request (500, at most 5,000), ``max_batch_bytes``
    its size (8,000,000, at most 100,000,000), ``concurrency`` the number of requests at once (4).
    ``on_batch`` is called with a `BatchReport` after each; an async write takes an async function
    too. ``show_progress`` draws a bar (with tqdm). ``resume`` continues a write of the same input
    that ended early: the path of a file, which is kept until everything is written, or the
    `PartialWriteError` that it ended with. With a line that the service cannot parse,
    ``unparsable_behavior`` makes it refuse the request ("error") or skip the line ("discard").
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

    With ``skip_impossible``, ids that no record can have are no error either.
    """
    if skip_impossible:
        validation.check_id_list(ids)
    else:
        validation.check_ids(ids)
    most = limits.MAX_IDS_PER_DELETE
    return await write(
        io, state, Ids(ids), "delete", batch_size=most, concurrency=concurrency, **waits
    )


def check_options(**options: Unpack[WriteOptions]) -> None:
    """`InvalidInputError` for the first option that is not as it should be."""
    check_batch_size(options.get("batch_size"))
    check_batch_bytes(options.get("max_batch_bytes"))
    validation.whole_number("concurrency", options.get("concurrency", 1), least=1)
    validation.flag("show_progress", options.get("show_progress", False))
    on_batch, behavior = options.get("on_batch"), options.get("unparsable_behavior")
    if on_batch is not None and not callable(on_batch):
        raise InvalidInputError(f"on_batch is a function of a BatchReport; got {shown(on_batch)}")
    if behavior is not None:
        validation.one_of("unparsable_behavior", behavior, ("error", "discard"))
    resume = options.get("resume")
    if resume is not None and not isinstance(resume, (str, os.PathLike, PartialWriteError)):
        raise InvalidInputError(
            f"resume is the path of a file, or a PartialWriteError; got {shown(resume)}"
        )
    check_waits(options.get("wait", False), options.get("wait_timeout", DEFAULT_WAIT_TIMEOUT))


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
    `PartialWriteError` says what became of each record; if all failed in one way, the cause itself
    is raised. An interruption (Ctrl-C, a cancelled task) is raised with that error as its
    ``__cause__``.
    """
    concurrency = validation.whole_number("concurrency", concurrency, least=1)
    check_options(
        max_batch_bytes=max_batch_bytes,
        resume=resume,
        on_batch=on_batch,
        show_progress=show_progress,
        unparsable_behavior=unparsable_behavior,
    )
    if isinstance(io, SyncIo):
        if isinstance(source.records, AsyncIterable):
            raise InvalidInputError("an async iterable needs the async method")
        if inspect.iscoroutinefunction(on_batch):
            raise InvalidInputError(
                "on_batch of a sync write must be a plain function, not an async one"
            )
    goal = check_waits(wait, wait_timeout)
    batch_size = check_batch_size(batch_size, state.capabilities.max_vectors_per_write)
    checkpoint = await open_checkpoint(io, resume, state)
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
    bar = progress_bar(source.total, on_batch) if show_progress else nullcontext(on_batch)
    with bar as report:
        under_way = _Write(
            io,
            state,
            batcher=batcher,
            checkpoint=checkpoint,
            outcome=WriteOutcome(source, checkpoint),
            request=_requests(state.name, mode, unparsable_behavior),
            name=source.name,
            prepare=source.prepare,
            mode=mode,
            on_batch=report,
            reads_left=0 if goal is None else _READ_FIRST,
            last=deque(maxlen=concurrency),
        )
        await under_way.run(concurrency)
    await checkpoint.finish(io)
    await wait_for(io, state, under_way.last, wait, wait_timeout)
    return under_way.outcome.mutations


def _requests(
    index: str, mode: Mode, behavior: UnparsableBehavior | None
) -> Callable[[Sequence[Entry]], Op[Mutation]]:
    """A function from entries to the operation that sends them."""
    if mode == "delete":
        return lambda entries: DeleteByIds(index, tuple(entry.id for entry in entries))
    kind = Upsert if mode == "upsert" else Insert
    return lambda entries: kind(
        index, tuple(entry.vector for entry in entries if entry.vector is not None), behavior
    )


@dataclass(slots=True)
class _Write:
    """A write that is under way."""

    io: Io
    state: IndexState
    batcher: Batcher
    checkpoint: Checkpoint
    outcome: WriteOutcome
    request: Callable[[Sequence[Entry]], Op[Mutation]]
    name: Callable[[Entry], str]
    prepare: Prepare | None
    mode: Mode
    on_batch: OnBatch | None
    reads_left: int
    # Mutations take effect in order, so it is enough to wait for the last ones.
    last: deque[OwnWrite]
    refusals: int = 0

    async def run(self, concurrency: int) -> None:
        """Send everything, or raise the outcome of what was sent."""
        batcher, interruption = self.batcher, None
        try:
            while not batcher.finished:
                # Another round follows if the next batch must wait for one that is unsettled.
                async with (
                    aclosing(batcher.batches()) as batches,
                    aclosing(self.io.map(self.send, batches, limit=concurrency)) as sent,
                ):
                    async for done in sent:
                        await self.settle(done.item)
        except Exception as error:
            # Raised by the input: by its iterator, a check or the embedder.
            self.outcome.causes.append(error)
        except GeneratorExit:
            # Destroyed with its event loop, where nothing can be awaited any more.
            for batch in batcher.unsettled:
                batcher.abandon(batch)
            raise
        except BaseException as error:
            interruption = error
        await batcher.aclose()
        for batch in tuple(batcher.unsettled):
            self.outcome.add_unanswered(batch)
            await self.settle(batch, report=False)
        if self.outcome.causes:
            await self.checkpoint.fail(self.io)
        if interruption is not None:
            failure = self.outcome.failure()
            interruption.add_note(str(failure))
            raise interruption from failure
        self.outcome.raise_failure()

    async def send(self, batch: Batch) -> None:
        """Send ``batch``, in halves where the service refuses it; adds the pieces to it."""
        batch.thread = threading.get_ident()
        exposed = await self._outlive_lost(batch)
        when_written = None
        if self.prepare is not None:
            try:
                when_written = await self.prepare(self.io, batch.sent.values())
            except Exception as error:
                self._stop(error)
                self.batcher.answered(batch)
                return
        batch.begun = True
        if batch.loop is not None:
            # In the context of this task alone.
            GOES_ON.set(partial(setattr, batch, "threaded"))
        sent = batch.sent.values()
        parts = [tuple(e for e in sent if e.id in exposed)] if exposed else []
        parts += [tuple(e for e in sent if e.id not in exposed)] if len(exposed) < len(sent) else []
        while parts:
            part = parts.pop()
            piece = await self._send_part(batch, part, is_exposed=part[0].id in exposed)
            if piece is None:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
                continue
            batch.pieces.append(piece)
            if piece.error is not None and not isinstance(piece.error, _GOES_ON):
                break
        if when_written is not None and all(piece.error is None for piece in batch.pieces):
            when_written()
        self.batcher.answered(batch)

    async def _send_part(
        self, batch: Batch, part: tuple[Entry, ...], *, is_exposed: bool
    ) -> Piece | None:
        """What became of a part of ``batch``; None if it is to be sent in halves."""
        written = {entry.id: entry.vector for entry in part}
        read_first, self.reads_left = self.reads_left > 0, self.reads_left - 1
        own_write = await begin(self.io, self.state, self.mode, written, read_first=read_first)
        started = batch.stepped = self.io.now()
        try:
            lost = partial(self._note_lost, batch, part)
            mutation = await self.io.call(self.request(part), on_lost=lost)
        except BaseException as error:
            landed = is_outcome_unknown(error)
            self.state.own_writes.fail(own_write, written, may_have_landed=landed)
            if not isinstance(error, Exception):
                raise
            self.refusals += is_refusal(error)
            if self.mode != "delete" and is_refusal(error) and self.refusals <= _MOST_REFUSALS:
                if len(part) > 1:
                    return None
                one = part[0]
                error = RecordRefusedError(error, self.name(one), one.position, one.made_up)
            return Piece(part, self.io.now() - started, own_write, error)
        self.state.own_writes.accept(own_write, mutation.mutation_id, written)
        late = self._late(part) if is_exposed else None
        return Piece(part, self.io.now() - started, own_write, late)

    async def _outlive_lost(self, batch: Batch) -> Collection[str]:
        """Wait until no lost request can overtake ``batch``.

        Returns the ids for which that takes longer than a write may be tried.
        """
        written = {entry.id: entry.vector for entry in batch.sent.values()}
        began, in_flight = self.io.now(), self.state.in_flight
        while exposed := in_flight.exposed(self.mode, written, now := self.io.now()):
            left = max(exposed.values())
            if now - began + left > self.io.policy.write_deadline:
                return exposed.keys()
            logger.warning(
                "index %r: a request that wrote %r (and %d more of these records) got no answer, "
                "and may arrive late; to come after it, this %s waits for %.0f s",
                self.state.name,
                self.name(batch.sent[min(exposed)]),
                len(exposed) - 1,
                self.mode,
                left,
            )
            await self.io.sleep(left)
        return ()

    def _note_lost(self, batch: Batch, part: Sequence[Entry], running: Running | None) -> None:
        if batch.call is not None and batch.call.has_ended():
            # Destroyed with its event loop, as what frees its ids by itself.
            return
        if running is not None:
            batch.running = running
            return
        written = {entry.id: entry.vector for entry in part}
        until = self.io.now() + self.io.policy.request_lifetime
        self.state.in_flight.lose(self.mode, written, until)

    def _late(self, part: Sequence[Entry]) -> LateRequestError:
        seconds = self.io.policy.request_lifetime
        return LateRequestError(
            f"the {self.mode} of {self.name(part[0])!r} (and {len(part) - 1} more records) was "
            "accepted, but an earlier request for the same ids got no answer, and may still "
            f"arrive and undo it. After {seconds:.0f} s it cannot: write them again then"
        )

    async def settle(self, batch: Batch, *, report: bool = True) -> None:
        """Add the pieces of ``batch`` to the outcome; may be called again after an interruption."""
        while batch.pieces:
            piece = batch.pieces[0]
            written = self.outcome.add(batch, piece)
            if written:
                self.last.append(piece.own_write)
            try:
                await self.checkpoint.note(self.io, written, self.outcome.source.digest)
            except Exception as error:
                self._stop(error)
            batch.pieces.pop(0)
            self._emit(piece, len(written))
            if piece.error is not None and not isinstance(piece.error, _GOES_ON):
                self.batcher.finished = True
            elif written and report:
                await self._report(
                    BatchReport(self.outcome.written, piece.own_write.mutation_id, len(written))
                )
        self.batcher.settled(batch)

    def _stop(self, error: Exception) -> None:
        # Does not raise: the outcome of requests in flight has to be recorded first.
        self.batcher.finished = True
        self.outcome.causes.append(error)

    async def _report(self, report: BatchReport) -> None:
        try:
            called = self.on_batch(report) if self.on_batch is not None else None
            if inspect.isawaitable(called):
                await called
        except Exception as error:
            self._stop(error)

    def _emit(self, piece: Piece, written: int) -> None:
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
