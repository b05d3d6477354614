"""What is held for longer than a moment belongs to the running call that took it.

Ctrl-C may come between any two steps of a call, also just before the one that would have given back
what was taken, and a notebook keeps all that it has left in the middle.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, Final, Protocol, Self
from weakref import ref

_SUSPENDED: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_BETWEEN: Final = {
    "contextlib",
    "vectorize_core.forks",
    "vectorize_core.holds",
    "vectorize_core.lynse.requests",
    "vectorize_core.local.open_files",
    "vectorize_core.sqlite.file",
    "vectorize_core.sqlite.turnstile",
    "vectorize_core.transport.http_clients",
    "vectorize_core.transport.rate_limit",
    "vectorize_core.transport.turns",
}
"""Modules whose functions return while what they took is held."""


_MOMENT: Final = 0.2
"""Seconds after which who waits looks again whether the call of one before it has ended. On some
systems the main thread notices signals only between two waits."""
_MOMENT_OF_TASKS: Final = 1.0
"""Of tasks thousands may wait."""


class Holder(Protocol):
    """Who holds something."""

    def has_ended(self) -> bool:
        """Whether it runs no more, so that it gives nothing back."""


class Call:
    """The call of the function that begins and ends what is going on here.

    Not of a generator, which may be kept after it was left, nor of what returns in the middle.
    """

    __slots__ = ("_frame",)

    def __init__(self) -> None:
        frame: FrameType = sys._getframe(1)  # noqa: SLF001
        while frame.f_back is not None and (
            frame.f_code.co_flags & _SUSPENDED or frame.f_globals.get("__name__") in _BETWEEN
        ):
            frame = frame.f_back
        self._frame = frame

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        try:
            # Refused while it runs. Nothing else tells, and who has ended needs no variables.
            self._frame.clear()
        except RuntimeError:
            return False
        return True


class TaskCall:
    """The running task, in place of a call: no function of it runs while it waits."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        task = asyncio.current_task()
        # Whose event loop has left it is destroyed, though what it has taken is still held.
        self._task: ref[asyncio.Task[Any]] | None = None if task is None else ref(task)

    def has_ended(self) -> bool:
        """Whether it has ended, as all do whose event loop is closed."""
        if self._task is None:
            return False
        task = self._task()
        return task is None or task.done() or task.get_loop().is_closed()


class Calls:
    """The running calls that use something; true if there are any. Thread-safe."""

    def __init__(self) -> None:
        self._running: list[Holder] = []

    def begin(self, call: Holder) -> None:
        """Note a call that uses it from now on."""
        self._running.append(call)

    def end(self, call: Holder) -> None:
        """Note that a call uses it no more."""
        with suppress(ValueError):
            self._running.remove(call)

    def __bool__(self) -> bool:
        for call in list(self._running):
            if call.has_ended():
                self.end(call)
        return bool(self._running)


class OwnHoldError(Exception):
    """This thread waits for what it holds itself: it is in the middle of the call that does."""


class Hold:
    """A place in the line for a `FairLock`; the first ones have it, until they are released.

    A context manager, which releases it.
    """

    def __init__(self, line: deque[Hold], places: int, call: Holder) -> None:
        self._line = line
        self._places = places
        self.call = call
        self.thread = threading.get_ident()
        self.wake: Callable[[], object] | None = None
        """Called when it may be among the first; None unless its thread or task waits."""

    def release(self) -> None:
        """Pass the lock on to whoever has waited longest; nothing if that was done already."""
        self.leave_thread()
        with suppress(ValueError):
            self._line.remove(self)
        if len(self._line) < self._places:
            return
        for hold in _first(self._line, self._places):
            if (wake := hold.wake) is not None:
                wake()

    def leave_thread(self) -> None:
        """Count no more among what calls of this thread hold."""
        with suppress(ValueError):
            _holds_here().remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


_here: Final = threading.local()


def _holds_here() -> list[Hold]:
    """What calls of this thread hold, or held when Ctrl-C ended them."""
    return _here.__dict__.setdefault("holds", [])  # type: ignore[no-any-return]


def count_here() -> int:
    """How many locks the calls hold that are on their way in this thread."""
    for hold in [hold for hold in _holds_here() if hold.call.has_ended()]:
        hold.leave_thread()
    return len(_holds_here())


class ThreadWaker:
    """Wakes a thread that waits for something that another thread or task does."""

    def __init__(self) -> None:
        self._call = Call()
        self._turn = threading.Lock()
        self._turn.acquire()

    def wake(self) -> bool:
        """Wake it, or let it not sleep next time; False if its call has ended."""
        _open(self._turn)
        return not self._call.has_ended()

    def has_ended(self) -> bool:
        """Whether nobody waits any more."""
        return self._call.has_ended()

    def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds, or until it is woken; also for a moment only."""
        self._turn.acquire(timeout=min(seconds, _MOMENT))


class TaskWaker:
    """As `ThreadWaker`, for a task."""

    def __init__(self) -> None:
        self._call = TaskCall()
        self._loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """Wake it, or let it not sleep next time; False if its event loop does not run."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_set, self._turn)
        return self._loop.is_running() and not self._call.has_ended()

    def has_ended(self) -> bool:
        """Whether nobody waits any more."""
        return self._loop.is_closed() or self._call.has_ended()

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds, or until it is woken; also for a moment only."""
        look = self._loop.call_later(min(seconds, _MOMENT_OF_TASKS), _set, self._turn)
        try:
            await self._turn
        finally:
            look.cancel()
        # Before whoever waits looks at what it waits for.
        self._turn = self._loop.create_future()


Waker = ThreadWaker | TaskWaker


class FairLock:
    """A lock that threads, or the tasks of an event loop, get in the order in which they ask.

    So many have it at once as it has ``places``. Ctrl-C may come between any two steps of a call,
    also just before one that would have released the lock. So nobody has it for longer than the
    call runs that asked for it: who has it is told by the line alone, which changes in single
    steps, and whoever waits looks whether the calls of the first ones have ended.
    """

    def __init__(self, places: int = 1) -> None:
        self._places = places
        self._line: deque[Hold] = deque()

    def take(self, call: Holder | None = None) -> Hold:
        """Wait for it; `OwnHoldError` where that would be for ever, as in a signal's handler.

        It is of ``call``, or of the running one.
        """
        hold = self.take_within(math.inf, self._check_other_threads, call)
        assert hold is not None
        _holds_here().append(hold)
        return hold

    def take_within(
        self,
        seconds: float,
        check: Callable[[], object] = lambda: None,
        call: Holder | None = None,
    ) -> Hold | None:
        """Wait for it; None if that takes longer. ``check`` is called now and then meanwhile.

        It is of ``call``, or of the running one.
        """
        hold = self._join(Call() if call is None else call)
        if self._has(hold):
            return hold
        end = time.monotonic() + seconds
        turn = threading.Lock()
        turn.acquire()
        hold.wake = partial(_open, turn)
        try:
            while not self._has(hold):
                left = end - time.monotonic()
                if left <= 0:
                    hold.release()
                    return None
                turn.acquire(timeout=min(left, _MOMENT))
                check()
        except BaseException:
            hold.release()
            raise
        hold.wake = None
        return hold

    async def take_awaited(self, seconds: float) -> Hold | None:
        """As `take_within`, by a task. All who ask are then of one event loop."""
        hold = self._join(TaskCall())
        if self._is_first(hold):
            return hold
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        has = False
        try:
            while not has:
                left = end - loop.time()
                if left <= 0:
                    hold.release()
                    return None
                turn = loop.create_future()
                hold.wake = partial(_set, turn)
                look = loop.call_later(min(left, _MOMENT_OF_TASKS), hold.wake)
                try:
                    await turn
                finally:
                    look.cancel()
                has = self._has(hold)
        except BaseException:
            hold.release()
            raise
        hold.wake = None
        return hold

    def try_take(self, call: Holder) -> Hold | None:
        """Take it for a call if it is free."""
        hold = self._join(call)
        if self._has(hold):
            return hold
        hold.release()
        return None

    def leave(self) -> bool:
        """Release what calls of this thread have, if they have ended without that.

        Returns whether calls that have not ended have it or wait for it. This thread is within
        these, so nobody can wait for them here.
        """
        own = [hold for hold in list(self._line) if hold.thread == threading.get_ident()]
        for hold in own:
            if hold.call.has_ended():
                hold.release()
        return any(hold in self._line for hold in own)

    def drop(self, call: Holder) -> None:
        """Release what a call has, or waits for."""
        for hold in list(self._line):
            if hold.call is call:
                hold.release()

    @property
    def holder(self) -> Holder | None:
        """Who has it, or is the first of those who do."""
        first = _first(self._line, 1)
        return first[0].call if first else None

    def _check_other_threads(self) -> None:
        for first in _first(self._line, 1):
            # One that waits may have it at this very moment.
            is_own = first.wake is None and first.thread == threading.get_ident()
            if is_own and not first.call.has_ended():
                raise OwnHoldError

    def _join(self, call: Holder) -> Hold:
        hold = Hold(self._line, self._places, call)
        self._line.append(hold)
        return hold

    def _has(self, hold: Hold) -> bool:
        if self._is_first(hold):
            return True
        for first in _first(self._line, self._places):
            if first.call.has_ended():
                first.release()
        return self._is_first(hold)

    def _is_first(self, hold: Hold) -> bool:
        return len(self._line) <= self._places or hold in _first(self._line, self._places)


def _first(line: deque[Hold], places: int) -> list[Hold]:
    while True:
        # It fails while another thread changes the line.
        with suppress(RuntimeError):
            return list(islice(line, places))


def _open(turn: threading.Lock) -> None:
    with suppress(RuntimeError):
        turn.release()


def _set(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
