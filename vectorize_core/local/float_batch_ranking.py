"""`FloatBatchRanking`: keys for many queries from the values, by float32 arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.batch_ranking import BatchRanking
from vectorize_core.local.float_ranking import FloatRanking
from vectorize_core.local.matrix import Matrix, Rows
from vectorize_core.local.norms import Norms
from vectorize_core.local.ranking import Keys
from vectorize_core.models import Metric


class FloatBatchRanking(BatchRanking):
    """Products of matrices, for which BLAS uses threads of its own."""

    rows_at_once = 4_096
    is_shared = False

    def __init__(
        self,
        metric: Metric,
        matrix: Matrix,
        norms: Norms,
        queries: NDArray[np.float64],
        lengths: NDArray[np.float64],
    ) -> None:
        asked = queries.astype(np.float32)
        self.matrix = matrix
        self.rankings: Sequence[FloatRanking] = [
            FloatRanking(metric, matrix, norms, query, length)
            for query, length in zip(asked, lengths.tolist(), strict=True)
        ]
        self._columns = np.ascontiguousarray(asked.T)

    def score(self, block: Rows, rows: slice, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds the values."""
        np.matmul(block, self._columns, out=out)
        self.rankings[0].complete(rows, out)
