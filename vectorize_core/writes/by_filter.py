"""Writes of what a filter selects: deleting it, and writing all of an index again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Unpack

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError
from vectorize_core.models import Id, Mutation
from vectorize_core.reads.by_id import get_many, iter_ids
from vectorize_core.reads.enumeration import rounds_to_delete
from vectorize_core.reads.selection import SelectOptions, check_is_filter, select
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState, get_metadata_indexes, look_again
from vectorize_core.state.metadata_indexes import DEFAULT_WAIT_TIMEOUT as DEFAULT_INDEX_TIMEOUT
from vectorize_core.state.metadata_indexes import wait_for_indexes
from vectorize_core.state.polling import Polling
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes import writing

_REINDEXED_AT_ONCE: Final = 500


class DeleteOptions(WaitOptions, SelectOptions, total=False):
    """What is deleted; ``verify`` looks again afterwards, until nothing that matches is left."""

    verify: bool


async def delete(
    io: Io,
    state: IndexState,
    given: Sequence[Id] | None,
    *,
    verify: bool = False,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    **options: Unpack[SelectOptions],
) -> tuple[Mutation, ...]:
    """Delete vectors by id, or those that are selected.

    With ``verify``, it waits until the deletion is visible and looks again until nothing is left.
    """
    waiting.check_waits(wait, wait_timeout)
    validation.flag("verify", verify)
    if given is not None:
        if verify or options:
            raise InvalidInputError("a delete takes ids or a filter, not both")
        ids = validation.as_ids(given)
        return await writing.delete(io, state, ids, wait=wait, wait_timeout=wait_timeout)
    check_is_filter(options.get("filter"), options.get("vectorize_filter"))
    chosen = dataclasses.replace(await select(io, state, options), wait_timeout=wait_timeout)
    rounds = rounds_to_delete(io, state, chosen, verify=verify)
    mutations: list[Mutation] = []
    async with aclosing(rounds) as found:
        async for some in found:
            goal = "visible" if verify else wait
            mutations += await writing.delete(io, state, some, wait=goal, wait_timeout=wait_timeout)
    return tuple(mutations)


async def reindex_metadata(
    io: Io, state: IndexState, *, batch_size: int = _REINDEXED_AT_ONCE, **waits: Unpack[WaitOptions]
) -> int:
    """Write every vector of an index again as it is, and return how many there were.

    A metadata index covers what is written once it is live; this makes it cover what is older. A
    request reads twenty vectors. No other client should write meanwhile: a vector that changes
    between its reading and its writing is set back. Metadata indexes that this client has just
    created are waited for. Records of ours get what the layout has and they lack.
    """
    waiting.check_waits(waits.get("wait", False), waits.get("wait_timeout", DEFAULT_WAIT_TIMEOUT))
    await look_again(io, state)
    if state.awaited:
        polling = Polling(io, DEFAULT_INDEX_TIMEOUT)
        await wait_for_indexes(io, state, polling, set(state.awaited), live=True)
    indexed = await get_metadata_indexes(io, state)
    timeout = waits.get("wait_timeout", DEFAULT_WAIT_TIMEOUT)
    await waiting.wait_for_own(io, state, timeout, purpose="reindex_metadata")
    written, hidden = 0, set[str]()
    async for some in in_batches(iter_ids(io, state), batch_size):
        found = await get_many(io, state, some)
        vectors = [layout.completed(vector, indexed) for vector in found.values()]
        await writing.upsert(io, state, vectors, **waits)
        written += len(vectors)
        # Of a vector that has no room for it.
        hidden |= {n for n in indexed if any(layout.hides(v.metadata, n) for v in vectors)}
    state.coverage.covering.update(indexed.keys() - hidden)
    return written
