"""Writes of the same ids at once: each waits for the one before it, and is woken by that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interrupting import in_time
from tests.kinds import LANGCHAIN
from vectorize_core import Vector, VectorizeClient, holds
from vectorize_core.holds import TaskWaker, ThreadWaker
from vectorize_core.state import one_at_a_time
from vectorize_core.state.in_flight import InFlight
from vectorize_core.writes import batching

ONES = np.ones(32, np.float32)
MANY = 12
LONG = "word " * 2_500


@pytest.fixture(autouse=True)
def nobody_looks_by_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in ("_MOMENT", "_MOMENT_OF_TASKS"):
        monkeypatch.setattr(holds, moment, 60.0)
    for module in (batching, one_at_a_time):
        monkeypatch.setattr(module, "_LOOKS_AGAIN", 60.0)


def at_once(call: Callable[[], object], tasks: Callable[[], Coroutine[Any, Any, None]]) -> None:
    threads = [threading.Thread(target=call) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    asyncio.run(tasks())
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("ids", ["a", "ab"])
def test_threads_and_tasks_at_once(tmp_path: Path, ids: str) -> None:
    vectors = [Vector(one, ONES) for one in ids]
    client = VectorizeClient.local(path=tmp_path)
    client.create_index("docs", dimensions=32)
    awaited = client.to_async()

    async def tasks() -> None:
        await asyncio.gather(*(awaited.index("docs").upsert(vectors) for _ in range(MANY)))

    in_time(lambda: at_once(lambda: client.index("docs").upsert(vectors), tasks))
    in_flight = client.connection.state("docs").in_flight
    assert (in_flight._owners, in_flight._waiting) == ({}, {})
    client.close()


def test_long_texts_of_a_record(tmp_path: Path) -> None:
    store, numbers = LANGCHAIN.local(path=tmp_path), count()

    def text() -> list[str]:
        return [f"{next(numbers)} {LONG}"]

    async def tasks() -> None:
        await asyncio.gather(*(store.aadd_texts(text(), ids=["a"]) for _ in range(MANY)))

    in_time(lambda: at_once(lambda: store.add_texts(text(), ids=["a"]), tasks))
    assert store.get_by_ids(["a"])[0].page_content.endswith(LONG)
    store.close()


def test_who_waits_no_more_is_passed_over() -> None:
    in_flight, turns = InFlight(), list[str]()

    def left() -> ThreadWaker:
        return ThreadWaker()

    def one(name: str, waker: ThreadWaker) -> None:
        assert not in_flight.take(name, ["a"], waker)
        while not in_flight.take(name, ["a"], waker):
            waker.sleep(60.0)
        turns.append(name)
        in_flight.release(name, ["a"])

    assert in_flight.take("first", ["a"])
    assert not in_flight.take("ended", ["a"], left())
    thread = threading.Thread(target=lambda: one("second", ThreadWaker()))
    thread.start()
    while len(in_flight._waiting) < 2:
        pass
    in_time(lambda: (in_flight.release("first", ["a"]), thread.join()))
    assert turns == ["second"]
    assert not in_flight._waiting


def test_who_waited_in_an_event_loop_that_was_closed_is_forgotten() -> None:
    in_flight = InFlight()
    assert in_flight.take("first", ["a"])

    async def waits() -> None:
        assert not in_flight.take("gone", ["a"], TaskWaker())
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    task = loop.create_task(waits())
    loop.run_until_complete(asyncio.sleep(0))
    in_flight.release("other", ["b"])
    assert in_flight._waiting
    loop.close()
    in_flight.release("other", ["b"])
    assert not in_flight._waiting
    # It says of itself that it never ended.
    task._log_destroy_pending = False
