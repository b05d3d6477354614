"""Rows that are cut: a store has the first part of each, and another one the rest.

So a search can read the first parts alone, which lie together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.matrix import Matrix, Slots
from vectorize_core.local.row_types import RowType
from vectorize_core.local.value_store import ValueStore


@dataclass(frozen=True, slots=True)
class CutMatrix(Matrix):
    """Rows of two matrices, which are put together when they are read."""

    first: Matrix
    rest: Matrix

    def upto(self, count: int) -> Matrix:
        """The first ``count`` of these rows."""
        first, rest = self.first.upto(count), self.rest.upto(count)
        return CutMatrix((), self.height, count, self.row, first, rest)

    def block(self, span: slice) -> NDArray[Any]:
        """The rows of a block, copied."""
        return self._joined(self.first.block(span), self.rest.block(span))

    def take(self, slots: Slots) -> NDArray[Any]:
        """Copies of the rows in ``slots``, which must be in ascending order."""
        return self._joined(self.first.take(slots), self.rest.take(slots))

    def mapped_since(self, known: Matrix) -> int:
        """The first row that ``known`` has not, or had mapped before, perhaps of another file."""
        assert isinstance(known, CutMatrix)
        return min(self.first.mapped_since(known.first), self.rest.mapped_since(known.rest))

    def _joined(self, first: NDArray[np.uint8], rest: NDArray[np.uint8]) -> NDArray[Any]:
        rows = np.empty(len(first), self.row)
        parts = rows.view(np.uint8).reshape(len(rows), self.row.itemsize)
        parts[:, : first.shape[1]] = first
        parts[:, first.shape[1] :] = rest
        return rows


class CutStore(ValueStore):
    """Two stores as one.

    ``whole`` has the same as whole rows, as an older version wrote them: nobody reads it any more.
    """

    def __init__(
        self,
        dimensions: int,
        rows: RowType,
        first: ValueStore,
        rest: ValueStore,
        whole: ValueStore | None = None,
    ) -> None:
        self.first, self.rest, self._whole = first, rest, whole
        self._both = first, rest
        super().__init__(dimensions, rows)
        self.identity = first.identity

    @property
    def height(self) -> int:
        """Rows of a segment, of both."""
        return self.first.height

    @height.setter
    def height(self, rows: int) -> None:
        self.first.height = self.rest.height = rows

    def matrix(self, count: int) -> CutMatrix:
        """The first ``count`` rows, all of them committed. `FileMissingError`, `StorageError`."""
        first, rest = self.first.matrix(count), self.rest.matrix(count)
        return CutMatrix((), self.height, count, self.row, first, rest)

    def unmap(self) -> None:
        """Unmap what no `Matrix` uses, until it is read again."""
        for store in self._both:
            store.unmap()

    def readable(self) -> int:
        """How many rows there is room for."""
        return min(self.first.readable(), self.rest.readable())

    def is_cut_off(self, count: int) -> bool:
        """Whether a file ends before ``count`` rows."""
        return self.first.is_cut_off(count) or self.rest.is_cut_off(count)

    def read(self, slots: Iterable[int]) -> list[bytes]:
        """The rows in ``slots``, each less than whole where they end. `FileNotFoundError`."""
        slots = list(slots)
        return list(map(bytes.__add__, self.first.read(slots), self.rest.read(slots)))

    def leaves_blank(self, slot: int, count: int) -> bool:
        """Leave derived rows from ``slot`` on out, unless there are others."""
        first = self.first.leaves_blank(slot, count)
        return self.rest.leaves_blank(slot, count) and first

    def write(self, slot: int, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Write rows from ``slot`` on, where no others are committed; synced if ``durable``."""
        for store, part in self._cut(data):
            store.write(slot, part, durable=durable)

    def restore(self, slot: int, data: bytes) -> None:
        """Write rows that are committed again, while others may be writing new ones."""
        for store, part in self._cut(data):
            store.restore(slot, part)
        if self._whole is not None:
            self._whole.remove()

    def will_sync(self, needed: bool = True) -> None:
        """Let the next `sync` wait for all that was written, whoever wrote it; or for nothing."""
        for store in self._both:
            store.will_sync(needed)

    def sync(self) -> None:
        """Return when what was written would survive a loss of power."""
        for store in self._both:
            store.sync()

    @property
    def place(self) -> str:
        """Where the rows are, for messages."""
        return self.first.place

    def close(self) -> None:
        """Keep no file open that nobody writes any more."""
        for store in self._both:
            store.close()

    def remove(self) -> None:
        """Free the space; a `Matrix` that was made before stays readable."""
        for store in (*self._both, *([] if self._whole is None else [self._whole])):
            store.remove()

    def _cut(self, data: bytes | memoryview) -> list[tuple[ValueStore, bytes]]:
        rows = np.frombuffer(data, np.uint8).reshape(-1, self.row_bytes)
        first, rest = np.hsplit(rows, [self.first.row_bytes])
        return [(self.first, first.tobytes()), (self.rest, rest.tobytes())]
