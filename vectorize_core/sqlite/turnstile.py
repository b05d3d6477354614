"""Waiting for a turn to write: threads and processes pass in the order in which they come.

SQLite lets whoever asks at the right moment write. It asks at growing distances, so that threads of
one process, which ask at once, could keep another process out for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from vectorize_core import forks, holds

try:
    import fcntl
except ImportError:  # Windows: its processes ask SQLite often, and in no order.
    fcntl = None  # type: ignore[assignment]

_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.005


class Turnstile:
    """The line of all processes that want to write in a directory.

    Whoever waits to write holds a lock on the directory, so that no process that comes later gets
    in between. The lock is advisory, and nothing but the order depends on it: where the file system
    has none, there is no order. Only one thread of a process may use it at a time.
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = directory if fcntl is not None else None
        self._opening = forks.lock()
        self._opened: list[int] = []

    def wait(self, begin: Callable[[], bool], seconds: float) -> bool:
        """Call ``begin`` until it returns True, when it is our turn; False after ``seconds``."""
        end = time.monotonic() + seconds
        try:
            return self._poll(self._enter, end) and self._poll(begin, end)
        finally:
            # No function of ours: Ctrl-C may come when one begins, and others would wait.
            if self._opened:
                try:  # noqa: SIM105
                    fcntl.flock(self._opened[0], fcntl.LOCK_UN)
                except OSError:
                    pass

    def after_fork_in_child(self) -> None:
        """Drop the parent's lock, which it would share with this process."""
        opened, self._opened = self._opened, []
        for descriptor in opened:
            os.close(descriptor)

    def __del__(self) -> None:
        # Not sooner, for a thread that still waits would lock another file in its place.
        for descriptor in getattr(self, "_opened", ()):
            os.close(descriptor)

    def _poll(self, attempt: Callable[[], bool], end: float) -> bool:
        pause = _FIRST_PAUSE
        while not attempt():
            if time.monotonic() >= end:
                return False
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST_PAUSE)
        return True

    def _enter(self) -> bool:
        # A call in the middle of another one, as by a signal's handler, would wait for that.
        if self._directory is None or holds.count_here() > 1:
            return True
        with self._opening:
            if not self._opened:
                try:
                    # In one step: Ctrl-C behind it leaves none open that nobody knows.
                    self._opened.extend(map(os.open, [self._directory], [os.O_RDONLY]))
                except OSError:
                    return True
        try:
            fcntl.flock(self._opened[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
