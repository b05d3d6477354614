"""When an operation is tried again, after how long, and when not any more."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from vectorize_core.api.operations import Op
from vectorize_core.errors import (
    ApiError,
    ConnectionFailedError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.transport.events import Event, RetryEvent
from vectorize_core.transport.rate_limit import BudgetUsedUpError
from vectorize_core.transport.workers import StoppedError

T = TypeVar("T")

_TRANSIENT = (RateLimitError, ServerError, ConnectionFailedError)
_NOT_SENT = (BudgetUsedUpError, StoppedError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long operations are tried for, in seconds.

    A block for too many requests lasts five minutes, hence the deadline of writes. Delays double
    from ``first_delay`` to ``max_delay``, with jitter; a delay the service asks for is obeyed
    instead. ``RetryPolicy(read_deadline=0, write_deadline=0)`` tries once.

    A deadline begins when the operation is first sent. Before that it may wait for the rate limit,
    for as long again; if that is not enough it raises `RateLimitError` at once. When it is tried
    again, time spent waiting for the rate limit counts.
    """

    read_deadline: float = 30.0
    write_deadline: float = 600.0
    first_delay: float = 0.5
    max_delay: float = 30.0

    def deadline(self, op: Op[Any]) -> float:
        """Seconds after which ``op`` is not tried again."""
        return self.read_deadline if op.kind == "read" else self.write_deadline


class Surroundings(Protocol):
    """What `repeat` needs of an `Io`."""

    async def sleep(self, seconds: float, /) -> None:
        """Let time pass."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""

    def emit(self, event: Event, /) -> None:
        """Tell what happened."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed later."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _NOT_SENT)


def is_refusal(error: BaseException) -> TypeGuard[ApiError]:
    """Whether the service found fault with the request itself, and would again."""
    return isinstance(error, ApiError) and error.status in (400, 413) and not is_transient(error)


def is_open(error: BaseException) -> bool:
    """Whether the operation may have been carried out although it failed."""
    return isinstance(error, (ServerError, UnexpectedAnswerError)) or (
        isinstance(error, ConnectionFailedError) and error.sent
    )


async def repeat(
    attempt: Callable[[], Awaitable[T]], op: Op[Any], policy: RetryPolicy, io: Surroundings
) -> T:
    """Await ``attempt()`` again while it fails transiently and ``op``'s deadline allows.

    Raises the last error; of a write the last one that leaves open whether it was carried out, if
    there is one: that a later attempt was not let through says nothing about it.
    """
    began = io.now()
    try:
        # Nearly always all there is to do, and done without tenacity's 90 microseconds.
        return await attempt()
    except VectorizeError as error:
        if not is_transient(error):
            raise
        failures = [error]
    known = iter(failures)

    async def again() -> T:
        for error in known:
            # The first failure, for tenacity to judge like all others.
            raise error
        try:
            return await attempt()
        except VectorizeError as error:
            if is_transient(error):
                failures.append(error)
            raise

    def delay(state: RetryCallState) -> float:
        exponent = min(state.attempt_number - 1, 30)
        backoff = min(policy.max_delay, policy.first_delay * 2.0**exponent)
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)
        asked = getattr(failures[-1], "retry_after", None)
        return jittered if asked is None else float(asked) + jittered * 0.1

    def out_of_time(state: RetryCallState) -> bool:
        # idle_for counts the delays as asked for, so an injected sleep that returns at once
        # still uses the deadline up.
        spent = max(state.idle_for, io.now() - began)
        return spent + state.upcoming_sleep > policy.deadline(op)

    def tell(state: RetryCallState) -> None:
        io.emit(_event(op, state.attempt_number, state.upcoming_sleep, failures[-1]))

    retrying = AsyncRetrying(
        sleep=io.sleep,
        wait=delay,
        stop=out_of_time,
        retry=retry_if_exception(is_transient),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return await retrying(again)
    except VectorizeError as error:
        last = failures[-1] if isinstance(error, _NOT_SENT) else error
        verdict: VectorizeError = last
        if op.kind == "write" and not is_refusal(last):
            verdict = next(filter(is_open, reversed(failures)), last)
        if verdict is not last:
            verdict.add_note(f"When it was tried again: {last}")
        raise verdict from verdict.__cause__


def _event(op: Op[Any], attempt: int, delay: float, error: VectorizeError) -> RetryEvent:
    said = RetryEvent(type(op).__name__, op.target, attempt, delay, type(error).__name__)
    if not isinstance(error, ApiError):
        return said
    return replace(said, status=error.status, code=error.code, request_id=error.request_id)
