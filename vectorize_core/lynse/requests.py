"""`Requests`: the requests of one call of Vectorize, each sent once, all within its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from vectorize_core.api.operations import Op
from vectorize_core.holds import Holder
from vectorize_core.transport.executor import TIME_LEFT
from vectorize_core.transport.io import Io

T = TypeVar("T")

_LONGEST: Final = 600.0
"""Seconds of a call, as of the longest request."""
_AT_LEAST: Final = 0.5
"""Seconds of a request that begins when the time is nearly over."""


class Requests:
    """Sends requests over an `Io`. The call as a whole is tried again, not one request of it."""

    def __init__(self, io: Io) -> None:
        left = TIME_LEFT.get()
        self._io = io
        self._until = io.now() + (_LONGEST if left is None else left)

    def caller(self) -> Holder:
        """Whom what is taken here belongs to."""
        return self._io.caller()

    async def call(self, op: Op[T], /) -> T:
        """Carry ``op`` out; raises its typed error."""
        return await self._io.once(op, patience=max(self._until - self._io.now(), _AT_LEAST))

    async def offload(self, fn: Callable[[], T], /) -> T:
        """Call ``fn``, which may block, off the event loop."""
        return await self._io.offload(fn)

    async def sleep(self, seconds: float, /) -> None:
        """Wait for so many seconds."""
        await self._io.sleep(seconds)
