"""`Covering`: the metadata indexes that are known to hold every vector, also later ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vectorize_core.local import mutations, vectors
from vectorize_core.local.catalog import Index, LiveMetadataIndex
from vectorize_core.local.filter_hints import is_uncovered
from vectorize_core.models import Metadata
from vectorize_core.sqlite.connecting import Connection

_MOST: Final = 10_000
"""That are known; if there are more, all are forgotten."""


class Covering:
    """What was found of the metadata indexes of a service: to find it, all rows are read."""

    def __init__(self) -> None:
        self._known: set[tuple[int, int, bool, float | None]] = set()

    def holds_all(
        self,
        tx: Connection,
        index: Index,
        item: LiveMetadataIndex,
        lacks: Callable[[Metadata], bool] | None = None,
    ) -> bool:
        """Whether no vector `is_uncovered`. What is written from then on is held as well."""
        # Unless the clock goes back to before the metadata index was live; not to before a write.
        until = None if item.live <= index.submitted else index.submitted
        known = index.id, item.seq, lacks is None, until
        if known in self._known:
            return True
        rows = vectors.unverified(tx, index)
        name = item.property_name
        if not all(row.intact and not is_uncovered(row, name, item, lacks) for row in rows):
            return False
        # Reads may see later what is of before the metadata index was live.
        if not mutations.any_older(tx, index, item.live):
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known.add(known)
        return True
