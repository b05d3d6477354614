"""The read view of an index: its vectors as arrays, as they were at one version.

A snapshot is never changed, only replaced, so it is searched without any lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from vectorize_core import json
from vectorize_core.local import matching, vectors
from vectorize_core.local.behavior import Behavior
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.matching import Column


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Row ``i`` of everything here is the ``i``-th vector by insertion."""

    index_id: int
    version: int
    ids: list[str]
    slots: NDArray[np.int64]
    seqs: NDArray[np.int64]
    matrix: NDArray[np.float32]
    namespaces: tuple[str | None, ...]
    namespace_codes: NDArray[np.int32]
    columns: dict[int, Column] = field(default_factory=dict)
    """By the ``seq`` of their metadata index; filled, under the database's lock, when needed."""

    def in_namespace(self, namespace: str) -> NDArray[np.bool_]:
        """Which rows lie in a namespace, known or not."""
        wanted = np.array([name == namespace for name in self.namespaces], dtype=np.bool_)
        return wanted[self.namespace_codes]

    def namespace(self, row: int) -> str | None:
        """The namespace of a row."""
        return self.namespaces[int(self.namespace_codes[row])]


class Snapshots:
    """The latest snapshot of each index that is being read."""

    def __init__(self, behavior: Behavior) -> None:
        self._behavior = behavior
        self._latest: dict[str, Snapshot] = {}

    def current(self, tx: Connection, index: Index) -> Snapshot:
        """The snapshot of what the transaction sees."""
        known = self._latest.get(index.name)
        if known and (known.index_id, known.version) == (index.id, index.version):
            return known
        # The old one is let go first: two at once would double the memory.
        del known
        self.forget(index.name)
        fresh = self._latest[index.name] = _build(tx, index)
        return fresh

    def forget(self, name: str) -> None:
        """Free the snapshot of an index that is gone."""
        self._latest.pop(name, None)

    def columns(
        self,
        tx: Connection,
        index: Index,
        snapshot: Snapshot,
        metadata_indexes: Iterable[LiveMetadataIndex],
    ) -> dict[str, Column]:
        """Columns by property, for a ``snapshot`` that is the transaction's `current` one."""
        wanted = list(metadata_indexes)
        missing = [item for item in wanted if item.seq not in snapshot.columns]
        if missing:
            entries: list[list[matching.Entry]] = [[] for _ in missing]
            for stored in vectors.scan_metadata(tx, index):
                metadata = json.loads(stored.metadata or "{}")
                for item, column in zip(missing, entries, strict=True):
                    covered = item.covers(stored.processed, stored.seq)
                    value = matching.lookup(metadata, item.property_name) if covered else None
                    column.append(matching.entry(value, item.index_type, self._behavior))
            for item, column in zip(missing, entries, strict=True):
                built = matching.build(item.index_type, len(snapshot.ids), column)
                snapshot.columns[item.seq] = built
        return {item.property_name: snapshot.columns[item.seq] for item in wanted}


def _build(tx: Connection, index: Index) -> Snapshot:
    size = vectors.count(tx, index)
    ids: list[str] = []
    slots = np.empty(size, dtype=np.int64)
    seqs = np.empty(size, dtype=np.int64)
    matrix = np.empty((size, index.dimensions), dtype=np.float32)
    codes = np.empty(size, dtype=np.int32)
    namespaces: dict[str | None, int] = {}
    for row, (slot, vector_id, seq, namespace, data) in enumerate(vectors.scan(tx, index)):
        ids.append(vector_id)
        slots[row] = slot
        seqs[row] = seq
        matrix[row] = np.frombuffer(data, dtype="<f4")
        codes[row] = namespaces.setdefault(namespace, len(namespaces))
    return Snapshot(index.id, index.version, ids, slots, seqs, matrix, tuple(namespaces), codes)
