"""Requests without an answer: no later write of the same client is exposed to them."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.core.helpers import ASYNC, SYNC, Variant, both_variants, ok
from tests.core.state.waits import DIMENSIONS, Client, Elapsed, World, record, records
from tests.held_time import HeldClock
from tests.interrupting import in_time
from vectorize_core import (
    AsyncVectorizeClient,
    ConnectionFailedError,
    LateRequestError,
    PartialWriteError,
    RequestTimeoutError,
    RetryPolicy,
    Vector,
)
from vectorize_core.api.operations import CreateIndex, CreateMetadataIndex, GetByIds, Op
from vectorize_core.connection import Connection, local_connection
from vectorize_core.errors import RateLimitError, ServerError, VectorizeError
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.models import IndexConfig
from vectorize_core.state import in_flight
from vectorize_core.state.in_flight import InFlight

LIFETIME = RetryPolicy().request_lifetime
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
PATIENT = RetryPolicy(first_delay=0.01, max_delay=0.01)
LOST = [
    RequestTimeoutError("no answer in time"),
    ConnectionFailedError("the connection broke"),
    ServerError("said", 504),
    ServerError("said", 524),
]
OVER = [
    ConnectionFailedError("no connection", sent=False),
    ServerError("said", 503),
    ServerError("said", 500),
    RateLimitError("said", 429),
]
WRITES: dict[str, Callable[[Client], Any]] = {
    "upsert": lambda client: client.upsert(record("a", 2)),
    "insert": lambda client: client.insert(record("a", 2)),
    "delete": lambda client: client.delete("a"),
}


@pytest.fixture(params=[SYNC, ASYNC], ids=lambda variant: variant.name)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


def lose(client: Client, error: Exception, *, times: int = 1, late: float | None = None) -> None:
    """Have the next writes fail with ``error``, and be carried out ``late`` seconds after."""
    left = times

    def fail(op: Op[Any]) -> None:
        nonlocal left
        if op.kind == "write" and left:
            left -= 1
            if late is not None:
                client.world.after(late, lambda: EmbeddedExecutor.send(client.executor, op))
            raise error

    client.executor.before = fail


async def write_lost(client: Client, error: Exception, late: float | None = None) -> None:
    """A write of the same client that is tried only once."""
    hasty = client.world.client(retry=ONCE)
    hasty.state = client.state
    lose(hasty, error, late=late)
    with pytest.raises(type(error)):
        await hasty.upsert(*records("a", "b", number=1))


@pytest.mark.parametrize("error", LOST, ids=str)
@pytest.mark.parametrize("verb", WRITES)
async def test_a_later_write_comes_after_a_lost_request(
    world: World, error: Exception, verb: str
) -> None:
    client = world.client()
    await write_lost(client, error, late=LIFETIME - 1)
    with Elapsed(world) as elapsed:
        await WRITES[verb](client)
    world.pass_time(1_000)
    # An insert leaves what was there before it, and by then version 1 is.
    expected = {"upsert": {"a": 2, "b": 1}, "insert": {"a": 1, "b": 1}, "delete": {"b": 1}}
    assert world.stored() == expected[verb]
    assert LIFETIME - 1 <= elapsed.seconds <= LIFETIME


@pytest.mark.parametrize("error", OVER, ids=str)
async def test_what_was_answered_or_never_sent_holds_up_nothing(
    world: World, error: Exception
) -> None:
    client = world.client(retry=ONCE)
    await write_lost(client, error)
    with Elapsed(world) as elapsed:
        await client.upsert(record("a", 2))
    assert elapsed.seconds == 0


@pytest.mark.parametrize("verb", WRITES)
async def test_an_acknowledged_retry_leaves_the_first_attempt_on_its_way(
    world: World, verb: str
) -> None:
    client = world.client(retry=PATIENT)
    lose(client, RequestTimeoutError("no answer in time"), late=60)
    with Elapsed(world) as elapsed:
        await client.upsert(record("a", 1))
    assert elapsed.seconds < 1
    await WRITES[verb](client)
    world.pass_time(1_000)
    assert world.stored() == {"upsert": {"a": 2}, "insert": {"a": 1}, "delete": {}}[verb]


async def test_the_same_write_again_need_not_wait(world: World) -> None:
    client = world.client()
    await write_lost(client, LOST[0], late=60)
    with Elapsed(world) as elapsed:
        await client.upsert(*records("a", "b", number=1))
        await client.upsert(record("b", 1))
    assert elapsed.seconds == 0
    # But what differs still has to.
    with Elapsed(world) as elapsed:
        await client.upsert(record("b", 2))
    world.pass_time(1_000)
    assert world.stored() == {"a": 1, "b": 2}
    assert elapsed.seconds > 60


async def test_other_ids_and_reads_are_not_held_up(world: World) -> None:
    client = world.client()
    await client.upsert(record("a"))
    await write_lost(client, LOST[0])
    times: dict[str, float] = {}

    def note(op: Op[Any]) -> None:
        for vector in getattr(op, "vectors", ()):
            times[vector.id] = world.now

    client.executor.after, start = note, world.now
    with Elapsed(world) as elapsed:
        assert await client.numbers("a") == {"a": 0}
        await client.upsert(record("c"))
        await client.wait()
    assert elapsed.seconds == 0
    if world.variant is ASYNC:
        # Sync workers sleep in threads, on a clock that jumps.
        await client.upsert(record("a", 2), *records("x", "y", "z"), batch_size=1)
        assert times["x"] == times["y"] == times["z"] == start
        assert times["a"] >= start + LIFETIME


async def test_without_the_time_a_write_is_sent_and_called_unknown(world: World) -> None:
    client = world.client(retry=ONCE)
    await write_lost(client, LOST[0])
    with Elapsed(world) as elapsed, pytest.raises(PartialWriteError, match="may still arrive") as e:
        await client.upsert(*records("c", "a", "d", number=2), batch_size=2)
    assert elapsed.seconds == 0
    assert (e.value.written, e.value.unknown, e.value.not_written) == ((0, 2), (1,), ())
    (cause,) = e.value.causes
    assert isinstance(cause, LateRequestError)
    assert "'a'" in str(cause)
    assert world.stored() == {"a": 2, "c": 2, "d": 2}
    with pytest.raises(PartialWriteError) as e:
        await client.delete("a")
    assert e.value.unknown == (0,)
    world.pass_time(LIFETIME)
    await client.upsert(record("a", 3))


async def test_the_log_says_why_a_write_waits(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = world.client()
    await write_lost(client, LOST[0])
    with caplog.at_level(logging.WARNING, "vectorize_core"):
        await client.upsert(*records("a", "b", "c", number=2))
    (said,) = [r.getMessage() for r in caplog.records if "no answer" in r.getMessage()]
    for part in ("'docs'", "'a'", "1 more", "this upsert waits for 120 s"):
        assert part in said


def test_lost_ids_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_MOST_LOST", 100)
    lost = InFlight()
    for number in range(50):
        lost.lose("delete", {f"{number} {n}": None for n in range(10)}, until=100.0 + number)
    assert sum(len(request.written) for request in lost._lost) <= 100
    assert lost.exposed("upsert", {"49 0": record("49 0")}, 100.0) == {"49 0": 49.0}
    # What is kept no longer may be any id.
    assert lost.exposed("upsert", {"0 0": record("0 0")}, 100.0) == {"0 0": 39.0}
    assert lost.exposed("upsert", {"0 0": record("0 0")}, 150.0) == {}


# Embedded: a thread that goes on


class Gated:
    """A connection whose writes stand at a gate, and how many have."""

    def __init__(self) -> None:
        self.connection: Connection = local_connection()
        self.connection.executor.send(CreateIndex("docs", IndexConfig(DIMENSIONS)))
        self.open, self.arrived = threading.Event(), threading.Semaphore(0)
        self.connection.executor.send(CreateMetadataIndex("docs", "n", "number"))
        executor = self.connection.executor
        assert isinstance(executor, EmbeddedExecutor)
        self.service = executor.service
        upsert = self.service.upsert

        def gated(name: str, vectors: Any) -> Any:
            self.arrived.release()
            assert self.open.wait(10)
            return upsert(name, vectors)

        self.service.upsert = gated  # type: ignore[method-assign]
        self.ungated = upsert

    async def cancelled(self, *vectors: Vector) -> PartialWriteError:
        """A write that is cancelled when it is at the gate."""
        writing = asyncio.ensure_future(AsyncIndex(self.connection, "docs").upsert(vectors))
        await asyncio.to_thread(self.arrived.acquire)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await writing
        self.service.upsert = self.ungated  # type: ignore[method-assign]
        assert isinstance(caught.value.__cause__, PartialWriteError)
        return caught.value.__cause__


@pytest.fixture
def gated() -> Iterator[Gated]:
    gated = Gated()
    yield gated
    gated.open.set()
    gated.connection.close()


@both_variants
@pytest.mark.parametrize("verb", ["upsert", "insert", "delete"])
async def test_embedded_ids_are_free_when_the_thread_has_ended(
    variant: Variant, gated: Gated, verb: str
) -> None:
    error = await gated.cancelled(record("a", 1))
    assert error.unknown == (0,)
    given: Any = ["a"] if verb == "delete" else [record("a", 2)]
    if variant is SYNC:
        later: Any = asyncio.to_thread(getattr(Index(gated.connection, "docs"), verb), given)
    else:
        later = getattr(AsyncIndex(gated.connection, "docs"), verb)(given)
    writing = asyncio.ensure_future(later)
    done, _ = await asyncio.wait([writing], timeout=0.1)
    assert not done
    # Others are not in the way.
    await asyncio.to_thread(Index(gated.connection, "docs").upsert, [record("b", 1)])
    gated.open.set()
    await writing
    found = {v.id: (v.metadata or {})["n"] for v in gated.service.get_by_ids("docs", ["a", "b"])}
    assert (
        found == {"upsert": {"a": 2, "b": 1}, "insert": {"a": 1, "b": 1}, "delete": {"b": 1}}[verb]
    )


async def test_embedded_a_write_that_never_began_holds_up_nothing(gated: Gated) -> None:
    index = AsyncIndex(gated.connection, "docs")
    first = asyncio.ensure_future(index.upsert([record("a", 1)]))
    await asyncio.to_thread(gated.arrived.acquire)
    queued = asyncio.ensure_future(index.upsert([record("b", 1)]))
    await asyncio.sleep(0.05)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    gated.service.upsert = gated.ungated  # type: ignore[method-assign]
    await asyncio.to_thread(Index(gated.connection, "docs").upsert, [record("b", 2)])
    gated.open.set()
    await first
    await asyncio.sleep(0.05)
    (found,) = gated.service.get_by_ids("docs", ["b"])
    assert found.metadata == {"n": 2}


@pytest.mark.parametrize("verb", ["upsert", "delete"])
async def test_a_sync_write_does_not_wait_for_a_task_of_its_own_event_loop(
    gated: Gated, verb: str
) -> None:
    writing = asyncio.ensure_future(AsyncIndex(gated.connection, "docs").upsert([record("a", 1)]))
    await asyncio.to_thread(gated.arrived.acquire)
    gated.service.upsert = gated.ungated  # type: ignore[method-assign]
    index = Index(gated.connection, "docs")
    given: Any = ["a"] if verb == "delete" else [record("a", 2)]
    with pytest.raises(VectorizeError, match=r"'a' is being written by a task.*await the async"):
        getattr(index, verb)(given)
    index.upsert([record("b", 2)])
    gated.open.set()
    await writing
    getattr(index, verb)(given)


@pytest.mark.parametrize("gone", [True, False], ids=["destroyed", "kept"])
def test_a_write_of_a_closed_event_loop_holds_up_nobody_for_ever(gone: bool) -> None:
    """In this process, it is known when what it has left to a thread has ended."""
    gated = Gated()
    loop = asyncio.new_event_loop()
    index = AsyncIndex(gated.connection, "docs")
    writing: Any = loop.create_task(index.upsert([record("a", 1)]))
    loop.run_until_complete(asyncio.to_thread(gated.arrived.acquire))
    loop.close()
    gated.service.upsert = gated.ungated  # type: ignore[method-assign]
    if gone:
        writing = None
        gc.collect()
    next_one = threading.Thread(
        target=Index(gated.connection, "docs").upsert, args=[[record("a", 2)]]
    )
    next_one.start()
    next_one.join(0.05)
    assert next_one.is_alive()
    gated.open.set()
    in_time(next_one.join)
    (found,) = gated.service.get_by_ids("docs", ["a"])
    assert found.metadata == {"n": 2}
    del writing
    gc.collect()
    gated.connection.close()


# Over HTTP: cancelled while it waits


async def test_a_request_cancelled_while_it_waits_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, arrived = HeldClock(), asyncio.Event()
    clock.rule(monkeypatch)

    class Silent(httpx.AsyncBaseTransport):
        first = True

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "/upsert" in request.url.path and self.first:
                self.first = False
                arrived.set()
                await asyncio.sleep(60)
            config = {"config": {"dimensions": DIMENSIONS, "metric": "cosine"}, "name": "docs"}
            answer = ok({"mutationId": "1", **config})
            return httpx.Response(200, content=answer.content)

    client = AsyncVectorizeClient(
        "account", "token", async_transport=Silent(), retry=RetryPolicy(request_lifetime=30)
    )
    async with client:
        index = client.index("docs")
        writing = asyncio.ensure_future(index.upsert([record("a", 1), record("b", 1)]))
        await arrived.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        start = clock.now
        await index.upsert([record("c", 1), record("a", 1)])
        assert clock.now == start
        await index.upsert([record("a", 2)])
        assert clock.now >= start + 30


# What such a write does to waits


@pytest.mark.parametrize("same", [True, False], ids=["same contents", "others"])
@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("process", [0.0, 30.0])
async def test_a_write_that_may_have_landed_leaves_waits_provable(
    world: World, landed: bool, process: float, same: bool
) -> None:
    world.behave(process_delay=process, propagate_delay=2.0 if process else 0.0)
    client = world.client(retry=ONCE)
    names = [f"id{n}" for n in range(20)]
    mutations = await client.upsert(*records(*names, number=1))
    lose(client, RequestTimeoutError("no answer in time"))
    with pytest.raises(VectorizeError):
        await client.upsert(*records(*names, number=1 if same else 2))
    if landed:
        world.service.upsert("docs", records(*names, number=1 if same else 2))
    for _ in range(2):
        with Elapsed(world) as elapsed:
            await client.wait()
        assert elapsed.seconds <= (2 * (process + 5 + 5) + 10 if process else 5)
    assert world.fates(mutations) == {"visible"}
    client.executor.before = None
    world.pass_time(LIFETIME)
    mutations = await client.upsert(*records(*names, number=3), wait=True)
    assert world.fates(mutations) == {"visible"}
    assert len(client.of(GetByIds)) < 100


@pytest.mark.parametrize("read", ["wait", "count", "delete"])
async def test_embedded_reads_do_not_wait_for_what_a_cancelled_write_changed(
    gated: Gated, read: str
) -> None:
    index = AsyncIndex(gated.connection, "docs")
    gated.ungated("docs", [record("z")])
    gated.service.upsert, gate = gated.ungated, gated.service.upsert  # type: ignore[method-assign]
    await index.upsert([record("a", 0), record("b", 0)])
    gated.service.upsert = gate  # type: ignore[method-assign]
    await gated.cancelled(record("a", 1), record("b", 1))
    gated.open.set()
    loop = asyncio.get_running_loop()
    for _ in range(2):
        start = loop.time()
        if read == "wait":
            await index.wait(wait_timeout=20)
        elif read == "count":
            assert await index.count() == 3
        else:
            await index.delete(filter={"n": 5})
        assert loop.time() - start < 9
