"""Writes of what a filter selects: deleting it, and writing all of an index again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, Protocol, Unpack

from vectorize_core.errors import IncompleteAnswerError, InvalidInputError
from vectorize_core.filters.plan import Plan
from vectorize_core.models import Mutation
from vectorize_core.reads import enumeration
from vectorize_core.reads.by_id import get_many, iter_ids
from vectorize_core.reads.post_filter import ReadRecord, raw_record
from vectorize_core.reads.request_limit import MAX_ENUMERATION_REQUESTS
from vectorize_core.reads.selection import SelectOptions, check_is_filter, select
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.writes import writing

_REINDEXED_AT_ONCE: Final = 500
_VERIFICATIONS: Final = 10


class DeleteOptions(WaitOptions, SelectOptions, total=False):
    """What is deleted; ``verify`` looks again afterwards, until nothing that matches is left."""

    verify: bool


class Delete(Protocol):
    """Deletes vectors by id."""

    async def __call__(
        self, ids: Sequence[str], /, *, wait: Wait, wait_timeout: float
    ) -> tuple[Mutation, ...]:
        """Delete them."""


async def delete(
    io: Io,
    state: IndexState,
    given: Sequence[str] | None,
    *,
    verify: bool = False,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    **options: Unpack[SelectOptions],
) -> tuple[Mutation, ...]:
    """Delete vectors by id, or those that are selected. See `delete_matching`."""
    if given is not None:
        if verify or options:
            raise InvalidInputError("a delete takes ids or a filter, not both")
        return await writing.delete(io, state, given, wait=wait, wait_timeout=wait_timeout)
    check_is_filter(options.get("filter"), options.get("vectorize_filter"))
    plan, namespace, most = await select(io, state, options, MAX_ENUMERATION_REQUESTS)
    return await delete_matching(
        io,
        state,
        plan=plan,
        namespace=namespace,
        verify=verify,
        wait=wait,
        wait_timeout=wait_timeout,
        max_requests=most,
    )


async def delete_matching(
    io: Io,
    state: IndexState,
    *,
    plan: Plan,
    read: ReadRecord = raw_record,
    namespace: str | None = None,
    delete: Delete | None = None,
    verify: bool = False,
    wait: Wait = False,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    max_requests: int = MAX_ENUMERATION_REQUESTS,
) -> tuple[Mutation, ...]:
    """Delete every record that a plan's filter matches; ``max_requests`` is for finding them.

    ``delete`` is what deletes them, unless None like `writing.delete`.

    With ``verify``, wait until the deletion is visible and look again, as exactly as the service
    can, until nothing that matches is left: also what it overlooked, or others added meanwhile.
    """
    mutations: list[Mutation] = []
    if delete is None:
        delete = partial(writing.delete, io, state)
    for attempt in range(_VERIFICATIONS):
        found = enumeration.matching_ids(
            io,
            state,
            plan=plan,
            read=read,
            namespace=namespace,
            precision="high" if attempt else "normal",
            max_requests=max_requests,
        )
        async with aclosing(found) as ids:
            doomed = [vector_id async for vector_id in ids]
        if doomed:
            goal = "visible" if verify else wait
            mutations += await delete(doomed, wait=goal, wait_timeout=wait_timeout)
        if not verify or (attempt and not doomed):
            return tuple(mutations)
    raise IncompleteAnswerError(
        f"index {state.name!r}: after {_VERIFICATIONS} deletions there is still something that "
        "the filter matches; something else must be adding it"
    )


async def reindex_metadata(
    io: Io, state: IndexState, *, batch_size: int = _REINDEXED_AT_ONCE, **waits: Unpack[WaitOptions]
) -> int:
    """Write every vector of an index again as it is, and return how many there were.

    A metadata index covers what is written once it is live; this makes it cover what is older. A
    request reads twenty vectors. Nobody else should write meanwhile: a vector that changes between
    its reading and its writing is set back.
    """
    await waiting.wait_for_own(io, state)
    written = 0
    async for some in in_batches(iter_ids(io, state), batch_size):
        found = list((await get_many(io, state, some)).values())
        await writing.upsert(io, state, found, **waits)
        written += len(found)
    return written
