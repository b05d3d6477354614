"""The workers of `Io.map`: the calling thread, a pool of threads, or tasks."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent import futures
from concurrent.futures import thread as pools
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from vectorize_core.errors import ConnectionFailedError, VectorizeError

S = TypeVar("S")
T = TypeVar("T")

MOMENT = 0.2
"""Seconds: on some systems the main thread notices signals only between two waits."""


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


Work = Coroutine[Any, Any, Done[Any, Any]]
"""One item being worked on; raises no `Exception`."""
Begin = Callable[[], Work]
Run = Callable[[Work], Done[Any, Any]]
"""Takes a coroutine to its end: `vectorize_core.transport.io.run`."""


class StoppedError(ConnectionFailedError):
    """The operation was not sent, for its worker is being stopped."""


_stopping: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "stopping", default=None
)
"""In a worker thread: set when its pool is to stop."""


def in_worker() -> bool:
    """Whether this is a thread of `ThreadWorkers`."""
    return _stopping.get() is not None


def check_running() -> None:
    """Raise `StoppedError` in a worker thread whose pool is being stopped."""
    stopping = _stopping.get()
    if stopping is not None and stopping.is_set():
        raise StoppedError("stopped before it was sent", sent=False)


def pause(seconds: float) -> None:
    """Sleep; signals are noticed, and a worker thread whose pool stops raises `StoppedError`."""
    stopping, end = _stopping.get(), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if (stopping or threading.Event()).wait(min(left, MOMENT)):
            break
    check_running()


def is_shutting_down() -> bool:
    """Whether the interpreter shuts down, from the moment when atexit handlers run.

    No thread can be relied on to begin then, and later none goes on.
    """
    # Not whether the main thread is alive: Ctrl-C while Python 3.11 or 3.12 looks ends it for good.
    return sys.is_finalizing() or pools._shutdown  # noqa: SLF001


def check_shutdown(error: BaseException) -> None:
    """Raise an error that says so if ``error`` comes from the interpreter's shutting down.

    Python and its libraries import modules when they first need them, and fail then.
    """
    if isinstance(error, (ImportError, RuntimeError)) and is_shutting_down():
        raise VectorizeError(
            "the interpreter is shutting down, so this call cannot be carried out any more: close "
            "stores and finish writes before the program ends, not in __del__ or an atexit handler "
            f"({error})"
        ) from error


def running_loop() -> asyncio.AbstractEventLoop:
    """The running event loop; raises an error that says what to do where there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise VectorizeError(
            "async methods need a running event loop of asyncio, and there is none: under "
            "another library, such as trio, call the sync method in a thread "
            "(await trio.to_thread.run_sync(...))"
        ) from None


async def shielded(task: asyncio.Task[T]) -> T:
    """The result of a task of ours, which goes on where who waits for it is cancelled."""
    try:
        return await asyncio.shield(task)
    except (KeyboardInterrupt, SystemExit):
        check_raised(task)
        raise


def check_raised(task: asyncio.Task[Any]) -> None:
    """Cancel who waits for a task that has ended by Ctrl-C.

    Its event loop has raised that. Nobody expects it once more where the loop is run again.
    """
    ended = task.done() and not task.cancelled()
    if ended and isinstance(task.exception(), (KeyboardInterrupt, SystemExit)):
        raise asyncio.CancelledError


class aclosing(Generic[T]):  # noqa: N801
    """Python's own, for tasks that are destroyed with their event loop, too.

    Before Python 3.13 these leave a generator that they wait for running, for nobody to close.
    """

    def __init__(self, generator: AsyncGenerator[T, Any]) -> None:
        self._generator = generator

    async def __aenter__(self) -> AsyncGenerator[T, Any]:
        return self._generator

    async def __aexit__(self, *_: object) -> None:
        if not getattr(self._generator, "ag_running", False):
            await self._generator.aclose()


class InlineWorkers:
    """The calling thread, one item at a time: a worker must not wait for other workers."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._done: list[Done[Any, Any]] = []

    def start(self, begin: Begin, /) -> None:
        """Work on an item to its end."""
        self._done.append(self._run(begin()))

    async def finished(self) -> list[Done[Any, Any]]:
        """The outcomes since the last time."""
        done, self._done = self._done, []
        return done

    async def stop(self) -> None:
        """Nothing is left to be stopped."""


class ThreadWorkers:
    """A pool of threads, as many as there are items at once.

    They are daemons: a second interrupt, while they end, does not wait for them.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._busy = 0
        # An interrupt may come before stop() has done anything.
        self._abandoned = weakref.finalize(self, _abandon, self._stopping, self._jobs)

    def start(self, begin: Begin, /) -> None:
        """Begin to work on an item in a thread that is free, or in a new one.

        If there is none and none can be made, it is worked on here: while the interpreter shuts
        down, or at the limit of the system.
        """
        context = contextvars.copy_context()
        context.run(_stopping.set, self._stopping)
        run = self._run
        job: Job = partial(context.run, lambda: run(begin()))
        self._busy += 1
        if self._busy <= len(self._threads) or self._has_new_thread() or self._threads:
            self._jobs.put(job)
        else:
            self._outcomes.put(_outcome_of(job))

    def _has_new_thread(self) -> bool:
        thread = threading.Thread(
            target=_serve,
            args=(self._jobs, self._outcomes, self._stopping),
            name=f"vectorize-{len(self._threads)}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    async def finished(self) -> list[Done[Any, Any]]:
        """The outcomes since the last time; waits until there is one."""
        outcomes: list[Outcome] = []
        while not outcomes:
            with suppress(Empty):
                outcomes.append(self._outcomes.get(timeout=MOMENT))
        while not self._outcomes.empty():
            outcomes.append(self._outcomes.get())
        self._busy -= len(outcomes)
        return [outcome.result() for outcome in outcomes]

    async def stop(self) -> None:
        """Begin and try again nothing more, and wait for what runs."""
        if self._busy:
            self._stopping.set()
        self._jobs.put(None)
        self._abandoned.detach()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(MOMENT)


Job = Callable[[], Done[Any, Any]]
Outcome = futures.Future[Done[Any, Any]]


def _serve(
    jobs: SimpleQueue[Job | None], outcomes: SimpleQueue[Outcome], stopping: threading.Event
) -> None:
    """Do jobs until there is None, which is left for the next thread."""
    while (job := jobs.get()) is not None and not stopping.is_set():
        outcomes.put(_outcome_of(job))
        # It may refer to much, and the next one may be long in coming.
        del job
    jobs.put(None)


def _outcome_of(job: Job) -> Outcome:
    outcome = Outcome()
    try:
        outcome.set_result(job())
    except BaseException as error:
        outcome.set_exception(error)
    return outcome


def _abandon(stopping: threading.Event, jobs: SimpleQueue[Job | None]) -> None:
    stopping.set()
    jobs.put(None)


class TaskWorkers:
    """Tasks of the running event loop."""

    def __init__(self) -> None:
        self._pending: set[asyncio.Task[Done[Any, Any]]] = set()

    def start(self, begin: Begin, /) -> None:
        """Begin to work on an item in a task."""
        self._pending.add(asyncio.ensure_future(begin()))

    async def finished(self) -> list[Done[Any, Any]]:
        """The outcomes since the last time; waits until there is one."""
        done, self._pending = await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            check_raised(task)
        return [task.result() for task in done]

    async def stop(self) -> None:
        """Cancel what runs, and wait until it has ended; nothing does in a closed event loop."""
        if all(task.get_loop().is_closed() for task in self._pending):
            return
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)


Workers = InlineWorkers | ThreadWorkers | TaskWorkers
