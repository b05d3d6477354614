"""Records without a query: all that a filter matches, one after the other, and how many."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import NamedTuple, Unpack

from vectorize_core.api import validation
from vectorize_core.filters.explain import Explanation, explain
from vectorize_core.filters.plan import Unindexed
from vectorize_core.layout import Record
from vectorize_core.models import Id, Match, Values, Vector
from vectorize_core.reads import by_id, enumeration, raw
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import (
    MAX_SEARCH_REQUESTS,
    AnyFilter,
    FindOptions,
    Precision,
    SelectOptions,
    allowance,
    check_ids,
)
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing


class CountOptions(FindOptions, total=False):
    """As `FindOptions`; ``precision="high"`` leaves nothing to the service's approximation."""

    precision: Precision


class Found(NamedTuple):
    """A record, the values of its vector if they were asked for, and the id of that."""

    record: Record
    values: Values | None
    stored_id: str


async def find(
    io: Io,
    records: RecordStore,
    *,
    ids: Sequence[Id] | None = None,
    limit: int | None = None,
    return_values: bool = False,
    **options: Unpack[SelectOptions],
) -> list[Found]:
    """All records that a filter matches; of those with ``ids``, in their order, unless None.

    Not more than ``limit`` unless None.
    """
    most = None if limit is None else validation.whole_number("limit", limit)
    if ids is not None:
        if "max_requests" in options:
            check_ids(ids, allowance(options, MAX_SEARCH_REQUESTS, records.state))
        namespace = records.in_namespace(options.get("namespace"))
        vectors = await selected(io, records, ids, options.get("filter"), namespace=namespace)
        return await _found(io, records, vectors[:most], return_values)
    if most == 0:
        return []
    found: list[Found] = []
    every = iter_found(io, records, return_values=return_values, **options)
    async with aclosing(every):
        async for one in every:
            found.append(one)
            if len(found) == most:
                break
    return found


async def glance(io: Io, records: RecordStore, ids: Sequence[str]) -> list[Record]:
    """`RecordStore.get` for who wants no texts: those outside of their vectors are not read."""
    if not await records.index.exists(io):
        return []
    found = await by_id.get_many(io, records.state, [*map(records.stored_id, ids)])
    return await records.reading.for_filter(io, records.inside(found.values()), texts=False)


async def selected(
    io: Io,
    records: RecordStore,
    ids: Sequence[Id],
    filter: AnyFilter | None,
    *,
    refs: Sequence[str] | None = None,
    namespace: str | None = None,
) -> list[Vector]:
    """The vectors with these ids that a filter matches; all of it is evaluated here."""
    options = SelectOptions(filter=filter, unindexed="scan")
    plan = await records.plan(options, refs, partial(records.index.properties, io))
    if plan.impossible:
        return []
    vectors = await records.vectors(io, ids, namespace)
    return await PostFilter(plan, records.reading.for_filter).select(io, vectors)


async def find_stored(
    io: Io,
    records: RecordStore,
    stored_ids: Sequence[str],
    *,
    namespace: str | None = None,
    return_values: bool = False,
) -> list[Found]:
    """The records that are stored under these ids, of one namespace unless None, in order."""
    found = await by_id.get_many(io, records.state, stored_ids)
    vectors = records.inside(found.values(), records.in_namespace(namespace))
    return await _found(io, records, vectors, return_values)


async def iter_found(
    io: Io,
    records: RecordStore,
    *,
    refs: Sequence[str] | None = None,
    return_values: bool = False,
    **options: Unpack[SelectOptions],
) -> AsyncGenerator[Found, None]:
    """All records that a filter matches, of the documents ``refs`` unless None; in no order.

    They come as answers do.
    """
    chosen = await records.select(io, options, refs=refs)
    if chosen is None:
        return
    rounds = enumeration.iter_matching(
        io, records.state, chosen, return_metadata="all", return_values=return_values
    )
    async with aclosing(rounds) as found:
        async for some in found:
            for one in await _found(io, records, some, return_values):
                yield one


async def _found(
    io: Io, records: RecordStore, vectors: Sequence[Match | Vector], return_values: bool
) -> list[Found]:
    pairs = await records.reading.records(io, vectors)
    return [Found(record, v.values if return_values else None, v.id) for v, record in pairs]


async def iter_ids(
    io: Io, records: RecordStore, **options: Unpack[SelectOptions]
) -> AsyncGenerator[str, None]:
    """The ids of all records that a filter matches, or there are, in no order."""
    async with aclosing(iter_named(io, records, **options)) as named:
        async for name, _ in named:
            yield name


async def iter_named(
    io: Io, records: RecordStore, **options: Unpack[SelectOptions]
) -> AsyncGenerator[tuple[str, str], None]:
    """`iter_ids`, each with the id that the record is stored under."""
    chosen = await records.select(io, options)
    if chosen is None:
        return
    if records.bound:
        # A tenant's own id of a record is in its metadata.
        rounds = enumeration.iter_matching(io, records.state, chosen, return_metadata="all")
        async with aclosing(rounds) as matches:
            async for some in matches:
                for match in some:
                    yield records.reading.reader.name(match), match.id
        return
    if chosen.is_everything:
        await records.await_writes(io, purpose="listing ids")
        ids = by_id.iter_ids(io, records.state)
    else:
        ids = enumeration.matching_ids(io, records.state, chosen)
    async with aclosing(ids) as found:
        async for vector_id in found:
            yield vector_id, vector_id


async def count(
    io: Io,
    records: RecordStore,
    *,
    precision: Precision = "normal",
    **options: Unpack[SelectOptions],
) -> int:
    """How many records a filter matches, or there are without one."""
    chosen = await records.select(io, options, precision=precision)
    return 0 if chosen is None else await enumeration.count(io, records.state, chosen)


async def explain_filter(
    io: Io,
    records: RecordStore,
    filter: AnyFilter | None,
    k: int | None,
    *,
    unindexed: Unindexed | None = None,
) -> Explanation:
    """How a filter is answered, and for how many requests."""
    if k is not None:
        k = validation.whole_number("k", k)
    unindexed = unindexed if unindexed is not None else records.unindexed
    options = SelectOptions(filter=filter, unindexed=unindexed)
    plan = await records.plan(options, None, partial(records.index.properties, io))
    if not await records.index.exists(io):
        return explain(plan, k, 0, partitioned=True)
    total = await count(io, records) if records.bound else None
    return await raw.explain_plan(io, records.state, plan, k, total)
