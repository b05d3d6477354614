"""Waiting tells the truth: not a moment less, and never for ever."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self, cast

import numpy as np
import pytest

from tests.core.helpers import Face, both_faces
from vectorize_core.connection import Connection
from vectorize_core.errors import InvalidInputError, VectorizeError, WaitTimeoutError
from vectorize_core.executors.embedded import EmbeddedExecutor
from vectorize_core.flows import reading, waiting, writing
from vectorize_core.flows.state import IndexState, OwnWrite, Span
from vectorize_core.io import Io, run
from vectorize_core.local import Behavior, Service
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.operations import GetInfo, Op

DIMENSIONS = 32
DELAY = 0.06
NEVER = 1_000.0


def record(name: str, number: int = 0) -> Vector:
    return Vector(name, np.ones(DIMENSIONS), metadata={"n": number})


class Client:
    """One client of a service, by one face."""

    def __init__(self, face: Face, service: Service) -> None:
        self.face = face
        self.connection = Connection(EmbeddedExecutor(service))
        self.state = self.connection.state("docs")

    @property
    def io(self) -> Io:
        return self.connection.async_io() if self.face.is_async else self.connection.io()

    async def run(self, flow: Any) -> Any:
        return await flow if self.face.is_async else run(flow)

    async def upsert(self, *vectors: Vector, **options: Any) -> Any:
        return await self.run(writing.upsert(self.io, self.state, vectors, **options))

    async def insert(self, *vectors: Vector, **options: Any) -> Any:
        return await self.run(writing.insert(self.io, self.state, vectors, **options))

    async def delete(self, *ids: str, **options: Any) -> Any:
        return await self.run(writing.delete(self.io, self.state, ids, **options))

    async def wait_for_own(self, wait_timeout: float = 5.0) -> None:
        await self.run(waiting.wait_for_own(self.io, self.state, wait_timeout))

    async def numbers(self, *ids: str) -> dict[str, int]:
        found = await self.run(reading.get_many(self.io, self.state, ids))
        return {i: dict(vector.metadata)["n"] for i, vector in found.items()}

    def after(self, hook: Callable[[Op[Any]], None]) -> None:
        """Call ``hook`` after each operation from now on."""
        executor = cast("Any", self.connection.executor)
        send = executor.send

        def tap(op: Op[Any]) -> Any:
            answer = send(op)
            hook(op)
            return answer

        executor.send = tap


Clients = Callable[..., Client]


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Makes clients of services; one service for all unless delays are given."""
    made: list[Client] = []
    services: list[Service] = []

    def make(face: Face, service: Service | None = None, **delays: float) -> Client:
        if service is None:
            service = Service(behavior=Behavior(**cast("Any", delays)))
            service.create_index("docs", IndexConfig(DIMENSIONS))
            services.append(service)
        made.append(Client(face, service))
        return made[-1]

    yield make
    for client in made:
        client.connection.close()


def service_of(client: Client) -> Service:
    return cast("EmbeddedExecutor", client.connection.executor).service


class Elapsed:
    def __enter__(self) -> Self:
        self.start = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.time() - self.start


@both_faces
async def test_without_wait_a_write_returns_at_once_and_is_not_seen(
    face: Face, clients: Clients
) -> None:
    client = clients(face, process_delay=NEVER)
    with Elapsed() as elapsed:
        await client.upsert(record("a"), wait=False)
        await client.upsert(record("b"))
    assert elapsed.seconds < 5
    assert await client.numbers("a", "b") == {}


@both_faces
@pytest.mark.parametrize("verb", ["upsert", "insert"])
async def test_processed_waits_for_processing_and_not_for_visibility(
    face: Face, clients: Clients, verb: str
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=NEVER)
    with Elapsed() as elapsed:
        await getattr(client, verb)(record("a"), wait="processed", wait_timeout=5)
    assert DELAY <= elapsed.seconds < 5
    assert await client.numbers("a") == {}


@both_faces
@pytest.mark.parametrize("wait", ["visible", True])
@pytest.mark.parametrize("verb", ["upsert", "insert"])
async def test_visible_waits_for_processing_and_propagation(
    face: Face, clients: Clients, verb: str, wait: Any
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    with Elapsed() as elapsed:
        await getattr(client, verb)(record("a", 1), record("b", 2), wait=wait, wait_timeout=5)
    assert elapsed.seconds >= 2 * DELAY
    assert await client.numbers("a", "b") == {"a": 1, "b": 2}


@both_faces
@pytest.mark.parametrize("wait", ["processed", "visible"])
async def test_batches_in_flight_at_once_are_all_waited_for(
    face: Face, clients: Clients, wait: Any
) -> None:
    client = clients(face, process_delay=DELAY)
    names = [f"id{i}" for i in range(12)]
    vectors = [record(name) for name in names]
    await client.upsert(*vectors, batch_size=2, wait=wait, wait_timeout=5)
    assert len(await client.numbers(*names)) == 12


@both_faces
@pytest.mark.parametrize("propagate", [0.0, DELAY])
async def test_an_overwritten_record_is_waited_for_until_its_new_content_is_seen(
    face: Face, clients: Clients, propagate: float
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=propagate)
    await client.upsert(record("a", 1), wait=True, wait_timeout=5)
    await client.upsert(record("a", 2), wait=True, wait_timeout=5)
    assert await client.numbers("a") == {"a": 2}
    await client.upsert(Vector("a", np.zeros(DIMENSIONS), "space", {"n": 2}), wait=True)
    (seen,) = (await client.run(reading.get_many(client.io, client.state, ["a"]))).values()
    assert (seen.namespace, seen.values.tolist()) == ("space", [0.0] * DIMENSIONS)


@both_faces
async def test_a_delete_is_waited_for_until_its_records_are_gone(
    face: Face, clients: Clients
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    names = [f"id{i}" for i in range(150)]
    await client.upsert(*map(record, names), wait=True, wait_timeout=5)
    with Elapsed() as elapsed:
        await client.delete(*names, wait=True, wait_timeout=5)
    assert elapsed.seconds >= 2 * DELAY
    assert await client.numbers(*names) == {}


@both_faces
@pytest.mark.parametrize("stranger", [False, True])
async def test_a_record_that_was_so_before_proves_nothing(
    face: Face, clients: Clients, stranger: bool
) -> None:
    client = clients(face, process_delay=DELAY)
    await client.upsert(record("a", 1), record("same", 1), wait=True, wait_timeout=5)
    if stranger:
        # Another run of the same script: it knows nothing of the writes before it.
        client = clients(face, service_of(client))
    await client.upsert(record("a", 2), record("same", 1), wait=True, wait_timeout=5)
    assert await client.numbers("a") == {"a": 2}
    await client.insert(record("new", 3), record("same", 3), wait=True, wait_timeout=5)
    assert await client.numbers("new", "same") == {"new": 3, "same": 1}
    await client.delete("unknown", "a", "new", wait=True, wait_timeout=5)
    assert await client.numbers("a", "new", "same") == {"same": 1}


@both_faces
async def test_deleting_what_is_not_visible_yet_is_waited_for(face: Face, clients: Clients) -> None:
    client = clients(face, process_delay=DELAY)
    await client.upsert(record("a"))
    with Elapsed() as elapsed:
        await client.delete("a", wait=True, wait_timeout=5)
    assert elapsed.seconds >= DELAY
    assert await client.numbers("a") == {}
    await asyncio.sleep(2 * DELAY)
    assert await client.numbers("a") == {}


@both_faces
@pytest.mark.parametrize("wait", ["processed", "visible"])
@pytest.mark.parametrize("batches", [1, 3])
async def test_a_mutation_overtaken_by_another_clients_is_waited_for_and_not_for_ever(
    face: Face, clients: Clients, wait: Any, batches: int
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    service, others = service_of(client), set[str | None]()

    def write_too(op: Op[Any]) -> None:
        if op.kind == "write":
            mutation = service.upsert("docs", [record(f"other{len(others)}")])
            others.add(mutation.mutation_id)

    client.after(write_too)
    names = [f"id{i}" for i in range(batches)]
    least = 2 * DELAY if wait == "visible" else DELAY
    with Elapsed() as elapsed:
        await client.upsert(*map(record, names), batch_size=1, wait=wait, wait_timeout=5)
    assert elapsed.seconds >= least
    assert wait == "processed" or len(await client.numbers(*names)) == batches
    with Elapsed() as elapsed:
        await client.delete(*names, wait=wait, wait_timeout=5)
    assert elapsed.seconds >= least
    assert wait == "processed" or await client.numbers(*names) == {}
    assert wait == "processed" or service.index_info("docs").processed_up_to_mutation in others


@both_faces
@pytest.mark.parametrize("wait", ["processed", "visible"])
async def test_a_wait_that_takes_too_long_names_the_record_and_the_mutation(
    face: Face, clients: Clients, wait: str
) -> None:
    client = clients(face, process_delay=NEVER)
    with Elapsed() as elapsed, pytest.raises(WaitTimeoutError) as caught:
        await client.upsert(record("doc-7"), wait=wait, wait_timeout=0.1)
    assert 0.1 <= elapsed.seconds < 5
    (write,) = client.state.unseen
    for named in ("'docs'", "'doc-7'", str(write.mutation_id), f"not {wait}", "wait_timeout="):
        assert named in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, VectorizeError)
    with pytest.raises(WaitTimeoutError, match="'gone'"):
        await client.delete("gone", wait=wait, wait_timeout=0)


@both_faces
async def test_own_writes_of_before_are_all_waited_for(face: Face, clients: Clients) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    await client.wait_for_own()
    for i in range(40):
        await client.upsert(record(f"id{i}"))
    await client.delete("id3", "id39")
    with Elapsed() as elapsed:
        await client.wait_for_own()
    assert elapsed.seconds >= DELAY
    names = [f"id{i}" for i in range(40)]
    assert set(await client.numbers(*names)) == set(names) - {"id3", "id39"}
    assert not client.state.unseen


@both_faces
async def test_both_faces_of_a_connection_know_of_each_others_writes(
    face: Face, clients: Clients
) -> None:
    client = clients(face, process_delay=DELAY)
    run(writing.upsert(client.connection.io(), client.state, [record("sync")]))
    await writing.upsert(client.connection.async_io(), client.state, [record("async")])
    await client.wait_for_own()
    assert set(await client.numbers("sync", "async")) == {"sync", "async"}


@both_faces
async def test_the_probe_of_an_earlier_wait_may_be_overwritten_by_own_writes(
    face: Face, clients: Clients
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    await client.upsert(record("a", 1))
    await client.upsert(record("b", 1))
    await client.upsert(record("a", 2), record("b", 2))
    await client.delete("b")
    await client.wait_for_own()
    assert await client.numbers("a", "b") == {"a": 2}


@both_faces
async def test_a_deleted_probe_leaves_another_record_of_its_write_to_wait_for(
    face: Face, clients: Clients
) -> None:
    # Processed at once, seen later: the deleted record is absent before its writing is seen.
    client = clients(face, propagate_delay=4 * DELAY)
    await client.upsert(record("a", 1), record("b", 1))
    await client.delete("b")
    await client.wait_for_own()
    assert await client.numbers("a", "b") == {"a": 1}


@both_faces
@pytest.mark.parametrize("removing", [False, True])
async def test_the_probe_may_be_overwritten_by_own_writes_while_it_is_waited_for(
    face: Face, clients: Clients, removing: bool
) -> None:
    client = clients(face, process_delay=DELAY, propagate_delay=DELAY)
    again = False

    def overwrite(op: Op[Any]) -> None:
        # As another thread would, between the first and the second look.
        nonlocal again
        if isinstance(op, GetInfo) and client.state.unseen and not again:
            again = True
            io, state = client.connection.io(), client.state
            if removing:
                run(writing.delete(io, state, ["a"]))
            else:
                run(writing.upsert(io, state, [record("a", 2)]))

    client.after(overwrite)
    await client.upsert(record("a", 1), wait=True, wait_timeout=5)
    assert again
    assert await client.numbers("a") == ({} if removing else {"a": 2})


@both_faces
async def test_what_the_caller_does_to_the_record_afterwards_does_not_matter(
    face: Face, clients: Clients
) -> None:
    client = clients(face, process_delay=DELAY)
    values, metadata = np.ones(DIMENSIONS, np.float32), {"n": 1}
    await client.upsert(Vector("a", values, metadata=metadata))
    values[:] = 5
    metadata["n"] = 5
    await client.wait_for_own()
    assert await client.numbers("a") == {"a": 1}


@both_faces
async def test_where_nothing_is_slow_a_wait_sleeps_not_once(
    face: Face, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(*_: object) -> None:
        raise AssertionError("slept")

    monkeypatch.setattr(face.io_class, "sleep", sleep)
    client = clients(face)
    await client.upsert(record("a"), wait=True)
    await client.insert(record("b"), wait="processed")
    await client.delete("a", "unknown", wait=True)
    await client.upsert(wait=True)
    await client.delete(wait=True)
    assert await client.numbers("a", "b") == {"b": 0}


@pytest.mark.parametrize(
    ("wait", "goal"),
    [(False, None), (True, "visible"), ("processed", "processed"), ("visible", "visible")],
)
def test_what_a_wait_asks_for(wait: Any, goal: str | None) -> None:
    assert waiting.wait_goal(wait) == goal


@pytest.mark.parametrize("wait", ["nonsense", None, 0, 1, 30.0, "Visible", []])
def test_any_other_wait_is_refused_by_name(wait: Any) -> None:
    with pytest.raises(InvalidInputError, match="'processed' or 'visible'; got"):
        waiting.wait_goal(wait)


def test_threads_may_share_what_is_known_of_an_index() -> None:
    state, failures = IndexState("docs"), []

    def write(thread: int) -> None:
        try:
            for i in range(400):
                span = Span(state.moment(), state.moment())
                own = OwnWrite(f"{thread}-{i}", f"id{i % 7}", None, span)
                state.remember(own, {f"id{(i + j) % 7}" for j in range(3)})
                state.observe(f"other-{thread}-{i}")
                state.settle(state.still_unseen([own]))
        except Exception as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert len(state.spans) <= 1_000
