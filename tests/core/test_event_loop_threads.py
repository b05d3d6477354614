"""What event loops let threads do: each loop has threads of its own, which end with it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from vectorize_core import RetryPolicy, threads
from vectorize_core.job import Job
from vectorize_core.local import Service
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.threads import _OFFLOADED, Threads, in_thread
from vectorize_core.transport.io import SyncIo, run


def test_what_threads_do_may_run_an_event_loop_that_lets_threads_do_more() -> None:
    """An embedding model without async methods may use an async store."""

    async def inner() -> int:
        return await in_thread(lambda: 1)

    def blocking() -> int:
        time.sleep(0.01)
        return asyncio.run(inner())

    async def outer() -> list[int]:
        calls = (in_thread(blocking) for _ in range(3 * _OFFLOADED))
        return await asyncio.wait_for(asyncio.gather(*calls), 20)

    assert asyncio.run(outer()) == [1] * 3 * _OFFLOADED


def test_no_event_loop_waits_for_the_threads_of_another_one() -> None:
    busy, free = threading.Event(), threading.Event()

    def blocks() -> None:
        busy.set()
        free.wait(20)

    async def blocked() -> None:
        await asyncio.gather(*(in_thread(blocks) for _ in range(2 * _OFFLOADED)))

    other = threading.Thread(target=asyncio.run, args=[blocked()])
    other.start()
    try:
        assert busy.wait(20)
        asyncio.run(asyncio.wait_for(in_thread(lambda: None), 10))
        assert not free.is_set()
    finally:
        free.set()
        other.join()


def running() -> int:
    return [thread.name for thread in threading.enumerate()].count("vectorize-offloaded")


def fewer(most: int) -> None:
    end = time.monotonic() + 20
    while running() > most and time.monotonic() < end:
        time.sleep(0.01)
    assert running() <= most


async def use() -> None:
    await in_thread(lambda: None)


def test_threads_end_with_their_event_loop() -> None:
    before, most = running(), 0
    for _ in range(200):
        asyncio.run(use())
        most = max(most, running() - before)
    gc.collect()
    fewer(before)
    assert most < 20


def test_threads_of_closed_event_loops_that_somebody_keeps_end_too() -> None:
    before, loops = running(), [asyncio.new_event_loop() for _ in range(5)]
    for loop in loops:
        loop.run_until_complete(use())
        loop.close()
        fewer(before + 1)


def test_threads_that_nobody_can_use_any_more_end() -> None:
    before, few = threading.active_count(), Threads("few", 2)
    for _ in range(2):
        job = Job(lambda: None)
        assert few.begin(job)
        job.wait(20)
    del few
    end = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_call_within_the_beginning_of_a_thread_uses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a signal's handler's: its threads could wait for the call below it."""
    found: list[object] = []

    async def within() -> None:
        found.append(SyncIo(EmbeddedExecutor(Service()), RetryPolicy())._workers(4))

    def begins(*_: object) -> int:
        run(within())
        raise RuntimeError

    async def outer() -> None:
        monkeypatch.setattr(threads, "start_new_thread", begins)
        assert not Threads("few", 1).begin(Job(lambda: None))
        monkeypatch.undo()
        await within()

    run(outer())
    assert [type(workers).__name__ for workers in found] == ["InlineWorkers", "ThreadWorkers"]


def test_what_threads_do_may_stop_them() -> None:
    """As where the collector, in one of them, deletes what closes a client."""
    few = Threads("few", 1)
    job = Job(few.stop)
    assert few.begin(job)
    job.wait(20)
    assert job.has_ended()
    few.stop()
