"""Reading past the service's caps: any number of ids, more matches than one answer holds."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import NamedTuple, TypedDict

import numpy as np

from vectorize_core import checks, json, limits
from vectorize_core.errors import (
    BadRequestError,
    InvalidFilterError,
    InvalidInputError,
    NotFoundError,
)
from vectorize_core.flows.state import IndexState, get_details
from vectorize_core.io import Io, each
from vectorize_core.models import Filter, Match, ReturnMetadata, Values, Vector
from vectorize_core.operations import GetByIds, ListVectors, Query

DEFAULT_CONCURRENCY = 4


async def get_many(
    io: Io, state: IndexState, ids: Sequence[str], *, concurrency: int = DEFAULT_CONCURRENCY
) -> dict[str, Vector]:
    """The vectors with these ids, in the order of ``ids``; missing ones are left out.

    Twenty ids a request. Ids that cannot exist (too long, empty) are no error either.
    """
    checks.check_id_list(ids)
    unique = list(dict.fromkeys(i for i in ids if checks.possible_id(i)))

    async def get(chunk: tuple[str, ...]) -> tuple[Vector, ...]:
        return await io.call(GetByIds(state.name, chunk))

    step = limits.MAX_IDS_PER_GET
    chunks = [tuple(unique[at : at + step]) for at in range(0, len(unique), step)]
    found: dict[str, Vector] = {}
    async with aclosing(io.map(get, each(chunks), limit=concurrency)) as outcomes:
        async for done in outcomes:
            found.update((vector.id, vector) for vector in done.result())
    return {i: found[i] for i in unique if i in found}


class QueryOptions(TypedDict, total=False):
    """What comes with a match, and which vectors are searched.

    ``return_values`` also makes the service score exactly instead of approximately.
    ``return_metadata`` is "none", "indexed" or "all". ``filter`` is in the service's own
    language; it finds nothing on a property without a metadata index. ``namespace=None`` (the
    default) searches all namespaces.
    """

    return_values: bool
    return_metadata: ReturnMetadata
    filter: Filter | None
    namespace: str | None


async def nearest(
    io: Io,
    state: IndexState,
    query: Values | str,
    k: int,
    *,
    return_values: bool = False,
    return_metadata: ReturnMetadata = "none",
    filter: Filter | None = None,
    namespace: str | None = None,
) -> list[Match]:
    """The ``k`` best matches of a vector, or of the stored vector of an id; best first.

    Up to 50 with values or whole metadata come in one answer. From 51 to 100 the ids and scores
    do, and the rest is fetched by id: one search, one scoring. A record deleted in between is
    left out.
    """
    check_k(k)
    if k == 0:
        return []
    if not isinstance(query, str):
        await check_query(io, state, query)
    problem = None if filter is None else json.problem(filter)
    if problem:
        raise InvalidFilterError(f"the filter has {problem}")
    fetch = k > limits.MAX_TOP_K_WITH_PAYLOAD and (return_values or return_metadata == "all")
    op = Query(
        state.name,
        vector=None if isinstance(query, str) else query,
        vector_id=query if isinstance(query, str) else None,
        top_k=k,
        return_values=return_values and not fetch,
        return_metadata="none" if fetch and return_metadata == "all" else return_metadata,
        filter=filter,
        namespace=namespace,
    )
    matches = list((await io.call(op)).matches)
    if not fetch:
        return matches
    stored = await get_many(io, state, [match.id for match in matches])
    return [
        dataclasses.replace(
            match,
            values=stored[match.id].values if return_values else None,
            metadata=stored[match.id].metadata if return_metadata == "all" else match.metadata,
            namespace=stored[match.id].namespace,
        )
        for match in matches
        if match.id in stored
    ]


def check_k(k: int, name: str = "k") -> None:
    """A number of matches that one search can give."""
    if k < 0:
        raise InvalidInputError(f"{name} is not negative; got {k}")
    if k > limits.MAX_TOP_K:
        raise InvalidInputError(
            f"{name}={k} is more than the {limits.MAX_TOP_K} matches that Vectorize returns. "
            f"Use a smaller {name}, or narrow the search with filter= or namespace="
        )


async def check_query(io: Io, state: IndexState, query: Values) -> None:
    """Finite values, as many as the index has dimensions."""
    if not np.isfinite(query).all():
        raise InvalidInputError("the query vector has a value that is NaN or infinite")
    details = await get_details(io, state)
    if details.config.dimensions != len(query):
        details = await get_details(io, state, refresh=True)
        expected = details.config.dimensions
        checks.check_dimensions("the query vector", expected, len(query), index=state.name)


async def iter_ids(
    io: Io, state: IndexState, *, page_size: int = limits.MAX_LIST_COUNT
) -> AsyncGenerator[str, None]:
    """The id of every vector, out of a snapshot; a thousand a request.

    A cursor lives for a limited time. When it is gone, the listing starts again and yields only
    what it has not yielded yet.
    """
    if not 1 <= page_size <= limits.MAX_LIST_COUNT:
        raise InvalidInputError(f"page_size is 1 to {limits.MAX_LIST_COUNT}; got {page_size}")
    cursor: str | None = None
    yielded: set[str] = set()
    restarts = 3
    while True:
        try:
            page = await io.call(ListVectors(state.name, page_size, cursor))
        except (BadRequestError, NotFoundError):
            if cursor is None or not restarts:
                raise
            cursor, restarts = None, restarts - 1
            continue
        for vector_id in page.ids:
            if vector_id not in yielded:
                yielded.add(vector_id)
                yield vector_id
        cursor = page.next_cursor
        if cursor is None:
            return


class Buckets(NamedTuple):
    """How records are spread: a number below ``size`` under ``property_name``.

    A record that is not spread lacks ``own_property``, which is true on all others.
    """

    property_name: str
    own_property: str
    size: int


async def ids_matching(
    io: Io,
    state: IndexState,
    filter: Filter,
    *,
    buckets: Buckets | None = None,
    namespace: str | None = None,
    max_requests: int = 1_000,
) -> list[str]:
    """The ids of every vector that ``filter`` matches, however many there are.

    One answer holds at most 100. A full one may hide more, so its window of buckets is split
    until no answer is full; a matching record in no bucket is an error.
    """
    dimensions = (await get_details(io, state)).config.dimensions
    anywhere = np.zeros(dimensions, np.float32)
    anywhere[0] = 1.0

    async def matching(more: Filter) -> list[str]:
        op = Query(
            state.name,
            vector=anywhere,
            top_k=limits.MAX_TOP_K,
            filter={**filter, **more},
            namespace=namespace,
        )
        return [match.id for match in (await io.call(op)).matches]

    whole = await matching({})
    if len(whole) < limits.MAX_TOP_K:
        return whole
    if buckets is None or await matching({buckets.own_property: {"$ne": True}}):
        raise _incomplete(filter)
    found: dict[str, None] = {}
    to_reappear = set(whole)
    windows = _split(0, buckets.size)
    for _ in range(max_requests - 2):
        low, high = windows.pop()
        ids = await matching({buckets.property_name: {"$gte": low, "$lt": high}})
        if len(ids) < limits.MAX_TOP_K:
            found.update(dict.fromkeys(ids))
        elif high - low == 1:
            raise _incomplete(filter)
        else:
            to_reappear.update(ids)
            windows += _split(low, high)
        if not windows:
            # A record that a whole showed and none of its parts did is in no bucket.
            if not to_reappear.issubset(found):
                raise _incomplete(filter)
            return list(found)
    raise InvalidInputError(
        f"finding all that matches {dict(filter)} takes more than {max_requests} requests"
    )


def _split(low: int, high: int) -> list[tuple[int, int]]:
    # Four parts, for a full answer says that halves would often be full again.
    return list(pairwise(sorted({low + (high - low) * part // 4 for part in range(5)})))


def _incomplete(filter: Filter) -> InvalidInputError:
    return InvalidInputError(
        f"the filter {dict(filter)} matches more than the {limits.MAX_TOP_K} records of one "
        "answer, and not all of them are in a bucket (_vs_bucket) by which the others could be "
        "found. Use ids instead, or write the records into an index made with record_layout=True"
    )
