"""A query in three steps: look at the state, search without a lock, fetch what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectorize_core import json, scoring
from vectorize_core.local import catalog, faults, matching, vectors
from vectorize_core.local.behavior import Behavior
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.snapshot import Snapshot, Snapshots
from vectorize_core.local.validation import QueryRequest
from vectorize_core.models import Match, QueryResult, Values


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """All that a search needs of one state of an index."""

    request: QueryRequest
    index: Index
    vector: Values | None
    """None where the query is by an id that is not there."""
    snapshot: Snapshot
    live: list[LiveMetadataIndex]
    columns: Mapping[str, matching.Column]


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of a snapshot, and how well it matches."""

    row: int
    score: float


def prepare(
    tx: Connection,
    index: Index,
    request: QueryRequest,
    *,
    now: float,
    snapshots: Snapshots,
    behavior: Behavior,
) -> Prepared:
    """Take what the search needs out of the transaction."""
    vector = request.vector
    if request.vector_id is not None:
        source = vectors.get(tx, index, request.vector_id)
        if source is None and behavior.unknown_vector_id == "error":
            raise faults.refused(f'no vector has the id "{request.vector_id}"')
        vector = None if source is None else source.values
    if vector is not None and len(vector) != index.dimensions:
        raise faults.query_dimensions(index.dimensions, len(vector))
    snapshot = snapshots.current(tx, index)
    live = catalog.live_metadata_indexes(tx, index, now)
    named = {condition.property_name for condition in request.conditions}
    usable = [item for item in live if item.property_name in named]
    columns = snapshots.columns(tx, index, snapshot, usable)
    return Prepared(request, index, vector, snapshot, live, columns)


def run(prepared: Prepared, behavior: Behavior) -> list[Hit]:
    """Search. It reads nothing but the snapshot, so no lock is needed."""
    if prepared.vector is None:
        return []
    rows, scores = scoring.nearest(
        prepared.index.metric,
        prepared.snapshot.matrix,
        prepared.vector,
        prepared.request.top_k,
        _mask(prepared, behavior),
        newest_first=behavior.ties == "newest",
    )
    if prepared.index.metric == "dot-product" and behavior.dot_product == "positive":
        scores = 0.0 - scores
    return [Hit(*hit) for hit in zip(rows.tolist(), scores.tolist(), strict=True)]


def answer(
    tx: Connection, prepared: Prepared, hits: list[Hit], behavior: Behavior
) -> QueryResult | None:
    """The hits as the request wants them, or None if one of them has changed since `prepare`."""
    request, snapshot = prepared.request, prepared.snapshot
    matches = []
    for hit in hits:
        metadata = None
        if request.return_metadata != "none":
            stored = vectors.stored(tx, int(snapshot.slots[hit.row]))
            if stored is None or stored.seq != snapshot.seqs[hit.row]:
                return None
            metadata = _metadata(stored, prepared, behavior)
        matches.append(
            Match(
                snapshot.ids[hit.row],
                hit.score,
                snapshot.matrix[hit.row].copy() if request.return_values else None,
                metadata,
                snapshot.namespace(hit.row),
            )
        )
    return QueryResult(len(matches), tuple(matches))


def _mask(prepared: Prepared, behavior: Behavior) -> NDArray[np.bool_] | None:
    request, snapshot = prepared.request, prepared.snapshot
    masks = []
    if behavior.overlooked and not request.return_values:
        masks.append(_found(snapshot.ids, behavior))
    if request.namespace is not None:
        masks.append(snapshot.in_namespace(request.namespace))
    for condition in request.conditions:
        column = prepared.columns.get(condition.property_name)
        if column is None:
            column = matching.unindexed(len(snapshot.ids))
        masks.append(matching.matches(column, condition, behavior))
    return np.logical_and.reduce(masks) if masks else None


def _found(ids: list[str], behavior: Behavior) -> NDArray[np.bool_]:
    seed = str(behavior.overlooked_seed).encode()
    digests = b"".join(blake2b(i.encode(), digest_size=4, key=seed).digest() for i in ids)
    found: NDArray[np.bool_] = np.frombuffer(digests, dtype="<u4") >= behavior.overlooked * 2**32
    return found


def _metadata(
    stored: vectors.Stored, prepared: Prepared, behavior: Behavior
) -> Mapping[str, Any] | None:
    if stored.metadata is None or prepared.request.return_metadata == "all":
        return vectors.parsed(stored.metadata)
    whole = json.loads(stored.metadata)
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
