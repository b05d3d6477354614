"""`Io.map` that is left or interrupted: nothing more begins, no sleep goes on, no thread stays."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from types import FrameType
from typing import Any, TypeVar

import pytest

from tests.core.helpers import Answer, Cloudflare, failed, ok
from tests.patience import until
from vectorize_core import ConnectionFailedError, RateLimit, RateLimitError, RetryPolicy, Vector
from vectorize_core.api.operations import Op, Upsert
from vectorize_core.holds import Call
from vectorize_core.transport import io as io_module
from vectorize_core.transport import workers as workers_module
from vectorize_core.transport.executor import Answer as Answered
from vectorize_core.transport.io import AsyncIo, SyncIo, each, run
from vectorize_core.transport.rate_limit import RateLimiter

T = TypeVar("T")
WRITE = Upsert("docs", (Vector("a", [1.0]),))
WRITTEN = ok({"mutationId": "m"})
BLOCKED = failed(429, 971, headers={"retry-after": "300"})
SOON = 30.0
"""Seconds; what would be waited for takes minutes."""


@pytest.fixture(autouse=True)
def nothing_takes_long_and_no_thread_is_left() -> Iterator[None]:
    began, before = time.monotonic(), set(threading.enumerate())
    yield
    assert time.monotonic() - began < SOON
    until(lambda: set(threading.enumerate()) <= before)


def threads() -> list[str]:
    """Those of the workers; a store that another test has left open may have others."""
    # Python also counts those that Ctrl-C has kept from beginning.
    known = [thread for thread in threading.enumerate() if thread.ident is not None]
    return [thread.name for thread in known if re.fullmatch(r"vectorize-\d+", thread.name)]


def stopping() -> threading.Event:
    """What is set when the pool of this worker is to stop."""
    event = workers_module._stopping.get()
    assert event is not None
    return event


class Calls:
    """A function for `map` that sends, and keeps what became of it."""

    def __init__(self, *answers: Answer, limit: RateLimit | None = None) -> None:
        self.cloudflare = Cloudflare(*answers)
        self.limiter = None if limit is None else RateLimiter(limit)
        self.io = SyncIo(self.cloudflare.executor(), RetryPolicy(), limiter=self.limiter)
        self.begun = 0
        self.pulled = 0
        self.ended: list[BaseException | None] = []

    async def items(self, count: int = 1_000) -> AsyncIterator[int]:
        for item in range(count):
            self.pulled += 1
            yield item

    async def __call__(self, item: int) -> None:
        self.begun += 1
        try:
            await self.io.call(WRITE)
        except BaseException as error:
            self.ended.append(error)
            raise
        self.ended.append(None)


async def take(calls: Calls, limit: int, action: Callable[[], None]) -> None:
    """Take outcomes until ``action`` leaves."""
    async with aclosing(calls.io.map(calls, calls.items(), limit)) as outcomes:
        async for _ in outcomes:
            action()


class EnoughError(Exception):
    pass


def enough() -> None:
    raise EnoughError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


LEAVING = {
    "an error": (enough, EnoughError),
    "a signal": (interrupt, KeyboardInterrupt),
    "the end of the program": (lambda: sys.exit(3), SystemExit),
}


@pytest.mark.parametrize(("leave", "kind"), LEAVING.values(), ids=LEAVING)
def test_a_caller_in_a_long_delay_is_woken_with_the_last_error(
    leave: Callable[[], None], kind: type[BaseException]
) -> None:
    calls = Calls(WRITTEN, BLOCKED)

    def leave_then() -> None:
        until(lambda: len(calls.cloudflare.requests) >= 4)
        leave()

    with pytest.raises(kind):
        run(take(calls, 4, leave_then))
    failures = [error for error in calls.ended if error is not None]
    assert len(calls.ended) == calls.begun == calls.pulled == 4
    assert len(calls.cloudflare.requests) == 4
    assert {type(error) for error in failures} == {RateLimitError}
    assert all(error.retry_after == 300 for error in failures)  # type: ignore[attr-defined]


def test_who_waits_for_the_limit_is_woken_and_was_not_sent() -> None:
    calls = Calls(WRITTEN, limit=RateLimit(1, 100.0))

    def leave() -> None:
        until(lambda: calls.begun == 3)
        raise EnoughError

    with pytest.raises(EnoughError):
        run(take(calls, 3, leave))
    waited = [error for error in calls.ended if error is not None]
    assert (len(calls.ended), len(waited)) == (3, 2)
    assert all(isinstance(e, ConnectionFailedError) and e.sent is False for e in waited)
    assert len(calls.cloudflare.requests) == 1
    # Their places are free again.
    limiter = calls.limiter
    assert limiter is not None
    assert 60 < limiter.delay(limiter.draw(Call())) <= 101


@pytest.mark.parametrize("how", [interrupt, _thread.interrupt_main], ids=["signal", "main"])
def test_an_interrupt_while_all_wait_for_a_long_delay_ends_it(how: Callable[[], None]) -> None:
    calls = Calls(BLOCKED)

    def later() -> None:
        until(lambda: len(calls.cloudflare.requests) == 3)
        time.sleep(0.05)
        how()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(take(calls, 3, enough))
    thread.join()
    assert [type(error) for error in calls.ended] == [RateLimitError] * 3
    assert (calls.pulled, len(calls.cloudflare.requests)) == (3, 3)


def test_an_interrupt_ends_a_delay_of_the_caller_itself() -> None:
    calls = Calls(BLOCKED)

    def later() -> None:
        until(lambda: calls.cloudflare.requests)
        time.sleep(0.05)
        _thread.interrupt_main()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(take(calls, 1, enough))
    thread.join()
    assert len(calls.cloudflare.requests) == 1


def test_an_interrupt_while_items_are_pulled_ends_it() -> None:
    calls = Calls(BLOCKED)

    async def items() -> AsyncIterator[int]:
        yield 0
        yield 1
        until(lambda: len(calls.cloudflare.requests) == 2)
        interrupt()
        yield 2

    async def flow() -> None:
        async with aclosing(calls.io.map(calls, items(), 3)) as outcomes:
            async for _ in outcomes:
                raise AssertionError("nothing can have ended")

    with pytest.raises(KeyboardInterrupt):
        run(flow())
    assert [type(error) for error in calls.ended] == [RateLimitError] * 2


def test_a_flow_of_several_requests_begins_no_other_one() -> None:
    calls = Calls(WRITTEN)

    async def several(item: int) -> None:
        await calls(item)
        if item:
            until(stopping().is_set)
            await calls(item)

    async def flow() -> None:
        async with aclosing(calls.io.map(several, each(range(2)), 2)) as outcomes:
            async for _ in outcomes:
                until(lambda: len(calls.ended) == 2)
                break

    run(flow())
    assert len(calls.cloudflare.requests) == 2
    assert [type(error).__name__ for error in calls.ended[2:]] == ["StoppedError"]


def test_workers_of_an_ended_map_stop_nothing_of_others() -> None:
    calls = Calls(WRITTEN)
    later: list[Any] = []

    async def keep(item: int) -> None:
        await calls(item)
        later.append(contextvars.copy_context())

    async def flow() -> None:
        async for done in calls.io.map(keep, each(range(4)), 2):
            done.result()

    run(flow())
    for context in later:
        context.run(run, calls.io.call(WRITE))
    assert len(calls.cloudflare.requests) == 8


class Slow:
    """An executor whose requests take until they are released."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()

    def send(self, op: Op[T], /) -> Answered[T]:
        self.begun.release()
        self.released.wait()
        return Answered(op.read(None))

    async def asend(self, op: Op[T], /) -> Answered[T]:
        return self.send(op)

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def test_a_second_interrupt_is_not_kept_waiting() -> None:
    slow, stops = Slow(), list[threading.Event]()
    io = SyncIo(slow, RetryPolicy())

    async def write(_: int) -> None:
        stops.append(stopping())
        await io.call(WRITE)

    async def flow() -> None:
        async with aclosing(io.map(write, each(range(9)), 2)) as outcomes:
            async for _ in outcomes:
                raise AssertionError("nothing can have ended")

    def twice() -> None:
        slow.begun.acquire()
        slow.begun.acquire()
        _thread.interrupt_main()
        # Then the first one is waiting for the threads, or about to.
        until(stops[0].is_set)
        time.sleep(0.05)
        assert interrupted == []
        _thread.interrupt_main()

    interrupted: list[float] = []
    thread = threading.Thread(target=twice)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(flow())
    interrupted.append(time.monotonic())
    thread.join()
    assert len(threads()) == 2
    slow.released.set()
    until(lambda: threads() == [])


class Blocked:
    """An executor that carries out one operation, and is blocked for the others."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, op: Op[T], /) -> Answered[T]:
        self.sent += 1
        if self.sent > 1:
            raise RateLimitError(str(op), 429, retry_after=300.0)
        return Answered(op.read(None))

    async def asend(self, op: Op[T], /) -> Answered[T]:
        return self.send(op)

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def test_an_interrupt_at_any_point_leaves_no_thread() -> None:
    places = {io_module.__file__, workers_module.__file__}

    def interrupted_at(point: int) -> bool:
        """Whether there is such a point: a line, counted from the beginning of the flow."""
        blocked = Blocked()
        io = SyncIo(blocked, RetryPolicy())
        lines = 0

        async def write(_: int) -> None:
            await io.call(WRITE)

        async def flow() -> None:
            async with aclosing(io.map(write, each(range(9)), 2)) as outcomes:
                async for _ in outcomes:
                    until(lambda: blocked.sent >= 2)
                    raise EnoughError

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in places or frame.f_code is run.__code__:
                return None
            if event == "line":
                lines += 1
                if lines == point:
                    interrupt()
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            run(flow())
        except (EnoughError, KeyboardInterrupt) as left:
            return isinstance(left, KeyboardInterrupt)
        finally:
            sys.settrace(before)
        return False

    point = 1
    while interrupted_at(point):
        until(lambda: threads() == [])
        point += 1
    assert point > 40


async def test_a_cancelled_consumer_leaves_no_task_that_sleeps_out_a_delay() -> None:
    cloudflare = Cloudflare(BLOCKED)
    limiter = RateLimiter(RateLimit(2, 600.0))
    io = AsyncIo(cloudflare.executor(), RetryPolicy(), limiter=limiter)

    async def write(_: int) -> None:
        await io.call(WRITE)

    async def consume() -> None:
        async with aclosing(io.map(write, each(range(9)), 3)) as outcomes:
            async for _ in outcomes:
                raise AssertionError("nothing can have ended")

    task = asyncio.create_task(consume())
    await asyncio.to_thread(until, lambda: len(cloudflare.requests) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(cloudflare.requests) == 2
