"""`Batch`: the vectors of a mutation, column by column."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.matrix import Rows

STORED: Final = np.dtype("<f4")
"""The type of the values of vectors in files."""

Stored = tuple[str, str | None, str | None, bytes]
"""A vector: its id, namespace, metadata and values."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The vectors of a mutation, as they are stored; of a deletion only the ids matter."""

    ids: list[str]
    namespaces: list[str | None]
    metadata: list[str | None]
    """Compact JSON, or None for a vector without metadata."""
    values: NDArray[np.float32]
    """Those of all vectors, one after the other, of the type `STORED`."""

    @classmethod
    def of_ids(cls, ids: list[str]) -> Batch:
        """The vectors of a deletion."""
        nothing: list[str | None] = [None] * len(ids)
        return cls(ids, nothing, nothing, np.empty(0, STORED))

    @classmethod
    def of_stored(cls, vectors: Sequence[Stored]) -> Batch:
        """The vectors that `stored` gave."""
        values = np.frombuffer(b"".join(data for *_, data in vectors), STORED)
        ids, namespaces = [row[0] for row in vectors], [row[1] for row in vectors]
        return cls(ids, namespaces, [row[2] for row in vectors], values)

    @property
    def rows(self) -> Rows:
        """The values, a row for each vector; all must have as many."""
        return self.values.reshape(len(self.ids), -1) if self.ids else np.empty((0, 0), STORED)

    def stored(self) -> Iterator[Stored]:
        """Each vector, with its values as bytes."""
        data = (row.tobytes() for row in self.rows)
        return zip(self.ids, self.namespaces, self.metadata, data, strict=True)

    def unique(self, *, last: bool) -> Batch:
        """Each id once: the first vector that has it; or the last, in the place of the first."""
        places: dict[str, int] = {}
        for place, vector_id in enumerate(self.ids):
            if last or vector_id not in places:
                places[vector_id] = place
        return self if len(places) == len(self.ids) else self._take(list(places.values()))

    def without(self, ids: Container[str]) -> Batch:
        """The vectors that do not have one of these ids."""
        places = [place for place, vector_id in enumerate(self.ids) if vector_id not in ids]
        return self if len(places) == len(self.ids) else self._take(places)

    def _take(self, places: list[int]) -> Batch:
        return Batch(
            [self.ids[place] for place in places],
            [self.namespaces[place] for place in places],
            [self.metadata[place] for place in places],
            self.rows[places].reshape(-1),
        )
