"""Reasons why a filter found less than expected; the real service gives none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from vectorize_core.local import matching
from vectorize_core.local.catalog import LiveMetadataIndex
from vectorize_core.local.vectors import VectorRow
from vectorize_core.models import Metadata


def count_uncovered(
    name: str,
    metadata_index: LiveMetadataIndex | None,
    stored: Iterable[VectorRow],
    lacks: Callable[[Metadata], bool] | None = None,
) -> int:
    """How many vectors are `is_uncovered`."""
    return sum(is_uncovered(vector, name, metadata_index, lacks) for vector in stored)


def is_uncovered(
    vector: VectorRow,
    name: str,
    metadata_index: LiveMetadataIndex | None,
    lacks: Callable[[Metadata], bool] | None = None,
) -> bool:
    """Whether a vector has a property that its metadata index does not hold.

    As it is older, or as the property is where ``lacks`` alone finds it.
    """
    covered = metadata_index is not None and metadata_index.covers(vector.processed, vector.seq)
    if covered and lacks is None:
        return False
    metadata = vector.parsed_metadata() or {}
    if not covered and matching.lookup(metadata, name) is not None:
        return True
    return lacks is not None and lacks(metadata)


def explain(
    names: Collection[str], live: Mapping[str, LiveMetadataIndex], stored: Iterable[VectorRow]
) -> tuple[str, ...]:
    """A sentence for each property of ``names`` that is not indexed, or not in all vectors."""
    hints = [
        f"no metadata index on {name!r}: the filter on it matches nothing that has the property. "
        "Create one, then write the vectors again"
        for name in sorted(set(names) - set(live))
    ]
    older: Counter[str] = Counter()
    indexed = [live[name] for name in names if name in live]
    if indexed:
        for vector in stored:
            uncovered = [i for i in indexed if not i.covers(vector.processed, vector.seq)]
            metadata = (vector.parsed_metadata() if uncovered else None) or {}
            older.update(
                item.property_name
                for item in uncovered
                if matching.lookup(metadata, item.property_name) is not None
            )
    hints += [
        f"{count} vectors with {name!r} were written before its metadata index was live: the "
        "filter does not see them. Write them again"
        for name, count in sorted(older.items())
    ]
    return tuple(hints)
