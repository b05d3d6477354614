"""The time that a wait takes: growing pauses between its polls, up to its deadline."""

from __future__ import annotations

import time

from vectorize_core.io import Io

_FIRST, _LONGEST = 0.05, 5.0


class Pauses:
    """Pauses from 50 ms to 5 s, for ``timeout`` seconds in all."""

    def __init__(self, io: Io, timeout: float) -> None:
        self._io = io
        self._timeout = timeout
        self._start = time.monotonic()
        self._next = _FIRST
        self.slept = 0.0

    @property
    def waited(self) -> float:
        """Seconds since the beginning; polls take time too, and an injected sleep none."""
        return max(self.slept, time.monotonic() - self._start)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.waited >= self._timeout

    async def sleep(self, at_least: float = 0.0) -> None:
        """Pause, for as long as the service asks if it does, but not past the deadline."""
        left = max(self._timeout - self.waited, 0.01)
        pause = min(max(self._next, at_least), left)
        self._next = min(self._next * 2, _LONGEST)
        await self._io.sleep(pause)
        self.slept += pause
