"""A query in three steps: read the state, search without a lock, read what is returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from vectorize_core import jsontext, limits, scoring
from vectorize_core.behavior import Behavior
from vectorize_core.local import catalog, exact_search, faults, matching, vectors
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.checksums import damaged
from vectorize_core.local.columns import Column
from vectorize_core.local.exact_search import Found
from vectorize_core.local.snapshots import Snapshot, Snapshots
from vectorize_core.local.validation import QueryRequest
from vectorize_core.local.vectors import VectorRow
from vectorize_core.models import IndexType, Match, Metadata, QueryResult, Values
from vectorize_core.sqlite.connecting import Connection

T = TypeVar("T")

_SLOTS_AT_ONCE: Final = 1 << 20
"""So many are found at most, and those of one query, before they are answered."""
_SHORT: Final = 1 << 22
"""Numbers that are searched so soon, by their codes, that threads may wait for it: another look at
the database would add a tenth to it."""
_PLAIN: Final[Mapping[IndexType, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
}
"""The types of values that an index holds as they are; of long texts it holds a part."""
_SHORT_TEXT: Final = limits.MAX_INDEXED_BYTES // 4
"""So many characters are held whole, whatever they are."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuery:
    """A query with all that its search needs of one state of the index."""

    request: QueryRequest
    behavior: Behavior
    index: Index
    vector: Values | None
    """None for a query by an id that does not exist."""
    snapshot: Snapshot
    live: list[LiveMetadataIndex]
    mask: NDArray[np.bool_] | None
    """The slots that the search may find; None if it may find all."""

    @property
    def is_short(self) -> bool:
        """Whether the search takes no longer than another look at the database."""
        count = self.snapshot.matrix.count if self.mask is None else np.count_nonzero(self.mask)
        return bool(count * self.index.dimensions <= _SHORT)


def prepare(
    tx: Connection, index: Index, now: float, *, request: QueryRequest, snapshots: Snapshots
) -> PreparedQuery:
    """Read what the search needs. `FileMissingError`, `StorageError`."""
    behavior = snapshots.behavior
    snapshot = snapshots.current(tx, index)
    vector = request.vector
    if request.vector_id is not None:
        (source,) = vectors.get(tx, snapshots.value_stores, index, (request.vector_id,))
        if source is None and behavior.unknown_vector_id == "error":
            raise faults.refused(f'no vector has the id "{request.vector_id}"')
        vector = None if source is None else source.values
    if vector is not None and len(vector) != index.dimensions:
        raise faults.query_dimensions(index.dimensions, len(vector))
    named = {condition.property_name for condition in request.conditions}
    live: list[LiveMetadataIndex] = []
    if named or request.return_metadata == "indexed":
        live = catalog.live_metadata_indexes(tx, index, now)
        snapshot.columns.keep(live)
    usable = [item for item in live if item.property_name in named]
    mask = _mask(tx, snapshots, snapshot, request, usable)
    return PreparedQuery(request, behavior, index, vector, snapshot, live, mask)


def run(prepared: PreparedQuery) -> Found | None:
    """Search; needs no lock, because it reads only the snapshot. None if there is no vector."""
    if prepared.vector is None:
        return None
    return exact_search.nearest(
        prepared.index.metric,
        prepared.snapshot.matrix,
        prepared.snapshot.norms,
        prepared.snapshot.codes,
        prepared.vector,
        prepared.request.top_k,
        prepared.mask,
        newest_first=prepared.behavior.ties == "newest",
        # If slots are not in order of insertion, `answer` decides between equal scores.
        with_ties=not prepared.index.in_order,
    )


def answer_all(
    prepared: Sequence[PreparedQuery],
    answer: Callable[[Mapping[int, Found]], dict[int, QueryResult] | None],
) -> tuple[QueryResult, ...] | None:
    """`run` and answer queries that differ in their vectors only; None if any has changed.

    ``answer`` is called for some at a time, with what is found by their numbers: each may find as
    many as there are vectors, such as those of texts that are all the same.
    """
    if not prepared:
        return ()
    first = prepared[0]
    results: dict[int, QueryResult] = {}
    some: dict[int, Found] = {}
    held = 0
    for number, found in exact_search.nearest_to_each(
        first.index.metric,
        first.snapshot.matrix,
        first.snapshot.norms,
        first.snapshot.codes,
        np.stack([each.vector for each in prepared if each.vector is not None]),
        first.request.top_k,
        first.mask,
        newest_first=first.behavior.ties == "newest",
        with_ties=not first.index.in_order,
    ):
        some[number] = found
        held += len(found.slots)
        if held > _SLOTS_AT_ONCE or len(results) + len(some) == len(prepared):
            answered = answer(some)
            if answered is None:
                return None
            results |= answered
            some, held = {}, 0
    return tuple(results[number] for number in range(len(prepared)))


def answer_many(
    tx: Connection,
    prepared: Sequence[PreparedQuery],
    found: Mapping[int, Found],
    *,
    is_later: bool = True,
) -> dict[int, QueryResult] | None:
    """`answer` the queries of these numbers."""
    index = prepared[0].index
    if is_later and not catalog.is_generation(tx, index):
        return None
    chosen: dict[int, Found] = {}
    for number, each in found.items():
        best = _chosen(tx, prepared[number], each)
        if best is None:
            return None
        chosen[number] = best
    slots = {slot for best in chosen.values() for slot in best.slots.tolist()}
    slots.update(slot for best in chosen.values() for slot in best.others.tolist())
    rows = vectors.in_slots(tx, index, list(slots))
    if len(rows) < len(slots):
        return None
    return {number: _result(prepared[number], best, rows) for number, best in chosen.items()}


def answer(
    tx: Connection,
    prepared: PreparedQuery,
    found: Found | None,
    *,
    is_later: bool = True,
) -> QueryResult | None:
    """The matches with what the query asks for; None if any has changed since `prepare`.

    ``is_later`` tells whether this is another transaction than that of `prepare`.
    """
    if found is None or not len(found.slots):
        return QueryResult(0, ())
    if is_later and not catalog.is_generation(tx, prepared.index):
        return None
    chosen = _chosen(tx, prepared, found)
    if chosen is None:
        return None
    slots = chosen.slots.tolist() + chosen.others.tolist()
    rows = vectors.in_slots(tx, prepared.index, slots)
    return None if len(rows) < len(slots) else _result(prepared, chosen, rows)


def unchanged(index: Index, answered: T | None) -> T:
    """What was answered in the transaction of `prepare`. `StorageError` if slots hold no vector."""
    if answered is None:
        raise damaged(f"the table of vectors of the index {index.name!r} is")
    return answered


def _result(prepared: PreparedQuery, found: Found, rows: Mapping[int, VectorRow]) -> QueryResult:
    request, index, behavior = prepared.request, prepared.index, prepared.behavior
    slots = found.slots.tolist()
    scores = scoring.shortest(found.scores)
    hits = list(zip(slots, scores, strict=True))
    if not index.in_order and len(set(scores)) < len(scores):
        hits = _by_position(hits, rows, newest_first=behavior.ties == "newest")
    sign = -1.0 if index.metric == "dot-product" and behavior.dot_product == "positive" else 1.0
    values = _values(prepared, found)
    for slot, vector in values.items():
        rows[slot].check(vector)
    metadata = _metadata(prepared)
    matches = [
        Match(
            (row := rows[slot]).id,
            0.0 + sign * score,
            values[slot] if request.return_values else None,
            None if metadata is None else metadata(row),
            row.namespace,
        )
        for slot, score in hits
    ]
    return QueryResult(len(matches), tuple(matches))


def _values(prepared: PreparedQuery, found: Found) -> dict[int, Values]:
    """The values that were found, by slot."""
    slots, values = np.concatenate([found.slots, found.others]), found.values
    if values is None:
        slots = np.sort(slots)
        values = prepared.snapshot.matrix.take(slots)
    return dict(zip(slots.tolist(), values, strict=True))


def _chosen(tx: Connection, prepared: PreparedQuery, found: Found) -> Found | None:
    """``found`` without what ties with the last one and comes later; None if any has changed.

    There may be as many as vectors, such as those of texts that are all the same.
    """
    k, scores = prepared.request.top_k, found.scores
    if len(scores) <= k:
        return found
    before = int(np.argmax(scores == scores[k - 1]))
    tied = found.slots[before:].tolist()
    positions = vectors.positions(tx, prepared.index, tied)
    if len(positions) < len(tied):
        return None
    tied.sort(key=positions.__getitem__, reverse=prepared.behavior.ties == "newest")
    slots = np.append(found.slots[:before], np.array(tied[: k - before], np.int64))
    return replace(found, slots=slots, scores=scores[:k], values=None)


def _by_position(
    hits: list[tuple[int, float]], rows: Mapping[int, VectorRow], *, newest_first: bool
) -> list[tuple[int, float]]:
    """Hits in order of score, those of equal scores in order of insertion."""
    ordered: list[tuple[int, float]] = []
    for _, group in groupby(hits, key=itemgetter(1)):
        ordered += sorted(group, key=lambda hit: rows[hit[0]].position, reverse=newest_first)
    return ordered


def _mask(
    tx: Connection,
    snapshots: Snapshots,
    snapshot: Snapshot,
    request: QueryRequest,
    usable: list[LiveMetadataIndex],
) -> NDArray[np.bool_] | None:
    """The slots that the search may find, of the state that the transaction sees."""
    behavior, namespace = snapshots.behavior, request.namespace
    overlooks = bool(behavior.overlooked) and not request.return_values
    if not (request.conditions or overlooks or namespace is not None):
        return snapshot.live

    def make() -> NDArray[np.bool_]:
        masks = [] if snapshot.live is None else [snapshot.live]
        if overlooks:
            masks.append(snapshots.findable(tx, snapshot).equal(True))
        if namespace is not None:
            masks.append(snapshots.namespaces(tx, snapshot).equal(namespace))
        columns = snapshots.by_property(tx, snapshot, usable)
        for condition in request.conditions:
            column = columns.get(condition.property_name)
            if column is None:
                column = Column((matching.unindexed(snapshot.matrix.count),))
            masks.append(column.matches(condition, behavior))
        return reduce(np.logical_and, masks)

    # As JSON, which tells 1 from true.
    conditions = [[c.property_name, c.operator, c.operand] for c in request.conditions]
    key = jsontext.dumps([conditions, namespace, overlooks, [item.seq for item in usable]])
    return snapshot.mask(key, make)


def _metadata(prepared: PreparedQuery) -> Callable[[VectorRow], Metadata | None] | None:
    """What makes the metadata of a match of its row; None if none is asked for."""
    wanted, behavior = prepared.request.return_metadata, prepared.behavior
    if wanted == "none":
        return None
    if wanted == "all":
        return VectorRow.parsed_metadata

    # `LiveMetadataIndex.covers`, but faster: this is done for each property of each match.
    properties = [
        ((item.live, item.seq), item.property_name, item.index_type, _plain(item))
        for item in prepared.live
    ]

    def indexed(row: VectorRow) -> Metadata | None:
        whole = row.parsed_metadata()
        if whole is None:
            return None
        part: dict[str, Any] = {}
        written = row.processed, row.seq
        for since, name, index_type, plain in properties:
            if written <= since:
                continue
            value = matching.lookup(whole, name) if "." in name else whole.get(name)
            if type(value) in plain and (type(value) is not str or len(value) <= _SHORT_TEXT):
                part[name] = value
            elif value is not None and matching.entry(value, index_type, behavior):
                _place(part, name, _shortened(value), behavior)
        return part

    return indexed


def _plain(item: LiveMetadataIndex) -> tuple[type, ...]:
    """The types of values that go from metadata into what is indexed as they are."""
    return () if "." in item.property_name else _PLAIN[item.index_type]


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return matching.cut(value)
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _place(part: dict[str, Any], property_name: str, value: Any, behavior: Behavior) -> None:
    if "." in property_name and behavior.indexed_metadata == "nested":
        *path, property_name = property_name.split(".")
        for key in path:
            part = part.setdefault(key, {})
    part[property_name] = value
