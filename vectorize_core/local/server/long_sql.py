"""SQL that runs for longer than a moment: one statement at a time goes on, the others pause.

SQLite asks every few milliseconds whether a statement shall go on (`D1Database.run`). One that has
used a moment of a processor then steps aside for requests that come later, and waits for the permit
of long statements. A pause takes no processor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server.lanes import Usage, closing

MOMENT: Final = 0.03
"""Seconds of a processor after which a statement is a long one."""
MOST_LONG: Final = 16
"""Long statements that run or pause; more are refused."""
MOST_SECONDS: Final = 30.0
"""For a statement with its pauses."""
_SLICE: Final = 0.2
"""Seconds after which the permit is passed on if other clients wait for it."""
_GLANCE: Final = 0.25
"""Seconds after which one that waits looks whether it is still wanted."""


class LongStatements:
    """The permit, and those who wait for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._all: list[Statement] = []
        self._holder: Statement | None = None
        self._usage = Usage()
        self.closed = False

    def close(self) -> None:
        """End all of them with a fault."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def enter(self, statement: Statement) -> None:
        """Make a statement one of the long ones, and wait for the permit."""
        statement.step_aside()
        with self._changed:
            if len(self._all) >= MOST_LONG:
                raise overloaded()
            self._all.append(statement)
        self.wait(statement)

    def wait(self, statement: Statement) -> None:
        """Wait for the permit; passes it on first if it has been held for long enough."""
        with self._changed:
            self._give_back(statement)
            while self._next() is not statement:
                self._changed.wait(_GLANCE)
                statement.check()
            self._holder = statement
            statement.since = time.monotonic()

    def others_wait(self, statement: Statement) -> bool:
        """Whether other clients wait for the permit."""
        return any(other.client != statement.client for other in list(self._all))

    def leave(self, statement: Statement) -> None:
        """The statement has ended."""
        with self._changed:
            if statement in self._all:
                self._all.remove(statement)
            self._give_back(statement)

    def _give_back(self, statement: Statement) -> None:
        if self._holder is statement:
            self._usage.add(statement.client, time.monotonic() - statement.since)
            self._holder = None
            self._changed.notify_all()

    def _next(self) -> Statement | None:
        """Whose turn it is: of the client that had the permit for the least time, the first."""
        if self._holder is not None:
            return self._holder
        return min(self._all, key=lambda each: self._usage.of(each.client), default=None)


class Statement:
    """The statements of one request: call it every few milliseconds, and `end` it."""

    def __init__(
        self, all_long: LongStatements, client: Hashable, step_aside: Callable[[], None]
    ) -> None:
        self.client = client
        self.step_aside = step_aside
        self.since = 0.0
        self.unwanted = False
        """Whether nobody waits for the answer any more."""
        self._long = all_long
        self._is_long = False
        self._begun = time.monotonic()
        self._processor: float | None = None

    def __call__(self) -> None:
        """Wait if others are to go on. Raises the fault that ends the statement."""
        self.check()
        if self._processor is None:
            # In the thread that carries it out.
            self._processor = time.thread_time()
        elif not self._is_long:
            if time.thread_time() - self._processor > MOMENT:
                self._is_long = True
                self._long.enter(self)
        elif time.monotonic() - self.since > _SLICE and self._long.others_wait(self):
            self._long.wait(self)

    def check(self) -> None:
        """Raise a fault if it shall not go on."""
        if self._long.closed:
            raise closing()
        if self.unwanted:
            raise faults.refused("the client has left", status=499)
        if time.monotonic() - self._begun > MOST_SECONDS:
            raise overloaded()

    def leave(self, _: object = None) -> None:
        """Nobody waits for the answer any more."""
        self.unwanted = True

    def end(self) -> None:
        """It has ended."""
        if self._is_long:
            self._long.leave(self)


def overloaded() -> ServiceFault:
    """Too many long statements at once. The words are D1's, its code and status are not known."""
    return faults.refused("D1 DB is overloaded. Requests queued for too long.", status=503)
