"""`Job`: work that a call lets another thread do, as `threads` does."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MOMENT: Final = 0.2
"""Seconds: on some systems the main thread notices signals only between two waits."""


class Job(Generic[T]):
    """Work that is done once, by whoever takes it first.

    Ctrl-C may come between any two steps of the call that it is for. Then nobody waits for it, and
    it is done late, or never. So it must change nothing that outlives its call, or matters then.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._left = [work]
        self._has_ended = False
        # A lock of C's. Whoever waits may leave it locked: who comes later does not need it.
        self._end = threading.Lock()
        self._end.acquire()
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

    def cancel(self) -> bool:
        """Whether nobody has taken it, so that nobody does it any more."""
        return self._take() is not None

    def wait(self, seconds: float = math.inf) -> None:
        """Wait, no longer than so many seconds, until whoever has taken it has done it."""
        end = time.perf_counter() + seconds
        while not self._has_ended and (left := end - time.perf_counter()) > 0:
            self._end.acquire(timeout=min(left, _MOMENT))

    def result(self) -> T:
        """What comes of it, or its error; it is done here if nobody has taken it. Once."""
        work = self._take()
        if work is not None:
            return work()
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def _take(self) -> Callable[[], T] | None:
        try:
            return self._left.pop()
        except IndexError:
            return None
