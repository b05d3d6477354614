"""All that a filter matches: to list, count, read or delete it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import IncompleteAnswerError
from vectorize_core.models import Match, ReturnMetadata, as_match
from vectorize_core.reads import exhaustive
from vectorize_core.reads.partition_search import (
    Best,
    CannotDivideError,
    OverlookedError,
    PartitionSearch,
    Question,
    arbitrary_query,
)
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import RequestLimit, Selection
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.state.own_writes import Pending
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing

_VERIFICATIONS: Final = 10


async def iter_matching(
    io: Io,
    state: IndexState,
    selection: Selection,
    *,
    return_metadata: ReturnMetadata = "none",
    return_values: bool = False,
    settled: bool = False,
) -> AsyncGenerator[list[Match], None]:
    """Every selected record, once, in no order; some at a time.

    Waits first until this client's own writes are visible, unless these are ``settled``. Scores
    mean nothing here.

    The service's search is approximate. Up to 50 matches come out of one exactly scored answer,
    which by its documentation finds all. Beyond that, the first 50 must also be in what the
    faster answers found, or everything is asked for again as exactly. ``precision="high"``
    (and ``return_values``) asks so from the start: twice the requests, and nothing left to chance.
    """
    request_limit = selection.request_limit("finding all that the filter matches")
    precision, namespace = selection.precision, selection.namespace
    if selection.plan.impossible:
        return
    if not settled:
        timeout, purpose = selection.wait_timeout, "finding all that a filter matches"
        await waiting.wait_for_own(io, state, timeout, purpose=purpose, confined=selection.confined)
    post_filter = PostFilter(selection.plan, selection.read)
    metadata = return_metadata if return_metadata == "all" else post_filter.needs
    question = Question(
        post_filter=post_filter,
        vector=arbitrary_query((await get_details(io, state)).config.dimensions),
        namespace=namespace,
        # With whole metadata an answer is no shorter for having values too.
        return_values=return_values or precision == "high" or metadata == "all",
        return_metadata=metadata,
    )
    yielded: set[str] = set()
    try:
        async with aclosing(_partitioned(io, state, question, request_limit)) as rounds:
            async for found in rounds:
                fresh = [match for match in found if match.id not in yielded]
                yielded.update(match.id for match in fresh)
                yield fresh
    except CannotDivideError:
        vectors = exhaustive.every_vector(io, state, post_filter, namespace, request_limit)
        async with aclosing(vectors) as batches:
            async for batch in batches:
                yield [as_match(v, math.nan) for v in batch if v.id not in yielded]


async def _partitioned(
    io: Io, state: IndexState, question: Question, request_limit: RequestLimit
) -> AsyncGenerator[list[Match], None]:
    for exact in (False, True):
        asked = replace(question, return_values=question.return_values or exact)
        search = PartitionSearch(io, state, asked, Best(None), request_limit)
        try:
            async with aclosing(search.rounds(precise_start=True)) as rounds:
                async for found in rounds:
                    yield found
        except OverlookedError:
            continue
        else:
            return
    raise CannotDivideError


async def matching_ids(
    io: Io, state: IndexState, selection: Selection, *, settled: bool = False
) -> AsyncGenerator[str, None]:
    """The id of every selected record. See `iter_matching`."""
    async with aclosing(iter_matching(io, state, selection, settled=settled)) as found:
        async for some in found:
            for match in some:
                yield match.id


async def count(io: Io, state: IndexState, selection: Selection) -> int:
    """How many records are selected. See `iter_matching`.

    All records of an index are counted by the service, in one request.
    """
    if selection.is_everything:
        await waiting.wait_for_own(io, state, selection.wait_timeout, purpose="a count")
        return (await io.call(GetInfo(state.name))).vector_count
    async with aclosing(matching_ids(io, state, selection)) as found:
        return len([None async for _ in found])


async def rounds_to_delete(
    io: Io,
    state: IndexState,
    selection: Selection,
    *,
    verify: bool,
    pending: Pending | None = None,
) -> AsyncGenerator[list[str], None]:
    """The ids of all selected records, for a caller that deletes them before it goes on.

    It first waits until reads see what this client has written and not deleted since. With
    ``pending`` it need not: that tells which of the ids written are selected, and which are not.

    With ``verify``, it then looks again, as exactly as the service can, until nothing is left: for
    what the service overlooked, or others added meanwhile. The caller waits until each deletion
    is visible.
    """
    for attempt in range(_VERIFICATIONS):
        chosen = replace(selection, precision="high" if attempt else "normal")
        known = pending if not attempt else None
        if known is None:
            timeout, purpose = selection.wait_timeout, "a delete by filter"
            await waiting.wait_for_own(
                io, state, timeout, purpose=purpose, to_delete=True, confined=selection.confined
            )
        async with aclosing(matching_ids(io, state, chosen, settled=True)) as found:
            ids = [vector_id async for vector_id in found]
        if known is not None:
            others = known.others(ids)
            ids = [*dict.fromkeys([*(i for i in ids if i not in others), *known.wanted])]
        if ids:
            yield ids
        if not verify or (attempt and not ids):
            return
    raise IncompleteAnswerError(
        f"index {state.name!r}: after {_VERIFICATIONS} deletions there is still something that "
        "the filter matches; something else must be adding it"
    )
