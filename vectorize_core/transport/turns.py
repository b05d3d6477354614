"""`Turns`: how many requests of a connection are on their way at once; the others wait in order.

httpx would queue them too, but looks through its whole queue for each request that begins or ends:
hundreds at once would take minutes of computing, and fail as if the server were down.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from typing import Final
from weakref import WeakKeyDictionary

from vectorize_core.errors import ConnectionFailedError
from vectorize_core.transport.workers import MOMENT, check_running

AT_ONCE: Final = 32
"""Requests at once in each event loop, and as many in all threads together."""


class NoTurnError(ConnectionFailedError):
    """Not sent: the operation would have to wait for earlier ones for longer than it may."""


class Turns:
    """The queues of a connection: one for the threads of a process, one for each event loop.

    A request takes its turn with `enter` or `aenter`, and gives it back with ``leave()`` of what
    that returns. First come, first served. Who has a turn never waits for another one, so requests
    cannot wait for each other in a circle. That an event loop does not share its queue keeps one
    that stands still from holding up the others.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        # By process: after a fork the parent's requests are not the child's.
        self._threads: dict[int, _ThreadQueue] = {}
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[int, _TaskQueue]] = (
            WeakKeyDictionary()
        )

    def enter(self, operation: object, seconds: float) -> _ThreadQueue:
        """Wait for a turn of this thread; raises `NoTurnError` after so many seconds."""
        pid = os.getpid()
        queue = self._threads.get(pid)
        if queue is None:
            # Without a lock, which a fork could leave locked: setdefault decides between threads.
            queue = self._threads.setdefault(pid, _ThreadQueue(self._at_once))
        if not queue.enter(seconds):
            raise self._no_turn(operation, seconds)
        return queue

    async def aenter(self, operation: object, seconds: float) -> _TaskQueue:
        """Wait for a turn of this task; raises `NoTurnError` after so many seconds."""
        loop, pid = asyncio.get_running_loop(), os.getpid()
        known = self._loops.get(loop)
        if known is None or known[0] != pid:
            self._loops[loop] = known = pid, _TaskQueue(self._at_once)
        queue = known[1]
        if not await queue.enter(seconds):
            raise self._no_turn(operation, seconds)
        return queue

    def _no_turn(self, operation: object, seconds: float) -> NoTurnError:
        return NoTurnError(
            f"{operation}: not sent: {self._at_once} requests of this connection were on their way "
            f"for all of the {seconds:.3g} s that it may wait. Start fewer calls at once, or set "
            "retry=RetryPolicy(...) to wait for longer",
            sent=False,
        )


class _ThreadQueue:
    """Turns of threads."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: deque[threading.Event] = deque()
        # Of a kind that the __del__ of something collected meanwhile may take, too.
        self._lock = threading.RLock()

    def enter(self, seconds: float) -> bool:
        """Whether there was a turn in so many seconds."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                # In moments, so that signals are noticed, and that the worker is to stop.
                if turn.wait(min(left, MOMENT)):
                    return True
                check_running()
        except BaseException:
            self._give_up(turn)
            raise
        return self._give_up(turn)

    def leave(self) -> None:
        """Give the turn to who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def _give_up(self, turn: threading.Event) -> bool:
        with self._lock:
            if not turn.is_set():
                self._waiting.remove(turn)
        if turn.is_set():
            self.leave()
        return False


class _TaskQueue:
    """Turns of the tasks of one event loop. It refers to the loop only while a task waits."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, seconds: float) -> bool:
        """Whether there was a turn in so many seconds."""
        if self._free > 0:
            self._free -= 1
            return True
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            self._give_up(turn)
            return False
        except BaseException:
            self._give_up(turn)
            raise
        return True

    def leave(self) -> None:
        """Give the turn to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            # It came when the task was being cancelled.
            self.leave()
        else:
            turn.cancel()


Turn = _ThreadQueue | _TaskQueue
"""What a turn is given back to."""
