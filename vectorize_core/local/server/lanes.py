"""Lanes: who is carried out when. Each kind of work has threads of its own, and a line before
them, so that long work holds up no short work.

In each line the client passes first that was busy for the least time lately. A statement of SQL
that runs on steps aside, for the next ones to begin (see `long_sql`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar

from vectorize_core.job import Job
from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.threads import Threads

T = TypeVar("T")

MOST_WAITING: Final = 2_000
"""Requests in a line; more are refused."""
LONGEST_WAIT: Final = 30.0
"""Seconds in a line, after which a request is refused."""
_HALF_LIFE: Final = 10.0
_MOST_REMEMBERED: Final = 1_000


def busy(what: str = "the server") -> ServiceFault:
    """Too much is waiting, or has waited for too long."""
    return faults.refused(f"{what} is overloaded; requests queued for too long", status=503)


def closing() -> ServiceFault:
    """What had not ended when the server was told to."""
    return faults.refused("the server is closing", status=503)


class Usage:
    """For how many seconds each client was busy lately; half of it is forgotten in ten seconds."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, tuple[float, float]] = {}

    def add(self, client: Hashable, seconds: float) -> None:
        """Note that work for ``client`` took so long."""
        total = self.of(client) + seconds
        self._seconds.pop(client, None)
        self._seconds[client] = total, time.monotonic()
        if len(self._seconds) > _MOST_REMEMBERED:
            del self._seconds[next(iter(self._seconds))]

    def of(self, client: Hashable) -> float:
        """The seconds of a client."""
        seconds, at = self._seconds.get(client, (0.0, 0.0))
        return float(seconds * 0.5 ** ((time.monotonic() - at) / _HALF_LIFE))


@dataclass(eq=False, slots=True)
class Turn:
    """A request in a lane."""

    client: Hashable
    begins: asyncio.Future[None]
    begun: float = 0.0
    in_slot: bool = False
    is_slow: bool = False
    stepped_aside: bool = False


class Lane:
    """``slots`` requests at once, of one client at most ``each``; ``aside`` more may stand aside.

    ``line`` is how many of one client may wait. Clients whose last request stepped aside share one
    of the slots.
    """

    def __init__(
        self, name: str, *, slots: int, each: int, aside: int = 0, line: int = MOST_WAITING
    ) -> None:
        self._slots = slots
        self._each = each
        self._line = line
        self._used = 0
        self._running: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[Turn]] = {}
        self._usage = Usage()
        self._slow: dict[Hashable, None] = {}
        self._slow_used = 0
        self._closed = False
        self._threads = Threads(name, slots + aside)

    async def run(
        self, client: Hashable, work: Callable[[Callable[[], None]], T], gone: asyncio.Future[None]
    ) -> T:
        """What ``work`` returns, called in a thread when it is the turn of ``client``.

        It is given a function by which it steps aside. ``gone`` is done when nobody waits for the
        answer any more: a turn that has not begun is given up then. A fault if too many wait.
        """
        loop = asyncio.get_running_loop()
        turn = Turn(client, loop.create_future())
        self._join(turn)
        try:
            if not turn.begins.done():
                await asyncio.wait(
                    (turn.begins, gone), timeout=LONGEST_WAIT, return_when=asyncio.FIRST_COMPLETED
                )
                if gone.done() or not turn.begins.done():
                    raise busy()
            turn.begins.result()

            def step_aside() -> None:
                loop.call_soon_threadsafe(self._step_aside, turn)

            def begin() -> T:
                if self._closed:
                    raise closing()
                return work(step_aside)

            job = Job(begin)
            if not self._threads.begin(job):
                # The server ends, or the system lets no thread begin.
                raise closing() if self._closed else busy()
            try:
                return await job.awaited()
            except asyncio.CancelledError:
                job.cancel()
                if not self._closed:
                    raise
                raise closing() from None
        finally:
            self._leave(turn)

    def close(self) -> None:
        """Refuse all that waits, and begin nothing more."""
        self._closed = True
        for turn in [turn for line in self._waiting.values() for turn in line]:
            if not turn.begins.done():
                turn.begins.set_exception(closing())
        self._waiting.clear()
        self._threads.stop(waits=False)

    def _join(self, turn: Turn) -> None:
        if self._closed:
            raise closing()
        line = self._waiting.setdefault(turn.client, deque())
        if len(line) >= self._line or sum(map(len, self._waiting.values())) >= MOST_WAITING:
            raise busy()
        line.append(turn)
        self._begin()

    def _begin(self) -> None:
        """Let those begin whose turn it is."""
        while self._used < self._slots:
            able = [client for client in self._waiting if self._is_able(client)]
            if not able:
                return
            client = min(able, key=self._usage.of)
            turn = self._waiting[client].popleft()
            if not self._waiting[client]:
                del self._waiting[client]
            self._used += 1
            self._running[client] = self._running.get(client, 0) + 1
            turn.in_slot, turn.is_slow, turn.begun = True, client in self._slow, time.monotonic()
            self._slow_used += turn.is_slow
            turn.begins.set_result(None)

    def _is_able(self, client: Hashable) -> bool:
        if self._running.get(client, 0) >= self._each:
            return False
        return client not in self._slow or not self._slow_used

    def _step_aside(self, turn: Turn) -> None:
        """Let another one have the slot; the client's next request still waits for its end."""
        self._slow[turn.client] = None
        if len(self._slow) > _MOST_REMEMBERED:
            del self._slow[next(iter(self._slow))]
        turn.stepped_aside = True
        self._free(turn)

    def _free(self, turn: Turn) -> None:
        if turn.in_slot:
            turn.in_slot = False
            self._used -= 1
            self._slow_used -= turn.is_slow
        self._begin()

    def _leave(self, turn: Turn) -> None:
        if not turn.begun:
            line = self._waiting.get(turn.client)
            if line is not None and turn in line:
                line.remove(turn)
                if not line:
                    del self._waiting[turn.client]
            turn.begins.cancel()
            return
        left = self._running.pop(turn.client) - 1
        if left:
            self._running[turn.client] = left
        self._usage.add(turn.client, time.monotonic() - turn.begun)
        if not turn.stepped_aside:
            self._slow.pop(turn.client, None)
        self._free(turn)
