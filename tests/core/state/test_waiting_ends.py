"""How a wait ends otherwise than well: deadlines, faults, and indexes that are gone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.core.helpers import SYNC, Variant, both_variants
from tests.core.state.waits import NEVER, Client, Elapsed, Worlds, record, records
from vectorize_core.api.operations import DeleteByIds, GetByIds, GetIndex, GetInfo, Op, Upsert
from vectorize_core.errors import (
    AuthenticationError,
    ConnectionFailedError,
    IndexNotFoundError,
    IndexReplacedError,
    RateLimitError,
    ServerError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.state import lifecycle, waiting
from vectorize_core.transport.io import run
from vectorize_core.writes import writing

both_goals = pytest.mark.parametrize("wait", ["processed", "visible"])
FAULTS = [
    RateLimitError("said", 429),
    RateLimitError("said", 429, retry_after=7.0),
    ServerError("said", 503),
    ConnectionFailedError("reset"),
]


def failing(client: Client, error: Exception, *kinds: type, when: Callable[[], bool]) -> None:
    """Have reads of some kinds fail for as long as ``when`` says."""

    def fail(op: Op[Any]) -> None:
        if isinstance(op, kinds) and client.of(Upsert) and when():
            raise error

    client.executor.before = fail


@both_variants
@both_goals
async def test_a_wait_that_takes_too_long_names_its_records(
    variant: Variant, worlds: Worlds, wait: str
) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError) as caught:
        await client.upsert(record("doc-7"), wait=wait, wait_timeout=12)
    assert 12 <= elapsed.seconds <= 12.1
    (write,) = client.state.own_writes.pending()
    for named in ("'docs'", "'doc-7'", str(write.mutation_id), f"not {wait}", "wait_timeout="):
        assert named in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, VectorizeError)
    with pytest.raises(WaitTimeoutError, match="'gone'"):
        await client.delete("gone", wait=wait, wait_timeout=0)


@both_variants
@both_goals
async def test_without_time_a_wait_looks_once(variant: Variant, worlds: Worlds, wait: str) -> None:
    world = worlds(variant)
    client = world.client()
    await client.upsert(record("a"), wait=wait, wait_timeout=0)
    world.behave(process_delay=NEVER)
    client.executor.ops.clear()
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError):
        await client.upsert(record("a", 2), wait=wait, wait_timeout=0)
    assert elapsed.seconds == 0
    assert len(client.of(GetInfo)) == 1
    with pytest.raises(WaitTimeoutError):
        await client.wait(0)
    assert len(client.of(GetInfo)) == 2


@both_variants
async def test_pauses_grow_from_50_ms_to_5_s(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=NEVER)
    client, times = world.client(), list[float]()
    client.executor.before = lambda op: times.append(world.now) if type(op) is GetInfo else None
    with pytest.raises(WaitTimeoutError):
        await client.upsert(record("a"), wait=True, wait_timeout=30)
    pauses = [round(later - at, 9) for at, later in pairwise(times)]
    assert pauses[:9] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert max(pauses) == 5.0
    assert times[-1] - times[0] == pytest.approx(30)


@both_variants
async def test_slow_polls_count_as_waiting(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()

    def take_time(op: Op[Any]) -> None:
        if client.of(Upsert) and op.kind == "read":
            world.pass_time(2)

    client.executor.after = take_time
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError):
        await client.upsert(record("a"), wait=True, wait_timeout=35)
    # The poll that was begun in time is finished, there is one more, and a look at the index.
    assert 35 <= elapsed.seconds <= 35 + 3 * 2 + 3 * 2 + 2


@both_variants
@both_goals
@pytest.mark.parametrize("error", FAULTS, ids=repr)
async def test_a_poll_that_fails_is_made_again(
    variant: Variant, worlds: Worlds, wait: str, error: Exception
) -> None:
    world = worlds(variant, process_delay=30, propagate_delay=2)
    for kind in (GetInfo, GetByIds):
        client = world.client()
        until = world.now + 20
        failing(client, error, kind, when=lambda until=until: world.now < until)  # type: ignore[misc]
        with Elapsed(world) as elapsed:
            mutations = await client.upsert(record("a", int(world.now)), wait=wait)
        world.assert_not_early(mutations, ["a"], wait)
        assert elapsed.seconds <= 30 + 2 + 7 + 5


@both_variants
@both_goals
@pytest.mark.parametrize("error", FAULTS, ids=repr)
async def test_polls_that_keep_failing_end_at_the_deadline(
    variant: Variant, worlds: Worlds, wait: str, error: Exception
) -> None:
    world = worlds(variant)
    client = world.client()
    failing(client, error, GetInfo, GetByIds, GetIndex, when=lambda: True)
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError) as caught:
        await client.upsert(record("a"), wait=wait, wait_timeout=20)
    assert 20 <= elapsed.seconds <= 20.1
    assert caught.value.__cause__ is error
    with pytest.raises(WaitTimeoutError) as caught:
        await client.wait(0)
    assert caught.value.__cause__ is error


@both_variants
async def test_a_pause_asked_for_ends_at_the_deadline(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant)
    client, times = world.client(), list[float]()

    def refuse(op: Op[Any]) -> None:
        if isinstance(op, GetByIds) and client.of(Upsert):
            times.append(world.now)
            raise RateLimitError("said", 429, retry_after=9.0)

    client.executor.before = refuse
    with pytest.raises(WaitTimeoutError):
        await client.upsert(record("a"), wait=True, wait_timeout=20)
    assert [at - times[0] for at in times] == pytest.approx([0, 9, 18, 20])


@both_variants
async def test_a_poll_that_is_refused_ends_the_wait(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=30)
    client = world.client()
    error = AuthenticationError("said", 403)
    failing(client, error, GetInfo, when=lambda: world.now > 1_010)
    with Elapsed(world) as elapsed, pytest.raises(AuthenticationError):
        await client.upsert(record("a"), wait=True)
    assert elapsed.seconds <= 10 + 5


@both_variants
async def test_a_write_is_sent_though_its_records_cannot_be_read_before(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant)
    client = world.client()

    def fail(op: Op[Any]) -> None:
        if isinstance(op, GetByIds) and not client.of(Upsert):
            raise ServerError("said", 503)

    client.executor.before = fail
    mutations = await client.upsert(record("a"), wait=True)
    world.assert_not_early(mutations, ["a"])


@both_variants
async def test_a_barrier_that_fails_is_sent_again(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=20)
    client, other = world.client(), world.client(SYNC)
    run(writing.upsert(other.io, other.state, [record("b")]))
    world.pass_time(20)
    world.after(1, lambda: run(writing.upsert(other.io, other.state, [record("a", 2)])))
    failed = False

    def fail(op: Op[Any]) -> None:
        nonlocal failed
        if isinstance(op, DeleteByIds) and not failed:
            failed = True
            raise ServerError("said", 503)

    client.executor.before = fail
    mutations = await client.upsert(record("a", 1), wait="processed")
    world.assert_not_early(mutations, ["a"], "processed")
    assert failed


@both_variants
@both_goals
@pytest.mark.parametrize("known", [False, True])
async def test_a_wait_ends_at_once_when_the_index_is_deleted(
    variant: Variant, worlds: Worlds, wait: str, known: bool
) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()
    if known:
        await client.upsert(record("b"))
    world.after(8, lambda: world.service.delete_index("docs"))
    with Elapsed(world) as elapsed, pytest.raises(IndexNotFoundError):
        await client.upsert(record("a"), wait=wait)
    assert elapsed.seconds <= 8 + 5
    assert client.state.details is None


@both_variants
@both_goals
@pytest.mark.parametrize("at", [0.02, 4.0, 50.0, 100.0])
@pytest.mark.parametrize("verb", ["upsert", "delete"])
async def test_an_index_that_is_created_again_is_noticed(
    variant: Variant, worlds: Worlds, wait: str, at: float, verb: str
) -> None:
    world = worlds(variant, process_delay=NEVER)
    client, other = world.client(), world.client(SYNC)
    await client.upsert(*records("a", "b"))

    def replace() -> None:
        world.replace()
        world.behave(process_delay=0.0)
        run(writing.upsert(other.io, other.state, [record("a", 2)]))

    world.after(at, replace)
    write = (
        client.upsert(*records("a", "b", number=1), wait=wait)
        if verb == "upsert"
        else client.delete("b", "c", wait=wait)
    )
    with Elapsed(world) as elapsed, pytest.raises(IndexReplacedError, match="'docs' was deleted"):
        await write
    assert elapsed.seconds <= at + 20 + 5
    # What is known of the old index is forgotten, so that all goes on with the new one.
    assert client.state.details is None
    with Elapsed(world) as elapsed:
        await client.wait()
        mutations = await client.upsert(record("a", 3), wait=wait)
    world.assert_not_early(mutations, ["a"], wait)
    assert elapsed.seconds <= 5


@both_variants
async def test_an_index_may_be_created_again_before_a_write(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=30)
    client = world.client()
    await client.upsert(record("a"), wait=True)
    world.replace()
    mutations = await client.upsert(record("a", 2), wait=True)
    world.assert_not_early(mutations, ["a"])


@both_variants
async def test_writes_to_an_earlier_index_are_not_waited_for(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=30)
    client = world.client()
    await client.upsert(record("a"))
    world.pass_time(1)
    world.replace()
    with Elapsed(world) as elapsed, pytest.raises(IndexReplacedError):
        await client.wait()
    assert elapsed.seconds <= 10
    await client.wait()


@both_variants
async def test_a_timeout_of_a_short_wait_tells_of_the_new_index_too(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()
    world.after(1, world.replace)
    with pytest.raises(IndexReplacedError):
        await client.upsert(record("a"), wait=True, wait_timeout=3)


@both_variants
async def test_an_index_created_again_has_no_writes_to_wait_for(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()
    await client.upsert(record("a"))
    world.service.delete_index("docs")
    world.pass_time(1)
    await client.run(
        lifecycle.create_index(client.io, client.state, dimensions=32, record_layout=False)
    )
    with Elapsed(world) as elapsed:
        await client.wait()
    assert elapsed.seconds == 0


@both_variants
async def test_a_second_wait_goes_on_where_the_first_gave_up(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=30, propagate_delay=5)
    client = world.client()
    with pytest.raises(WaitTimeoutError):
        await client.upsert(*records("a", "b"), wait=True, wait_timeout=33)
    (write,) = client.state.own_writes.pending()
    await client.wait()
    assert world.service.fate(str(write.mutation_id)) == "visible"
    assert client.state.own_writes.pending() == ()


def test_a_wait_for_nothing_asks_for_nothing(worlds: Worlds) -> None:
    client = worlds(SYNC).client()
    run(waiting.wait_for(client.io, client.state, (), "visible"))
    run(waiting.wait_for_own(client.io, client.state))
    assert client.executor.ops == []
