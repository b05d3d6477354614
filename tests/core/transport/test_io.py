"""`Io`: how flows are driven, and `map`, the one tool for doing several things at once."""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
import traceback
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from vectorize_core import RetryPolicy
from vectorize_core.api.operations import GetInfo, Op
from vectorize_core.transport import io as transport_io
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.io import AsyncIo, Io, SyncIo, each, in_batches, iterate, run
from vectorize_core.transport.workers import Done

T = TypeVar("T")
Flow = Callable[[Io], Coroutine[Any, Any, T]]
Drive = Callable[[Flow[Any]], Any]


class Echo:
    """An executor that answers with the name of the index."""

    def send(self, op: Op[T], /) -> Answer[T]:
        return Answer(op.index)  # type: ignore[attr-defined]

    async def asend(self, op: Op[T], /) -> Answer[T]:
        return self.send(op)

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def drive_sync(flow: Flow[T]) -> T:
    return run(flow(SyncIo(Echo(), RetryPolicy())))


def drive_async(flow: Flow[T]) -> T:
    return asyncio.run(flow(AsyncIo(Echo(), RetryPolicy())))


@pytest.fixture(params=[drive_sync, drive_async], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Runs a flow over either kind of `Io`."""
    drive: Drive = request.param
    return drive


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    # Idle ones of other things end by themselves.
    assert [thread.name for thread in left if re.fullmatch(r"vectorize-\d+", thread.name)] == []


@types.coroutine
def suspend() -> Generator[None, None, None]:
    yield


def test_run_takes_a_flow_to_its_end_in_one_step() -> None:
    async def inner() -> int:
        return 41

    async def flow() -> int:
        return await inner() + 1

    assert run(flow()) == 42


def test_run_raises_what_the_flow_raises() -> None:
    async def flow() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        run(flow())


def test_run_closes_a_flow_that_suspends_and_says_why() -> None:
    closed = []

    async def flow() -> None:
        try:
            await suspend()
        finally:
            closed.append(True)

    held = flow()
    with pytest.raises(RuntimeError, match="await nothing but its Io"):
        run(held)
    assert closed == [True]


async def test_run_works_where_an_event_loop_runs() -> None:
    async def flow() -> str:
        return "done"

    assert run(flow()) == "done"


class Pages:
    """An async generator that notes how far it was taken, and that it was closed."""

    def __init__(self, count: int = 3, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.taken = 0
        self.closed = False

    async def __call__(self) -> Any:
        try:
            for i in range(self.count):
                self.taken += 1
                yield i
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def test_iterate_yields_everything_as_it_is_asked_for() -> None:
    pages = Pages()
    items = iterate(pages())
    assert (next(items), pages.taken, pages.closed) == (0, 1, False)
    assert list(items) == [1, 2]
    assert pages.closed


def test_iterate_closes_what_is_left_early() -> None:
    pages = Pages()
    held = pages()
    for _ in iterate(held):
        break
    assert (pages.taken, pages.closed) == (1, True)


def test_iterate_closes_what_its_user_fails_in() -> None:
    pages = Pages()

    def fail() -> None:
        for _ in iterate(pages()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert pages.closed


def test_iterate_raises_what_the_generator_raises() -> None:
    pages = Pages(error=KeyError("x"))
    items = iterate(pages())
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(items)
    assert pages.closed


def test_iterate_refuses_a_generator_that_suspends() -> None:
    async def pages() -> Any:
        await suspend()
        yield 1

    with pytest.raises(RuntimeError) as caught:
        list(iterate(pages()))
    assert "await nothing but its Io" in "".join(traceback.format_exception(caught.value))


def test_each_and_in_batches_keep_the_order(drive: Drive) -> None:
    async def flow(_: Io) -> list[list[int]]:
        return [batch async for batch in in_batches(each(range(7)), 3)]

    assert drive(flow) == [[0, 1, 2], [3, 4, 5], [6]]


def test_call_carries_out_over_the_executor(drive: Drive) -> None:
    assert drive(lambda io: io.call(GetInfo("docs"))) == "docs"


def test_blocking_work_stays_off_the_event_loop(drive: Drive) -> None:
    async def flow(io: Io) -> tuple[int, bool]:
        here = await io.offload(threading.get_ident)
        with pytest.raises(OSError, match="full"):
            await io.offload(fail)
        return here, isinstance(io, AsyncIo)

    def fail() -> None:
        raise OSError("the disk is full")

    ident, is_async = drive(flow)
    assert (ident != threading.get_ident()) is is_async


async def test_a_cancelled_call_waits_no_longer_than_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_io, "_MOST_WHOLE", 0.1)
    io, ended = AsyncIo(Echo(), RetryPolicy()), asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    call = asyncio.create_task(io.whole(never()))
    for _ in range(3):
        await asyncio.sleep(0)
        call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 30)
    await asyncio.wait_for(ended.wait(), 30)


def test_time_goes_on_by_as_much_as_is_slept(drive: Drive) -> None:
    async def flow(io: Io) -> float:
        began = io.now()
        await io.sleep(0.02)
        return io.now() - began

    assert 0.015 < drive(flow) < 5


class Work:
    """A function for `map` that keeps count of itself; sure of ``together`` calls at once."""

    def __init__(self, io: Io, together: int = 1) -> None:
        self._io = io
        self._together = together
        self._lock = threading.Lock()
        self._met = False
        self.pulled = self.finished = self.active = self.peak = self.most_pulled = 0

    async def items(self, count: int) -> AsyncIterator[int]:
        for item in range(count):
            with self._lock:
                self.pulled += 1
                self.most_pulled = max(self.most_pulled, self.pulled - self.finished)
            yield item

    async def __call__(self, item: int) -> int:
        with self._lock:
            self.active += 1
            self.peak = max(self.peak, self.active)
            self._met = self._met or self.active >= self._together
        try:
            for _ in range(5_000):
                await self._io.sleep(0.001)
                if self._met:
                    return item * item
            raise AssertionError("never together")
        finally:
            with self._lock:
                self.active -= 1
                self.finished += 1


async def everything(outcomes: Any) -> list[Any]:
    return [done async for done in outcomes]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_map_works_on_as_many_items_at_once_as_the_limit(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> Work:
        work = Work(io, together=limit)
        done = await everything(io.map(work, work.items(23), limit))
        assert sorted((d.item, d.value) for d in done) == [(i, i * i) for i in range(23)]
        assert all(d.error is None for d in done)
        return work

    work = drive(flow)
    assert work.peak == limit


@pytest.mark.parametrize("limit", [1, 3])
def test_map_pulls_the_next_item_only_when_a_slot_is_free(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> Work:
        work = Work(io)
        await everything(io.map(work, work.items(20), limit))
        return work

    assert drive(flow).most_pulled <= limit


@pytest.mark.parametrize("limit", [1, 3])
def test_map_takes_no_more_than_it_needs(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> None:
        work = Work(io)
        async with aclosing(io.map(work, work.items(1_000_000), limit)) as outcomes:
            assert work.pulled == 0
            await anext(outcomes)
            assert 1 <= work.pulled <= limit

    drive(flow)


def test_map_yields_outcomes_as_they_complete(drive: Drive) -> None:
    async def flow(io: Io) -> list[int]:
        seen: list[int] = []

        async def follow(number: int) -> None:
            while len(seen) < number:
                await io.sleep(0.001)

        async for done in io.map(follow, each([2, 1, 0]), 3):
            # Not all at once: those that follow wait for it.
            seen += [done.item]
        return seen

    assert drive(flow) == [0, 1, 2]


def test_map_of_nothing_is_nothing(drive: Drive) -> None:
    async def flow(io: Io) -> list[Any]:
        return await everything(io.map(Work(io), each([]), 4))

    assert drive(flow) == []


@pytest.mark.parametrize("limit", [1, 4])
def test_an_error_is_an_outcome_and_stops_nothing(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> list[Done[int, int]]:
        async def odd_only(item: int) -> int:
            if item % 2:
                return item
            raise ValueError(f"{item} is even")

        done = await everything(io.map(odd_only, each(range(6)), limit))
        return sorted(done, key=lambda d: int(d.item))

    done = drive(flow)
    assert [d.item for d in done] == list(range(6))
    assert [d.value for d in done] == [None, 1, None, 3, None, 5]
    assert [str(d.error) for d in done if d.error] == ["0 is even", "2 is even", "4 is even"]
    assert done[1].result() == 1
    with pytest.raises(ValueError, match="0 is even"):
        done[0].result()


@pytest.mark.parametrize("limit", [1, 4])
def test_when_the_items_fail_what_is_in_flight_is_yielded_first(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> list[int]:
        work = Work(io)
        seen: list[int] = []

        async def three_then_fail() -> AsyncIterator[int]:
            async for item in work.items(3):
                yield item
            raise OSError("the input broke")

        async def take() -> None:
            async for done in io.map(work, three_then_fail(), limit):
                seen.append(done.item)  # noqa: PERF401

        with pytest.raises(OSError, match="the input broke"):
            await take()
        assert work.active == 0
        return sorted(seen)

    assert drive(flow) == [0, 1, 2]


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def test_context_variables_reach_the_workers_and_stay_there(drive: Drive) -> None:
    async def flow(io: Io) -> list[str | None]:
        async def look(item: int) -> str:
            found = VARIABLE.get()
            VARIABLE.set(f"set by {item}")
            return found

        VARIABLE.set("set by the caller")
        done = await everything(io.map(look, each(range(8)), 2))
        assert VARIABLE.get() == "set by the caller"
        return [d.value for d in done]

    drive_in_a_copy = contextvars.copy_context().run
    assert drive_in_a_copy(drive, flow) == ["set by the caller"] * 8


def test_map_within_map_neither_deadlocks_nor_multiplies_threads(drive: Drive) -> None:
    async def flow(io: Io) -> int:
        async def inner(item: int) -> tuple[int, int]:
            return item, threading.get_ident()

        async def outer(item: int) -> int:
            done = await everything(io.map(inner, each(range(item)), 4))
            assert {d.value[1] for d in done} <= {threading.get_ident()}
            return sum(d.value[0] for d in done)

        return sum([d.result() async for d in io.map(outer, each(range(8)), 3)])

    assert drive(flow) == sum(sum(range(i)) for i in range(8))


def test_sync_workers_are_threads_or_the_caller_itself() -> None:
    async def here(_: int) -> int:
        return threading.get_ident()

    def idents(limit: int) -> set[int | None]:
        io = SyncIo(Echo(), RetryPolicy())
        return {done.value for done in run(everything(io.map(here, each(range(4)), limit)))}

    assert idents(1) == {threading.get_ident()}
    assert threading.get_ident() not in idents(2)


@pytest.mark.parametrize("limit", [1, 3])
def test_closing_early_waits_for_what_is_in_flight(drive: Drive, limit: int) -> None:
    async def flow(io: Io) -> None:
        work = Work(io)
        async with aclosing(io.map(work, work.items(1_000), limit)) as outcomes:
            await anext(outcomes)
        assert work.active == 0
        assert work.pulled <= limit
        if isinstance(io, AsyncIo):
            assert asyncio.all_tasks() == {asyncio.current_task()}

    drive(flow)


def test_an_error_of_the_consumer_leaves_nothing_either(drive: Drive) -> None:
    async def flow(io: Io) -> None:
        work = Work(io)

        async def fail() -> None:
            async with aclosing(io.map(work, work.items(1_000), 3)) as outcomes:
                async for _ in outcomes:
                    raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert work.active == 0

    drive(flow)


async def test_cancelling_the_consumer_cancels_what_is_in_flight() -> None:
    io = AsyncIo(Echo(), RetryPolicy())
    started, ended = asyncio.Event(), []

    async def forever(item: int) -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(item)

    async def consume() -> None:
        async with aclosing(io.map(forever, each(range(9)), 2)) as outcomes:
            await everything(outcomes)

    task = asyncio.create_task(consume())
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1]
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_an_interrupt_in_the_consumer_ends_a_sync_map() -> None:
    io = SyncIo(Echo(), RetryPolicy())
    work = Work(io)

    async def flow() -> None:
        async with aclosing(io.map(work, work.items(1_000), 2)) as outcomes:
            async for _ in outcomes:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(flow())
    assert work.active == 0
    assert work.pulled <= 2
