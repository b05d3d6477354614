"""Metadata indexes are waited for until they are live: not less, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.helpers import Variant, both_variants
from tests.core.state.waits import NEVER, Client, Elapsed, World, Worlds
from vectorize_core.api.operations import ListMetadataIndexes, Op
from vectorize_core.errors import (
    IndexNotFoundError,
    IndexReplacedError,
    ServerError,
    WaitTimeoutError,
)
from vectorize_core.state import metadata_indexes


async def ensure(client: Client, wait_timeout: float = 600.0, **wanted: Any) -> None:
    flow = metadata_indexes.ensure_metadata_indexes(
        client.io, client.state, wanted, wait_timeout=wait_timeout
    )
    await client.run(flow)


def live(world: World) -> dict[str, str]:
    return {m.property_name: m.index_type for m in world.service.list_metadata_indexes("docs")}


@both_variants
@pytest.mark.parametrize("delay", [0.0, 0.3, 90.0])
async def test_metadata_indexes_are_waited_for_until_they_are_live(
    variant: Variant, worlds: Worlds, delay: float
) -> None:
    world = worlds(variant, metadata_index_delay=delay)
    with Elapsed(world) as elapsed:
        await ensure(world.client(), year="number", lang="string")
    assert live(world) == {"year": "number", "lang": "string"}
    assert delay <= elapsed.seconds <= delay + (5 if delay else 0)


@both_variants
async def test_the_deadline_of_metadata_indexes_is_kept(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, metadata_index_delay=NEVER)
    with Elapsed(world) as elapsed, pytest.raises(WaitTimeoutError, match=r"'year'.*after 20 s"):
        await ensure(world.client(), 20, year="number")
    assert 20 <= elapsed.seconds <= 20.1


@both_variants
async def test_a_listing_that_fails_is_made_again(variant: Variant, worlds: Worlds) -> None:
    world = worlds(variant, metadata_index_delay=90.0)
    client, error = world.client(), ServerError("said", 503)

    def fail(op: Op[Any]) -> None:
        if isinstance(op, ListMetadataIndexes) and 1_010 < world.now < 1_060:
            raise error

    client.executor.before = fail
    await ensure(client, year="number")
    assert live(world) == {"year": "number"}
    world.now = 1_000
    with pytest.raises(WaitTimeoutError) as caught:
        await ensure(client, 20, lang="string")
    assert caught.value.__cause__ is error


@both_variants
async def test_an_index_that_goes_during_a_wait_is_noticed(
    variant: Variant, worlds: Worlds
) -> None:
    world = worlds(variant, metadata_index_delay=90.0)
    client = world.client()
    world.after(10, world.replace)
    with Elapsed(world) as elapsed, pytest.raises(IndexReplacedError):
        await ensure(client, year="number")
    assert elapsed.seconds <= 10 + 20 + 5
    world.after(10, lambda: world.service.delete_index("docs"))
    with Elapsed(world) as elapsed, pytest.raises(IndexNotFoundError):
        await ensure(client, year="number")
    assert elapsed.seconds <= 10 + 5


@both_variants
@pytest.mark.parametrize("again", ["string", "number"])
async def test_a_dying_metadata_index_is_not_taken_for_the_new_one(
    variant: Variant, worlds: Worlds, again: str
) -> None:
    world = worlds(variant, metadata_index_delay=90.0)
    client = world.client()
    await ensure(client, year="number")
    await client.run(metadata_indexes.delete_metadata_index(client.io, client.state, "year"))
    world.pass_time(1)
    await ensure(client, year=again)
    assert live(world) == {"year": again}
    world.pass_time(200)
    assert live(world) == {"year": again}
