"""Reading an index by its ids: exact whatever is in it, at a request for every twenty vectors."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator

from vectorize_core import limits
from vectorize_core.api.operations import GetInfo, ListVectors
from vectorize_core.errors import UnexpectedAnswerError, UnsupportedCallError
from vectorize_core.models import Vector
from vectorize_core.reads.by_id import get_many, iter_ids
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import RequestLimit
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.transport.workers import aclosing

_AT_ONCE = 10 * limits.MAX_IDS_PER_GET


async def every_vector(
    io: Io,
    state: IndexState,
    post_filter: PostFilter,
    namespace: str | None,
    request_limit: RequestLimit,
) -> AsyncGenerator[list[Vector], None]:
    """All vectors of an index that a filter matches, evaluated here; some at a time."""
    if ListVectors in state.capabilities.lacking:
        raise UnsupportedCallError(
            f"index {state.name!r}: this takes to read the whole index, whose ids no binding of a "
            "Worker lists: it has no metadata indexes of the record layout, which divide it, or "
            "no part of the filter can be looked up. Over REST it can be done: "
            "VectorizeClient(account_id=..., api_token=...)"
        )
    reading = _read(io, state, request_limit)
    if request_limit.confined:
        reading = _telling_nothing(reading, state.name)
    async with aclosing(reading) as read:
        async for vectors in read:
            yield await post_filter.select(io, vectors, namespace)


async def _read(
    io: Io, state: IndexState, request_limit: RequestLimit
) -> AsyncGenerator[list[Vector], None]:
    request_limit.charge()
    count = (await io.call(GetInfo(state.name))).vector_count
    request_limit.expect(needed(count))
    listed = 0
    async for ids in in_batches(iter_ids(io, state), _AT_ONCE):
        pages = math.ceil((listed + len(ids)) / limits.MAX_LIST_COUNT)
        pages -= math.ceil(listed / limits.MAX_LIST_COUNT)
        listed += len(ids)
        request_limit.charge(pages + math.ceil(len(ids) / limits.MAX_IDS_PER_GET))
        yield list((await get_many(io, state, ids)).values())


async def _telling_nothing(
    reading: AsyncGenerator[list[Vector], None], index: str
) -> AsyncGenerator[list[Vector], None]:
    """The same for a tenant, who is not to learn of others' records by what is wrong with them."""
    try:
        async with aclosing(reading):
            async for vectors in reading:
                yield vectors
        return
    except UnexpectedAnswerError:
        pass
    # Only here, so that the error which tells is not even the context of this one.
    raise UnexpectedAnswerError(
        f"an answer that was read from the whole index {index!r} does not have the form that the "
        "API documents. The same call of the store that this view is of says what is wrong with it"
    )


def needed(count: int) -> int:
    """How many requests it takes to read ``count`` vectors."""
    per_get, per_page = limits.MAX_IDS_PER_GET, limits.MAX_LIST_COUNT
    return math.ceil(count / per_page) + math.ceil(count / per_get)
