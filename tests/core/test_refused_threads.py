"""Where the system lets no thread begin, such as at a limit of processes, calls go on without."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.interrupting import in_time, interrupted
from vectorize_core import AsyncVectorizeClient, VectorizeError, threads
from vectorize_core.local import Service, ServiceFault, scrubbing
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.local.server import BackgroundServer
from vectorize_core.local.server.lanes import Lane
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.threads import in_thread

ONES = np.ones(32, np.float32)


@contextmanager
def no_thread_begins() -> Iterator[None]:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(threads, "start_new_thread", refuse)
        yield


def test_a_service_reads_and_closes_without_its_scrub_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector("a", ONES)])
    with no_thread_begins():
        for _ in range(3):
            assert service.query("docs", vector=ONES).matches[0].id == "a"
        service.close()
        scrubbing._stop_all()
    # Not for each read.
    assert len(caplog.messages) == 1
    assert "no thread can be started" in caplog.messages[0]

    service = Service(tmp_path)
    with no_thread_begins():
        service.query("docs", vector=ONES)
    service.query("docs", vector=ONES)
    assert service._scrub._thread is None
    monkeypatch.setattr(service._scrub, "_refused_until", 0.0)
    service.query("docs", vector=ONES)
    assert service._scrub._thread is not None
    service.close()


async def test_what_is_done_without_a_thread_is_not_done_again_later(tmp_path: Path) -> None:
    async with AsyncVectorizeClient.local(path=tmp_path) as client:
        await client.create_index("docs", dimensions=32)
        index, executor = client.index("docs"), client.connection.executor
        assert isinstance(executor, EmbeddedExecutor)
        with no_thread_begins():
            executor._stop_threads()
            await index.upsert([Vector("a", ONES)])
            assert [vector.id for vector in await index.get(["a"])] == ["a"]
        executor.service.delete_by_ids("docs", ["a"])
        await index.upsert([Vector("b", ONES)])
        assert [vector.id for vector in await index.get(["a", "b"])] == ["b"]


def test_what_is_interrupted_without_a_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AsyncVectorizeClient.local()
    asyncio.run(client.create_index("docs", dimensions=32))
    executor = client.connection.executor
    assert isinstance(executor, EmbeddedExecutor)
    executor._stop_threads()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def write() -> None:
        asyncio.run(client.index("docs").upsert([Vector("a", ONES)]))

    with no_thread_begins(), monkeypatch.context() as patch:
        patch.setattr(executor.service, "upsert", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write()
    in_time(write)
    client.connection.close()


async def test_offloaded_work_is_done_once() -> None:
    done: list[int] = []
    threads._of_loops.clear()
    with no_thread_begins():
        await in_thread(lambda: done.append(1))
    await in_thread(lambda: done.append(2))
    await in_thread(lambda: done.append(3))
    assert done == [1, 2, 3]


async def test_the_server_refuses_what_no_thread_can_do() -> None:
    lane, done = Lane("test", slots=1, each=1), list[int]()
    gone = asyncio.get_running_loop().create_future()
    with no_thread_begins(), pytest.raises(ServiceFault, match="overloaded") as caught:
        await lane.run("client", lambda _: done.append(1), gone)
    assert caught.value.status == 503
    await lane.run("client", lambda _: done.append(2), gone)
    assert done == [2]
    lane.close()


def interrupted_start(*_: object) -> None:
    """As Python's own: the lock that is not taken again is released all the same."""
    try:
        raise KeyboardInterrupt
    finally:
        threading.Lock().release()


def test_an_interruption_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted_start)
        with pytest.raises(KeyboardInterrupt):
            service._scrub._start()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        # One that has come before.
        with no_thread_begins():
            service._scrub._start()
    service.close()
    assert len(caplog.messages) == 1


def test_a_start_that_is_interrupted_anywhere_is_no_refusal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service, step = Service(tmp_path), 1
    # A step of what is freed meanwhile would be one, too.
    gc.collect()
    while isinstance(came := interrupted(service._scrub._start, step), KeyboardInterrupt):
        service._scrub.close()
        step += 1
    service.close()
    assert step > came
    assert caplog.messages == []


def test_a_server_in_a_thread_says_that_it_has_none() -> None:
    with no_thread_begins(), pytest.raises(VectorizeError, match=r"needs a thread of its own"):
        BackgroundServer().start()
