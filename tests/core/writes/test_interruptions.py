"""Ctrl-C, a cancelled task, a crash: what was sent is accounted for, and nothing runs on."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vectorize_core import PartialWriteError, Vector
from vectorize_core.api.operations import CreateIndex, Op
from vectorize_core.connection import Connection, local_connection
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import IndexConfig
from vectorize_core.transport.executor import Executor

DIMENSIONS = 32


def record(number: int) -> Vector:
    return Vector(str(number), np.ones(DIMENSIONS, np.float32), metadata={"n": number})


class Slow:
    """An executor that takes its time, before or after it acts."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.seconds = 0.02
        self.sent = 0

    def send(self, op: Op[Any], /) -> Any:
        if op.kind == "read":
            return self.inner.send(op)
        self.sent += 1
        time.sleep(self.seconds)
        answer = self.inner.send(op)
        time.sleep(self.seconds)
        return answer

    async def asend(self, op: Op[Any], /) -> Any:
        if op.kind == "read":
            return await self.inner.asend(op)
        self.sent += 1
        await asyncio.sleep(self.seconds)
        answer = await self.inner.asend(op)
        await asyncio.sleep(self.seconds)
        return answer

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
def slow() -> Iterator[Slow]:
    connection = local_connection()
    connection.executor.send(CreateIndex("docs", IndexConfig(DIMENSIONS)))
    executor = Slow(connection.executor)
    yield executor
    executor.close()


@pytest.fixture
def connection(slow: Slow) -> Connection:
    return Connection(slow)


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vectorize_")]


def check(error: PartialWriteError, index: Index, taken: int) -> None:
    """The three lists cover what was taken, and are true.

    The signal may come between a record's being made and its being taken.
    """
    lists = [error.written, error.unknown, error.not_written]
    assert sorted(position for part in lists for position in part) == list(range(error.consumed))
    assert taken - 1 <= error.consumed <= taken
    stored = {int(vector_id) for vector_id in index.list_ids()}
    assert set(error.written) <= stored <= {*error.written, *error.unknown}


@pytest.mark.parametrize("at", [0, 7, 100, 333])
def test_ctrl_c_in_the_callers_own_code_carries_the_account(
    connection: Connection, at: int
) -> None:
    taken = 0

    def produce() -> Iterator[Vector]:
        nonlocal taken
        for number in range(1_000):
            if number == at:
                raise KeyboardInterrupt
            taken += 1
            yield record(number)

    index = Index(connection, "docs")
    with pytest.raises(KeyboardInterrupt) as caught:
        index.upsert(produce(), batch_size=10)
    assert isinstance(caught.value.__cause__, PartialWriteError)
    check(caught.value.__cause__, index, taken)
    assert workers() == []
    if at:
        assert "records were written" in caught.value.__notes__[0]


@pytest.mark.parametrize("after", [0.01, 0.03, 0.06, 0.1, 0.15])
def test_ctrl_c_while_requests_are_on_their_way_accounts_for_them(
    connection: Connection, after: float
) -> None:
    taken = 0
    timer = threading.Timer(after, lambda: signal.raise_signal(signal.SIGINT))

    def produce() -> Iterator[Vector]:
        nonlocal taken
        # Not before: on a busy machine the signal would come before the write.
        timer.start()
        for number in range(100_000):
            taken += 1
            yield record(number)

    index = Index(connection, "docs")
    with pytest.raises(KeyboardInterrupt) as caught:
        index.upsert(produce(), batch_size=10)
    timer.join()
    assert isinstance(caught.value.__cause__, PartialWriteError)
    check(caught.value.__cause__, index, taken)
    assert workers() == []


def test_what_a_signals_handler_raises_in_a_request_leaves_its_outcome_unknown(
    connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = slow.send

    def interrupted(op: Op[Any]) -> Any:
        answer = send(op)
        if op.kind == "write" and slow.sent == 3:
            raise LookupError("of a handler")
        return answer

    monkeypatch.setattr(slow, "send", interrupted)
    index = Index(connection, "docs")
    with pytest.raises(PartialWriteError) as caught:
        index.upsert([record(n) for n in range(50)], batch_size=10, concurrency=1)
    assert [*caught.value.unknown] == [*range(20, 30)]
    check(caught.value, index, caught.value.consumed)


def test_ctrl_c_in_on_batch_is_no_different(connection: Connection) -> None:
    def landed(report: Any) -> None:
        if report.written >= 100:
            raise KeyboardInterrupt

    index = Index(connection, "docs")
    with pytest.raises(KeyboardInterrupt) as caught:
        index.upsert([record(n) for n in range(500)], batch_size=10, on_batch=landed)
    assert isinstance(caught.value.__cause__, PartialWriteError)
    check(caught.value.__cause__, index, 500)
    assert workers() == []


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.06, 0.1])
async def test_a_cancelled_task_carries_the_account(connection: Connection, after: float) -> None:
    taken = 0

    async def produce() -> AsyncIterator[Vector]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield record(number)
            await asyncio.sleep(0)

    index, source = AsyncIndex(connection, "docs"), produce()
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(index.upsert(source, batch_size=10))
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert asyncio.all_tasks() == before
    if taken:
        assert isinstance(caught.value.__cause__, PartialWriteError)
        await asyncio.to_thread(check, caught.value.__cause__, Index(connection, "docs"), taken)


async def test_what_was_interrupted_goes_on_with_resume(
    connection: Connection, tmp_path: Path
) -> None:
    index, path = AsyncIndex(connection, "docs"), tmp_path / "checkpoint"
    vectors = [record(number) for number in range(300)]
    options: Any = {"batch_size": 10, "resume": path}
    rounds = 0
    while True:
        rounds += 1
        try:
            async with asyncio.timeout(0.15):
                await index.upsert(vectors, **options)
            break
        except TimeoutError:
            assert rounds < 100
    assert rounds > 1
    assert {int(i) async for i in index.list_ids()} == set(range(300))
    assert not path.exists()


def test_an_interrupted_write_leaves_no_claim_behind(connection: Connection) -> None:
    index = Index(connection, "docs")

    def produce() -> Iterator[Vector]:
        yield from map(record, range(25))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.upsert(produce(), batch_size=10)
    assert len(index.upsert([record(n) for n in range(25)])) == 1


def test_an_error_of_the_input_lets_what_is_on_its_way_arrive(
    connection: Connection, slow: Slow
) -> None:
    def produce() -> Iterator[Vector]:
        yield from map(record, range(40))
        raise OSError("the file is gone")

    with pytest.raises(PartialWriteError) as caught:
        Index(connection, "docs").upsert(produce(), batch_size=10)
    assert caught.value.written == tuple(range(40))
    assert workers() == []


def test_callbacks_and_iterators_may_write_the_same_ids(
    connection: Connection,
) -> None:
    index = Index(connection, "docs")

    def produce() -> Iterator[Vector]:
        for number in range(20):
            if number == 15:
                index.delete(["0", "1"])
            yield record(number)

    def landed(report: Any) -> None:
        index.delete(["5"])

    index.upsert(produce(), batch_size=5, on_batch=landed)
    assert {int(i) for i in index.list_ids()} == set(range(20)) - {0, 1, 5}


def test_writes_of_one_connection_do_not_race_for_an_id(connection: Connection, slow: Slow) -> None:
    """Each call's records reach the service one call after the other, whatever overtakes."""
    open_ids: dict[str, int] = {}
    clashes: list[str] = []
    lock = threading.Lock()
    send = slow.send

    def watched(op: Op[Any], /) -> Any:
        ids = [vector.id for vector in getattr(op, "vectors", ())] + list(getattr(op, "ids", ()))
        with lock:
            clashes.extend(i for i in ids if open_ids.get(i, 0))
            open_ids.update((i, open_ids.get(i, 0) + 1) for i in ids)
        try:
            return send(op)
        finally:
            with lock:
                open_ids.update((i, open_ids[i] - 1) for i in ids)

    slow.seconds = 0.002
    slow.send = watched  # type: ignore[method-assign]

    def work(number: int) -> None:
        index = Index(connection, "docs")
        for _ in range(5):
            if number % 3:
                index.upsert([record(n) for n in range(20)], batch_size=5)
            else:
                index.delete([str(n) for n in range(20)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []
