"""How a flow sends, sleeps and runs things side by side: `Io`, in a sync and an async variant.

A flow is work that takes several calls, written once: an ``async def`` that awaits nothing but the
methods of its `Io`. Those of `AsyncIo` suspend. Those of `SyncIo` never do, so that `run` finishes
a flow in a single step, without an event loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

from vectorize_core import forks, holds
from vectorize_core.api.headers import request_id as request_id_of
from vectorize_core.api.operations import Op
from vectorize_core.errors import ApiError, IndexNotFoundError, VectorizeError
from vectorize_core.holds import Call, Hold, Holder, TaskCall, TaskWaker, ThreadWaker, Waker
from vectorize_core.threads import in_thread
from vectorize_core.transport.events import LONG, Event, Events, RequestEvent
from vectorize_core.transport.executor import (
    TIME_LEFT,
    Answer,
    Executor,
    InterruptionError,
    Running,
)
from vectorize_core.transport.rate_limit import RateLimiter, blocks_all
from vectorize_core.transport.retry import RetryPolicy, is_transient, may_arrive_late, try_again
from vectorize_core.transport.turns import Turns
from vectorize_core.transport.workers import (
    Done,
    InlineWorkers,
    TaskWorkers,
    ThreadWorkers,
    Workers,
    check_running,
    check_shutdown,
    in_worker,
    is_shutting_down,
    pause,
    running_loop,
    shielded,
)

T = TypeVar("T")
S = TypeVar("S")

OnLost = Callable[[Running | None], None]
"""Called with an attempt that goes on in this process; None for one that is lost."""

logger = logging.getLogger("vectorize_core")
_AT_LEAST = 0.5
"""Seconds that an attempt has, though it begins when the deadline of its operation is near."""
_UNTIL: ContextVar[float | None] = ContextVar("until", default=None)
"""When an operation has to be over of which the calls that are made now are a part."""
_MOST_WHOLE = 10.0
"""Seconds that a cancelled call waits for the end of what it has begun."""
_NO_WAIT = 0.1
"""Seconds of waiting for a turn that are none."""
_POLL_AT_LEAST = 1.0
"""The same for a poll, of which the last one is made when the time is up."""


class Io(Protocol):
    """All that a flow may await."""

    policy: RetryPolicy
    """How long operations are tried again."""

    @property
    def caller(self) -> Callable[[], Holder]:
        """Makes whom what a flow takes belongs to, where it takes it."""

    async def call(self, op: Op[T], /, *, on_lost: OnLost | None = None) -> T:
        """Carry ``op`` out, with retries if it is repeatable; raises its typed error.

        ``on_lost`` is called for each attempt that may be carried out later than it ended.
        """

    async def once(self, op: Op[T], /, *, patience: float = 0.0) -> T:
        """Carry ``op`` out without retries, for callers that poll.

        Raises `RateLimitError` at once if the rate limit makes it wait for more than ``patience``
        seconds, and `NoTurnError` if so many other requests are on their way for that long. A
        request that takes longer than what is left of it, and than a second, is given up.
        """

    async def repeat(self, attempt: Callable[[], Awaitable[T]], op: Op[Any], /) -> T:
        """Await ``attempt()`` again while it fails transiently and ``op``'s deadline allows.

        The calls of all attempts but the first are given up at that deadline.
        """

    async def sleep(self, seconds: float, /) -> None:
        """Wait for so many seconds."""

    @property
    def waker(self) -> Callable[[], Waker]:
        """Makes what wakes the caller from `rest`."""

    async def rest(self, waker: Any, seconds: float, /) -> None:
        """Wait for so many seconds at most, until it is woken, or for a moment."""

    async def offload(self, fn: Callable[[], T], /) -> T:
        """Call ``fn``, which may block (it reads files, say), off the event loop."""

    async def whole(self, flow: Coroutine[Any, Any, T], /) -> T:
        """Await ``flow``; where it is cancelled, it ends when ``flow`` has, or ten seconds later.

        For what would go on in a thread, unseen by the next call, or be carried out later.
        """

    async def either(self, blocking: Callable[[], T], awaited: Callable[[], Awaitable[T]], /) -> T:
        """``blocking()`` in sync code, ``await awaited()`` in async code."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward, for timing."""

    def emit(self, event: Event, /) -> None:
        """Log an event and pass it to ``on_event``; never fails."""

    def least_seconds(self, requests: int, /) -> float:
        """The least time that so many requests take under the connection's rate limit."""

    def map(
        self,
        fn: Callable[[S], Coroutine[Any, Any, T]],
        items: AsyncIterator[S],
        /,
        limit: int,
    ) -> AsyncGenerator[Done[S, T], None]:
        """``fn`` over ``items``, at most ``limit`` at once; yields outcomes as they complete.

        The next item is taken only when a worker is free. When ``items`` itself fails, the items
        in flight are still finished and yielded before the failure is raised.

        Once it is closed or interrupted, no request begins, none is tried again, and every sleep
        ends. Threads are waited for until their requests have ended; tasks are cancelled.
        """


def run(flow: Coroutine[Any, Any, T]) -> T:
    """The result of a flow over `SyncIo`, which one step takes to its end."""
    try:
        flow.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except (ImportError, RuntimeError) as error:
        check_shutdown(error)
        raise
    flow.close()
    raise RuntimeError(f"{flow!r} suspended; a flow may await nothing but its Io")


def _is_within() -> bool:
    """Whether the flow that runs is within another one."""
    frame, runs = sys._getframe(), 0  # noqa: SLF001
    while frame.f_back is not None:
        frame = frame.f_back
        runs += frame.f_code is run.__code__
    return runs > 1


def iterate(pages: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an async generator over `SyncIo`; closed when the iteration is left."""
    try:
        while True:
            try:
                item = run(_next(pages))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(_close(pages))


async def _next(pages: AsyncGenerator[T, None]) -> T:
    return await anext(pages)


async def _close(pages: AsyncGenerator[Any, None]) -> None:
    await pages.aclose()


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """``items`` as an async iterator."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def in_batches(items: AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    """``items`` in lists of ``size``, the last one shorter."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def _outcome(fn: Callable[[S], Coroutine[Any, Any, T]], item: S) -> Done[S, T]:
    try:
        return Done(item, value=await fn(item))
    except Exception as error:
        return Done(item, error=error)


def _tell_if_lost(error: BaseException, on_lost: OnLost) -> None:
    """Call ``on_lost`` unless an attempt that ended with ``error`` is known to be over."""
    known = error.__cause__
    if isinstance(known, InterruptionError):
        if known.running is not None:
            on_lost(known.running)
    elif may_arrive_late(error):
        on_lost(None)


class _BaseIo(Io):
    """What both variants share: retries around one attempt, and the loop of `map`."""

    def __init__(
        self,
        executor: Executor,
        policy: RetryPolicy,
        *,
        limiter: RateLimiter | None = None,
        turns: Turns | None = None,
        events: Events | None = None,
        on_missing_index: Callable[[str], object] | None = None,
    ) -> None:
        self._executor = executor
        self.policy = policy
        self._on_missing_index = on_missing_index
        self._limiter = limiter
        self._turns = turns
        self._events = events if events is not None else Events()

    def _deadline(self, op: Op[Any]) -> float:
        """Seconds after which an operation of this kind is not tried again."""
        # As `RetryPolicy.deadline`, through whose file a call passes only to be tried again.
        return self.policy.read_deadline if op.kind == "read" else self.policy.write_deadline

    async def call(self, op: Op[T], /, *, on_lost: OnLost | None = None) -> T:
        patience, end = self._deadline(op), _UNTIL.get()
        if end is not None:
            patience = min(patience, max(end - self.now(), _AT_LEAST))
        place = await self._admit(op, patience)
        until, number = self.now() + patience, 0

        async def attempt() -> T:
            nonlocal number, place
            number += 1
            if number > 1:
                place = await self._admit(op, until - self.now())
            left, is_part = until - self.now(), end is not None
            return await self._attempt(
                op, number, place, left, on_lost, least=_AT_LEAST, cut=is_part
            )

        return await (self._repeat(attempt, op, patience) if op.repeatable else attempt())

    async def once(self, op: Op[T], /, *, patience: float = 0.0) -> T:
        place = await self._admit(op, patience)
        return await self._attempt(op, 1, place, patience, least=_POLL_AT_LEAST, cut=True)

    async def repeat(self, attempt: Callable[[], Awaitable[T]], op: Op[Any], /) -> T:
        number, deadline, outer = 0, self._deadline(op), _UNTIL.get()
        until = self.now() + deadline

        async def bounded() -> T:
            nonlocal number
            number += 1
            if number == 1:
                return await attempt()
            _UNTIL.set(until)
            try:
                return await attempt()
            finally:
                _UNTIL.set(outer)

        return await self._repeat(bounded, op, deadline)

    async def _repeat(self, attempt: Callable[[], Awaitable[T]], op: Op[Any], deadline: float) -> T:
        began = self.now()
        try:
            # Nearly always enough, and it saves the 90 microseconds that tenacity takes.
            return await attempt()
        except VectorizeError as error:
            if not is_transient(error):
                raise
            first = error
        return await try_again(
            attempt,
            op,
            first,
            self.policy,
            deadline=deadline,
            began=began,
            now=self.now,
            sleep=self.sleep,
            emit=self.emit,
        )

    async def _admit(self, op: Op[Any], patience: float) -> int:
        """Wait until one more request may be sent; raises at once if that takes too long.

        Returns its number of the rate limit.
        """
        check_running()
        limiter = self._limiter
        if limiter is None:
            return 0
        number, waited = limiter.draw(self.caller()), 0.0
        try:
            while (delay := limiter.delay(number)) > 0:
                if waited + delay > patience:
                    raise limiter.used_up(str(op), delay, patience)
                if delay >= LONG:
                    logger.warning("%s waits %.0f s: %s", op, delay, limiter.cause())
                await self.sleep(delay)
                waited += delay
        except BaseException:
            limiter.give_back(number)
            raise
        return number

    async def _attempt(
        self,
        op: Op[T],
        number: int,
        place: int,
        patience: float,
        on_lost: OnLost | None = None,
        *,
        least: float,
        cut: bool = False,
    ) -> T:
        """Send ``op`` once, note what the answer says of the rate limit, and emit an event.

        ``place`` is its number of the rate limit, ``number`` counts attempts.
        Only a first attempt that need not wait for its turn may take longer than ``patience``,
        unless it is to be ``cut``; all may take ``least`` seconds.
        """
        limiter, answered, asked = self._limiter, False, self.now()
        try:
            turn = await self._turn(op, patience)
        except BaseException:
            if limiter is not None:
                # Nothing was sent that could count against the quota.
                limiter.give_back(place)
            raise
        began = self.now()
        waited = began - asked
        cut = cut or number > 1 or waited > _NO_WAIT
        TIME_LEFT.set(max(patience - waited, least) if cut else None)
        try:
            try:
                answer = await self._send(op)
            finally:
                # Not by a token: a task that is destroyed ends in a context of somebody else's.
                TIME_LEFT.set(None)
                if turn is not None:
                    turn.release()
            answered = True
            if limiter is not None:
                limiter.learn(answer.headers)
        except BaseException as error:
            if on_lost is not None:
                _tell_if_lost(error, on_lost)
            check_shutdown(error)
            answered = isinstance(error, ApiError)
            if limiter is not None and isinstance(error, ApiError):
                limiter.learn(error.rate_limit)
                if blocks_all(error):
                    limiter.refused(error.retry_after)
            if isinstance(error, IndexNotFoundError) and self._on_missing_index and op.target:
                self._on_missing_index(op.target)
            self._report(op, number, began, error)
            raise
        finally:
            if limiter is not None:
                limiter.ended(place, answered=answered)
        self._report(op, number, began, answer)
        return answer.result

    def _report(
        self, op: Op[Any], number: int, began: float, end: Answer[Any] | BaseException
    ) -> None:
        if not self._events.heard:
            return
        seconds, status = self.now() - began, getattr(end, "status", None)
        if isinstance(end, Answer):
            request_id, error = request_id_of(end.headers), None
        else:
            request_id, error = getattr(end, "request_id", None), type(end).__name__
        kind = type(op).__name__
        self.emit(RequestEvent(kind, op.target, number, seconds, status, request_id, error))

    def emit(self, event: Event, /) -> None:
        self._events.emit(event)

    def least_seconds(self, requests: int, /) -> float:
        limit = self._limiter.limit if self._limiter is not None else None
        return 0.0 if limit is None else limit.least_seconds(requests)

    async def map(
        self,
        fn: Callable[[S], Coroutine[Any, Any, T]],
        items: AsyncIterator[S],
        /,
        limit: int,
    ) -> AsyncGenerator[Done[S, T], None]:
        workers = self._workers(limit)
        busy = 0
        more, failure = True, None
        try:
            while more or busy:
                while more and busy < limit:
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        more = False
                    except Exception as error:
                        more, failure = False, error
                    else:
                        workers.start(partial(_outcome, fn, item))
                        busy += 1
                if busy:
                    finished = await workers.finished()
                    busy -= len(finished)
                    for done in finished:
                        yield done
        finally:
            await workers.stop()
        if failure is not None:
            raise failure

    def _workers(self, limit: int) -> Workers:
        raise NotImplementedError

    async def _send(self, op: Op[T]) -> Answer[T]:
        raise NotImplementedError

    async def _turn(self, op: Op[Any], patience: float) -> Hold | None:
        raise NotImplementedError


class SyncIo(_BaseIo):
    """`Io` of sync code: its coroutines finish without suspending."""

    caller = Call
    waker = ThreadWaker

    async def _send(self, op: Op[T]) -> Answer[T]:
        return self._executor.send(op)

    async def _turn(self, op: Op[Any], patience: float) -> Hold | None:
        return None if self._turns is None else self._turns.enter(op, patience)

    async def offload(self, fn: Callable[[], T], /) -> T:
        return fn()

    async def whole(self, flow: Coroutine[Any, Any, T], /) -> T:
        return await flow

    async def either(self, blocking: Callable[[], T], awaited: Callable[[], Awaitable[T]], /) -> T:
        return blocking()

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        pause(seconds)

    async def rest(self, waker: ThreadWaker, seconds: float, /) -> None:
        waker.sleep(seconds)
        check_running()

    def _workers(self, limit: int) -> Workers:
        alone = in_worker() or is_shutting_down() or sys.platform == "emscripten"
        # Within another call, as in a signal's handler, threads may wait for what that holds.
        if limit == 1 or alone or (_is_within() and (holds.count_here() or forks.held_here())):
            return InlineWorkers(run)
        return ThreadWorkers(run)


class AsyncIo(_BaseIo):
    """`Io` of async code: its coroutines suspend wherever they wait."""

    caller = TaskCall
    waker = TaskWaker

    async def _send(self, op: Op[T]) -> Answer[T]:
        return await self._executor.asend(op)

    async def _turn(self, op: Op[Any], patience: float) -> Hold | None:
        return None if self._turns is None else await self._turns.aenter(op, patience)

    async def offload(self, fn: Callable[[], T], /) -> T:
        self.now()
        return await in_thread(fn)

    async def whole(self, flow: Coroutine[Any, Any, T], /) -> T:
        whole = asyncio.ensure_future(flow)
        try:
            return await shielded(whole)
        except asyncio.CancelledError:
            until = self.now() + _MOST_WHOLE
            while not whole.done() and (left := until - self.now()) > 0:
                # Cancelled once more, it is cancelled all the same.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([whole], timeout=left)
            whole.cancel()
            raise

    async def either(self, blocking: Callable[[], T], awaited: Callable[[], Awaitable[T]], /) -> T:
        return await awaited()

    def now(self) -> float:
        return running_loop().time()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)

    async def rest(self, waker: TaskWaker, seconds: float, /) -> None:
        await waker.sleep(seconds)

    def _workers(self, limit: int) -> Workers:
        return TaskWorkers()
