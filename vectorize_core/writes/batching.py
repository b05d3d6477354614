"""Cutting a write into batches: by count, by bytes, and so that equal ids stay in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from vectorize_core import limits
from vectorize_core.api import wire
from vectorize_core.api.validation import whole_number
from vectorize_core.errors import VectorizeError
from vectorize_core.holds import Holder
from vectorize_core.models import Vector
from vectorize_core.state.in_flight import InFlight
from vectorize_core.state.own_writes import OwnWrite
from vectorize_core.transport.executor import Running
from vectorize_core.transport.io import Io, SyncIo
from vectorize_core.transport.workers import aclosing

DEFAULT_BATCH_SIZE = 500
MAX_BATCH_BYTES = 8_000_000
_BYTES_PER_VALUE = 17
"""The most that a float32 takes in decimal form, with its comma."""
_BYTES_AROUND = 200
"""The most that id, namespace and the names of the fields take."""
_LOOKS_AGAIN = 1.0
"""Seconds until a batch that waits for its ids looks again by itself whether they are free."""
_BEGINS_WITHIN = 1.0
"""Seconds until the thread that sends a batch has it, if that is another one than made it."""
_NO_WRITE_TAKES = 900.0
"""Seconds from one step of a write to its next, unless its deadline is later."""


@dataclass(slots=True, eq=False)
class Entry:
    """One record of the input, checked: a vector to write, or (None) an id to delete.

    ``size`` is the most bytes that it takes in a request. ``made_up``: its id is not the caller's.
    """

    position: int
    id: str
    vector: Vector | None
    size: int
    made_up: bool

    @classmethod
    def of(cls, position: int, vector: Vector, metadata_size: int) -> Self:
        """A vector to write."""
        size = most_bytes(len(vector.values), metadata_size)
        return cls(position, vector.id, vector, size, made_up=False)


def most_bytes(dimensions: int, metadata_size: int) -> int:
    """The most bytes that a vector takes in a request."""
    return dimensions * _BYTES_PER_VALUE + metadata_size + _BYTES_AROUND


class Piece(NamedTuple):
    """A part of a batch that was sent: its mutation was accepted, or ended with ``error``."""

    entries: tuple[Entry, ...]
    seconds: float
    own_write: OwnWrite
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class Batch:
    """Records of the input that are sent together; of those with the same id only one is.

    ``size`` counts bytes, exactly if ``exact``, otherwise as the most they can be. ``running`` is
    a request of it that was interrupted, but goes on in a thread. ``loop`` is the event loop, if
    any, and ``thread`` the thread of its ``call``, until another one sends it. ``threaded`` is what
    a thread of this process does for it, if its loop has let one. ``stepped`` is when it last took
    its ids, or began to send some of them, by `Io.now`.
    """

    entries: list[Entry] = field(default_factory=list)
    sent: dict[str, Entry] = field(default_factory=dict)
    size: int = 0
    exact: bool = False
    thread: int = field(default_factory=threading.get_ident)
    loop: asyncio.AbstractEventLoop | None = None
    call: Holder | None = None
    stepped: float = 0.0
    begun: bool = False
    answered: bool = False
    running: Running | None = None
    threaded: Running | None = None
    pieces: list[Piece] = field(default_factory=list)

    def take(self, entries: Sequence[Entry], most: int, *, keep_last: bool) -> int:
        """Add ``entries`` up to ``most`` bytes, at least one; returns how many."""
        new = {entry.id: entry for entry in entries}
        size = sum(entry.size for entry in entries)
        if (
            not self.exact
            and self.size + size <= most
            and len(new) == len(entries)
            and self.sent.keys().isdisjoint(new)
        ):
            # Nearly always: all fit, and no id comes twice.
            self.entries += entries
            self.sent |= new
            self.size += size
            return len(entries)
        for number, entry in enumerate(entries):
            size = self._size_of(entry)
            if self.size + size > most and not self.exact:
                self._measure()
                size = self._size_of(entry)
            if self.entries and self.size + size > most:
                return number
            self._add(entry, size, keep_last=keep_last)
        return len(entries)

    def _add(self, entry: Entry, size: int, *, keep_last: bool) -> None:
        self.entries.append(entry)
        self.size += size
        if keep_last:
            # Removed first, so that the record moves to the place of its last occurrence.
            self.sent.pop(entry.id, None)
            self.sent[entry.id] = entry
        else:
            self.sent.setdefault(entry.id, entry)

    def _size_of(self, entry: Entry) -> int:
        if self.exact and entry.vector is not None:
            return len(wire.vector_line(entry.vector)) + 1
        return entry.size

    def _measure(self) -> None:
        """Replace the upper bound on the size so far by the size itself."""
        self.exact = True
        self.size = sum(map(self._size_of, self.sent.values()))


class Batcher:
    """Cuts entries into batches, and knows which are ``unsettled``: sent, or about to be."""

    def __init__(
        self,
        io: Io,
        in_flight: InFlight,
        entries: AsyncGenerator[list[Entry], None],
        *,
        batch_size: int,
        max_batch_bytes: int | None = None,
        keep_last: bool = True,
    ) -> None:
        self._io = io
        self._in_flight = in_flight
        self._entries = entries
        self._batch_size = batch_size
        self._max_bytes = check_batch_bytes(max_batch_bytes)
        self._keep_last = keep_last
        self._loop = None if isinstance(io, SyncIo) else asyncio.get_running_loop()
        self._held: Batch | None = None
        self._carried: list[Entry] = []
        self.unsettled: list[Batch] = []
        self.finished = False

    def answered(self, batch: Batch) -> None:
        """Note that all of ``batch`` is answered; ``on_batch`` may write its ids again."""
        self._in_flight.release(batch, batch.sent)
        batch.answered = True

    def settled(self, batch: Batch) -> None:
        """Note that the outcome of ``batch`` is recorded; ids stay taken while a request runs."""
        self.unsettled.remove(batch)
        if not batch.answered:
            self._release(batch)
        for entry in batch.entries:
            # Who keeps it for its digest is not to keep its vector.
            entry.vector = None

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Batches until the input ends, or until one shares an id with an unsettled one.

        Requests may overtake each other. So a batch that shares an id with another call waits
        here. One that shares an id with an unsettled batch ends the iteration: iterate again once
        that one is settled.
        """
        while not self.finished:
            if self._held is None:
                self._held = await self._fill()
            batch = self._held
            if batch is None:
                self.finished = True
                return
            if any(not batch.sent.keys().isdisjoint(other.sent) for other in self.unsettled):
                return
            # Listed first: an interruption in between must not leave its ids in flight for ever.
            self.unsettled.append(batch)
            self._held = None
            began, waker = self._io.now(), self._io.waker()
            while not self._in_flight.take(batch, batch.sent, waker):
                self._check_goes_on(batch, self._io.now() - began)
                await self._io.rest(waker, _LOOKS_AGAIN)
            batch.stepped = self._io.now()
            yield batch

    def _check_goes_on(self, batch: Batch, waited: float) -> None:
        """Raise an error if ``batch`` waits for a task, or a call, that waits for this call.

        What a call has left that Ctrl-C has ended, or a closed event loop, is freed. A task of this
        event loop may never go on: a Worker stops in the middle, without a word, when its client
        has gone.
        """
        for other in self._in_flight.owners(batch.sent):
            if not isinstance(other, Batch) or other.running is not None:
                continue
            if other.call is not None and other.call.has_ended():
                self.abandon(other)
            elif other.loop is None:
                if other.thread == batch.thread and waited > _BEGINS_WITHIN:
                    raise VectorizeError(
                        f"the record {_shared(batch, other)!r} is being written by the call that "
                        "this one has come in the middle of, as by a signal's handler. Let the "
                        "handler note what is to be written, and write it when that call has ended"
                    )
            elif other.loop is batch.loop:
                policy = self._io.policy
                longest = max(_NO_WRITE_TAKES, policy.write_deadline + policy.request_lifetime)
                if self._io.now() - other.stepped > longest:
                    self._in_flight.release(other, other.sent)
            elif other.thread == batch.thread:
                raise VectorizeError(
                    f"the record {_shared(batch, other)!r} is being written by a task of an event "
                    "loop in this thread, which cannot go on before this call returns. In async "
                    "code await the async method in place of this one, or let the other write "
                    "finish first"
                )

    def abandon(self, batch: Batch) -> None:
        """Free the ids of a batch that nobody sends any more.

        When its thread has ended, if one goes on; otherwise a request may arrive late.
        """
        if batch.threaded is not None:
            batch.running = batch.threaded
        elif batch.begun and not batch.answered:
            # Where no event loop may run.
            now = self._io.now() if batch.loop is None else batch.loop.time()
            until = now + self._io.policy.request_lifetime
            self._in_flight.lose("unknown", dict.fromkeys(batch.sent), until)
        self._release(batch)

    def _release(self, batch: Batch) -> None:
        if batch.running is None:
            self._in_flight.release(batch, batch.sent)
        else:
            self._in_flight.release_after(batch.running, batch, batch.sent)

    async def aclose(self) -> None:
        """Take nothing more from the input."""
        self.finished = True
        async with aclosing(self._entries):
            pass

    async def _fill(self) -> Batch | None:
        batch = Batch(loop=self._loop, call=self._io.caller())
        while room := self._batch_size - len(batch.entries):
            entries = self._carried or await anext(self._entries, [])
            if not entries:
                break
            given = entries[:room]
            taken = batch.take(given, self._max_bytes, keep_last=self._keep_last)
            self._carried = entries[taken:]
            if taken < len(given):
                break
        return batch if batch.entries else None


def _shared(batch: Batch, other: Batch) -> str:
    """A record that both write."""
    return next(iter(batch.sent.keys() & other.sent.keys()))


def check_batch_size(batch_size: int | None, most: int = limits.MAX_VECTORS_PER_WRITE) -> int:
    """The number of records in a request, at most what the service accepts."""
    return _checked("batch_size", batch_size, DEFAULT_BATCH_SIZE, most)


def check_batch_bytes(max_batch_bytes: int | None) -> int:
    """The size of a request, at most what the service accepts."""
    return _checked("max_batch_bytes", max_batch_bytes, MAX_BATCH_BYTES, limits.MAX_UPLOAD_BYTES)


def _checked(name: str, given: int | None, default: int, most: int) -> int:
    if given is None:
        return default
    return min(whole_number(name, given, least=1), most)
