"""How fast a connection may send: within Cloudflare's limit, so that it is not blocked.

https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakSet

from vectorize_core import forks
from vectorize_core.api.headers import quotas
from vectorize_core.errors import ApiError, ApiMessage, ConfigurationError, RateLimitError
from vectorize_core.holds import Holder
from vectorize_core.kwargs import checks_keywords

_LEEWAY = 1.0
"""Seconds: requests take different times to arrive, and servers round times."""
_LOOK_AGAIN = 0.1
_MOMENT = 0.2
"""Seconds between two looks at which calls have ended."""
_INSTANT = 1e-6
_MOST_WINDOWS = 16
"""Rate limits that are remembered, by their names; Cloudflare has one or two."""


@checks_keywords()
@dataclass(frozen=True, slots=True)
class RateLimit:
    """``requests`` at once, then evenly as many in every ``period`` (seconds).

    The default is Cloudflare's limit. All users of an account or token share it, the dashboard
    included; exceeding it blocks them for five minutes. A lower limit leaves requests to others.
    """

    requests: int = 1_200
    period: float = 300.0

    def __post_init__(self) -> None:
        if self.requests < 1 or not 0 < self.period < math.inf:
            raise ConfigurationError(
                f"a rate limit needs at least one request and a finite period above 0: {self}"
            )

    def least_seconds(self, requests: int) -> float:
        """The least time that so many requests take."""
        return max(requests - self.requests, 0) * self.period / self.requests


CLOUDFLARE = RateLimit()


class LimitUsedUpError(RateLimitError):
    """Not sent: the operation would have to wait for the rate limit for longer than it may."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}"


def blocks_all(error: ApiError) -> bool:
    """Whether a refusal concerns all requests of the connection.

    Too many mutations of one index (40041) do not, unless the service names a delay.
    """
    refused = isinstance(error, RateLimitError)
    return refused and (error.code != 40041 or error.retry_after is not None)


@dataclass(slots=True)
class _Window:
    """Requests that the service says are ``left`` until it ``ends`` and grants ``quota`` again."""

    left: float
    ends: float
    quota: float


class RateLimiter:
    """How long each request of a connection has to wait; thread-safe, and never waits itself.

    A token bucket: at first ``limit.requests`` may go at once, later ones as the bucket fills.
    Each request takes a number, so that waiting requests are spread out. What the service says
    holds in any case, with a ``limit`` of None too: if its own count leaves less, that count
    applies, and after a refusal all requests wait.

    For each request call `draw`, then `delay` until it returns 0. Send it, pass what its answer
    says to `learn` and `refused`, and call `ended`. Numbers of calls that Ctrl-C has ended in
    between are given back by others.
    """

    def __init__(
        self, limit: RateLimit | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = forks.lock()
        self._size = math.inf if limit is None else limit.requests
        self._rate = math.inf if limit is None else limit.requests / limit.period
        self._drawn = self._gone = 0
        self._waiting: dict[int, Holder] = {}
        self._in_flight: dict[int, Holder] = {}
        self._look_at = -math.inf
        # Requests up to the number _open may go, as of the moment _open_at.
        self._open, self._open_at = float(self._size), clock()
        self._held_until = self._refused_until = -math.inf
        self._cautious = False
        self._windows: dict[str, _Window] = {}
        _limiters.add(self)

    def draw(self, call: Holder) -> int:
        """The number of the next request, which is part of a call."""
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            if self._open >= self._gone + self._size:
                # The service's bucket begins to fill when the request arrives; ours later.
                self._open_at = now + _LEEWAY
            self._drawn += 1
            self._waiting[self._drawn] = call
            return self._drawn

    def give_back(self, number: int) -> None:
        """Note that nothing was sent with a number, and nothing will be."""
        with self._lock:
            self._in_flight.pop(number, None)
            if self._waiting.pop(number, None) is not None:
                self._gone += 1
                self._open += 1

    def delay(self, number: int) -> float:
        """Seconds after which to ask again; 0 means that it may go, and counts it as sent."""
        self._let_go()
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            wait = self._held_until - now
            if number > self._open:
                filling = max(self._open_at - now, 0.0)
                wait = max(wait, filling + (number - self._open) / self._rate)
            for window in self._windows.values():
                if window.left <= 0:
                    wait = max(wait, window.ends - now)
                elif window.left <= len(self._in_flight):
                    # The count may include requests in flight already; their answers will tell.
                    wait = max(wait, _LOOK_AGAIN)
            if wait > _INSTANT:
                return wait
            if self._cautious:
                # One goes ahead; the others follow once it is not refused.
                self._held_until = now + _LEEWAY
            self._gone += 1
            self._in_flight[number] = self._waiting.pop(number)
            return 0.0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Note the service's own count, which comes with every answer."""
        told = quotas(headers)
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            if self._cautious and now >= self._refused_until:
                self._cautious, self._held_until = False, -math.inf
            for quota in told:
                ends = now + quota.seconds + _LEEWAY
                if quota.name not in self._windows and len(self._windows) >= _MOST_WINDOWS:
                    self._forget_fresh_windows()
                    if len(self._windows) >= _MOST_WINDOWS:
                        continue
                window = self._windows.setdefault(quota.name, _Window(math.inf, ends, math.inf))
                # Answers overtake each other: the smallest count is the latest.
                window.left = min(window.left, quota.left)
                window.ends = min(window.ends, ends)
                window.quota = quota.quota or math.inf  # 0 would be for ever

    def refused(self, retry_after: float | None) -> None:
        """Hold all requests for as long as the service asks, and take the bucket for empty.

        If the service names no delay, requests go on as the bucket fills, one at a time until
        one is not refused.
        """
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            until = now + (retry_after if retry_after is not None else 0.0)
            self._held_until = max(self._held_until, until)
            self._refused_until = max(self._refused_until, until)
            self._cautious = True
            if self.limit is not None:
                self._open = min(self._open, self._gone)

    def ended(self, number: int, *, answered: bool) -> None:
        """Note that a request has ended; without an answer it counts against the quota."""
        with self._lock:
            if self._in_flight.pop(number, None) is not None and not answered:
                for window in self._windows.values():
                    # One that begins anew has no end yet, so it must let the next request through,
                    # whose answer will tell.
                    window.left = max(window.left - 1, 1 if window.ends == math.inf else -math.inf)

    def used_up(self, operation: str, seconds: float, patience: float) -> LimitUsedUpError:
        """The error of an operation that would have to wait for longer than ``patience``."""
        message = (
            f"not sent: {self.cause()}. It may go in {math.ceil(seconds)} s, and this waits for at "
            f"most {patience:g} s. Send fewer requests, or set retry=RetryPolicy(...) to wait for "
            "longer"
        )
        return LimitUsedUpError(operation, 429, (ApiMessage(None, message),), retry_after=seconds)

    def cause(self) -> str:
        """Why requests wait, in words: who says that there were too many."""
        shared = "All clients of the account or token share its rate limit"
        with self._lock:
            if self._cautious:
                return f"the service has refused requests because there were too many. {shared}"
            if any(window.left <= 0 for window in self._windows.values()):
                return f"the rate limit of the service is used up, as its answers say. {shared}"
        limit = self.limit
        kept = "" if limit is None else f" of {limit.requests:,} requests in {limit.period:g} s"
        return f"the rate limit{kept}, which this client keeps to (rate_limit=), is used up"

    def after_fork(self) -> None:
        """Forget the threads of the parent process."""
        self._open += self._drawn - self._gone
        self._gone, self._waiting, self._in_flight = self._drawn, {}, {}

    def _let_go(self) -> None:
        """Give back the numbers of calls that have ended without doing so."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + _MOMENT
        # Without the lock, for what such a call refers to is destroyed.
        for numbers in (self._waiting, self._in_flight):
            for number in [number for number, call in [*numbers.items()] if call.has_ended()]:
                self.ended(number, answered=False)
                self.give_back(number)

    def _forget_fresh_windows(self) -> None:
        self._windows = {n: w for n, w in self._windows.items() if w.ends < math.inf}

    def _catch_up(self, now: float) -> None:
        if self.limit is not None and now > self._open_at:
            fresh = self._open + (now - self._open_at) * self._rate
            self._open, self._open_at = min(fresh, self._gone + self._size), now
        for window in self._windows.values():
            if now >= window.ends:
                window.left, window.ends = window.quota, math.inf
                self._open = max(self._open, float(self._gone + self._size))


_limiters: WeakSet[RateLimiter] = WeakSet()


def _after_fork() -> None:
    for limiter in _limiters:
        limiter.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
