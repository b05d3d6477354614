"""`CodeRanking`: keys from the codes, which are a quarter of the values."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import codes
from vectorize_core.local.codes import CodeRows
from vectorize_core.local.index_codes import Coded
from vectorize_core.local.matrix import Slots
from vectorize_core.local.ranking import Keys, Ranking
from vectorize_core.models import Metric

_SCANNED: Final = 6_000_000
"""Bytes that a thread reads at once."""
_GATHERED: Final = 200_000
"""Bytes of gathered rows, so that they fit into a processor's second cache."""
_ROUNDING: Final = 2.0**-24


class CodeRanking(Ranking):
    """One pass over the codes; the errors are those of `codes`, and of a few roundings.

    For cosine and dot product ``query`` has a length of 1.
    """

    def __init__(self, metric: Metric, coded: Coded, query: NDArray[np.float64]) -> None:
        self.matrix = coded.matrix
        self.rows_at_once = max(1, _SCANNED // self.matrix.row.itemsize)
        self.gathered_at_once = max(1, _GATHERED // self.matrix.row.itemsize)
        self._coded = coded
        self._query = codes.encoded_query(query)
        self._is_distance = metric == "euclidean"
        self._length = float(np.linalg.norm(query))
        # The keys of the other metrics are in units of the query's scale.
        self.unit = 1.0 if self._is_distance else self._query.scale
        # Lengths and factors have the errors of float32.
        self._share = (2 * len(query) + 32) * _ROUNDING
        doubt = self._query.residual + self._share * self._length
        self._per_loss, self._per_length = (self._length + doubt) / self.unit, doubt / self.unit
        self._is_cosine = metric == "cosine"

    def score(self, block: CodeRows, rows: slice | Slots, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds the codes."""
        numbers = self._coded.numbers
        products = self._coded.products(self._query.codes, block["codes"])
        np.subtract(products, numbers.shifts[rows], out=out)
        out -= np.float32(self._query.shift)
        out *= numbers.factors[rows]
        if self._is_distance:
            out *= np.float32(self._query.scale)
            out -= numbers.squares[rows]

    def errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """How far the keys of ``rows`` can be off."""
        numbers = self._coded.numbers
        return self._errors(
            numbers.losses[rows], None if self._is_cosine else numbers.lengths[rows]
        )

    def group_errors(self) -> NDArray[np.float64]:
        """The greatest error in each group of rows."""
        lengths = None if self._is_cosine else self._coded.group_lengths
        return self._errors(self._coded.group_losses, lengths)

    def _errors(
        self, losses: NDArray[np.float32], lengths: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Those of rows of such losses and lengths, which are 1 where None."""
        errors = losses.astype(np.float64)
        if lengths is None:
            errors *= self._per_loss
            errors += self._per_length
            return errors
        longest = lengths + errors
        errors *= self._per_loss
        errors += self._per_length * lengths.astype(np.float64)
        if self._is_distance:
            errors += 8 * _ROUNDING * self._length**2 + self._share * longest * longest
        return errors
