"""Time that passes only while everybody waits, for tests of what takes minutes."""

from __future__ import annotations

import asyncio
import heapq
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Goes forward in time instead of waiting for it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen any more")
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time` begins at 0 and passes at once."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in a `VirtualLoop`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualClock:
    """A clock for ``threads`` threads; it goes forward when all of them `sleep`, or have left."""

    def __init__(self, threads: int) -> None:
        self.now = 0.0
        self._awake = threads
        self._alarms: list[float] = []
        self._changed = threading.Condition()

    def sleep(self, seconds: float) -> None:
        with self._changed:
            alarm = self.now + seconds
            heapq.heappush(self._alarms, alarm)
            self._rest()
            self._changed.wait_for(lambda: self.now >= alarm)

    def leave(self) -> None:
        """The calling thread will not sleep any more."""
        with self._changed:
            self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if self._awake or not self._alarms:
            return
        self.now = self._alarms[0]
        while self._alarms and self._alarms[0] <= self.now:
            heapq.heappop(self._alarms)
            self._awake += 1
        self._changed.notify_all()
