"""Waiting in an index that others write to as well."""

from __future__ import annotations

import time
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.core.helpers import SYNC, Variant, both_variants, settled
from tests.core.state.waits import Client, Elapsed, Worlds, record, records
from vectorize_core import Behavior, IndexReplacedError, VectorizeClient
from vectorize_core.api.operations import DeleteByIds, GetByIds, GetInfo, Op
from vectorize_core.errors import WaitTimeoutError
from vectorize_core.models import Vector
from vectorize_core.state import lifecycle
from vectorize_core.transport.io import run
from vectorize_core.writes import writing

PROCESS, LAG = 30.0, 2.0
both_goals = pytest.mark.parametrize("wait", ["processed", "visible"])


def write(client: Client, *vectors: Vector) -> None:
    run(writing.upsert(client.io, client.state, vectors))


def overtake(client: Client, other: Client) -> None:
    """Have ``other`` write something new after each mutation of ``client``.

    In threads, that wait for nothing of each other: it would take time of the world's, which may
    go on by minutes before another thread takes a step. So each id is new, and nobody has to see
    first whether the index is finished.
    """
    run(lifecycle.finish(other.io, other.state))
    numbers = count()

    def write_too(op: Op[Any]) -> None:
        if op.kind == "write":
            write(other, record(f"other {next(numbers)}"))

    client.executor.after = write_too


@both_variants
@both_goals
@pytest.mark.parametrize("process", [0.0, PROCESS])
@pytest.mark.parametrize("batches", [1, 3])
async def test_a_mutation_that_is_overtaken_is_waited_for(
    variant: Variant, worlds: Worlds, wait: Any, process: float, batches: int
) -> None:
    world = worlds(variant, process_delay=process, propagate_delay=LAG if process else 0.0)
    client = world.client()
    overtake(client, world.client(SYNC))
    names = [f"id{i}" for i in range(batches)]
    for _ in range(2):
        with Elapsed(world) as elapsed:
            mutations = await client.upsert(*records(*names), batch_size=1, wait=wait)
        world.assert_not_early(mutations, names, wait)
        assert elapsed.seconds <= (PROCESS + LAG + 5 if process else 0)
        with Elapsed(world) as elapsed:
            mutations = await client.delete(*names, wait=wait)
        world.assert_not_early(mutations, names, wait)
        assert elapsed.seconds <= (PROCESS + LAG + 5 if process else 0)


@both_variants
async def test_one_record_that_nobody_else_has_written_is_enough(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    names = [f"id{i}" for i in range(50)]
    world.after(1, lambda: write(other, *records(*names[:-1], number=2)))
    with Elapsed(world) as elapsed:
        mutations = await client.upsert(*records(*names, number=1), wait=True)
    world.assert_not_early(mutations, names)
    # The barrier that follows the write, and ten seconds in which the others might be seen.
    assert elapsed.seconds <= PROCESS + 5 + PROCESS + 5 + 10 + 5


@both_variants
async def test_processed_ends_though_all_records_were_overwritten(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    world.after(1, lambda: write(other, *records("a", "b", number=2)))
    with Elapsed(world) as elapsed:
        mutations = await client.upsert(*records("a", "b", number=1), wait="processed")
    assert world.fates(mutations) <= {"processed", "visible"}
    assert elapsed.seconds <= PROCESS + 5 + PROCESS + 5
    barriers = client.of(DeleteByIds)
    assert 1 <= len(barriers) <= 2
    assert all(len(op.ids) == 1 and len(op.ids[0]) < 64 for op in barriers)
    assert await client.numbers("a", "b") == {"a": 2, "b": 2}


@both_variants
async def test_a_barrier_that_is_overtaken_is_repeated_ever_later(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    write(other, record("b"))
    world.pass_time(PROCESS)
    start, sent = world.now, list[float]()

    def write_too(op: Op[Any]) -> None:
        if op.kind == "write" and world.now < start + 70:
            write(other, record("a", 2))
        if isinstance(op, DeleteByIds):
            sent.append(world.now - start)

    client.executor.after = write_too
    mutations = await client.upsert(record("a", 1), wait="processed", wait_timeout=300)
    assert world.fates(mutations) <= {"processed", "visible"}
    assert len(sent) == 3
    assert all(later >= 3 * earlier for earlier, later in pairwise(sent))


@both_variants
async def test_visible_says_so_where_only_the_other_client_could_tell(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    world.after(1, lambda: write(other, *records("a", "b", number=2)))
    with pytest.raises(WaitTimeoutError) as caught, Elapsed(world) as elapsed:
        await client.upsert(*records("a", "b", number=1), wait=True, wait_timeout=100)
    assert 100 <= elapsed.seconds <= 100.1
    for said in ("'docs'", "and processed", "'a', 'b'", "Another client has probably written"):
        assert said in str(caught.value)
    assert "wait_timeout" not in str(caught.value)


@both_variants
@pytest.mark.parametrize("by", ["upsert", "delete"])
@pytest.mark.parametrize(("process", "lag"), [(0.0, 0.0), (0.0, 3.0), (8.0, 0.0), (PROCESS, LAG)])
async def test_own_writes_that_others_have_overwritten_are_not_waited_for_in_vain(
    variant: Variant, worlds: Worlds, by: str, process: float, lag: float
) -> None:
    world = worlds(variant, process_delay=process, propagate_delay=lag)
    client, other = world.client(), world.client(SYNC)
    mutations = await client.upsert(*records("a", "b", number=1))
    if by == "upsert":
        write(other, *records("a", "b", number=2))
    else:
        run(writing.delete(other.io, other.state, ["a", "b"]))
    with Elapsed(world) as elapsed:
        await client.wait()
    world.assert_not_early(mutations, ["a", "b"])
    # Once the others' writes are processed, a barrier follows, and then ours might be seen.
    assert elapsed.seconds <= 5 + 2 * (process + 5) + max(10, process) + 5
    with Elapsed(world) as elapsed:
        await client.wait()
    assert elapsed.seconds == 0


@both_variants
@pytest.mark.parametrize("by", ["upsert", "delete"])
@pytest.mark.parametrize("delay", [0.0, 0.5])
async def test_an_embedded_vectorize_tells_that_nothing_is_pending(
    variant: Variant, tmp_path: Path, by: str, delay: float
) -> None:
    behavior = Behavior(process_delay=delay, propagate_delay=delay)
    ours = variant.client_class.local(tmp_path, behavior=behavior)
    with VectorizeClient.local(tmp_path, behavior=behavior) as theirs:
        theirs.create_index("docs", dimensions=32)
        other = theirs.index("docs")
        index = ours.index("docs")
        await settled(index.upsert(records("a", "b", number=1)))
        began = time.monotonic()
        if by == "upsert":
            other.upsert(records("a", "b", number=2))
        else:
            other.delete(["a", "b"])
        await settled(index.wait())
        # What no probe of ours tells takes ten seconds elsewhere.
        assert 2 * delay <= time.monotonic() - began < 5
        assert len(await settled(index.get(["a", "b"]))) == (2 if by == "upsert" else 0)
    await variant.close(ours)


@both_variants
async def test_an_index_that_has_replaced_ours_does_not_tell_of_our_writes(
    variant: Variant, tmp_path: Path
) -> None:
    ours = variant.client_class.local(tmp_path)
    with VectorizeClient.local(tmp_path) as theirs:
        theirs.create_index("docs", dimensions=32)
        index = ours.index("docs")
        await settled(index.upsert(records("a"), wait=True))
        await settled(index.upsert(records("a", number=2)))
        theirs.delete_index("docs")
        theirs.create_index("docs", dimensions=32)
        with pytest.raises(IndexReplacedError):
            await settled(index.wait())
    await variant.close(ours)


@both_variants
async def test_a_wait_that_nothing_can_prove_fails_once(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    world.after(1, lambda: write(other, *records("a", "b", number=2)))
    with pytest.raises(WaitTimeoutError):
        await client.upsert(*records("a", "b", number=1), wait=True, wait_timeout=100)
    with Elapsed(world) as elapsed:
        await client.wait()
    assert elapsed.seconds == 0


@both_variants
async def test_busy_others_hide_own_writes_for_two_minutes(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    overtake(client, other)
    await client.upsert(*records("a", "b", number=1))
    client.executor.after = lambda op: write(other, *records("a", "b", number=int(world.now)))
    with Elapsed(world) as elapsed:
        await client.wait()
    assert elapsed.seconds <= 125


@both_variants
async def test_what_another_client_overwrote_long_ago_is_not_waited_for(
    variant: Variant, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds(variant, process_delay=PROCESS)
    client, other = world.client(), world.client(SYNC)
    await client.upsert(record("a", 1))
    write(other, record("a", 2))
    world.pass_time(1_000)
    for own in client.state.own_writes.pending():
        own.since -= 1_000
    with Elapsed(world) as elapsed:
        await client.wait()
    assert elapsed.seconds <= 5 + 5 + PROCESS + 5
    assert client.state.own_writes.pending() == ()


@both_variants
async def test_the_same_contents_written_by_another_client_prove_nothing(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    write(other, *records("a", "b"))
    world.pass_time(20)
    mutations = await client.upsert(*records("a", "b", "c"), wait=True)
    assert world.fates(mutations) == {"visible"}
    run(writing.delete(other.io, other.state, ["a", "b"]))
    world.pass_time(20)
    mutations = await client.delete("a", "b", "c", wait=True)
    assert world.fates(mutations) == {"visible"}


@both_variants
@both_goals
async def test_a_write_that_changes_nothing_ends_among_busy_others(
    variant: Variant, worlds: Worlds, wait: Any
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    await client.upsert(*records("a", "b"), wait=True)

    def write_always(op: Op[Any]) -> None:
        write(other, record(f"other {world.now}"))

    client.executor.after = write_always
    with Elapsed(world) as elapsed:
        mutations = await client.upsert(*records("a", "b"), wait=wait)
    assert world.fates(mutations) == {"visible"}
    assert elapsed.seconds <= 125


@both_variants
async def test_a_wait_without_others_sends_no_mutation_of_its_own(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    for _ in range(2):
        await client.upsert(*records("a", "b"), wait=True)
    assert client.of(DeleteByIds) == []
    # Two requests a poll, and ten polls or so in half a minute.
    assert len(client.of(GetByIds)) <= 40
    assert len(client.of(GetInfo)) <= 40
