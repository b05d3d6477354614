"""The rate limit of Cloudflare's API: if there are too many requests, five minutes of refusals.

https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW = 300.0


@dataclass(slots=True)
class RateLimiter:
    """Lets ``most`` requests through in ``window`` seconds, counting all accounts together."""

    most: int
    clock: Callable[[], float]
    window: float = WINDOW
    _started: float = field(default=-math.inf)
    _used: int = 0
    _blocked_until: float = -math.inf

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether one more request is allowed, and the rate limit headers of its answer."""
        now = self.clock()
        if now >= max(self._started + self.window, self._blocked_until):
            self._started, self._used = now, 0
        self._used += 1
        if self._used > self.most and now >= self._blocked_until:
            self._blocked_until = now + self.window
        blocked = now < self._blocked_until
        until = self._blocked_until if blocked else self._started + self.window
        headers = {
            "x-ratelimit-limit": str(self.most),
            "x-ratelimit-remaining": str(0 if blocked else max(self.most - self._used, 0)),
            "x-ratelimit-reset": str(math.ceil(until - now)),
        }
        if blocked:
            headers["retry-after"] = headers["x-ratelimit-reset"]
        return not blocked, headers
