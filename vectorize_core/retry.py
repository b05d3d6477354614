"""When an operation is tried again, after how long, and when not any more."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from vectorize_core.errors import ConnectionFailedError, RateLimitError, ServerError
from vectorize_core.operations import Op

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long operations are tried for, in seconds.

    A block for too many requests lasts five minutes, hence the deadline of writes. Delays double
    from ``first_delay`` to ``max_delay``, with jitter; a delay the service asks for is obeyed
    instead. ``RetryPolicy(read_deadline=0, write_deadline=0)`` tries once.
    """

    read_deadline: float = 30.0
    write_deadline: float = 600.0
    first_delay: float = 0.5
    max_delay: float = 30.0

    def deadline(self, op: Op[Any]) -> float:
        """Seconds after which ``op`` is not tried again."""
        return self.read_deadline if op.kind == "read" else self.write_deadline


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed later."""
    return isinstance(error, (RateLimitError, ServerError, ConnectionFailedError))


async def repeat(
    attempt: Callable[[], Awaitable[T]],
    op: Op[Any],
    policy: RetryPolicy,
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Await ``attempt()`` again while it fails transiently and ``op``'s deadline allows."""

    def delay(state: RetryCallState) -> float:
        exponent = min(state.attempt_number - 1, 30)
        backoff = min(policy.max_delay, policy.first_delay * 2.0**exponent)
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after", None)
        return jittered if asked is None else float(asked) + jittered * 0.1

    def out_of_time(state: RetryCallState) -> bool:
        # idle_for counts the delays as asked for, so an injected sleep that returns at once
        # still uses the deadline up.
        spent = max(state.idle_for, state.seconds_since_start or 0.0)
        return spent + state.upcoming_sleep > policy.deadline(op)

    retrying = AsyncRetrying(
        sleep=sleep,
        wait=delay,
        stop=out_of_time,
        retry=retry_if_exception(is_transient),
        reraise=True,
    )
    return await retrying(attempt)
