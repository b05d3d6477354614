"""`Threads`: a few threads that do jobs; and `in_thread`, for an event loop.

Not an executor of Python's: Ctrl-C in its middle can leave a semaphore or condition of it locked,
for which every later call would wait.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import math
import os
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from vectorize_core import forks
from vectorize_core.job import Job

T = TypeVar("T")

_IDLE: Final = 10.0
"""Seconds without a job, after which a thread ends. To begin one delays a call by milliseconds."""
_MOMENT: Final = 0.2
"""Seconds between two looks whether threads have ended."""
_OFFLOADED: Final = min(32, (os.cpu_count() or 1) + 4)
"""Calls at once that an event loop lets threads do: as many as by asyncio's own."""


class Threads:
    """Up to ``most`` threads, each begun when there is a job that no other one is idle for.

    No more than ``waiting`` jobs wait for a thread. Ctrl-C may come between any two steps of a
    call, and no step leaves anything behind that a later one would wait for. Each process has its
    own, also after a fork.
    """

    def __init__(self, name: str, most: int, *, waiting: float = math.inf) -> None:
        self._name = name
        self._most = most
        self._waiting = waiting
        self._crew = _Crew(name)

    def begin(self, job: Job[Any]) -> bool:
        """Let a thread do it; False if none will.

        Too many wait then, or the system lets no thread begin, or the interpreter ends.
        """
        # A thread would be frozen, and one that begins never take a step.
        if sys.is_finalizing():
            return False
        crew = self._crew
        if crew.ends or crew.process != os.getpid():
            crew = self._crew = _Crew(self._name)
        with crew.changing:
            if crew.jobs.qsize() >= self._waiting:
                return False
            crew.unfinished.append(None)
            if len(crew.unfinished) > len(crew.begun) and len(crew.begun) < self._most:
                crew.begin()
            if not crew.begun:
                crew.unfinished.pop()
                return False
            crew.jobs.put(job)
        # They were ended meanwhile, by another thread, or a signal's handler in the middle of this.
        return not crew.ends or self.begin(job)

    def stop(self, *, waits: bool = True) -> None:
        """End the threads once they have done what was begun; later jobs begin others.

        Without ``waits``, that is not waited for.
        """
        self._crew.end()
        if waits:
            self._crew.wait()

    def __del__(self) -> None:
        # No job can follow. Without a lock, for the collector.
        self._crew.jobs.put(None)


class _Crew:
    """Threads of a process that end together: when there is None, which is left for the next."""

    def __init__(self, name: str) -> None:
        self.process = os.getpid()
        self.jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self.unfinished: list[None] = []
        self.begun: list[int] = []
        self.ends = False
        self._ended: SimpleQueue[None] = SimpleQueue()
        self.changing = forks.lock()
        self._name = name
        _all.add(self)

    def begin(self) -> None:
        """Begin another thread, unless the system lets none begin."""
        with suppress(RuntimeError):
            # In one step, so that each that runs is counted.
            self.begun.extend(map(start_new_thread, [self._start], [()]))

    def _start(self) -> None:
        # Python's `Thread.start` waits with a condition. No Ctrl-C comes here.
        named = f"vectorize-{self._name}"
        thread = threading.Thread(target=self._serve, name=named, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._serve()

    def end(self) -> None:
        """Let them end once they have done what was begun; not those of a parent process."""
        if self.process != os.getpid():
            return
        with self.changing:
            self.ends = True
            self.jobs.put(None)

    def wait(self) -> None:
        """Wait until all have ended; not in one of them, as where the collector closes a client."""
        if getattr(_here, "crew", None) is self:
            return
        while self.begun and self.process == os.getpid():
            with suppress(Empty):
                self._ended.get(timeout=_MOMENT)

    def _serve(self) -> None:
        _here.crew = self
        while True:
            try:
                job = self.jobs.get(timeout=_IDLE)
            except Empty:
                with self.changing:
                    if self.jobs.empty():
                        self.begun.pop()
                        return
                continue
            if job is None:
                break
            job.run()
            # It may refer to much, and the next one may be long in coming.
            del job
            self.unfinished.pop()
        self.jobs.put(None)
        self.begun.pop()
        self._ended.put(None)


_here: Final = threading.local()
_all: WeakSet[_Crew] = WeakSet()
"""Those that are used, or whose threads run."""


@atexit.register
def _end_all() -> None:
    """Before the interpreter ends: a thread that it froze could hold a lock of SQLite."""
    for crew in list(_all):
        crew.end()
    for crew in list(_all):
        crew.wait()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()
"""The threads of each event loop: what one waits for may be what another one's threads do."""


async def in_thread(fn: Callable[[], T]) -> T:
    """``fn()`` in a thread of the running event loop, with the context variables of here.

    In this thread if none can begin.
    """
    loop = asyncio.get_running_loop()
    threads = _of_loops.get(loop)
    if threads is None:
        for ref in _of_loops.keyrefs():
            if (other := ref()) is not None and other.is_closed():
                _of_loops.pop(other, None)
        threads = _of_loops[loop] = Threads("offloaded", _OFFLOADED)
    job = Job(partial(contextvars.copy_context().run, fn))
    if not threads.begin(job):
        return job.result()
    try:
        return await job.awaited()
    except BaseException:
        job.cancel()
        raise
