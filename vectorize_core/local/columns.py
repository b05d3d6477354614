"""Columns of a view: what filters look into, built when first needed and extended by new slots.

A column is a row of parts, each over a range of slots. A new range becomes a part; parts of like
size are merged, so that their number grows as the logarithm of the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from sqlite3 import Connection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import jsontext
from vectorize_core.filters import native
from vectorize_core.local import matching, vectors
from vectorize_core.local.behavior import Behavior
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.vectors import Stored
from vectorize_core.models import IndexType

_ALIKE: Final = 2
"""A part is merged into the one before it unless that is more than so many times as long."""


@dataclass(frozen=True, slots=True)
class Column:
    """The parts of one column, in the order of slots, without a gap."""

    parts: tuple[matching.Column, ...] = ()

    @property
    def size(self) -> int:
        """Slots that are covered."""
        return sum(len(part.indexed) for part in self.parts)

    def extended(self, part: matching.Column) -> Column:
        """With one part more; small ones become one."""
        parts = [*self.parts, part]
        while len(parts) > 1 and len(parts[-2].indexed) <= _ALIKE * len(parts[-1].indexed):
            parts[-2:] = [matching.merged(parts[-2], parts[-1])]
        return Column(tuple(parts))

    def matches(self, condition: native.Condition, behavior: Behavior) -> NDArray[np.bool_]:
        """For each slot whether it meets ``condition``."""
        return _joined([matching.matches(part, condition, behavior) for part in self.parts])

    def equal(self, value: str | bool) -> NDArray[np.bool_]:
        """For each slot whether it has this value, as it is."""
        return _joined([matching.equal(part, value) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Facet:
    """What a column is of."""

    key: int | str
    """The ``seq`` of a metadata index, or a name."""
    index_type: IndexType
    entry: Callable[[Stored, matching.Metadata], matching.Entry]
    reads_metadata: bool = False


@dataclass(slots=True)
class Columns:
    """The columns of all views of one generation; changed only within read transactions."""

    _known: dict[int | str, Column] = field(default_factory=dict)

    def upto(self, tx: Connection, index: Index, facets: Sequence[Facet]) -> list[Column]:
        """Columns over all slots that the transaction sees."""
        behind: dict[int, list[Facet]] = {}
        for facet in facets:
            size = self._known.setdefault(facet.key, Column()).size
            if size < index.slots:
                behind.setdefault(size, []).append(facet)
        for start, some in behind.items():
            for facet, part in zip(some, _parts(tx, index, start, some), strict=True):
                self._known[facet.key] = self._known[facet.key].extended(part)
        return [self._known[facet.key] for facet in facets]


def by_metadata(item: LiveMetadataIndex, behavior: Behavior) -> Facet:
    """What a metadata index holds: nothing of vectors that were written before it was live."""

    def entry(stored: Stored, metadata: matching.Metadata) -> matching.Entry:
        covered = item.covers(stored.processed, stored.seq)
        value = matching.lookup(metadata, item.property_name) if covered else None
        return matching.entry(value, item.index_type, behavior)

    return Facet(item.seq, item.index_type, entry, reads_metadata=True)


def by_namespace() -> Facet:
    """The namespaces, nothing where there is none."""
    return Facet("namespace", "string", lambda stored, _: _namespace(stored))


def by_id(behavior: Behavior) -> Facet:
    """True for the vectors that approximate search finds."""
    seed = str(behavior.overlooked_seed).encode()
    least = behavior.overlooked * 2**32

    def entry(stored: Stored, _: matching.Metadata) -> matching.Entry:
        digest = blake2b(stored.id.encode(), digest_size=4, key=seed).digest()
        return (int.from_bytes(digest, "little") >= least,)

    return Facet("findable", "boolean", entry)


def _namespace(stored: Stored) -> matching.Entry:
    return () if stored.namespace is None else (stored.namespace,)


def _parts(
    tx: Connection, index: Index, start: int, facets: Sequence[Facet]
) -> list[matching.Column]:
    """The columns of the slots from ``start`` on; a slot that is dead by now has no entry."""
    entries: list[list[matching.Entry]] = [[()] * (index.slots - start) for _ in facets]
    reads_metadata = any(facet.reads_metadata for facet in facets)
    for stored in vectors.scan(tx, index, start):
        metadata = jsontext.loads(stored.metadata or "{}") if reads_metadata else {}
        for facet, column in zip(facets, entries, strict=True):
            column[stored.slot - start] = facet.entry(stored, metadata)
    size = index.slots - start
    return [
        matching.build(facet.index_type, size, column)
        for facet, column in zip(facets, entries, strict=True)
    ]


def _joined(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    if len(masks) == 1:
        return masks[0]
    return np.concatenate(masks) if masks else np.zeros(0, np.bool_)
