"""Read snapshots: the vectors of an index as arrays, in the state of one moment.

A snapshot never changes, so it is searched without a lock. The next snapshot shares its arrays and
adds what was written since: slots are only appended, and dead ones are masked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.behavior import Behavior
from vectorize_core.local import vectors
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.columns import (
    Column,
    Columns,
    findable_column,
    metadata_column,
    namespace_column,
)
from vectorize_core.local.index_codes import IndexCodes
from vectorize_core.local.matrix import Matrix
from vectorize_core.local.norms import Norms
from vectorize_core.local.row_types import CODES
from vectorize_core.local.storage import Database
from vectorize_core.local.value_store import ValueStore
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection

_MASKS_KEPT: Final = 4
"""Each takes a byte for every slot."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Row ``i`` of each array is slot ``i`` of the index."""

    index: Index
    matrix: Matrix
    live: NDArray[np.bool_] | None
    """Which slots hold a vector; None if all do."""
    norms: Norms
    columns: Columns
    codes: IndexCodes | None
    """None if it has wrong ones that cannot be made again."""
    masks: dict[object, NDArray[np.bool_]] = field(default_factory=dict)
    """What the latest filters let pass, the last one last. Used only in read transactions."""

    def mask(self, key: object, make: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """The slots that a filter lets pass, made unless it is one of the latest ones."""
        found = self.masks.pop(key, None)
        self.masks[key] = found = make() if found is None else found
        if len(self.masks) > _MASKS_KEPT:
            del self.masks[next(iter(self.masks))]
        return found


class Snapshots:
    """The latest snapshot of each index that was read. Used only within read transactions."""

    def __init__(self, database: Database, behavior: Behavior) -> None:
        self._database = database
        self.behavior = behavior
        self._latest: dict[str, Snapshot] = {}
        self._pid = os.getpid()

    def current(self, tx: Connection, index: Index) -> Snapshot:
        """The snapshot of what the transaction sees. `FileMissingError`, `StorageError`."""
        if self._pid != os.getpid():
            # Another thread of the parent may have been changing this during the fork.
            self._pid, self._latest = os.getpid(), {}
        known = self._known(index)
        if self._store_of_values(index).is_cut_off(index.slots):
            # Read anew, it says so.
            known = None
        if known is None or known.index.state != index.state:
            self._latest[index.name] = known = self._next(tx, index, known)
        return known

    def _known(self, index: Index) -> Snapshot | None:
        """The latest snapshot of this generation; what is of another one is freed."""
        known = self._latest.get(index.name)
        if known is not None and known.index.state[:2] != index.state[:2]:
            self.forget(index.name)
            known = None
        if known is None:
            # It may have been written before another process has compacted it.
            self.value_stores.release(index.id, index.generation)
        return known

    def forget(self, name: str, index_id: int | None = None) -> None:
        """Free the snapshot of an index that is gone; with an id, not of another of that name."""
        known = self._latest.get(name)
        if known is not None and index_id in (None, known.index.id):
            self._latest.pop(name, None)
            self.value_stores.release(known.index.id, known.index.generation + 1)

    def was_read(self, index: Index) -> None:
        """Free those of the indexes that were read longest ago, if too many files are mapped."""
        unmapped = self.value_stores.was_read(index.id, index.generation)
        if unmapped:
            for name in [n for n, known in self._latest.items() if known.index.id in unmapped]:
                del self._latest[name]

    def codes_of(self, index: Index) -> IndexCodes | None:
        """The codes that searches of an index use; what is of another generation is freed."""
        known = self._known(index)
        return None if known is None else known.codes

    def doubt_codes(self, index: Index, *, for_good: bool) -> None:
        """Let searches read the values, for some codes are wrong, and what was learned of them.

        ``for_good``, or until all were compared (`renew_codes`).
        """
        known = self._latest.get(index.name)
        if known is None or known.codes is None:
            return
        norms = known.norms if known.codes.are_doubtful else _norms(index)
        new = replace(known, norms=norms, codes=None if for_good else known.codes)
        # At once, for Ctrl-C comes behind a call.
        known.codes.are_doubtful, self._latest[index.name] = True, new

    def renew_codes(self, index: Index) -> None:
        """Let the next search read the codes of an index again."""
        self._store_of_codes(index).unmap()
        known = self._latest.get(index.name)
        if known is not None:
            self._latest[index.name] = replace(known, codes=self._index_codes(index))

    def clear(self) -> None:
        """Free all snapshots, and with them the files that they map."""
        self._latest.clear()

    @property
    def value_stores(self) -> ValueStores:
        """The values of all indexes."""
        return self._database.value_stores

    def by_property(
        self, tx: Connection, snapshot: Snapshot, metadata_indexes: list[LiveMetadataIndex]
    ) -> dict[str, Column]:
        """Columns by property, for a ``snapshot`` that is the transaction's `current` one."""
        sources = [metadata_column(item, self.behavior) for item in metadata_indexes]
        columns = snapshot.columns.up_to_date(tx, snapshot.index, sources)
        names = [item.property_name for item in metadata_indexes]
        return dict(zip(names, columns, strict=True))

    def namespaces(self, tx: Connection, snapshot: Snapshot) -> Column:
        """The column of namespaces, for a `current` snapshot."""
        return snapshot.columns.up_to_date(tx, snapshot.index, [namespace_column()])[0]

    def findable(self, tx: Connection, snapshot: Snapshot) -> Column:
        """The column of the vectors that approximate search finds, for a `current` snapshot."""
        return snapshot.columns.up_to_date(tx, snapshot.index, [findable_column(self.behavior)])[0]

    def _next(self, tx: Connection, index: Index, known: Snapshot | None) -> Snapshot:
        matrix = self._store_of_values(index).matrix(index.slots)
        if known is None:
            codes = self._index_codes(index)
            known = Snapshot(index, matrix, None, _norms(index), Columns(), codes)
            before = 0
        else:
            before = known.index.dead
        live = known.live
        if index.dead:
            fresh = np.ones(index.slots, np.bool_)
            if live is not None:
                fresh[: len(live)] = live
            if index.dead > before:
                fresh[vectors.dead_slots(tx, index, before)] = False
            live = fresh
        return replace(known, index=index, matrix=matrix, live=live, masks={})

    def _index_codes(self, index: Index) -> IndexCodes:
        writes = not self._database.is_read_only
        return IndexCodes(index.metric, self._store_of_codes(index), writes=writes)

    def _store_of_values(self, index: Index) -> ValueStore:
        return self.value_stores.store(index.id, index.generation, index.dimensions)

    def _store_of_codes(self, index: Index) -> ValueStore:
        return self.value_stores.store(index.id, index.generation, index.dimensions, CODES)


def _norms(index: Index) -> Norms:
    return Norms(index.dimensions, inverse=index.metric == "cosine")
