"""Waiting tells the truth: not a moment less, and never for ever."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

from tests.core.helpers import SYNC, Variant, both_variants
from tests.core.state.waits import DIMENSIONS, NEVER, Client, Elapsed, Worlds, record, records
from vectorize_core.api.operations import GetInfo, Op, Upsert
from vectorize_core.errors import InvalidInputError, VectorizeError, WaitTimeoutError
from vectorize_core.models import Vector
from vectorize_core.reads import by_id
from vectorize_core.state import waiting
from vectorize_core.state.own_writes import OwnWrites
from vectorize_core.transport.events import WaitEvent
from vectorize_core.transport.io import run
from vectorize_core.writes import writing

PROCESS, LAG = 30.0, 2.0
both_goals = pytest.mark.parametrize("wait", ["processed", "visible"])


@both_variants
async def test_without_wait_a_write_returns_at_once_and_is_not_seen(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS)
    client = world.client()
    with Elapsed(world) as elapsed:
        await client.upsert(record("a"), wait=False)
        await client.upsert(record("b"))
    assert elapsed.seconds == 0
    assert await client.numbers("a", "b") == {}


@both_variants
@pytest.mark.parametrize("verb", ["upsert", "insert"])
async def test_processed_waits_for_processing_and_not_for_visibility(
    variant: Variant, worlds: Worlds, verb: str
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=NEVER)
    client = world.client()
    with Elapsed(world) as elapsed:
        mutations = await getattr(client, verb)(record("a"), wait="processed")
    assert PROCESS <= elapsed.seconds <= PROCESS + 5
    assert world.fates(mutations) == {"processed"}


@both_variants
@pytest.mark.parametrize("wait", ["visible", True])
@pytest.mark.parametrize("verb", ["upsert", "insert"])
async def test_visible_waits_for_processing_and_propagation(
    variant: Variant, worlds: Worlds, verb: str, wait: Any
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=20)
    client = world.client()
    with Elapsed(world) as elapsed:
        mutations = await getattr(client, verb)(record("a", 1), record("b", 2), wait=wait)
    assert PROCESS + 20 <= elapsed.seconds <= PROCESS + 25
    assert world.fates(mutations) == {"visible"}
    assert await client.numbers("a", "b") == {"a": 1, "b": 2}


@both_variants
@both_goals
async def test_batches_in_flight_at_once_are_all_waited_for(
    variant: Variant, worlds: Worlds, wait: Any
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    names = [f"id{i}" for i in range(12)]
    mutations = await world.client().upsert(*records(*names), batch_size=2, wait=wait)
    assert len(mutations) == 6
    world.assert_not_early(mutations, names, wait)


@both_variants
async def test_an_overwritten_record_is_waited_for(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    await client.upsert(record("a", 1), wait=True)
    await client.upsert(record("a", 2), wait=True)
    assert await client.numbers("a") == {"a": 2}
    await client.upsert(Vector("a", np.zeros(DIMENSIONS), "space", {"n": 2}), wait=True)
    (seen,) = (await client.run(by_id.get_many(client.io, client.state, ["a"]))).values()
    assert (seen.namespace, seen.values.tolist()) == ("space", [0.0] * DIMENSIONS)


@both_variants
async def test_a_delete_is_waited_for_until_its_records_are_gone(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    names = [f"id{i}" for i in range(150)]
    await client.upsert(*records(*names), wait=True)
    with Elapsed(world) as elapsed:
        await client.delete(*names, wait=True)
    assert PROCESS + LAG <= elapsed.seconds <= PROCESS + LAG + 5
    assert await client.numbers(*names) == {}


@both_variants
@pytest.mark.parametrize("stranger", [False, True])
async def test_a_record_that_was_so_before_proves_nothing(
    variant: Variant, worlds: Worlds, stranger: bool
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    await client.upsert(record("a", 1), record("same", 1), wait=True)
    if stranger:
        # Another run of the same script: it knows nothing of the writes before it.
        client = world.client()
    await client.upsert(record("a", 2), record("same", 1), wait=True)
    assert await client.numbers("a") == {"a": 2}
    await client.insert(record("new", 3), record("same", 3), wait=True)
    assert await client.numbers("new", "same") == {"new": 3, "same": 1}
    await client.delete("unknown", "a", "new", wait=True)
    assert await client.numbers("a", "new", "same") == {"same": 1}


@both_variants
@both_goals
@pytest.mark.parametrize("verb", ["upsert", "insert", "delete"])
async def test_a_write_that_changes_nothing_is_waited_for_too(
    variant: Variant, worlds: Worlds, wait: Any, verb: str
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=8)
    client = world.client()
    names = [f"id{i}" for i in range(20)]
    await client.upsert(*records(*names), wait=True)
    with Elapsed(world) as elapsed:
        if verb == "delete":
            mutations = await client.delete("nobody", wait=wait)
        else:
            mutations = await getattr(client, verb)(*records(*names), wait=wait)
    # Nothing can be seen of it: reads get ten seconds more to follow.
    assert world.fates(mutations) == {wait}
    assert elapsed.seconds <= PROCESS + 5 + (10 + 5 if wait == "visible" else 0)


@both_variants
@pytest.mark.parametrize("propagate", [0.0, 8.0])
async def test_deleting_what_is_not_visible_yet_is_waited_for(
    variant: Variant, worlds: Worlds, propagate: float
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=propagate)
    client = world.client()
    await client.upsert(record("a"))
    world.pass_time(1)
    with Elapsed(world) as elapsed:
        mutations = await client.delete("a", wait=True)
    assert elapsed.seconds >= PROCESS + propagate
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_writing_what_was_just_deleted_is_waited_for(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=8)
    client = world.client()
    await client.upsert(*records("a", "b"), wait=True)
    await client.delete("a", "b")
    world.pass_time(1)
    mutations = await client.insert(*records("a", "b", number=2), wait=True)
    assert world.fates(mutations) == {"visible"}
    await client.delete("a", "b")
    world.pass_time(1)
    mutations = await client.upsert(*records("a", "b", number=2), wait=True)
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_an_earlier_write_of_the_same_content_proves_nothing(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    await client.upsert(record("a", 1))
    world.pass_time(20)
    mutations = await client.upsert(record("a", 1), record("b", 1), wait=True)
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_own_writes_of_before_are_all_waited_for(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    await client.wait()
    assert client.executor.ops == []
    for i in range(40):
        await client.upsert(record(f"id{i}"))
    await client.delete("id3", "id39")
    with Elapsed(world) as elapsed:
        await client.wait()
    assert PROCESS + LAG <= elapsed.seconds <= PROCESS + LAG + 10 + 5
    names = [f"id{i}" for i in range(40)]
    assert set(await client.numbers(*names)) == set(names) - {"id3", "id39"}
    assert client.state.own_writes.pending() == ()


@both_variants
async def test_both_variants_of_a_connection_know_of_each_others_writes(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS)
    client = world.client()
    run(writing.upsert(client.connection.io(), client.state, [record("sync")]))
    await writing.upsert(client.connection.async_io(), client.state, [record("async")])
    await client.wait()
    assert set(await client.numbers("sync", "async")) == {"sync", "async"}


@both_variants
async def test_records_of_an_earlier_write_may_be_overwritten(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    await client.upsert(record("a", 1))
    await client.upsert(record("b", 1))
    await client.upsert(record("a", 2), record("b", 2))
    await client.delete("b")
    await client.wait()
    assert await client.numbers("a", "b") == {"a": 2}


@both_variants
@pytest.mark.parametrize("removing", [False, True])
async def test_a_write_may_be_overwritten_while_it_is_waited_for(
    variant: Variant, worlds: Worlds, removing: bool
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    again = False

    def overwrite(op: Op[Any]) -> None:
        # As another thread would, between the first and the second look.
        nonlocal again
        if isinstance(op, GetInfo) and not again:
            again = True
            io, state = client.connection.io(), client.state
            if removing:
                run(writing.delete(io, state, ["a"]))
            else:
                run(writing.upsert(io, state, [record("a", 2)]))

    client.executor.after = overwrite
    mutations = await client.upsert(record("a", 1), wait=True)
    assert again
    assert world.fates(mutations) == {"visible"}
    assert await client.numbers("a") == ({} if removing else {"a": 2})


@both_variants
async def test_what_is_processed_is_not_taken_for_visible_later(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()
    thread = Client.beside(client)

    def overwrite(op: Op[Any]) -> None:
        if isinstance(op, GetInfo) and not thread.of(Upsert):
            run(writing.upsert(thread.io, thread.state, [record("a", 2)]))

    client.executor.after = overwrite
    mutations = await client.upsert(record("a", 1), wait="processed")
    assert world.fates(mutations) == {"processed"}
    assert client.state.own_writes.pending() != ()
    await client.wait()
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_another_threads_writes_do_not_put_a_wait_off(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client()

    def write_more(op: Op[Any]) -> None:
        if isinstance(op, GetInfo):
            io, state = client.connection.io(), client.state
            for i in range(20):
                run(writing.upsert(io, state, [record(f"{world.now} {i}")]))

    client.executor.after = write_more
    with Elapsed(world) as elapsed:
        await client.upsert(record("a", 1), wait=True)
    assert PROCESS + LAG <= elapsed.seconds <= PROCESS + LAG + 5


@both_variants
async def test_what_the_caller_does_to_a_record_later_does_not_matter(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS)
    client = world.client()
    values, metadata = np.ones(DIMENSIONS, np.float32), {"n": 1, "none": None, "one": 1.0}
    await client.upsert(Vector("a", values, metadata=metadata))
    values[:] = 5
    metadata["n"] = 5
    await client.wait()
    assert await client.numbers("a") == {"a": 1}


@both_variants
async def test_where_nothing_is_slow_a_wait_sleeps_not_once(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant)
    client = world.client()
    with Elapsed(world) as elapsed:
        await client.upsert(record("a"), wait=True)
        await client.upsert(record("a"), wait=True)
        await client.insert(record("b"), wait="processed")
        await client.delete("a", "unknown", wait=True)
        await client.upsert(record("c"))
        await client.delete("c", wait=True)
        await client.upsert(wait=True)
        await client.delete(wait=True)
        await client.upsert(*map(record, "defghi"), batch_size=2)
        await client.wait()
    assert elapsed.seconds == 0
    assert await client.numbers(*"abcd") == {"b": 0, "d": 0}


@both_variants
@both_goals
async def test_the_end_of_a_wait_is_an_event(variant: Variant, worlds: Worlds, wait: Any) -> None:
    world = worlds(variant, process_delay=1)
    client = world.client()
    (mutation,) = await client.upsert(record("a"), wait=wait)
    with pytest.raises(WaitTimeoutError):
        await client.upsert(record("b"), wait=wait, wait_timeout=0)
    world.service.delete_index("docs")
    with pytest.raises(VectorizeError):
        await client.wait()
    seen, timeout, error = [e for e in client.events if isinstance(e, WaitEvent)]
    assert (seen.index, seen.goal, seen.mutation_id) == ("docs", wait, mutation.mutation_id)
    assert (seen.outcome, timeout.outcome, error.outcome) == ("seen", "timeout", "error")
    assert 1 <= seen.seconds < 2
    assert (seen.polls, timeout.polls, error.polls) == (6, 1, 1)


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


def test_threads_may_share_what_is_known_of_own_writes() -> None:
    known, failures = OwnWrites(), []

    def write(thread: int) -> None:
        try:
            for i in range(400):
                names = [f"id{(i + j) % 7}" for j in range(3)]
                own = known.begin("upsert", {name: record(name) for name in names})
                began = known.moment()
                known.accept(own, f"{thread}-{i}")
                known.processed(f"{thread}-{i - 2}")
                known.read({name: record(name) for name in names}, began)
                known.see(own)
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
    assert len(known._order) <= 1_000


@pytest.mark.parametrize("ref", [["a"], {"a": 1}, 7, None])
def test_a_reference_that_is_no_text_names_no_document(ref: Any) -> None:
    """Vectors of another make may hold anything where ours hold the reference."""
    known = OwnWrites()
    vectors = {
        "odd": Vector("odd", [1.0], None, {"_vs_ref": ref}),
        "bare": Vector("bare", [1.0]),
        "ours": Vector("ours", [1.0], "space", {"_vs_ref": "a"}),
    }
    known.accept(known.begin("upsert", vectors), "one", vectors)
    pending = known.of_documents({"a"}, None)
    assert pending is not None
    assert pending.wanted == {"ours"}
    assert pending.others(vectors) == {"odd", "bare"}


async def test_time_in_which_nothing_ran_is_no_lag(worlds: Worlds) -> None:
    """As where a debugger has stopped the process, or other work has held up its event loop."""
    world = worlds(SYNC, propagate_delay=3.0)
    client = world.client()
    world.after(1, lambda: world.pass_time(10_000))
    await client.upsert(record("a", 1), wait=True, wait_timeout=NEVER)
    # Nothing shows when reads see this one.
    with Elapsed(world) as elapsed:
        await client.upsert(record("a", 1), wait=True)
    assert elapsed.seconds <= 35
