"""An index is made once, and written to only when all its metadata indexes are live."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from tests.core.helpers import ASYNC, SYNC, Variant, both_variants
from tests.core.state.waits import NEVER, Client, Elapsed, World, Worlds, record
from tests.interrupting import in_time
from vectorize_core import layout
from vectorize_core.api.operations import CreateMetadataIndex, GetInfo, Upsert
from vectorize_core.errors import (
    BadRequestError,
    ConfigurationError,
    IndexExistsError,
    IndexNotFoundError,
    WaitTimeoutError,
)
from vectorize_core.local import ServiceFault
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.models import IndexConfig, IndexType
from vectorize_core.state import index_state, lifecycle
from vectorize_core.state.one_at_a_time import OneAtATime
from vectorize_core.transport.io import AsyncIo, SyncIo, run
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes import writing

ALL: dict[str, IndexType] = {**layout.METADATA_INDEXES, "year": "number"}
IN_ORDER = ("year", "_vs_bucket", "_vs_ref", "_vs_own")


def begin(world: World, *properties: str, noted: Any = ALL) -> None:
    """What a creator does first: an index with a note, and some of its metadata indexes."""
    world.service.create_index("made", IndexConfig(32), layout.note("", noted))
    for name in properties:
        world.service.create_metadata_index("made", name, ALL[name])


def indexed(world: World) -> set[str]:
    return {m.property_name for m in world.service.list_metadata_indexes("made")}


async def write(client: Client) -> None:
    """A raw write; the record is seen by filters only if their metadata indexes are live."""
    vector = record("a")
    metadata = {"n": 0, "year": 1, "_vs_bucket": 1, "_vs_ref": "r", "_vs_own": True}
    vector = type(vector)(vector.id, vector.values, metadata=metadata)
    state = client.connection.state("made")
    await client.run(writing.upsert(client.io, state, [vector]))


def found(world: World, **filter: Any) -> bool:
    vector = record("a").values
    return bool(world.service.query("made", vector=vector, filter=filter).matches)


async def create(client: Client, **options: Any) -> Any:
    state = client.connection.state("made")
    given = {"dimensions": 32, **options}
    return await client.run(lifecycle.create_index(client.io, state, **given))


@both_variants
@pytest.mark.parametrize("delay", [0.0, 0.3, 240.0])
async def test_the_last_metadata_index_is_created_last(
    variant: Variant, worlds: Worlds, delay: float
) -> None:
    client = worlds(variant, metadata_index_delay=delay).client()
    await create(client, metadata_indexes={"year": "number"})
    assert tuple(op.property_name for op in client.of(CreateMetadataIndex)) == IN_ORDER
    # All of it is known to this client, so nothing is asked before a write.
    before = len(client.executor.ops)
    await write(client)
    assert [type(op) for op in client.executor.ops[before:]] == [Upsert]


@both_variants
@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("delay", [0.0, 1.0, 240.0])
async def test_a_record_is_written_when_all_metadata_indexes_are_live(
    variant: Variant, worlds: Worlds, done: int, delay: float
) -> None:
    world = worlds(variant, metadata_index_delay=delay)
    begin(world, *IN_ORDER[:done])
    for number, name in enumerate(IN_ORDER[done:]):
        world.after(0.5 * (number + 1), lambda n=name: begin_one(world, n))
    await write(world.client())
    world.pass_time(1)
    assert indexed(world) == set(ALL)
    for each in ({"year": 1}, {"_vs_bucket": 1}, {"_vs_ref": "r"}, {"_vs_own": True}):
        assert found(world, **each), each


def begin_one(world: World, name: str) -> None:
    world.service.create_metadata_index("made", name, ALL[name])


@both_variants
@pytest.mark.parametrize("duplicates", ["error", "accepted"])
@pytest.mark.parametrize("done", range(1, 5))
async def test_what_a_creator_left_undone_is_done_by_the_first_who_writes(
    variant: Variant, worlds: Worlds, done: int, duplicates: str
) -> None:
    """The creator has ended: with the user's own metadata indexes made the rest is known."""
    world = worlds(variant, metadata_index_delay=90.0, duplicate_metadata_index=duplicates)
    begin(world, *IN_ORDER[:done])
    client = world.client()
    with Elapsed(world) as elapsed:
        await write(client)
    assert indexed(world) == set(ALL)
    assert found(world, year=1)
    assert found(world, _vs_own=True)
    assert elapsed.seconds <= 90 + 90 + 3 + 10
    # The last one is not made before all others are.
    made = [op.property_name for op in client.of(CreateMetadataIndex)]
    assert "_vs_own" not in made[:-1]


@both_variants
async def test_what_only_the_creator_knows_is_asked_for(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant)
    begin(world)
    client = world.client()
    said = r"'year'.*exist_ok=True.*delete it"
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError, match=said):
        await write(client)
    assert elapsed.seconds <= 610
    assert not client.of(Upsert)
    assert "_vs_own" not in indexed(world)
    await create(client, metadata_indexes={"year": "number"}, exist_ok=True)
    await write(client)
    assert indexed(world) == set(ALL)
    assert found(world, year=1, _vs_own=True)


@both_variants
async def test_a_repeated_creation_finishes_what_is_left(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, metadata_index_delay=90.0)
    begin(world)
    with Elapsed(world) as elapsed:
        await create(world.client(), metadata_indexes={"year": "number"}, exist_ok=True)
    assert indexed(world) == set(ALL)
    assert elapsed.seconds <= 100


@both_variants
@pytest.mark.parametrize("deleted", ["year", "_vs_ref", "_vs_bucket"])
async def test_a_metadata_index_that_was_deleted_is_not_waited_for(
    variant: Variant, worlds: Worlds, deleted: str
) -> None:
    world = worlds(variant)
    await create(world.client(), metadata_indexes={"year": "number"})
    world.service.delete_metadata_index("made", deleted)
    client = world.client()
    with Elapsed(world) as elapsed:
        await write(client)
    assert elapsed.seconds == 0
    assert not client.of(CreateMetadataIndex)
    assert not client.of(GetInfo)
    assert indexed(world) == set(ALL) - {deleted}


@both_variants
@pytest.mark.parametrize("since", ["a vector", "some time"])
async def test_all_metadata_indexes_may_have_been_deleted(
    variant: Variant, worlds: Worlds, since: str
) -> None:
    world = worlds(variant)
    await create(world.client(), metadata_indexes={"year": "number"})
    if since == "a vector":
        await write(world.client())
    else:
        world.pass_time(3_600)
    for name in ALL:
        world.service.delete_metadata_index("made", name)
    client = world.client()
    with Elapsed(world) as elapsed:
        await write(client)
    assert elapsed.seconds == 0
    assert indexed(world) == set()


@both_variants
async def test_an_index_without_a_note_is_written_to_at_once(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, metadata_index_delay=NEVER)
    world.service.create_index("made", IndexConfig(32), "not of ours")
    client = world.client()
    with Elapsed(world) as elapsed:
        await write(client)
    assert elapsed.seconds == 0
    assert [type(op).__name__ for op in client.executor.ops] == ["GetIndex", "Upsert"]


@both_variants
@pytest.mark.parametrize("duplicates", ["error", "accepted"])
@pytest.mark.parametrize("asked", [{}, {"year": "number"}, {"lang": "string"}], ids=repr)
async def test_a_creation_that_comes_second_to_another_client_is_no_error(
    variant: Variant, worlds: Worlds, asked: Any, duplicates: str
) -> None:
    world = worlds(variant, metadata_index_delay=5.0, duplicate_metadata_index=duplicates)
    first, second = world.client(SYNC), world.client()
    # The first one goes on whenever the second sleeps, and before each of its requests.
    steps = stepping(first, metadata_indexes={"year": "number"})
    second.executor.before = lambda _: next(steps, None)
    details = await create(second, metadata_indexes=asked, exist_ok=True)
    assert details == world.service.get_index("made")
    assert {*ALL, *asked} == indexed(world)
    with pytest.raises(IndexExistsError):
        await create(world.client())


def stepping(client: Client, **options: Any) -> Any:
    """The requests of a creation, one at a time."""
    service = client.world.service
    noted = {**layout.METADATA_INDEXES, **options["metadata_indexes"]}
    service.create_index("made", IndexConfig(32), layout.note("", noted))
    yield
    for name in IN_ORDER:
        with suppress(ServiceFault):
            # The other client may have been faster.
            service.create_metadata_index("made", name, ALL[name])
        yield


@both_variants
async def test_a_refusal_is_an_error_at_once(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant)
    client = world.client()

    def refuse(op: Any) -> None:
        if isinstance(op, CreateMetadataIndex):
            raise BadRequestError("CreateMetadataIndex", 400)

    client.executor.before = refuse
    with Elapsed(world) as elapsed, pytest.raises(BadRequestError):
        await create(client)
    assert elapsed.seconds == 0


@both_variants
async def test_another_type_made_meanwhile_is_an_error(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, metadata_index_delay=5.0)
    begin(world)
    client = world.client()
    world.after(0, lambda: world.service.create_metadata_index("made", "year", "number"))
    client.executor.before = lambda op: (
        world.pass_time(0) if isinstance(op, CreateMetadataIndex) else None
    )
    with pytest.raises(ConfigurationError, match="'year' has the type 'number', not 'string'"):
        await create(client, metadata_indexes={"year": "string"}, exist_ok=True)


@both_variants
async def test_an_index_that_goes_while_it_is_waited_for_is_noticed(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, metadata_index_delay=NEVER)
    begin(world, *IN_ORDER)
    world.after(20, lambda: world.service.delete_index("made"))
    with Elapsed(world) as elapsed, pytest.raises(IndexNotFoundError):
        await write(world.client())
    assert elapsed.seconds <= 30


# One connection


def test_threads_of_one_connection_create_an_index_once(worlds: Worlds) -> None:
    client = worlds(SYNC).client()
    connection, results = client.connection, []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        io, state = connection.io(), connection.state("made")
        results.append(run(lifecycle.create_index(io, state, dimensions=32, exist_ok=True)))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len({repr(details) for details in results}) == 1
    assert len(client.of(CreateMetadataIndex)) == 3


async def test_the_next_one_tries_when_the_first_is_cancelled(worlds: Worlds) -> None:
    world = worlds(ASYNC)
    client = world.client()
    connection, stopped = client.connection, asyncio.Event()

    class Held(EmbeddedExecutor):
        async def asend(self, op: Any) -> Any:
            if isinstance(op, CreateMetadataIndex) and not stopped.is_set():
                stopped.set()
                await asyncio.sleep(60)
            return self.send(op)

    connection.executor = Held(world.service)

    async def make() -> Any:
        io, state = connection.async_io(), connection.state("made")
        return await lifecycle.create_index(io, state, dimensions=32, exist_ok=True)

    first, second = asyncio.create_task(make()), asyncio.create_task(make())
    await stopped.wait()
    first.cancel()
    assert await second == world.service.get_index("made")
    assert indexed(world) == set(layout.METADATA_INDEXES)


# One at a time


async def has_it(only: OneAtATime, io: Any, patience: float = 60.0) -> float:
    """Seconds until it is alone."""
    began = time.monotonic()
    async with only.alone(io, patience):
        return time.monotonic() - began


IO: tuple[Any, Any] = (object(), RetryPolicy())


async def test_a_sync_call_does_not_wait_for_a_task_of_its_own_loop() -> None:
    only = OneAtATime()
    async with only.alone(AsyncIo(*IO), 60.0):
        assert run(has_it(only, SyncIo(*IO))) < 30
        waited = await asyncio.to_thread(lambda: run(has_it(only, SyncIo(*IO), 0.1)))
        assert waited >= 0.1
        assert await has_it(only, AsyncIo(*IO), 0.1) >= 0.1
    assert await has_it(only, AsyncIo(*IO)) < 30


async def test_a_task_waits_for_a_thread_and_a_thread_for_a_task() -> None:
    only, order = OneAtATime(), []

    async def hold(io: Any, name: str) -> None:
        async with only.alone(io, 60.0):
            order.append(f"{name} begins")
            await io.sleep(0.05)
            order.append(f"{name} ends")

    threads = [
        threading.Thread(target=lambda n=n: run(hold(SyncIo(*IO), f"thread {n}"))) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(hold(AsyncIo(*IO), f"task {n}") for n in range(3)))
    for thread in threads:
        thread.join()
    assert [each.split()[-1] for each in order] == ["begins", "ends"] * 6
    assert [each.rsplit(" ", 1)[0] for each in order[::2]] == [
        each.rsplit(" ", 1)[0] for each in order[1::2]
    ]


async def test_only_those_of_the_same_names_wait_for_each_other() -> None:
    only, io, begun = OneAtATime(), AsyncIo(*IO), list[str]()

    async def hold(*names: str) -> None:
        async with only.alone(io, 60.0, names):
            begun.append("".join(names))
            await io.sleep(0.05)

    await asyncio.gather(hold("b", "a"), hold("c"), hold("a", "b"), hold("d", "c"))
    assert begun[:2] == ["ba", "c"]
    assert {*begun[2:]} == {"ab", "dc"}
    assert not only._holders


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_does_not_wait_for_its_parent() -> None:
    only = OneAtATime()

    async def fork() -> int:
        async with only.alone(SyncIo(*IO), 60.0):
            child = os.fork()
            if child == 0:
                os._exit(0 if run(has_it(only, SyncIo(*IO))) < 30 else 1)
            return child

    _, status = os.waitpid(run(fork()), 0)
    assert os.waitstatus_to_exitcode(status) == 0


async def test_the_next_one_goes_ahead_after_one_that_fails() -> None:
    only = OneAtATime()
    with pytest.raises(KeyError):
        async with only.alone(AsyncIo(*IO), 60.0):
            raise KeyError
    assert await has_it(only, AsyncIo(*IO)) < 30


@pytest.mark.parametrize("awaited", [False, True])
def test_the_next_one_goes_ahead_of_one_whose_event_loop_was_closed(awaited: bool) -> None:
    only, loop = OneAtATime(), asyncio.new_event_loop()

    async def hold() -> None:
        async with only.alone(AsyncIo(*IO), 60.0):
            await asyncio.Event().wait()

    async def others() -> float:
        return await has_it(only, AsyncIo(*IO))

    task = loop.create_task(hold())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    if awaited:
        assert asyncio.run(others()) < 30
    else:
        in_time(lambda: run(has_it(only, SyncIo(*IO))))
    assert not only._holders
    # It says of itself that it never ended.
    task._log_destroy_pending = False


@both_variants
async def test_a_list_that_comes_late_is_not_believed(variant: Variant, worlds: Worlds) -> None:
    """Of several answers on their way, the last to come may be the oldest."""
    world = worlds(variant, metadata_index_delay=30.0)
    client = world.client()
    begin(world, *IN_ORDER)
    old = world.service.list_metadata_indexes("made")
    await write(client)
    state = client.connection.state("made")
    for finished in (True, False):
        state.finished = finished
        state.learn_metadata_indexes(old, world.now)
        state.finished = True
        listed = await client.run(index_state.get_metadata_indexes(client.io, state))
        assert listed == ALL
        assert not state.uncertain(ALL)
    # What another client has deleted is noticed all the same, and asked for no more than once.
    world.service.delete_metadata_index("made", "year")
    world.pass_time(100)
    for _ in range(3):
        listed = await client.run(index_state.get_metadata_indexes(client.io, state))
        assert listed == {**layout.METADATA_INDEXES}
    before = len(client.executor.ops)
    await client.run(index_state.get_metadata_indexes(client.io, state))
    assert len(client.executor.ops) == before
    assert state.uncertain(["year"])
