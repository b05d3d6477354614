"""The columns of a snapshot, which filters read: built when first needed, then extended.

A column consists of postings, each over a range of slots. New slots are added as new postings;
those of similar size are merged, so that their number grows with the logarithm of the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.behavior import Behavior
from vectorize_core.filters import native
from vectorize_core.local import matching, vectors
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.vectors import VectorRow
from vectorize_core.models import IndexType
from vectorize_core.sqlite.connecting import Connection

_SIMILAR: Final = 2
"""Postings are merged with those before them unless those are more than so many times as long."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: postings in the order of slots, without a gap."""

    parts: tuple[matching.Postings, ...] = ()

    @property
    def size(self) -> int:
        """How many slots it covers."""
        return sum(len(part.indexed) for part in self.parts)

    def extended(self, part: matching.Postings) -> Column:
        """The column with one part more; small parts are merged."""
        parts = [*self.parts, part]
        while len(parts) > 1 and len(parts[-2].indexed) <= _SIMILAR * len(parts[-1].indexed):
            parts[-2:] = [matching.merged(parts[-2], parts[-1])]
        return Column(tuple(parts))

    def matches(self, condition: native.Condition, behavior: Behavior) -> NDArray[np.bool_]:
        """For each slot whether it meets ``condition``."""
        return _joined([matching.matches(part, condition, behavior) for part in self.parts])

    def equal(self, value: str | bool) -> NDArray[np.bool_]:
        """For each slot whether it has exactly this value."""
        return _joined([matching.equal(part, value) for part in self.parts])


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """What a column is built from."""

    key: int | str
    """The ``seq`` of a metadata index, or a name."""
    index_type: IndexType
    entry: Callable[[VectorRow, matching.Metadata], matching.Entry]
    reads_metadata: bool = False


@dataclass(slots=True)
class Columns:
    """The columns that all snapshots of a generation share; changed only in read transactions."""

    _known: dict[int | str, Column] = field(default_factory=dict)

    def keep(self, metadata_indexes: Sequence[LiveMetadataIndex]) -> None:
        """Forget those of metadata indexes that were deleted."""
        kept = {item.seq for item in metadata_indexes}
        for key in [key for key in self._known if isinstance(key, int) and key not in kept]:
            del self._known[key]

    def up_to_date(
        self, tx: Connection, index: Index, sources: Sequence[ColumnSource]
    ) -> list[Column]:
        """The columns of ``sources``, over all slots that the transaction sees."""
        behind: dict[int, list[ColumnSource]] = {}
        for source in sources:
            size = self._known.setdefault(source.key, Column()).size
            if size < index.slots:
                behind.setdefault(size, []).append(source)
        for start, some in behind.items():
            for source, part in zip(some, _parts(tx, index, start, some), strict=True):
                self._known[source.key] = self._known[source.key].extended(part)
        return [self._known[source.key] for source in sources]


def metadata_column(item: LiveMetadataIndex, behavior: Behavior) -> ColumnSource:
    """A metadata index, without the vectors that were written before it was live."""

    def entry(row: VectorRow, metadata: matching.Metadata) -> matching.Entry:
        covered = item.covers(row.processed, row.seq)
        value = matching.lookup(metadata, item.property_name) if covered else None
        return matching.entry(value, item.index_type, behavior)

    return ColumnSource(item.seq, item.index_type, entry, reads_metadata=True)


def namespace_column() -> ColumnSource:
    """The namespaces of vectors that have one."""
    return ColumnSource(
        "namespace", "string", lambda row, _: () if row.namespace is None else (row.namespace,)
    )


def findable_column(behavior: Behavior) -> ColumnSource:
    """Whether approximate search finds a vector."""
    seed = str(behavior.overlooked_seed).encode()
    least = behavior.overlooked * 2**32

    def entry(row: VectorRow, _: matching.Metadata) -> matching.Entry:
        digest = blake2b(row.id.encode(), digest_size=4, key=seed).digest()
        return (int.from_bytes(digest, "little") >= least,)

    return ColumnSource("findable", "boolean", entry)


def _parts(
    tx: Connection, index: Index, start: int, sources: Sequence[ColumnSource]
) -> list[matching.Postings]:
    """Postings of the slots from ``start`` on; a slot that is dead by now has no entry."""
    entries: list[list[matching.Entry]] = [[()] * (index.slots - start) for _ in sources]
    reads_metadata = any(source.reads_metadata for source in sources)
    for row in vectors.scan(tx, index, start):
        metadata = row.parsed_metadata() if reads_metadata else None
        for source, column in zip(sources, entries, strict=True):
            column[row.slot - start] = source.entry(row, metadata or {})
    size = index.slots - start
    return [
        matching.build(source.index_type, size, column)
        for source, column in zip(sources, entries, strict=True)
    ]


def _joined(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    if len(masks) == 1:
        return masks[0]
    return np.concatenate(masks) if masks else np.zeros(0, np.bool_)
