"""Who works on the items of `Io.map`: the caller alone, threads, or tasks."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from vectorize_core.errors import ConnectionFailedError

S = TypeVar("S")
T = TypeVar("T")

_MOMENT = 0.2
"""Seconds for which the main thread waits without a look at signals: some systems need it."""


@dataclass(frozen=True, slots=True)
class Done(Generic[S, T]):
    """What became of one item of `Io.map`: ``value``, or the ``error`` it ended with."""

    item: S
    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """The value, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


Work = Callable[[], Coroutine[Any, Any, Done[Any, Any]]]
"""Raises no `Exception`."""
Drive = Callable[[Coroutine[Any, Any, Done[Any, Any]]], Done[Any, Any]]
"""Runs a coroutine to its end: `vectorize_core.transport.io.run`."""


class StoppedError(ConnectionFailedError):
    """The work that this was a part of is being stopped; nothing was sent."""


_stopping: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "stopping", default=None
)
"""In a worker thread: set when its crew is to stop."""


def in_worker() -> bool:
    """Whether this is a thread of a crew."""
    return _stopping.get() is not None


def check_running() -> None:
    """Raise `StoppedError` in a worker whose crew is being stopped."""
    stopping = _stopping.get()
    if stopping is not None and stopping.is_set():
        raise StoppedError("stopped before it was sent", sent=False)


def pause(seconds: float) -> None:
    """Sleep; a signal ends it, and in a worker the end of its crew, with `StoppedError`."""
    stopping = _stopping.get() or threading.Event()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stopping.wait(min(left, _MOMENT)):
        pass
    check_running()


class Crew(Protocol):
    """Works on several items at once; all that the kinds of `Io.map` differ in."""

    def start(self, work: Work, /) -> None:
        """Begin ``work``."""

    async def finished(self) -> list[Done[Any, Any]]:
        """What has finished since the last time, at least one."""

    async def stop(self) -> None:
        """Let nothing begin or be tried again; when this returns nothing runs any more."""


class InlineCrew:
    """Here and now, one at a time: a worker must not wait for other workers."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._done: list[Done[Any, Any]] = []

    def start(self, work: Work, /) -> None:
        """Do ``work``."""
        self._done.append(self._drive(work()))

    async def finished(self) -> list[Done[Any, Any]]:
        """What has been done since the last time."""
        done, self._done = self._done, []
        return done

    async def stop(self) -> None:
        """Nothing is left to be stopped."""


class ThreadCrew:
    """Threads, as many as there is work at once.

    They are daemons: a program that is interrupted again while they end need not wait for them.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._busy = 0
        # An interrupt may come before stop() has done anything.
        self._abandoned = weakref.finalize(self, _abandon, self._stopping, self._jobs)

    def start(self, work: Work, /) -> None:
        """Begin ``work`` in a thread that is free, or in a new one."""
        context = contextvars.copy_context()
        context.run(_stopping.set, self._stopping)
        drive = self._drive
        self._jobs.put(partial(context.run, lambda: drive(work())))
        self._busy += 1
        if self._busy > len(self._threads):
            thread = threading.Thread(
                target=_serve,
                args=(self._jobs, self._outcomes, self._stopping),
                name=f"vectorize-{len(self._threads)}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    async def finished(self) -> list[Done[Any, Any]]:
        """What has finished since the last time, at least one."""
        outcomes = [self._next()]
        while not self._outcomes.empty():
            outcomes.append(self._outcomes.get())
        self._busy -= len(outcomes)
        return [outcome.result() for outcome in outcomes]

    def _next(self) -> Outcome:
        while True:
            with suppress(Empty):
                return self._outcomes.get(timeout=_MOMENT)

    async def stop(self) -> None:
        """Let nothing begin or be tried again, and wait for what runs."""
        if self._busy:
            self._stopping.set()
        self._jobs.put(None)
        self._abandoned.detach()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_MOMENT)


Job = Callable[[], Done[Any, Any]]
Outcome = futures.Future[Done[Any, Any]]


def _serve(
    jobs: SimpleQueue[Job | None], outcomes: SimpleQueue[Outcome], stopping: threading.Event
) -> None:
    """What a thread does: jobs, until there is None."""
    while (job := jobs.get()) is not None and not stopping.is_set():
        outcome = Outcome()
        try:
            outcome.set_result(job())
        except BaseException as error:
            outcome.set_exception(error)
        outcomes.put(outcome)
        # What it refers to may be large, and the next job long in coming.
        del job, outcome
    # For the next thread.
    jobs.put(None)


def _abandon(stopping: threading.Event, jobs: SimpleQueue[Job | None]) -> None:
    stopping.set()
    jobs.put(None)


class TaskCrew:
    """Tasks of the running event loop."""

    def __init__(self) -> None:
        self._pending: set[asyncio.Task[Done[Any, Any]]] = set()

    def start(self, work: Work, /) -> None:
        """Begin ``work`` in a task."""
        self._pending.add(asyncio.ensure_future(work()))

    async def finished(self) -> list[Done[Any, Any]]:
        """What has finished since the last time, at least one."""
        done, self._pending = await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in done]

    async def stop(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
