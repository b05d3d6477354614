"""Reading raw vectors, as `Index` does: by filters as users give them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from vectorize_core.api import validation
from vectorize_core.api.operations import GetInfo
from vectorize_core.filters.explain import Explanation, explain
from vectorize_core.filters.plan import Plan, Unindexed
from vectorize_core.models import (
    RETURN_METADATA,
    Id,
    Match,
    ReturnMetadata,
    Values,
    Vector,
    as_vector,
)
from vectorize_core.reads import enumeration, search
from vectorize_core.reads.by_id import get_many
from vectorize_core.reads.partition_search import has_buckets
from vectorize_core.reads.selection import (
    MAX_SEARCH_REQUESTS,
    AnyFilter,
    Precision,
    SelectOptions,
    select,
)
from vectorize_core.state.index_state import IndexState, get_metadata_indexes
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing


class QueryOptions(SelectOptions, total=False):
    """What comes with a match, and which vectors are searched.

    ``return_values`` also makes the service score exactly instead of approximately, but for 51 to
    100 matches: one answer cannot hold their values, so these are fetched by id.
    ``return_metadata`` is "none", "indexed" or "all".
    """

    return_values: bool
    return_metadata: ReturnMetadata


class EnumerateOptions(SelectOptions, total=False):
    """All that is selected. ``precision="high"`` asks for twice as many exact answers."""

    precision: Precision


async def query(
    io: Io, state: IndexState, vector: ArrayLike, top_k: int, **options: Unpack[QueryOptions]
) -> list[Match]:
    """`search.search` among the selected vectors."""
    return await _query(io, state, validation.query_vector(vector, "vector"), top_k, **options)


async def query_by_id(
    io: Io, state: IndexState, vector_id: Id, top_k: int, **options: Unpack[QueryOptions]
) -> list[Match]:
    """`query` with a stored vector."""
    known = validation.as_id(vector_id, "vector_id")
    validation.check_id(known)
    return await _query(io, state, known, top_k, **options)


async def _query(
    io: Io,
    state: IndexState,
    target: Values | str,
    top_k: int,
    *,
    return_values: bool = False,
    return_metadata: ReturnMetadata = "none",
    **options: Unpack[SelectOptions],
) -> list[Match]:
    k = validation.whole_number("top_k", top_k)
    validation.flag("return_values", return_values)
    validation.one_of("return_metadata", return_metadata, RETURN_METADATA)
    return await search.search(
        io,
        state,
        target,
        k,
        await select(io, state, options, claim="best", max_requests=MAX_SEARCH_REQUESTS),
        return_values=return_values,
        return_metadata=return_metadata,
    )


async def get(io: Io, state: IndexState, ids: Sequence[Id]) -> list[Vector]:
    """The vectors with these ids, in the order of ``ids``; missing ones are left out."""
    return list((await get_many(io, state, validation.as_ids(ids))).values())


async def ids(
    io: Io,
    state: IndexState,
    *,
    precision: Precision = "normal",
    **options: Unpack[SelectOptions],
) -> AsyncGenerator[str, None]:
    """The ids of the selected vectors. See `enumeration.iter_matching`."""
    selection = await select(io, state, options, precision=precision)
    async with aclosing(enumeration.matching_ids(io, state, selection)) as matching:
        async for vector_id in matching:
            yield vector_id


async def vectors(
    io: Io, state: IndexState, **options: Unpack[SelectOptions]
) -> AsyncGenerator[Vector, None]:
    """The selected vectors, whole. See `enumeration.iter_matching`."""
    found = enumeration.iter_matching(
        io, state, await select(io, state, options), return_values=True, return_metadata="all"
    )
    async with aclosing(found) as rounds:
        async for some in rounds:
            for match in some:
                yield as_vector(match)


async def count(
    io: Io,
    state: IndexState,
    *,
    precision: Precision = "normal",
    **options: Unpack[SelectOptions],
) -> int:
    """How many vectors are selected. See `enumeration.count`."""
    selection = await select(io, state, options, precision=precision)
    return await enumeration.count(io, state, selection)


async def explain_filter(
    io: Io,
    state: IndexState,
    filter: AnyFilter | None,
    top_k: int | None,
    *,
    unindexed: Unindexed = "error",
) -> Explanation:
    """How a filter on vectors as they are is answered, and for how many requests."""
    if top_k is not None:
        top_k = validation.whole_number("top_k", top_k)
    options = SelectOptions(filter=filter, unindexed=unindexed)
    return await explain_plan(io, state, (await select(io, state, options, claim=None)).plan, top_k)


async def explain_plan(
    io: Io, state: IndexState, plan: Plan, top_k: int | None, count: int | None = None
) -> Explanation:
    """How a plan is carried out on an index as it is, or on the ``count`` vectors of a tenant."""
    confined = count is not None
    if count is None:
        count = (await io.call(GetInfo(state.name))).vector_count
    indexed = await get_metadata_indexes(io, state)
    return explain(plan, top_k, count, partitioned=has_buckets(indexed), confined=confined)
