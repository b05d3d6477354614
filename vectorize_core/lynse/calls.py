"""The calls of Vectorize as flows over a `Table`: what each does on a collection."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from vectorize_core import limits, scoring
from vectorize_core.api import coverage, pending
from vectorize_core.api import operations as ops
from vectorize_core.api.by_words import TextQuery
from vectorize_core.api.operations import Op
from vectorize_core.local import faults, validation
from vectorize_core.local.cursors import Cursors
from vectorize_core.lynse import current, filters, rows
from vectorize_core.lynse.header import Header
from vectorize_core.lynse.models import Hits
from vectorize_core.lynse.rows import BEHAVIOR
from vectorize_core.lynse.table import ConflictError, Table
from vectorize_core.lynse.text_query import text_query
from vectorize_core.models import (
    IdPage,
    IndexDetails,
    IndexInfo,
    Match,
    Metadata,
    MetadataIndex,
    Metric,
    Mutation,
    QueryResult,
    Values,
    Vector,
)

_ATTEMPTS: Final = 20
_SPARE: Final = 10
"""Hits beyond those wanted: a vector that is being written has two rows."""
_SHORTEST, _LONGEST = 1e-15, 1e15
"""Lengths whose squares float32 holds well."""
CURSORS: Final = Cursors(BEHAVIOR.cursor_lifetime)


async def get_index(table: Table, op: ops.GetIndex) -> IndexDetails:
    """The configuration of an index."""
    return (await table.open()).details(op.index)


async def get_info(table: Table, op: ops.GetInfo) -> IndexInfo:
    """How many vectors an index has, and the last mutation of this client."""
    header, stats = await table.open(), await table.stats()
    counted = table.known.counted
    if counted is None or counted[0] != stats:
        counted = table.known.counted = stats, len(await table.ids())
    mutation = table.known.mutation
    now = None if mutation is None else datetime.now(UTC)
    return IndexInfo(header.config.dimensions, counted[1], now, mutation)


async def insert(table: Table, op: ops.Insert) -> Mutation:
    """Add the vectors that do not exist yet."""
    return await _put(table, {vector.id: vector for vector in reversed(op.vectors)}, op, True)


async def upsert(table: Table, op: ops.Upsert) -> Mutation:
    """Add vectors, or replace them."""
    return await _put(table, {vector.id: vector for vector in op.vectors}, op, False)


async def _put(
    table: Table, wanted: Mapping[str, Vector], op: ops.Insert | ops.Upsert, only_new: bool
) -> Mutation:
    header = await table.open()
    table.check_words(header)
    validation.batch(op.verb, op.vectors, BEHAVIOR)
    validation.dimensions(op.vectors, header.config.dimensions)
    for vector in op.vectors:
        _check_length(vector.values, f"the vector {vector.id!r}")

    async def put(header: Header) -> None:
        earlier = await table.rows_of_vectors(wanted.keys())
        latest = rows.newest(earlier)
        there = {one for one, version in latest.items() if version % 2 == 0} if only_new else set()
        new = [vector for vector in wanted.values() if vector.id not in there]
        await table.add_lost_words(there)
        await table.add(
            [rows.vector_item(one, rows.next_version(latest.get(one.id)), header) for one in new],
            header,
        )
        written = {vector.id for vector in new}
        # All of them: who wrote the last one may have ended before it deleted the one before.
        await table.delete([one for one in earlier if rows.split(one)[0] in written])

    return await _mutated(table, header, put)


def _check_length(values: Values, name: str) -> float:
    """The length; what LynseDB, which computes in float32, would compare wrongly is refused."""
    wide = values.astype(np.float64)
    length = math.sqrt(wide.dot(wide))
    if length > _LONGEST or 0.0 < length < _SHORTEST:
        raise faults.refused(
            f"{name} has the length {length:.3g}; LynseDB compares lengths from {_SHORTEST:g} to "
            f"{_LONGEST:g}, and 0"
        )
    return length


async def delete_by_ids(table: Table, op: ops.DeleteByIds) -> Mutation:
    """Delete vectors: a grave first, so that its row is not the newest if it comes back.

    The grave is deleted last: searches need not pass it.
    """
    header = await table.open()
    wanted = [*dict.fromkeys(validation.ids(op.ids, limits.MAX_IDS_PER_DELETE))]

    async def delete(header: Header) -> None:
        earlier = await table.rows_of_vectors(wanted)
        graves = [
            rows.grave_item(one, version + 1, header)
            for one, version in rows.newest(earlier).items()
            if version % 2 == 0
        ]
        await table.add(graves, header)
        await table.delete(earlier)
        await table.delete([one.id for one in graves])

    return await _mutated(table, header, delete)


async def _mutated(
    table: Table, header: Header, change: Callable[[Header], Awaitable[None]]
) -> Mutation:
    """Make a change, again if another writer was faster."""
    for attempt in range(_ATTEMPTS):
        async with table.writing():
            try:
                await change(header)
                break
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise faults.refused("other clients keep writing to the same records") from None
        header = await table.open()
    table.known.mutation = str(uuid.uuid4())
    return Mutation(table.known.mutation)


async def get_by_ids(table: Table, op: ops.GetByIds) -> tuple[Vector, ...]:
    """Vectors in the order of their ids; unknown ones are left out."""
    header = await table.open()
    wanted = [*dict.fromkeys(validation.ids(op.ids, limits.MAX_IDS_PER_GET))]
    found = await table.vectors(wanted)
    return tuple(
        [
            rows.vector_of(one, found[one].values, found[one].field, header)
            for one in wanted
            if one in found
        ]
    )


async def query(table: Table, op: ops.Query) -> QueryResult:
    """The vectors nearest to one, or to that of an id."""
    header = await table.open()
    request = validation.query(
        vector=op.vector,
        vector_id=op.vector_id,
        top_k=op.top_k,
        return_values=op.return_values,
        return_metadata=op.return_metadata,
        filter=op.filter,
        namespace=op.namespace,
    )
    vector = request.vector
    if request.vector_id is not None:
        source = (await table.vectors([request.vector_id])).get(request.vector_id)
        if source is None:
            return QueryResult(0, ())
        vector = source.values
    assert vector is not None, "one of them is given"
    if len(vector) != header.config.dimensions:
        raise faults.query_dimensions(header.config.dimensions, len(vector))
    length = _check_length(vector, "the query vector")
    if header.config.metric == "cosine" and length:
        # The server multiplies the squares of both lengths.
        vector = (vector / length).astype(np.float32)
    leaves = filters.of_query(request.conditions, request.namespace, header)
    if leaves is None:
        return QueryResult(0, ())
    where = filters.joined(leaves)
    found = await current.search(
        table,
        lambda limit: table.search(vector, limit, where),
        request.top_k,
        request.top_k + _SPARE,
        with_values=request.return_values,
    )
    matches = _matches(request, header, found)
    return QueryResult(len(matches), tuple(matches))


def _matches(request: validation.QueryRequest, header: Header, found: current.Found) -> list[Match]:
    hits, scores = found.hits, scoring.shortest(_scores(header.config.metric, found.hits))
    matches = []
    for place in found.places:
        row, field = hits.ids[place], hits.fields[place]
        values = found.stored[row].values if request.return_values else None
        metadata = _metadata(request, field, header)
        namespace = rows.namespace_of(field)
        matches.append(Match(rows.split(row)[0], scores[place], values, metadata, namespace))
    return matches


def _metadata(
    request: validation.QueryRequest, field: Mapping[str, Any], header: Header
) -> Metadata | None:
    if request.return_metadata == "none":
        return None
    whole = rows.metadata_of(field, header)
    return whole if request.return_metadata == "all" else rows.indexed_part(whole, header)


def _scores(metric: Metric, hits: Hits) -> Any:
    """Scores of Vectorize: LynseDB has the distance of cosine, and the square of Euclid's."""
    if metric == "cosine":
        return (1.0 - hits.scores).astype(np.float32)
    if metric == "euclidean":
        return np.sqrt(np.maximum(hits.scores, 0.0)).astype(np.float32)
    return (0.0 - hits.scores).astype(np.float32)


async def list_vectors(table: Table, op: ops.ListVectors) -> IdPage:
    """A page of ids, as they were when the first page was read by this process."""
    header = await table.open()
    count, now = validation.page_size(op.count), time.time()
    listing = int(header.created * 1e6)
    if op.cursor is not None:
        return CURSORS.next(listing, op.cursor, count, now)
    return CURSORS.first(listing, await table.ids(), count, now)


async def create_metadata_index(table: Table, op: ops.CreateMetadataIndex) -> Mutation:
    """Make a property filterable, while nothing was written: the first row makes all columns."""
    header = await table.open()
    wanted = validation.metadata_index(op.property_name, op.index_type)
    existing = [index.property_name for _, index in header.live()]
    if wanted.property_name in existing:
        raise faults.refused(f"a metadata index on {wanted.property_name!r} already exists")
    if len(existing) >= limits.MAX_METADATA_INDEXES:
        raise faults.refused(
            f"too many metadata indexes; max count is {limits.MAX_METADATA_INDEXES}"
        )
    is_late = await table.is_written()
    if not is_late:
        indexed = header.indexed(wanted)
        await table.describe(indexed)
        # Who wrote meanwhile does not know of it.
        is_late = await table.is_written(indexed)
        if is_late:
            await table.describe(header)
    if is_late:
        raise faults.refused(
            "on LynseDB metadata indexes are made before anything is written: create another index "
            "with them, and copy the records"
        )
    return Mutation(str(uuid.uuid4()))


async def list_metadata_indexes(
    table: Table, op: ops.ListMetadataIndexes
) -> tuple[MetadataIndex, ...]:
    """The properties that filters can use."""
    return tuple([index for _, index in (await table.open()).live()])


async def delete_metadata_index(table: Table, op: ops.DeleteMetadataIndex) -> Mutation:
    """Make a property unfilterable; its column stays."""
    header = await table.open()
    name = validation.property_name(op.property_name)
    if name not in [index.property_name for _, index in header.live()]:
        raise faults.refused(f"no metadata index on {name!r}", status=404)
    await table.describe(header.unindexed(name))
    return Mutation(str(uuid.uuid4()))


async def count_uncovered(table: Table, op: coverage.CountUncovered) -> int:
    """None: metadata indexes are older than all vectors."""
    await table.open()
    return 0


async def count_pending(table: Table, op: pending.CountPending) -> int:
    """None: reads see each write at once."""
    await table.open()
    return 0


CALLS: Final[dict[type[Op[Any]], Callable[[Table, Any], Awaitable[Any]]]] = {
    ops.GetIndex: get_index,
    ops.GetInfo: get_info,
    ops.Insert: insert,
    ops.Upsert: upsert,
    ops.Query: query,
    ops.GetByIds: get_by_ids,
    ops.DeleteByIds: delete_by_ids,
    ops.ListVectors: list_vectors,
    ops.CreateMetadataIndex: create_metadata_index,
    ops.ListMetadataIndexes: list_metadata_indexes,
    ops.DeleteMetadataIndex: delete_metadata_index,
    coverage.CountUncovered: count_uncovered,
    pending.CountPending: count_pending,
    TextQuery: text_query,
}
