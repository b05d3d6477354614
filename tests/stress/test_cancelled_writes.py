"""Writes that are cancelled, lost, late and tried again: the last acknowledged one of an id stands.

A seed decides what is written, what becomes of each request, and when a task is cancelled.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pytest

from tests.core.transport.virtual_time import run_virtually
from tests.executors import Open
from tests.nightly import sized
from vectorize_core import PartialWriteError, RequestTimeoutError, RetryPolicy, Vector
from vectorize_core.api.operations import Op
from vectorize_core.connection import Connection
from vectorize_core.errors import VectorizeError
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.local import Behavior, Service
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.models import IndexConfig
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.retry import is_outcome_unknown

DIMENSIONS: Final = 32
IDS: Final = ("a", "b", "c", "d")
LIFETIME: Final = RetryPolicy().request_lifetime
VALUES: Final = np.ones(DIMENSIONS, np.float32)


class Written(NamedTuple):
    """What a write that has ended may have left: a number, None if it deletes."""

    number: int | None
    acknowledged: bool
    began: float
    ended: float


@dataclass
class History:
    """All writes by id."""

    writes: dict[str, list[Written]] = field(default_factory=lambda: {name: [] for name in IDS})

    def note(
        self, names: Sequence[str], number: int | None, began: float, ended: float, error: Any
    ) -> None:
        fates = dict.fromkeys(range(len(names)), "written")
        if isinstance(error, PartialWriteError):
            fates |= dict.fromkeys(error.unknown, "unknown")
            fates |= dict.fromkeys(error.not_written, "not_written")
        elif error is not None:
            unknown = not isinstance(error, Exception) or is_outcome_unknown(error)
            fates = dict.fromkeys(fates, "unknown" if unknown else "not_written")
        for position, fate in fates.items():
            if fate != "not_written":
                one = Written(number, fate == "written", began, ended)
                self.writes[names[position]].append(one)

    def possible(self, name: str) -> set[int | None]:
        """What may stand under an id in the end."""
        writes = self.writes[name]
        acknowledged = [write.began for write in writes if write.acknowledged]
        last = max(acknowledged, default=-1.0)
        found = {write.number for write in writes if write.ended >= last}
        return found if acknowledged else {*found, None}

    def check(self, service: Service) -> None:
        stored = {v.id: dict(v.metadata or {})["n"] for v in service.get_by_ids("docs", IDS)}
        for name in IDS:
            assert stored.get(name) in self.possible(name), (name, stored, self.writes[name])


class Network(Open):
    """Requests take their time; answers get lost, and requests come late or never."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self.inner = EmbeddedExecutor(service)
        self._chance = chance

    def send(self, op: Op[Any], /) -> Answer[Any]:
        return self.inner.send(op)

    async def asend(self, op: Op[Any], /) -> Answer[Any]:
        if op.kind == "read":
            return self.inner.send(op)
        loop, chance = asyncio.get_running_loop(), self._chance
        fate = chance.choices(["answered", "answer lost", "late", "never"], [6, 1, 2, 1])[0]
        answer: asyncio.Future[Answer[Any]] = loop.create_future()

        def arrive() -> None:
            result = self.inner.send(op)
            if not answer.done() and fate == "answered":
                answer.set_result(result)

        timeout = chance.uniform(1.0, 5.0)
        if fate in ("answered", "answer lost"):
            loop.call_later(chance.uniform(0.0, 1.0), arrive)
        elif fate == "late":
            loop.call_later(timeout + chance.uniform(0.0, LIFETIME - timeout - 1.0), arrive)
        try:
            async with asyncio.timeout(timeout):
                result = await answer
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                return result
        except TimeoutError:
            raise RequestTimeoutError("no answer in time") from None

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        self.close()


async def write(
    index: AsyncIndex, chance: random.Random, number: int, history: History, hurry: float
) -> None:
    """One random write, by chance cancelled within ``hurry`` seconds, and again by chance."""
    loop = asyncio.get_running_loop()
    names = chance.sample(IDS, chance.randint(1, len(IDS)))
    deletes = chance.random() < 0.3
    again = 1 + (chance.random() < 0.5)
    for _ in range(again):
        flow: Awaitable[Any]
        if deletes:
            flow = index.delete(names)
        else:
            vectors = [Vector(name, VALUES, metadata={"n": number}) for name in names]
            flow = index.upsert(vectors, batch_size=chance.choice([1, 2, 5]))
        task, began, error = asyncio.ensure_future(flow), loop.time(), None
        if chance.random() < 0.4:
            loop.call_later(chance.uniform(0.0, hurry), task.cancel)
        try:
            await task
        except asyncio.CancelledError as cancelled:
            error = cancelled.__cause__ or cancelled
        except VectorizeError as failure:
            error = failure
        history.note(names, None if deletes else number, began, loop.time(), error)
        if error is None:
            return


async def over_a_network(seed: int) -> None:
    chance, loop, history = random.Random(seed), asyncio.get_running_loop(), History()
    delays = chance.choice([(0.0, 0.0), (8.0, 2.0)])
    behavior = Behavior(process_delay=delays[0], propagate_delay=delays[1])
    service = Service(behavior=behavior, clock=lambda: 1_000.0 + loop.time())
    service.create_index("docs", IndexConfig(DIMENSIONS))
    deadline = chance.choice([0.0, 20.0, 600.0])
    retry = RetryPolicy(write_deadline=deadline, first_delay=0.2, max_delay=2.0)
    connection = Connection(Network(service, chance), retry)
    index = AsyncIndex(connection, "docs")

    async def work(numbers: range) -> None:
        for number in numbers:
            await write(index, chance, number, history, hurry=3.0)
            await asyncio.sleep(chance.choice([0.0, 0.5, 20.0]))

    await asyncio.gather(*(work(range(start, 500, 100)) for start in range(3)))
    # Barriers get lost too; after two minutes none is needed.
    for most in (130.0, 0.0):
        start = loop.time()
        await index.wait()
        assert loop.time() - start <= most
    await asyncio.sleep(2 * LIFETIME)
    history.check(service)
    connection.close()


@pytest.mark.parametrize("seed", range(sized(3, 200)))
def test_the_last_acknowledged_write_stands_whatever_comes_late(seed: int) -> None:
    run_virtually(over_a_network(seed))


@pytest.mark.parametrize("seed", range(sized(2, 200)))
async def test_embedded_the_last_acknowledged_write_stands(seed: int) -> None:
    """With threads that go on after a cancellation, and sync calls beside them."""
    chance, history = random.Random(seed), History()
    service = Service()
    service.create_index("docs", IndexConfig(DIMENSIONS))
    pauses = random.Random(seed)

    def slowly(act: Any) -> Any:
        def acting(*args: Any) -> Any:
            time.sleep(pauses.uniform(0.0, 0.004))
            return act(*args)

        return acting

    for name in ("upsert", "delete_by_ids"):
        setattr(service, name, slowly(getattr(service, name)))
    connection = Connection(EmbeddedExecutor(service))
    index, sync_index = AsyncIndex(connection, "docs"), Index(connection, "docs")
    loop = asyncio.get_running_loop()

    async def work(numbers: range) -> None:
        for number in numbers:
            await write(index, chance, number, history, hurry=0.01)

    def work_in_thread(numbers: range) -> None:
        others = random.Random(seed + 1)
        for number in numbers:
            names = others.sample(IDS, 2)
            began = loop.time()
            sync_index.upsert([Vector(name, VALUES, metadata={"n": number}) for name in names])
            history.note(names, number, began, loop.time(), None)

    await asyncio.gather(
        *(work(range(start, 1_500, 100)) for start in range(3)),
        asyncio.to_thread(work_in_thread, range(10_000, 10_010)),
    )
    for most in (20.0, 9.0):
        start = loop.time()
        await index.wait()
        assert loop.time() - start <= most
    # Behind all that goes on in the thread of async writes.
    await index.delete(["none"])
    history.check(service)
    await connection.aclose()
