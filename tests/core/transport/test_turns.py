"""How many requests go at once, in which order the others follow, and what ends their waiting."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.core.helpers import CREDENTIALS, Cloudflare, Variant, both_variants, ok, settled
from tests.nightly import sized
from vectorize_core import ConnectionFailedError, RetryPolicy
from vectorize_core.api.operations import GetInfo, Upsert
from vectorize_core.connection import Connection, http_connection
from vectorize_core.models import Vector
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.turns import AT_ONCE, NoTurnError, Turns

WRITE = Upsert("docs", (Vector("a", [1.0]),))


class Slow(httpx.MockTransport):
    """Counts the requests that it answers at once, and lets each take a moment."""

    def __init__(self, seconds: float = 0.002) -> None:
        super().__init__(self._answer)
        self.now = self.most = self.total = 0
        self.order: list[str] = []
        self._seconds = seconds
        self._lock = threading.Lock()

    def _begin(self, request: httpx.Request) -> None:
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
            self.order.append(request.url.path.split("/")[-2])

    def _end(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.now -= 1
        result = {"dimensions": 32, "vectorCount": 7, "mutationId": "m"}
        return httpx.Response(200, json={"success": True, "result": result})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self._begin(request)
        time.sleep(self._seconds)
        return self._end(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self._begin(request)
        try:
            await asyncio.sleep(self._seconds)
        except BaseException:
            self._end(request)
            raise
        return self._end(request)


def connection(transport: Any, at_once: int = AT_ONCE, retry: RetryPolicy | None = None) -> Any:
    executor = HttpExecutor(CREDENTIALS, transport=transport)
    return Connection(executor, retry, turns=Turns(at_once))


async def test_tasks_beyond_the_bound_wait_in_order() -> None:
    slow = Slow()
    io = connection(slow, 4).async_io()
    await asyncio.gather(*(io.call(GetInfo(f"{n}")) for n in range(40)))
    assert (slow.most, slow.total) == (4, 40)
    assert slow.order == [f"{n}" for n in range(40)]


def test_threads_beyond_the_bound_wait() -> None:
    slow = Slow()
    shared = connection(slow, 4)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: run_sync(shared, GetInfo(f"{n}")), range(64)))
    assert (slow.most, slow.total) == (4, 64)


def run_sync(shared: Connection, op: Any) -> Any:
    coming = shared.io().call(op)
    try:
        coming.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it suspended")


async def test_threads_and_each_loop_have_turns_of_their_own() -> None:
    slow = Slow(0.05)
    shared = connection(slow, 2)
    running = [asyncio.create_task(shared.async_io().call(GetInfo("a"))) for _ in range(6)]
    await asyncio.sleep(0.01)
    # This one blocks the loop, so none of its requests could end meanwhile.
    run_sync(shared, GetInfo("b"))
    await asyncio.gather(*running)
    assert slow.total == 7


@both_variants
@pytest.mark.parametrize("op", [GetInfo("docs"), WRITE])
async def test_waiting_ends_at_the_deadline(variant: Variant, op: Any) -> None:
    cloudflare = Cloudflare(ok({"dimensions": 1, "vectorCount": 0, "mutationId": "m"}))
    policy = RetryPolicy(read_deadline=0.05, write_deadline=0.05)
    shared = connection(cloudflare, 1, policy)
    held = shared.turns.enter("test", 1), await shared.turns.aenter("test", 1)
    io = shared.async_io() if variant.is_async else shared.io()
    began = time.monotonic()
    with pytest.raises(NoTurnError, match=r"not sent: 1 requests .*0\.05 s") as caught:
        await settled(io.call(op))
    assert time.monotonic() - began < 5
    assert isinstance(caught.value, ConnectionFailedError)
    assert not caught.value.sent
    with pytest.raises(NoTurnError):
        await settled(io.once(op, patience=0.0))
    assert cloudflare.requests == []
    for turn in held:
        turn.release()
    await settled(io.call(op))


async def test_a_cancelled_task_leaves_the_queue_and_gives_its_turn_on() -> None:
    slow = Slow(0.01)
    shared = connection(slow, 1)
    io = shared.async_io()
    tasks = [asyncio.create_task(io.call(GetInfo(f"{n}"))) for n in range(5)]
    # No later: the first of them is not to end before it is cancelled.
    while not slow.now:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for task in tasks[:4]:
        task.cancel()
    assert (await tasks[4]).vector_count == 7
    assert set(slow.order) <= {"0", "4"}
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True] * 4 + [
        False
    ]
    assert (await io.call(GetInfo("5"))).vector_count == 7


@pytest.mark.parametrize("seed", range(sized(3, 200)))
async def test_no_turn_is_lost_however_tasks_are_cancelled(seed: int) -> None:
    chance = random.Random(seed)
    shared = connection(Slow(0.0005), 3)
    io = shared.async_io()
    tasks = [asyncio.create_task(io.call(GetInfo("a"))) for _ in range(60)]
    while not all(task.done() for task in tasks):
        chance.choice(tasks).cancel()
        await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001]))
    await asyncio.gather(*tasks, return_exceptions=True)
    turns = [await shared.turns.aenter("test", 60) for _ in range(3)]
    with pytest.raises(NoTurnError):
        await shared.turns.aenter("test", 0.001)
    for turn in turns:
        turn.release()


def test_a_turn_that_comes_at_the_deadline_is_not_lost() -> None:
    turns = Turns(1)
    for _ in range(30):
        turn = turns.enter("test", 60)
        threading.Timer(0.002, turn.release).start()
        with suppress(NoTurnError):
            turns.enter("test", 0.002).release()
        turns.enter("test", 60).release()


async def test_waiting_for_a_turn_is_not_part_of_the_request(monkeypatch: Any) -> None:
    events: list[Any] = []
    slow = Slow(0.02)
    shared = connection(slow, 1)
    shared.events._on_event = events.append
    began = time.monotonic()
    await asyncio.gather(*(shared.async_io().call(GetInfo(f"{n}")) for n in range(10)))
    # One after the other: with what each waited it would be five times as much.
    assert sum(event.seconds for event in events) < 2 * (time.monotonic() - began)


async def test_a_client_that_is_passed_in_is_bounded_too() -> None:
    slow = Slow()
    async with httpx.AsyncClient(transport=slow) as client:
        shared = http_connection(
            account_id="a", api_token="t", async_http_client=client, rate_limit=None
        )
        await asyncio.gather(*(shared.async_io().call(GetInfo("a")) for _ in range(AT_ONCE * 3)))
    assert (slow.most, slow.total) == (AT_ONCE, AT_ONCE * 3)


def test_a_loop_that_is_gone_is_not_kept() -> None:
    shared = connection(Slow(), 2)

    async def calls() -> None:
        await asyncio.gather(*(shared.async_io().call(GetInfo("a")) for _ in range(8)))

    for _ in range(5):
        asyncio.run(calls())
    gc.collect()
    assert len(shared.turns._loops) <= 1
