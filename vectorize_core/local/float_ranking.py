"""`FloatRanking`: keys from the values, by float32 arithmetic."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import Norms
from vectorize_core.local.ranking import Keys, Ranking
from vectorize_core.models import Metric, Values

BLOCK: Final = 400_000
"""Numbers in a product. From 460,800 on OpenBLAS would use threads of its own."""
_BLOCKS_AT_ONCE: Final = 4
"""Blocks that a thread takes at once, for between two calls it waits for the interpreter's lock."""
_GATHERED_BLOCK: Final = 100_000
"""Numbers in a block of gathered rows, so that it fits into a processor's second cache."""
_ROUNDING: Final = 2.0**-24


class FloatRanking(Ranking):
    """One pass over the values, as fast as memory is read.

    The error of a sum of ``d`` products, in any order, is at most that of ``d`` roundings. Only
    distances need the ``length`` of the query.
    """

    def __init__(
        self, metric: Metric, matrix: Matrix, norms: Norms, query: Values, length: float
    ) -> None:
        self.matrix = matrix
        self._height = max(1, BLOCK // matrix.dimensions)
        self.rows_at_once = _BLOCKS_AT_ONCE * self._height
        self.gathered_at_once = max(1, _GATHERED_BLOCK // matrix.dimensions)
        self._metric = metric
        self._lengths, self._longest, self._odd = norms.of(matrix)
        self._query = query
        self._length = length
        # d roundings of the product, d of the norm, and a few of the query and of the score.
        self._share = (2 * matrix.dimensions + 32) * _ROUNDING

    def score(self, block: Rows, rows: slice | Slots, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds the values."""
        for start in range(0, len(block), self._height):
            part = slice(start, start + self._height)
            np.dot(block[part], self._query, out=out[part])
        self.complete(rows, out)

    def complete(self, rows: slice | Slots, out: Keys) -> None:
        """Turn the products of ``rows`` with the query into keys; or with many, in columns."""
        # In one column, if there are several.
        lengths = self._lengths[rows].reshape(-1, *[1] * (out.ndim - 1))
        if self._metric == "cosine":
            # These are the inverse norms.
            out *= lengths
        elif self._metric == "euclidean":
            out += out
            out -= lengths * lengths
        elif self._odd:
            np.copyto(out, np.nan, where=np.isnan(lengths))

    def errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """How far the keys of ``rows`` can be off, or any."""
        # Those of cosines are the same for all lengths.
        lengths = self._lengths[:1] if self._metric == "cosine" else self._lengths[rows]
        return self._errors(lengths.astype(np.float64))

    def group_errors(self) -> NDArray[np.float64]:
        """The greatest error of any row."""
        return self._errors(np.array([self._longest]))

    def _errors(self, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._metric == "cosine":
            return np.full(len(lengths), self._share)
        if self._metric == "dot-product":
            return self._share * lengths
        linear = 2 * self._share * (self._length + lengths)
        return 8 * _ROUNDING * self._length**2 + linear * lengths
