"""Waiting for writes of records that other writes of the same client have changed as well."""

from __future__ import annotations

import pytest

from tests.core.helpers import SYNC, Variant, both_variants
from tests.core.state.waits import Client, Elapsed, Worlds, record, records
from vectorize_core.api.operations import Op
from vectorize_core.errors import ConnectionFailedError, WaitTimeoutError
from vectorize_core.models import Vector
from vectorize_core.transport.io import run
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes import writing

PROCESS, LAG = 30.0, 2.0
ONCE = RetryPolicy(write_deadline=0.0, request_lifetime=0.0)


async def lose(client: Client, *vectors: Vector, delete: tuple[str, ...] = ()) -> None:
    """Send a write that never arrives, and of which nobody can know."""

    def fail(_: Op[object]) -> None:
        raise ConnectionFailedError("reset")

    client.executor.before = fail
    with pytest.raises(ConnectionFailedError):
        await (client.delete(*delete) if delete else client.upsert(*vectors))
    client.executor.before = None


@both_variants
@pytest.mark.parametrize("propagate", [0.0, 1.0])
async def test_replacing_what_is_not_visible_yet_is_waited_for_no_longer(
    variant: Variant, worlds: Worlds, propagate: float
) -> None:
    """As LangChain's `index()` does it: what is new is written, then what is old deleted."""
    world = worlds(variant, process_delay=0.5, propagate_delay=propagate)
    client = world.client()
    await client.upsert(*records("kept", "old"))
    for number in range(3):
        await client.upsert(record(f"new {number}"))
        mutations = await client.delete(f"new {number - 1}" if number else "old")
    with Elapsed(world) as elapsed:
        await client.wait()
    assert world.fates(mutations) == {"visible"}
    assert set(await client.numbers("kept", "old", "new 0", "new 1", "new 2")) == {"kept", "new 2"}
    assert elapsed.seconds <= (0.5 + propagate) * 2.5


@both_variants
async def test_what_another_client_has_put_proves_no_write_of_which_all_else_is_deleted(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client, other = world.client(), world.client(SYNC)
    run(writing.upsert(other.io, other.state, [record("both")]))
    world.pass_time(8)
    await client.upsert(*records("both", "mine"))
    mutations = await client.delete("mine")
    await client.wait()
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_what_was_there_before_proves_nothing_though_a_lost_write_may_have_put_it(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=PROCESS, propagate_delay=LAG)
    client = world.client(retry=ONCE)
    mutations = await client.upsert(*records("a", "b"))
    with pytest.raises(WaitTimeoutError):
        await client.wait(1.0)
    await lose(client, delete=("a", "b"))
    await client.wait()
    assert world.fates(mutations) == {"visible"}
    # What is known of a delete by the write before it, a lost one may have put again.
    await client.upsert(*records("a", "b", number=1))
    world.pass_time(5)
    mutations = await client.delete("b")
    await lose(client, record("b", 1))
    await client.wait()
    assert world.fates(mutations) == {"visible"}


@both_variants
async def test_an_insert_is_known_by_what_the_last_write_before_it_has_left(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=1.0)
    client = world.client()
    # In which order a client looks at its earlier writes is not to matter.
    names = [f"id{number}" for number in range(10)]
    for name in names:
        await client.upsert(record(name, 1))
        await client.delete(name)
        world.pass_time(0.1)
        mutations = await client.insert(record(name, 2))
    with Elapsed(world) as elapsed:
        await client.wait()
    assert world.fates(mutations) == {"visible"}
    assert await client.numbers(*names) == dict.fromkeys(names, 2)
    assert elapsed.seconds <= 2.5
