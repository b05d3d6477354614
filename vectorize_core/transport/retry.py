"""When an operation is tried again, after how long, and until when."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential
from tenacity.wait import wait_base

from vectorize_core.api.operations import Op
from vectorize_core.errors import (
    ApiError,
    ConnectionFailedError,
    LateRequestError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.kwargs import checks_keywords
from vectorize_core.transport.events import RetryEvent
from vectorize_core.transport.rate_limit import LimitUsedUpError
from vectorize_core.transport.turns import NoTurnError
from vectorize_core.transport.workers import StoppedError

T = TypeVar("T")
logger = logging.getLogger("vectorize_core")

_TELL_AFTER = 2.0
"""Seconds of trying after which the log says so."""
_SHORT = 0.3
"""Seconds between attempts where there is little patience."""
_TRANSIENT = (RateLimitError, ServerError, ConnectionFailedError)
_NOT_SENT = (LimitUsedUpError, NoTurnError, StoppedError)
_UNANSWERED = frozenset({502, 504, 520, 522, 524})
"""What a gateway says when it has no answer of the service behind it."""


@checks_keywords()
@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long failed operations are tried again, in seconds.

    A block for too many requests lasts five minutes, hence the long deadline of writes. Delays
    double from ``first_delay`` to ``max_delay``, with jitter; a delay that the service asks for
    takes their place. ``RetryPolicy(read_deadline=0, write_deadline=0)`` tries once.

    A deadline begins when the operation is first sent. Before that, it may wait for the rate limit
    for the same time; if that is too short, it raises `RateLimitError` at once. Later waits for
    the rate limit count towards the deadline.

    The first attempt may take as long as a request may (``timeout=`` of the client), also if that
    is longer than the deadline. Each later one is given up when the deadline is over, but not
    before it had half a second. So a call ends at its deadline, or after the time of one request.

    A request that got no answer may still be carried out for ``request_lifetime`` seconds: as long
    as Cloudflare's edge waits for the service behind it. Until then, another write of the same ids
    waits, or counts as unknown if that takes longer than ``write_deadline``.
    """

    read_deadline: float = 30.0
    write_deadline: float = 600.0
    first_delay: float = 0.5
    max_delay: float = 30.0
    request_lifetime: float = 120.0

    def deadline(self, kind: Literal["read", "write", "control"]) -> float:
        """Seconds after which an operation of this kind is not tried again."""
        return self.read_deadline if kind == "read" else self.write_deadline


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _NOT_SENT)


def is_refusal(error: BaseException) -> TypeGuard[ApiError]:
    """Whether the service refuses the request itself, and would do so again."""
    return isinstance(error, ApiError) and error.status in (400, 413) and not is_transient(error)


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether the operation may have been carried out although it failed.

    What is no error of ours has come in the middle, as from a signal's handler.
    """
    if isinstance(error, ConnectionFailedError):
        return error.sent
    known = isinstance(error, VectorizeError)
    return not known or isinstance(error, (ServerError, UnexpectedAnswerError, LateRequestError))


def may_arrive_late(error: BaseException) -> bool:
    """Whether the operation may still be carried out, though nobody waits for its answer."""
    if isinstance(error, ServerError):
        return error.status in _UNANSWERED
    if isinstance(error, ConnectionFailedError):
        return error.sent
    return not isinstance(error, Exception)


async def try_again(
    attempt: Callable[[], Awaitable[T]],
    op: Op[Any],
    first: VectorizeError,
    policy: RetryPolicy,
    *,
    deadline: float,
    began: float,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    emit: Callable[[RetryEvent], None],
) -> T:
    """Await ``attempt()`` until it ends otherwise than transiently, or the deadline is over.

    ``first`` is how the first attempt failed, which began at ``began`` by the clock ``now``;
    ``deadline`` is in seconds from then.

    Raises the last error. For a write it prefers the last error that leaves open whether the write
    was carried out: that a later attempt was refused says nothing about an earlier one.
    """
    failures: list[VectorizeError] = []
    known = iter([first])
    unreachable_since: float | None = None
    told = False

    async def again() -> T:
        for error in known:
            # For tenacity to judge like all others.
            raise error
        return await attempt()

    def spent(state: RetryCallState) -> float:
        # idle_for counts the delays as asked for: the sleep of a test takes no time.
        return max(state.idle_for, now() - began)

    def after(state: RetryCallState) -> None:
        nonlocal unreachable_since
        failures.append(_error(state))
        if _patience(failures[-1]) is None:
            unreachable_since = None
        elif unreachable_since is None:
            unreachable_since = spent(state)

    def end() -> float:
        patience = _patience(failures[-1])
        if patience is None or unreachable_since is None:
            return deadline
        return min(deadline, unreachable_since + patience)

    def is_over(state: RetryCallState) -> bool:
        return spent(state) + state.upcoming_sleep > end()

    def before_sleep(state: RetryCallState) -> None:
        nonlocal told
        emit(_event(op, state.attempt_number, state.upcoming_sleep, failures[-1]))
        left = end() - spent(state)
        # With less than a second left, its error follows at once.
        if not told and spent(state) + state.upcoming_sleep >= _TELL_AFTER and left >= 1:
            told = True
            logger.warning("%s; it is tried again for up to %.0f s more", failures[-1], left)

    retrying = AsyncRetrying(
        sleep=sleep,
        wait=_RetryAfter(wait_exponential(policy.first_delay, policy.max_delay)),
        stop=is_over,
        retry=retry_if_exception(is_transient),
        after=after,
        before_sleep=before_sleep,
        reraise=True,
    )
    try:
        return await retrying(again)
    except VectorizeError as error:
        last = failures[-1] if isinstance(error, _NOT_SENT) else error
        verdict = last
        if op.kind == "write" and not is_refusal(last):
            verdict = next(filter(is_outcome_unknown, reversed(failures)), last)
        if verdict is not last:
            verdict.add_note(f"When it was tried again: {last}")
        raise verdict from verdict.__cause__


class _RetryAfter(wait_base):
    """The delay that the service asks for, otherwise ``backoff``; with jitter."""

    def __init__(self, backoff: wait_base) -> None:
        self._backoff = backoff

    def __call__(self, retry_state: RetryCallState) -> float:
        jittered = self._backoff(retry_state) * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)
        if _patience(_error(retry_state)) is not None:
            jittered = min(jittered, _SHORT)
        asked = getattr(_error(retry_state), "retry_after", None)
        return jittered if asked is None else float(asked) + jittered * 0.1


def _patience(error: Any) -> float | None:
    return getattr(error, "patience", None)


def _error(state: RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome is not None else None


def _event(op: Op[Any], attempt: int, delay: float, error: VectorizeError) -> RetryEvent:
    details = {name: getattr(error, name, None) for name in ("status", "code", "request_id")}
    return RetryEvent(type(op).__name__, op.target, attempt, delay, type(error).__name__, **details)
