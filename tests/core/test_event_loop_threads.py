"""What event loops let threads do: each loop has threads of its own, which end with it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

from vectorize_core.threads import _OFFLOADED, in_thread


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


def test_threads_end_with_their_event_loop() -> None:
    async def call() -> None:
        await in_thread(lambda: None)

    most = 0
    for _ in range(200):
        asyncio.run(call())
        names = [thread.name for thread in threading.enumerate()]
        most = max(most, names.count("vectorize-offloaded"))
    gc.collect()
    assert most < 20
