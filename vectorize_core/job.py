"""`Job`: work that a call or task lets another thread do, as `threads` does."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from vectorize_core.holds import TaskWaker

T = TypeVar("T")

_MOMENT: Final = 0.2
"""Seconds: on some systems the main thread notices signals only between two waits."""


class Job(Generic[T]):
    """Work that is done once, by whoever takes it first.

    Ctrl-C may come between any two steps of the call that it is for. Then nobody waits for it, and
    it is done late, or never. So it must change nothing that outlives its call, or matters then,
    unless the call says that it goes on. No lock or future of Python's, which Ctrl-C in its middle
    could leave locked.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._left = [work]
        self._has_ended = False
        # A lock of C's. Whoever waits may leave it locked: who comes later does not need it.
        self._end = threading.Lock()
        self._end.acquire()
        self._wake: Callable[[], object] | None = None
        self._value: T
        self._error: BaseException | None = None

    def run(self) -> None:
        """In another thread: do it, unless it was taken."""
        work = self._take()
        if work is None:
            return
        try:
            self._value = work()
        except BaseException as error:
            self._error = error
        self._has_ended = True
        self._end.release()
        if self._wake is not None:
            # The event loop of who waited may be closed.
            with suppress(RuntimeError):
                self._wake()

    def cancel(self) -> bool:
        """Whether nobody has taken it, so that nobody does it any more."""
        if self._take() is None:
            return False
        self._has_ended = True
        return True

    def has_ended(self) -> bool:
        """Whether it was done, or nobody does it any more."""
        return self._has_ended

    def wait(self, seconds: float = math.inf) -> None:
        """Wait, no longer than so many seconds, until whoever has taken it has done it."""
        end = time.perf_counter() + seconds
        while not self._has_ended and (left := end - time.perf_counter()) > 0:
            self._end.acquire(timeout=min(left, _MOMENT))

    def result(self) -> T:
        """What comes of it, or its error; it is done here if nobody has taken it. Once."""
        work = self._take()
        if work is not None:
            try:
                return work()
            finally:
                self._has_ended = True
        self.wait()
        return self._outcome()

    def then(self, wake: Callable[[], object]) -> None:
        """Call ``wake`` when another thread has done it, at once if it has; in place of others."""
        self._wake = wake
        if self._has_ended:
            wake()

    async def awaited(self) -> T:
        """What comes of it, or its error, once a thread has done it; for one task. Once."""
        waker = TaskWaker()
        self._wake = waker.wake
        # Only now: who has done it before that has woken nobody.
        while not self._has_ended:
            await waker.sleep(math.inf)
        return self._outcome()

    def _outcome(self) -> T:
        # An error refers to the frames that it comes through, and so to this.
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value
        finally:
            del error

    def _take(self) -> Callable[[], T] | None:
        try:
            return self._left.pop()
        except IndexError:
            return None
