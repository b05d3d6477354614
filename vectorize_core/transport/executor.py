"""What carries operations out: over HTTP, or in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakSet

from vectorize_core.api.operations import Op
from vectorize_core.errors import VectorizeError
from vectorize_core.holds import Holder
from vectorize_core.transport.workers import running_loop

T = TypeVar("T")
_NONE: Mapping[str, str] = MappingProxyType({})
TIME_LEFT: Final[ContextVar[float | None]] = ContextVar("time_left", default=None)
"""Seconds that are left for what is sent now; None: as long as one request may take. It matters
only to executors that wait for another machine, so it is no argument."""

GOES_ON: Final[ContextVar[Callable[[Running], object] | None]] = ContextVar("goes_on", default=None)
"""Told of what a thread of this process does from now on, whatever becomes of the running task."""


class Answer(NamedTuple, Generic[T]):
    """The result of an operation, and what came with it over HTTP."""

    result: T
    headers: Mapping[str, str] = _NONE
    status: int | None = None


class Running(Holder, Protocol):
    """What goes on in a thread of this process."""

    def then(self, wake: Callable[[], object], /) -> None:
        """Call ``wake`` when it has ended, or at once."""


class InterruptionError(Exception):
    """The cause of an interruption whose operation cannot be carried out at just any time later.

    ``running``: it goes on in a thread of this process until that has ended; None: it has ended.
    """

    def __init__(self, running: Running | None) -> None:
        super().__init__("the operation was interrupted")
        self.running = running


class Executor(Protocol):
    """Carries each operation out once, sync or async.

    An interruption (Ctrl-C, a cancelled task) goes through. Whoever knows what becomes of the
    operation raises it from an `InterruptionError`; otherwise it may be carried out later.
    """

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out without blocking the event loop; raises its typed error."""

    def check(self) -> None:
        """Raise an error where it may not be used any more."""

    def close(self) -> None:
        """Free all that is held, for every thread and event loop; safe to call again."""

    async def aclose(self) -> None:
        """Free what the running event loop holds, and what nothing else uses; safe to call again.

        Later calls in this loop fail. Other loops, and threads without one, go on.
        """


class Use:
    """Where an executor may be used: nowhere once it is closed, nor in loops that left it."""

    def __init__(self) -> None:
        self._closed = False
        self._left: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended everywhere."""
        return self._closed

    def close(self) -> None:
        """End its use everywhere."""
        self._closed = True

    def leave(self) -> None:
        """End its use in the running event loop."""
        self._left.add(running_loop())

    def check(self) -> None:
        """Raise an error where it may not be used any more."""
        if self._closed:
            raise VectorizeError("this client is closed; make another one, or another store")
        if not self._left:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop in self._left:
            raise VectorizeError(
                "this client is closed in this event loop: aclose(), or the end of async with, was "
                "reached. Other event loops and threads may go on to use it"
            )
