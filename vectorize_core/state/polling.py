"""Polling with growing pauses, up to a deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vectorize_core.transport.io import Io
from vectorize_core.transport.rate_limit import LimitUsedUpError
from vectorize_core.transport.retry import is_transient
from vectorize_core.transport.turns import NoTurnError

_FIRST, _LONGEST = 0.05, 5.0


def is_temporary(error: BaseException) -> bool:
    """Whether a poll that failed this way may succeed later."""
    return is_transient(error) or isinstance(error, (LimitUsedUpError, NoTurnError))


class Polling:
    """Polls, with pauses from 50 ms to 5 s, for ``timeout`` seconds in all.

    ``failure`` is the error of the last poll, ``polls`` the number of polls, ``slept`` the sum of
    all pauses in seconds.
    """

    def __init__(self, io: Io, timeout: float) -> None:
        self._io = io
        self._timeout = timeout
        self._start = io.now()
        self._next = _FIRST
        self.failure: Exception | None = None
        self.polls = 0
        self.slept = 0.0

    @property
    def waited(self) -> float:
        """Seconds since the beginning, also where a test's sleep takes no time."""
        return max(self.slept, self._io.now() - self._start)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.waited >= self._timeout

    @property
    def left(self) -> float:
        """Seconds until the time is up, at least 0."""
        return max(self._timeout - self.waited, 0.0)

    async def until(self, poll: Callable[[], Awaitable[bool]]) -> bool:
        """Call ``poll`` until it returns True; False if the time is up first.

        A transient failure of a poll means not yet, so polls need no retries. The last poll is
        made when the time is up.
        """
        while True:
            self.failure = None
            self.polls += 1
            try:
                if await poll():
                    return True
            except Exception as error:
                if not is_temporary(error):
                    raise
                self.failure = error
            if self.over:
                return False
            await self._sleep()

    def hasten(self) -> None:
        """Pause shortly again, as something has been done that may take effect at once."""
        self._next = _FIRST

    async def _sleep(self) -> None:
        asked = getattr(self.failure, "retry_after", None)
        pause = max(self._next, asked if asked is not None else 0.0)
        pause = min(pause, max(self.left, 0.01))
        self._next = min(self._next * 2, _LONGEST)
        await self._io.sleep(pause)
        self.slept += pause
