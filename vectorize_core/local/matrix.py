"""`Matrix`: the rows of an index at one moment, by slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import page_advice

Rows = NDArray[np.float32]
Slots = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The first ``count`` rows, in segments of ``height`` rows; it never changes."""

    segments: tuple[NDArray[Any], ...]
    height: int
    count: int
    row: np.dtype[Any]

    @property
    def dimensions(self) -> int:
        """Numbers in a row of values."""
        return int(self.row.shape[0])

    def upto(self, count: int) -> Matrix:
        """The first ``count`` of these rows."""
        if count == self.count:
            return self
        return Matrix(self.segments[: -(-count // self.height)], self.height, count, self.row)

    def blocks(self, rows: int, begin: int = 0) -> Iterator[tuple[int, NDArray[Any]]]:
        """The rows from ``begin`` on, in blocks of at most ``rows``, each with its first slot."""
        for part in self.spans(rows, begin):
            yield part.start, self.block(part)

    def spans(self, rows: int, begin: int = 0) -> Iterator[slice]:
        """The slots of these blocks."""
        for first in range(begin // self.height * self.height, self.count, self.height):
            end = min(self.count, first + self.height)
            for start in range(max(first, begin), end, rows):
                yield slice(start, min(start + rows, end))

    def block(self, span: slice) -> NDArray[Any]:
        """The rows of a block."""
        number = span.start // self.height
        first = number * self.height
        rows: NDArray[Any] = self.segments[number][span.start - first : span.stop - first]
        return rows

    def mapped_since(self, known: Matrix) -> int:
        """The first row that ``known`` has not, or had mapped before, perhaps of another file."""
        for number, segment in enumerate(self.segments):
            if number >= len(known.segments) or segment is not known.segments[number]:
                return min(number * self.height, known.count)
        return min(self.count, known.count)

    def read_ahead(self) -> None:
        """Say that most rows are going to be read, from now on."""
        for segment in self.segments:
            page_advice.in_order(segment)

    def read_soon(self, first: int, last: int) -> None:
        """Say that the rows of these slots are going to be read, and those between them."""
        for number in range(first // self.height, min(last // self.height + 1, len(self.segments))):
            segment, start = self.segments[number], number * self.height
            page_advice.soon(segment, max(0, first - start), min(last - start, len(segment) - 1))

    def take(self, slots: Slots) -> NDArray[Any]:
        """Copies of the rows in ``slots``, which must be in ascending order."""
        if len(self.segments) == 1:
            return np.take(self.segments[0], slots, axis=0, mode="clip")
        taken = np.empty(len(slots), self.row)
        edges = np.searchsorted(slots, np.arange(1, len(self.segments) + 1) * self.height)
        start = 0
        for number, (segment, end) in enumerate(zip(self.segments, edges.tolist(), strict=True)):
            if end > start:
                inside = slots[start:end] - number * self.height
                # Without "clip" numpy would use a buffer, so that an error leaves `out` unchanged.
                np.take(segment, inside, axis=0, out=taken[start:end], mode="clip")
            start = end
        return taken
