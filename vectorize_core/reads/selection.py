"""Reading by filters as users give them, planned for an index as it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias, TypedDict, Unpack

from vectorize_core import jsontext
from vectorize_core.api import validation
from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import InvalidFilterError, InvalidInputError, UnindexedPropertyError
from vectorize_core.filters import plan as plans
from vectorize_core.filters import push
from vectorize_core.filters.ast import EVERYTHING, Expression
from vectorize_core.filters.explain import Explanation, explain
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import Plan, Stored, Unindexed
from vectorize_core.models import (
    Filter,
    IndexType,
    Match,
    ReturnMetadata,
    Values,
    Vector,
)
from vectorize_core.reads import enumeration, search
from vectorize_core.reads.enumeration import Precision
from vectorize_core.reads.partition_search import has_buckets
from vectorize_core.reads.request_limit import MAX_ENUMERATION_REQUESTS, MAX_SEARCH_REQUESTS
from vectorize_core.state.index_state import IndexState, get_metadata_indexes
from vectorize_core.transport.io import Io

AnyFilter: TypeAlias = Mapping[str, Any] | Expression
"""The dict form of a filter, or an expression (docs/filters.md)."""
Properties: TypeAlias = Callable[..., Awaitable[Mapping[str, IndexType]]]
"""Awaited, perhaps with ``refresh=True``, the filterable properties of an index."""


class SelectOptions(TypedDict, total=False):
    """Which records are meant, and how much may be read to find them.

    ``filter`` is the dict form or an expression (docs/filters.md). ``vectorize_filter`` is one in
    the service's own language, passed on as it is. ``namespace=None`` (the default) means all
    namespaces. ``unindexed="scan"`` allows reading records to evaluate what no metadata index can
    look up; otherwise that is an `UnindexedPropertyError`. ``max_requests`` is the ceiling, 100
    for a search, 1,000 for all that matches.
    """

    filter: AnyFilter | None
    vectorize_filter: Filter | None
    namespace: str | None
    unindexed: Unindexed
    max_requests: int


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


async def make_plan(
    filter: AnyFilter | None,
    vectorize_filter: Filter | None,
    properties: Properties,
    *,
    index_name: str,
    stored: Stored = plans.is_raw,
    within: Mapping[str, Collection[str]] | None = None,
    unindexed: Unindexed = "error",
) -> Plan:
    """The plan of a filter; a contradiction or no filter at all needs no request."""
    if filter is not None and vectorize_filter is not None:
        raise InvalidInputError("give filter= or vectorize_filter=, not both")
    if vectorize_filter is not None:
        problem = jsontext.problem(vectorize_filter)
        if problem:
            raise InvalidFilterError(f"the filter has {problem}")
        return plans.native(vectorize_filter)
    if filter is None and not within:
        return plans.ALL
    expression = parse(filter) if filter is not None else EVERYTHING
    make = partial(
        plans.plan,
        expression,
        stored=stored,
        within=within,
        unindexed=unindexed,
        index_name=index_name,
    )
    if push.is_impossible(expression) or not (within or push.leaves(expression)):
        return make({})
    try:
        return make(await properties())
    except UnindexedPropertyError:
        return make(await properties(refresh=True))


def check_is_filter(filter: AnyFilter | None, vectorize_filter: Filter | None = None) -> None:
    """A delete by filter has to have one, and one that does not match everything."""
    given = filter if filter is not None else vectorize_filter
    if (
        given is None
        or (filter is None and not given)
        or (filter is not None and parse(filter) == EVERYTHING)
    ):
        raise InvalidInputError(
            "a delete takes ids, or a filter; an empty filter would delete everything"
        )


async def query(
    io: Io,
    state: IndexState,
    target: Values | str,
    k: int,
    *,
    return_values: bool = False,
    return_metadata: ReturnMetadata = "none",
    **options: Unpack[SelectOptions],
) -> list[Match]:
    """`searching.search` with a filter on vectors as they are."""
    plan, namespace, most = await select(io, state, options, MAX_SEARCH_REQUESTS)
    return await search.search(
        io,
        state,
        target,
        k,
        plan=plan,
        namespace=namespace,
        max_requests=most,
        return_values=return_values,
        return_metadata=return_metadata,
    )


async def ids(
    io: Io,
    state: IndexState,
    *,
    precision: Precision = "normal",
    **options: Unpack[SelectOptions],
) -> AsyncGenerator[str, None]:
    """The ids of the vectors that are selected. See `enumerating.iter_matching`."""
    plan, namespace, most = await select(io, state, options, MAX_ENUMERATION_REQUESTS)
    found = enumeration.matching_ids(
        io, state, plan=plan, namespace=namespace, precision=precision, max_requests=most
    )
    async with aclosing(found) as matching:
        async for vector_id in matching:
            yield vector_id


async def vectors(
    io: Io, state: IndexState, **options: Unpack[SelectOptions]
) -> AsyncGenerator[Vector, None]:
    """The vectors that are selected, whole. See `enumerating.iter_matching`."""
    plan, namespace, most = await select(io, state, options, MAX_ENUMERATION_REQUESTS)
    found = enumeration.iter_matching(
        io,
        state,
        plan=plan,
        namespace=namespace,
        return_values=True,
        return_metadata="all",
        max_requests=most,
    )
    async with aclosing(found) as rounds:
        async for some in rounds:
            for match in some:
                assert match.values is not None
                yield Vector(match.id, match.values, match.namespace, match.metadata)


async def count(
    io: Io,
    state: IndexState,
    *,
    precision: Precision = "normal",
    **options: Unpack[SelectOptions],
) -> int:
    """How many vectors are selected. See `enumerating.count`."""
    plan, namespace, most = await select(io, state, options, MAX_ENUMERATION_REQUESTS)
    return await enumeration.count(
        io, state, plan=plan, namespace=namespace, precision=precision, max_requests=most
    )


async def explain_filter(
    io: Io,
    state: IndexState,
    filter: AnyFilter | None,
    top_k: int | None,
    *,
    unindexed: Unindexed = "error",
) -> Explanation:
    """How a filter on vectors as they are is answered, and for how many requests."""
    plan, _, _ = await select(io, state, SelectOptions(filter=filter, unindexed=unindexed), 1)
    return await explain_plan(io, state, plan, top_k)


async def explain_plan(
    io: Io, state: IndexState, plan: Plan, top_k: int | None, count: int | None = None
) -> Explanation:
    """How a plan is carried out on an index as it is, or on ``count`` vectors of it."""
    if count is None:
        count = (await io.call(GetInfo(state.name))).vector_count
    indexed = await get_metadata_indexes(io, state)
    return explain(plan, top_k, count, windows=has_buckets(indexed))


async def select(
    io: Io, state: IndexState, options: SelectOptions, most: int
) -> tuple[Plan, str | None, int]:
    """Plan, namespace and request limit (``most`` unless given) of the options of finding."""
    namespace = options.get("namespace")
    validation.check_namespace(namespace)
    plan = await make_plan(
        options.get("filter"),
        options.get("vectorize_filter"),
        _properties(io, state),
        index_name=state.name,
        unindexed=options.get("unindexed", "error"),
    )
    return plan, namespace, options.get("max_requests", most)


def _properties(io: Io, state: IndexState) -> Properties:
    return partial(get_metadata_indexes, io, state)
