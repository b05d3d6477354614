"""How fast a connection may send: Cloudflare's limit, kept so as not to be blocked.

https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakSet

from vectorize_core.api import wire
from vectorize_core.errors import ApiError, ApiMessage, ConfigurationError, RateLimitError

_LEEWAY = 1.0
"""Seconds: requests take different times to arrive, and servers round theirs."""
_LOOK_AGAIN = 0.1
_INSTANT = 1e-6


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``requests`` at once, and from then on as many in every ``period`` (seconds), evenly.

    The default is Cloudflare's limit. It is for all who use the account or token together, the
    dashboard included, and who exceeds it is blocked for five minutes: give less here to leave
    something to others.
    """

    requests: int = 1_200
    period: float = 300.0

    def __post_init__(self) -> None:
        if self.requests < 1 or not 0 < self.period < math.inf:
            raise ConfigurationError(f"a rate limit is one request or more in some seconds: {self}")

    def least_seconds(self, requests: int) -> float:
        """The least time that so many requests take."""
        return max(requests - self.requests, 0) * self.period / self.requests


CLOUDFLARE = RateLimit()


class BudgetUsedUpError(RateLimitError):
    """Nothing was sent: it would have had to wait for longer than it may."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.message}"


def is_for_all(error: ApiError) -> bool:
    """Whether a refusal holds for other requests too.

    Too many mutations of an index (40041) say nothing about the rest, unless there is a time.
    """
    refused = isinstance(error, RateLimitError)
    return refused and (error.code != 40041 or error.retry_after is not None)


@dataclass(slots=True)
class _Window:
    """What the service says is ``left`` until it ``ends`` and there is a whole ``quota`` again."""

    left: float
    ends: float
    quota: float


class RateBudget:
    """Tells each request of a connection how long it has to wait; thread-safe, never waits itself.

    A token bucket: at first ``limit.requests`` may go at once, later ones as the bucket fills.
    Requests draw numbers, so that those that wait are spread out. Without a limit nothing waits,
    except for what the service says in either case: where less is left by its own count, that
    count holds, and when it refuses a request, all wait.

    A request is `draw` and then `delay` until that is 0. Then it is sent, what its answer says
    goes to `learn` and `refused`, and in the end it has `ended`.
    """

    def __init__(
        self, limit: RateLimit | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._size = math.inf if limit is None else limit.requests
        self._rate = math.inf if limit is None else limit.requests / limit.period
        self._drawn = self._gone = self._in_flight = 0
        # Requests up to this number may go, as of that moment.
        self._open, self._open_at = float(self._size), clock()
        self._held_until = self._refused_until = -math.inf
        self._cautious = False
        self._windows: dict[str, _Window] = {}
        _budgets.add(self)

    def draw(self) -> int:
        """A number, in the order of requests."""
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            if self._open >= self._gone + self._size:
                # The service's bucket begins to fill when a request arrives, ours fills after.
                self._open_at = now + _LEEWAY
            self._drawn += 1
            return self._drawn

    def give_back(self) -> None:
        """A number that was drawn will not be used."""
        with self._lock:
            self._gone += 1
            self._open += 1

    def delay(self, number: int) -> float:
        """Seconds after which to ask again; 0 means go, and counts as sent."""
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
                elif window.left <= self._in_flight:
                    # Some of those on their way may be counted already; their answers will tell.
                    wait = max(wait, _LOOK_AGAIN)
            if wait > _INSTANT:
                return wait
            if self._cautious:
                # One goes ahead; the others follow once it is not refused.
                self._held_until = now + _LEEWAY
            self._gone += 1
            self._in_flight += 1
            return 0.0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Heed the service's own count, which comes with every answer."""
        quotas = wire.quotas(headers)
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            if self._cautious and now >= self._refused_until:
                self._cautious, self._held_until = False, -math.inf
            for quota in quotas:
                ends = now + quota.seconds + _LEEWAY
                window = self._windows.setdefault(quota.name, _Window(math.inf, ends, math.inf))
                # Answers overtake each other: the least that is left was said last.
                window.left = min(window.left, quota.left)
                window.ends = min(window.ends, ends)
                window.quota = quota.quota or math.inf  # 0 would be for ever

    def refused(self, retry_after: float | None) -> None:
        """Hold all requests for as long as the service asks, and the bucket was empty after all.

        If it does not ask for a time, requests go on as the bucket fills, and one at a time
        until one is not refused.
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

    def ended(self, *, answered: bool) -> None:
        """A request is no longer on its way; without an answer, it counts as one of the quota."""
        with self._lock:
            self._in_flight -= 1
            if not answered:
                for window in self._windows.values():
                    window.left -= 1

    def used_up(self, operation: str, seconds: float, patience: float) -> BudgetUsedUpError:
        """The error for an operation that would have to wait for longer than its ``patience``."""
        limit = self.limit
        kept = "" if limit is None else f" of {limit.requests:,} requests in {limit.period:g} s"
        said = (
            f"not sent: the rate limit{kept} is used up for another {math.ceil(seconds)} s, and "
            f"this waits for at most {patience:g} s. Send fewer requests, or set retry=RetryPolicy("
            "...) to wait for longer"
        )
        return BudgetUsedUpError(operation, 429, (ApiMessage(None, said),), retry_after=seconds)

    def after_fork(self) -> None:
        """Forget the threads of the parent process, which may have held the lock."""
        self._lock = threading.Lock()
        self._open += self._drawn - self._gone
        self._gone, self._in_flight = self._drawn, 0

    def _catch_up(self, now: float) -> None:
        if self.limit is not None and now > self._open_at:
            fresh = self._open + (now - self._open_at) * self._rate
            self._open, self._open_at = min(fresh, self._gone + self._size), now
        for window in self._windows.values():
            if now >= window.ends:
                window.left, window.ends = window.quota, math.inf
                self._open = max(self._open, float(self._gone + self._size))


_budgets: WeakSet[RateBudget] = WeakSet()


def _after_fork() -> None:
    for budget in _budgets:
        budget.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
