"""Waiting for a turn to write: threads and processes pass in the order in which they come.

SQLite lets whoever asks at the right moment write. It asks at growing distances, so that threads of
one process, which ask at once, could keep another process out for ever.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from vectorize_core import forks
from vectorize_core.sqlite.call import Call

try:
    import fcntl
except ImportError:  # Windows: its processes ask SQLite often, and in no order.
    fcntl = None  # type: ignore[assignment]

_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.005
_MOMENT: Final = 0.2
"""Seconds after which who waits looks again whether the call of the first one has ended."""


class Hold:
    """A place in the line for a `FairLock`; the first one has it, until it is released.

    A context manager, which releases it.
    """

    def __init__(self, line: deque[Hold]) -> None:
        self._line = line
        self.call = Call()
        self.thread = threading.get_ident()
        self.turn: threading.Lock | None = None
        """Released when it may be the first; None until its thread waits."""

    def release(self) -> None:
        """Pass the lock on to whoever has waited longest; nothing if that was done already."""
        with suppress(ValueError):
            self._line.remove(self)
        with suppress(IndexError, RuntimeError):
            turn = self._line[0].turn
            if turn is not None:
                turn.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class FairLock:
    """A lock that threads get in the order in which they asked for it.

    Ctrl-C may come between any two steps of a call, also just before one that would have released
    the lock. So nobody has it for longer than the call runs that asked for it: who has it is told
    by the line alone, which changes in single steps, and whoever waits looks whether the call of
    the first one has ended.
    """

    def __init__(self) -> None:
        self._line: deque[Hold] = deque()

    def take(self) -> Hold:
        """Wait for it."""
        hold = self.take_within(math.inf)
        assert hold is not None
        return hold

    def take_within(self, seconds: float) -> Hold | None:
        """Wait for it; None if that takes longer."""
        hold = Hold(self._line)
        self._line.append(hold)
        if self._line[0] is hold or self._wait(hold, time.monotonic() + seconds):
            return hold
        hold.release()
        return None

    def leave(self) -> None:
        """Release what this thread has, if it has not done so because of Ctrl-C."""
        for hold in list(self._line):
            if hold.thread == threading.get_ident():
                hold.release()

    @property
    def is_held(self) -> bool:
        """Whether a thread has it."""
        return bool(self._line)

    def _wait(self, hold: Hold, end: float) -> bool:
        turn = threading.Lock()
        turn.acquire()
        hold.turn = turn
        while (first := self._line[0]) is not hold:
            if first.call.has_ended():
                first.release()
                continue
            left = end - time.monotonic()
            if left <= 0:
                return False
            turn.acquire(timeout=min(left, _MOMENT))
        return True


class Turnstile:
    """The line of all processes that want to write in a directory.

    Whoever waits to write holds a lock on the directory, so that no process that comes later gets
    in between. The lock is advisory, and nothing but the order depends on it: where the file system
    has none, there is no order. Only one thread of a process may use it at a time.
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = directory if fcntl is not None else None
        self._opening = forks.lock()
        self._descriptor: int | None = None

    def wait(self, begin: Callable[[], bool], seconds: float) -> bool:
        """Call ``begin`` until it returns True, when it is our turn; False after ``seconds``."""
        end = time.monotonic() + seconds
        try:
            return self._poll(self._enter, end) and self._poll(begin, end)
        finally:
            # No function of ours: Ctrl-C may come when one begins, and others would wait.
            if self._descriptor is not None:
                try:  # noqa: SIM105
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                except OSError:
                    pass

    def after_fork_in_child(self) -> None:
        """Drop the parent's lock, which it would share with this process."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        # Not sooner, for a thread that still waits would lock another file in its place.
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _poll(self, attempt: Callable[[], bool], end: float) -> bool:
        pause = _FIRST_PAUSE
        while not attempt():
            if time.monotonic() >= end:
                return False
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST_PAUSE)
        return True

    def _enter(self) -> bool:
        if self._directory is None:
            return True
        with self._opening:
            if self._descriptor is None:
                try:
                    self._descriptor = os.open(self._directory, os.O_RDONLY)
                except OSError:
                    return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
