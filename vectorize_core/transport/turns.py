"""`Turns`: how many requests of a connection are on their way at once; the others wait in order.

httpx would queue them too, but looks through its whole queue for each request that begins or ends:
hundreds at once would take minutes of computing, and fail as if the server were down.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final
from weakref import WeakKeyDictionary

from vectorize_core.errors import ConnectionFailedError
from vectorize_core.holds import FairLock, Hold
from vectorize_core.transport.workers import check_running

AT_ONCE: Final = 32
"""Requests at once in each event loop, and as many in all threads together."""


class NoTurnError(ConnectionFailedError):
    """Not sent: the operation would have to wait for earlier ones for longer than it may."""


class Turns:
    """The queues of a connection: one for the threads of a process, one for each event loop.

    A request takes its turn with `enter` or `aenter`, and gives it back with ``release()`` of what
    that returns. First come, first served. Who has a turn never waits for another one, so requests
    cannot wait for each other in a circle. That an event loop does not share its queue keeps one
    that stands still from holding up the others.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        # By process: after a fork the parent's requests are not the child's.
        self._threads: dict[int, FairLock] = {}
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[int, FairLock]] = (
            WeakKeyDictionary()
        )

    def enter(self, operation: object, seconds: float) -> Hold:
        """Wait for a turn of this thread; raises `NoTurnError` after so many seconds."""
        pid = os.getpid()
        queue = self._threads.get(pid)
        if queue is None:
            # Without a lock, which a fork could leave locked: setdefault decides between threads.
            queue = self._threads.setdefault(pid, FairLock(self._at_once))
        turn = queue.take_within(seconds, check_running)
        if turn is None:
            raise self._no_turn(operation, seconds)
        return turn

    async def aenter(self, operation: object, seconds: float) -> Hold:
        """Wait for a turn of this task; raises `NoTurnError` after so many seconds."""
        loop, pid = asyncio.get_running_loop(), os.getpid()
        known = self._loops.get(loop)
        if known is None or known[0] != pid:
            self._loops[loop] = known = pid, FairLock(self._at_once)
        turn = await known[1].take_awaited(seconds)
        if turn is None:
            raise self._no_turn(operation, seconds)
        return turn

    def _no_turn(self, operation: object, seconds: float) -> NoTurnError:
        return NoTurnError(
            f"{operation}: not sent: {self._at_once} requests of this connection were on their way "
            f"for all of the {seconds:.3g} s that it may wait. Start fewer calls at once, or set "
            "retry=RetryPolicy(...) to wait for longer",
            sent=False,
        )
