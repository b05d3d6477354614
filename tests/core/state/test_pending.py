"""A search that finds nothing says so if what was written cannot be found yet."""

from __future__ import annotations

import warnings

from tests.core.helpers import SYNC, Variant, both_variants
from tests.core.state.waits import NEVER, Client, Worlds, record
from vectorize_core import PendingWritesWarning
from vectorize_core.api.operations import GetInfo, Op
from vectorize_core.errors import ServerError
from vectorize_core.state.pending import warn_of_pending_writes
from vectorize_core.transport.io import run
from vectorize_core.writes import writing


async def warned(client: Client) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await client.run(warn_of_pending_writes(client.io, client.state))
    assert all(warning.category is PendingWritesWarning for warning in caught)
    return [str(warning.message) for warning in caught]


@both_variants
async def test_nothing_is_asked_where_there_are_no_own_writes_to_see(
    variant: Variant, worlds: Worlds
) -> None:
    client = worlds(variant).client()
    assert await warned(client) == []
    await client.upsert(record("a"), wait=True)
    client.executor.ops.clear()
    assert await warned(client) == []
    assert client.executor.ops == []


@both_variants
async def test_it_warns_once_until_the_writes_are_processed(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, process_delay=30)
    client = world.client()
    await client.upsert(record("a"))
    (own,) = client.state.own_writes.pending()
    own.since -= 12
    (said,) = await warned(client)
    for part in ("'docs'", "12.0 s ago", "wait='visible'", "wait()"):
        assert part in said
    assert await warned(client) == []
    await client.upsert(record("b"))
    assert await warned(client) == []
    await client.wait()
    await client.upsert(record("c"))
    assert len(await warned(client)) == 1
    world.pass_time(30)
    assert await warned(client) == []
    await client.upsert(record("d"))
    assert len(await warned(client)) == 1


@both_variants
async def test_writes_not_waited_for_are_asked_for_once(variant: Variant, worlds: Worlds) -> None:
    client = worlds(variant).client()
    for name in "abc":
        await client.upsert(record(name))
    client.executor.ops.clear()
    for _ in range(3):
        assert await warned(client) == []
    assert [type(op) for op in client.executor.ops] == [GetInfo]
    # They are still waited for: processed is not seen.
    assert len(client.state.own_writes.pending()) == 3


@both_variants
async def test_it_does_not_guess_and_never_fails(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant)
    client, other = world.client(), world.client(SYNC)
    await client.upsert(record("a"))
    run(writing.upsert(other.io, other.state, [record("b")]))
    # Another client's mutation hides that ours is processed.
    assert await warned(client) == []
    world.behave(process_delay=NEVER)
    await client.upsert(record("c"))

    def fail(_: Op[object]) -> None:
        raise ServerError("said", 503)

    client.executor.before = fail
    assert await warned(client) == []


@both_variants
async def test_an_old_write_is_not_why_nothing_is_found(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, process_delay=NEVER)
    client = world.client()
    await client.upsert(record("a"))
    (own,) = client.state.own_writes.pending()
    own.since -= 3_600
    client.executor.ops.clear()
    assert await warned(client) == []
    assert client.executor.ops == []
