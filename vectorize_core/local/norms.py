"""The norms of an index's vectors, or their inverses, computed once, when first searched."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import workers
from vectorize_core.local.matrix import Matrix, Rows

_SHORTEST_SQUARE, _LONGEST_SQUARE = np.float32(1e-30), np.float32(1e30)
_BLOCK: Final = 400_000
"""Numbers a block."""


class Norms:
    """The Euclidean norms of an index's rows as float32, extended when rows are added.

    ``inverse`` keeps 1 / norm, which is 0 for a row of zeros. NaN stands for a norm that float32
    cannot compute precisely: neither zero nor from 1e-15 to 1e15, or of values that are not finite.
    """

    def __init__(self, dimensions: int, *, inverse: bool) -> None:
        self._inverse = inverse
        self._block_rows = max(1, _BLOCK // dimensions)
        self._lengths = np.empty(0, np.float32)
        self._done = 0
        self._longest = 0.0
        self._odd = False
        self._lock = threading.RLock()

    def of(self, matrix: Matrix) -> tuple[NDArray[np.float32], float, bool]:
        """The norms of all rows, an upper bound of them (NaN aside), and whether any is NaN."""
        if self._done < matrix.count:
            with self._lock:
                self._extend(matrix)
        return self._lengths[: matrix.count], self._longest, self._odd

    def learn(self, start: int, lengths: NDArray[np.float32]) -> None:
        """Take the norms of rows from ``start`` on from whoever knows them."""
        with self._lock:
            known = self._done - start
            if 0 <= known < len(lengths):
                self._add(lengths[known:])

    def _extend(self, matrix: Matrix) -> None:
        start, count = self._done, matrix.count
        if count <= start:
            return
        matrix.read_ahead()
        lengths = np.empty(count - start, np.float32)
        blocks = list(matrix.blocks(self._block_rows, start))

        def work(number: int) -> None:
            first, rows = blocks[number]
            lengths[first - start :][: len(rows)] = lengths_of(rows)

        read = len(lengths) * matrix.row.itemsize
        workers.share(len(blocks), work, worthwhile=read > workers.WORTHWHILE)
        self._add(lengths)

    def _add(self, fresh: NDArray[np.float32]) -> None:
        start, count = self._done, self._done + len(fresh)
        lengths = self._lengths
        if len(lengths) < count:
            # A copy, because other searches may be reading the old array.
            lengths = np.empty(max(count, count + count // 8), np.float32)
            lengths[:start] = self._lengths[:start]
        own = lengths[start:count]
        own[:] = fresh
        if self._inverse:
            with np.errstate(all="ignore"):
                np.divide(np.float32(1), own, out=own, where=own != 0)
        odd = np.isnan(own)
        self._odd |= bool(odd.any())
        self._longest = max(self._longest, float(np.max(own, initial=0.0, where=~odd)))
        self._lengths, self._done = lengths, count


def lengths_of(rows: Rows) -> NDArray[np.float32]:
    """The norms of rows, NaN where float32 cannot compute it precisely."""
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
        precise = (squares >= _SHORTEST_SQUARE) & (squares <= _LONGEST_SQUARE)
        if not precise.all():
            others = np.flatnonzero(~precise)
            zero = ~rows[others].any(axis=1)
            squares[others] = np.where(zero, np.float32(0), np.float32(np.nan))
        lengths: NDArray[np.float32] = np.sqrt(squares)
    return lengths
