"""`CodeRanking`: keys from the codes, which are a quarter of the values."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import codes
from vectorize_core.local.code_numbers import Floats
from vectorize_core.local.code_products import Codes
from vectorize_core.local.codes import CodeRows, QueryCodes
from vectorize_core.local.cut_rows import CutMatrix
from vectorize_core.local.index_codes import Coded
from vectorize_core.local.matrix import Matrix, Slots
from vectorize_core.local.ranking import Keys, Parts, Ranking
from vectorize_core.local.row_types import CODES
from vectorize_core.models import Metric

_SCANNED: Final = 12_000_000
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
        self.rows_at_once, self.gathered_at_once = _at_once(self.matrix)
        self._coded = coded
        self.query = codes.encoded_query(query)
        self._is_distance = metric == "euclidean"
        self._length = float(np.linalg.norm(query))
        # The keys of the other metrics are in units of the query's scale.
        self.unit = 1.0 if self._is_distance else self.query.scale
        # Lengths and factors have the errors of float32.
        self._share = (2 * len(query) + 32) * _ROUNDING
        doubt = self.query.residual + self._share * self._length
        self._per_loss, self._per_length = (self._length + doubt) / self.unit, doubt / self.unit
        self._is_cosine = metric == "cosine"
        first = CODES.cut(len(query))
        self._first = _Part(self.query, slice(first), coded.numbers.first_shifts)
        self._rest = _Part(self.query, slice(first, None), coded.numbers.shifts)
        self._per_rest = float(np.linalg.norm(query[first:])) * (1 + 1e-9) / self.unit

    def parts(self) -> Parts | None:
        """Those of rows that are cut."""
        matrix = self.matrix
        if not isinstance(matrix, CutMatrix):
            return None
        first, rest = _First(self, matrix.first), _Rest(self, matrix.rest, len(self._rest.codes))
        return Parts(first, rest, self._coded.attempts)

    def score(self, block: CodeRows, rows: slice | Slots, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds the codes."""
        first, rest = codes.cut(block["codes"])
        if not first.shape[1]:
            self._multiply(self._rest, rest, rows, out)
            self._complete(rows, out)
        else:
            self.score_first(first, rows, out)
            self.add_rest(rest, rows, out)

    def score_first(self, kept: Codes, rows: slice | Slots, out: Keys) -> None:
        """Write what the first part of the codes adds to the keys."""
        self._multiply(self._first, kept, rows, out)
        self._complete(rows, out)

    def add_rest(self, kept: Codes, rows: slice | Slots, out: Keys) -> None:
        """Add what the rest of the codes adds."""
        own = np.empty_like(out)
        self._multiply(self._rest, kept, rows, own)
        out += own

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

    def first_errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """The same without the rest, which can add as much as both rests are long."""
        return self.errors(rows) + self._per_rest * self._coded.numbers.rests[rows]

    def group_first_errors(self) -> NDArray[np.float64]:
        """The greatest of these in each group of rows."""
        return self.group_errors() + self._per_rest * self._coded.group_rests

    def _multiply(self, part: _Part, kept: Codes, rows: slice | Slots, out: Keys) -> None:
        """Write what a part of the codes adds to the keys."""
        np.subtract(self._coded.products(part.codes, kept), part.shifts[rows], out=out)
        out -= part.shift
        out *= self._coded.numbers.factors[rows]
        if self._is_distance:
            out *= np.float32(self.query.scale)

    def _complete(self, rows: slice | Slots, out: Keys) -> None:
        if self._is_distance:
            out -= self._coded.numbers.squares[rows]

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


class _Part:
    """A part of a query's codes."""

    def __init__(self, query: QueryCodes, part: slice, shifts: Floats) -> None:
        self.codes, self.shift, self.shifts = query.codes[part], query.shift(part), shifts


class _First(Ranking):
    """The first part of each row."""

    def __init__(self, whole: CodeRanking, matrix: Matrix) -> None:
        self._whole, self.matrix = whole, matrix
        self.rows_at_once, self.gathered_at_once = _at_once(self.matrix)

    def score(self, block: Codes, rows: slice | Slots, out: Keys) -> None:
        """Write the keys of ``rows``."""
        self._whole.score_first(block, rows, out)

    def errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """How far the keys of ``rows`` can be off."""
        return self._whole.first_errors(rows)

    def group_errors(self) -> NDArray[np.float64]:
        """The greatest error in each group of rows."""
        return self._whole.group_first_errors()


class _Rest(Ranking):
    """The rest of each row; what it says is added to the keys."""

    def __init__(self, whole: CodeRanking, matrix: Matrix, width: int) -> None:
        self._whole, self.matrix, self._width = whole, matrix, width
        self.rows_at_once, self.gathered_at_once = _at_once(self.matrix)

    def score(self, block: Codes, rows: slice | Slots, out: Keys) -> None:
        """Add to the keys of ``rows``."""
        self._whole.add_rest(block[:, : self._width], rows, out)

    def errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """How far the keys of ``rows`` can be off."""
        return self._whole.errors(rows)

    def group_errors(self) -> NDArray[np.float64]:
        """The greatest error in each group of rows."""
        return self._whole.group_errors()


def _at_once(matrix: Matrix) -> tuple[int, int]:
    """How many rows are best read at once, and how many are gathered."""
    size = matrix.row.itemsize
    return max(1, _SCANNED // size), max(1, _GATHERED // size)
