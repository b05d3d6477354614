"""A query in three steps: look at the state, search without a lock, fetch what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectorize_core import jsontext
from vectorize_core.behavior import Behavior
from vectorize_core.local import catalog, exact_search, faults, matching, vectors
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.columns import Column
from vectorize_core.local.snapshots import Snapshot, Snapshots
from vectorize_core.local.validation import QueryRequest
from vectorize_core.local.value_store import ValueStores
from vectorize_core.models import Match, QueryResult, Values


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuery:
    """All that a search needs of one state of an index."""

    request: QueryRequest
    index: Index
    vector: Values | None
    """None where the query is by an id that is not there."""
    snapshot: Snapshot
    live: list[LiveMetadataIndex]
    columns: Mapping[str, Column]
    namespaces: Column | None
    """None where no namespace is asked for."""
    findable: Column | None
    """None where search overlooks nothing."""


def prepare(
    tx: Connection,
    value_stores: ValueStores,
    index: Index,
    request: QueryRequest,
    *,
    now: float,
    snapshots: Snapshots,
    behavior: Behavior,
) -> PreparedQuery:
    """Take what the search needs out of the transaction. `Superseded`."""
    snapshot = snapshots.current(tx, index)
    vector = request.vector
    if request.vector_id is not None:
        source = vectors.get(tx, value_stores, index, request.vector_id)
        if source is None and behavior.unknown_vector_id == "error":
            raise faults.refused(f'no vector has the id "{request.vector_id}"')
        vector = None if source is None else source.values
    if vector is not None and len(vector) != index.dimensions:
        raise faults.query_dimensions(index.dimensions, len(vector))
    named = {condition.property_name for condition in request.conditions}
    live: list[LiveMetadataIndex] = []
    if named or request.return_metadata == "indexed":
        live = catalog.live_metadata_indexes(tx, index, now)
    usable = [item for item in live if item.property_name in named]
    overlooks = behavior.overlooked and not request.return_values
    return PreparedQuery(
        request,
        index,
        vector,
        snapshot,
        live,
        snapshots.by_property(tx, snapshot, usable) if usable else {},
        None if request.namespace is None else snapshots.namespaces(tx, snapshot),
        snapshots.findable(tx, snapshot) if overlooks else None,
    )


def run(prepared: PreparedQuery, behavior: Behavior, *, exact: bool) -> exact_search.Found | None:
    """Search. It reads nothing but the snapshot, so no lock is needed. None without a vector."""
    if prepared.vector is None:
        return None
    return exact_search.nearest(
        prepared.index.metric,
        prepared.snapshot.matrix,
        prepared.snapshot.norms,
        prepared.vector,
        prepared.request.top_k,
        _mask(prepared, behavior),
        newest_first=behavior.ties == "newest",
        # Where slots are not in order of insertion, `answer` decides between equal scores.
        with_ties=not prepared.index.in_order,
        # The service, too, scores exactly where values are asked for.
        codes=None if exact or prepared.request.return_values else prepared.snapshot.codes,
    )


def answer_many(
    tx: Connection, prepared: Sequence[PreparedQuery], behavior: Behavior
) -> tuple[QueryResult, ...]:
    """`run` and `answer` requests that differ in vectors only, prepared in this transaction."""
    if not prepared:
        return ()
    first = prepared[0]
    found = exact_search.nearest_to_each(
        first.index.metric,
        first.snapshot.matrix,
        first.snapshot.norms,
        np.stack([each.vector for each in prepared if each.vector is not None]),
        first.request.top_k,
        _mask(first, behavior),
        newest_first=behavior.ties == "newest",
        with_ties=not first.index.in_order,
    )
    slots = {slot for best in found for slot in best.slots.tolist()}
    stored = vectors.stored(tx, first.index, list(slots))
    return tuple(
        _result(each, best, stored, behavior) for each, best in zip(prepared, found, strict=True)
    )


def answer(
    tx: Connection, prepared: PreparedQuery, found: exact_search.Found | None, behavior: Behavior
) -> QueryResult | None:
    """What was found as the request wants it, or None if any of it has changed since `prepare`."""
    if found is None or not len(found.slots):
        return QueryResult(0, ())
    if not catalog.is_generation(tx, prepared.index):
        return None
    stored = vectors.stored(tx, prepared.index, found.slots.tolist())
    if len(stored) < len(found.slots):
        return None
    return _result(prepared, found, stored, behavior)


def _result(
    prepared: PreparedQuery,
    found: exact_search.Found,
    stored: Mapping[int, vectors.VectorRow],
    behavior: Behavior,
) -> QueryResult:
    request, index = prepared.request, prepared.index
    slots = found.slots.tolist()
    hits = list(zip(slots, found.scores.tolist(), strict=True))
    if not index.in_order:
        hits = _by_position(hits, stored, behavior)
    sign = -1.0 if index.metric == "dot-product" and behavior.dot_product == "positive" else 1.0
    values = prepared.snapshot.matrix.take(np.sort(found.slots))
    row = {slot: n for n, slot in enumerate(sorted(slots))}
    matches = []
    for slot, score in hits[: request.top_k]:
        what, vector = stored[slot], values[row[slot]]
        what.check(vector)
        matches.append(
            Match(
                what.id,
                0.0 + sign * score,
                vector if request.return_values else None,
                _metadata(what, prepared, behavior) if request.return_metadata != "none" else None,
                what.namespace,
            )
        )
    return QueryResult(len(matches), tuple(matches))


def _by_position(
    hits: list[tuple[int, float]], stored: Mapping[int, vectors.VectorRow], behavior: Behavior
) -> list[tuple[int, float]]:
    """Equal scores, which are together, by the order of insertion."""
    order = -1 if behavior.ties == "newest" else 1
    ordered: list[tuple[int, float]] = []
    for _, group in groupby(hits, key=itemgetter(1)):
        ordered += sorted(group, key=lambda hit: order * stored[hit[0]].position)
    return ordered


def _mask(prepared: PreparedQuery, behavior: Behavior) -> NDArray[np.bool_] | None:
    request, snapshot = prepared.request, prepared.snapshot
    masks = [] if snapshot.live is None else [snapshot.live]
    if prepared.findable is not None:
        masks.append(prepared.findable.equal(True))
    if prepared.namespaces is not None:
        assert request.namespace is not None
        masks.append(prepared.namespaces.equal(request.namespace))
    for condition in request.conditions:
        column = prepared.columns.get(condition.property_name)
        if column is None:
            column = Column((matching.unindexed(snapshot.matrix.count),))
        masks.append(column.matches(condition, behavior))
    return np.logical_and.reduce(masks) if len(masks) > 1 else next(iter(masks), None)


def _metadata(
    stored: vectors.VectorRow, prepared: PreparedQuery, behavior: Behavior
) -> Mapping[str, Any] | None:
    if stored.metadata is None or prepared.request.return_metadata == "all":
        return vectors.parsed(stored.metadata)
    whole = jsontext.loads(stored.metadata)
    part: dict[str, Any] = {}
    for item in prepared.live:
        value = matching.lookup(whole, item.property_name)
        indexed = item.covers(stored.processed, stored.seq) and matching.entry(
            value, item.index_type, behavior
        )
        if indexed:
            _place(part, item.property_name, _shortened(value), behavior)
    return part


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return matching.cut(value) if isinstance(value, str) else value


def _place(part: dict[str, Any], property_name: str, value: Any, behavior: Behavior) -> None:
    path = property_name.split(".") if behavior.indexed_metadata == "nested" else [property_name]
    for key in path[:-1]:
        part = part.setdefault(key, {})
    part[path[-1]] = value
