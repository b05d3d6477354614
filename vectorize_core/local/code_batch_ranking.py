"""`CodeBatchRanking`: keys for many queries from the codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import codes
from vectorize_core.local.batch_ranking import BatchRanking
from vectorize_core.local.code_numbers import Floats
from vectorize_core.local.code_products import Codes, Packing
from vectorize_core.local.code_ranking import CodeRanking
from vectorize_core.local.codes import CodeRows
from vectorize_core.local.index_codes import Coded
from vectorize_core.local.ranking import Keys
from vectorize_core.local.row_types import CODES
from vectorize_core.models import Metric


class CodeBatchRanking(BatchRanking):
    """One pass over the codes, for all queries."""

    rows_at_once = 2_048
    is_shared = True

    def __init__(
        self, metric: Metric, coded: Coded, queries: NDArray[np.float64], packing: Packing
    ) -> None:
        self.matrix = coded.matrix
        self.rankings: Sequence[CodeRanking] = [
            CodeRanking(metric, coded, query) for query in queries
        ]
        numbers, first = coded.numbers, CODES.cut(queries.shape[1])
        self._numbers = numbers
        self._first = None
        if first:
            self._first = _Parts(self.rankings, slice(first), numbers.first_shifts, packing)
        self._rest = _Parts(self.rankings, slice(first, None), numbers.shifts, packing)
        self._scales = None
        if metric == "euclidean":
            self._scales = np.array([each.query.scale for each in self.rankings], np.float32)

    def score(self, block: CodeRows, rows: slice, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds the codes."""
        first, rest = codes.cut(block["codes"])
        if self._first is None:
            self._multiply(self._rest, rest, rows, out)
            self._complete(rows, out)
        else:
            self._multiply(self._first, first, rows, out)
            self._complete(rows, out)
            own = np.empty_like(out)
            self._multiply(self._rest, rest, rows, own)
            out += own

    def _multiply(self, parts: _Parts, kept: Codes, rows: slice, out: Keys) -> None:
        np.copyto(out, parts.multiplied(kept), casting="same_kind")
        out -= parts.shifts[rows, np.newaxis]
        out -= parts.shift
        out *= self._numbers.factors[rows, np.newaxis]
        if self._scales is not None:
            out *= self._scales

    def _complete(self, rows: slice, out: Keys) -> None:
        if self._scales is not None:
            out -= self._numbers.squares[rows, np.newaxis]


class _Parts:
    """A part of the codes of each query."""

    def __init__(
        self, rankings: Sequence[CodeRanking], part: slice, shifts: Floats, packing: Packing
    ) -> None:
        queries = [ranking.query for ranking in rankings]
        self.multiplied = packing(np.stack([query.codes[part] for query in queries]))
        self.shift = np.array([query.shift(part) for query in queries])
        self.shifts = shifts
