"""Exact search for many queries at once, which share each block while it is in a cache.

One matrix product a block gives the best key of each group of rows for each query. The groups that
can hold one of a query's best are few; they are searched as for a single query.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import candidates
from vectorize_core.local.candidates import Mask
from vectorize_core.local.float_ranking import FloatRanking
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import Norms
from vectorize_core.models import Metric

_GROUP: Final = 32
"""Rows of which only the best key is kept."""
_ROWS_AT_ONCE: Final = 4_096
_TOPS_AT_ONCE: Final = 1 << 24
"""Best keys that are kept at once."""


def candidates_of_each(
    metric: Metric, matrix: Matrix, norms: Norms, queries: Rows, k: int, mask: Mask | None
) -> list[Slots]:
    """For each query, the rows that pass ``mask`` and can be among the best ``k``, with ties.

    Each query has a length that float32 can square; there are more than ``k`` rows.
    """
    matrix.read_ahead()
    groups = -(-matrix.count // _GROUP)
    together = max(1, _TOPS_AT_ONCE // groups)
    found: list[Slots] = []
    for start in range(0, len(queries), together):
        some = queries[start : start + together]
        lengths = np.linalg.norm(some.astype(np.float64), axis=1)
        asked = some if metric == "euclidean" else some / lengths[:, np.newaxis]
        asked = np.ascontiguousarray(asked.T, np.float32)
        tops = _tops(FloatRanking(metric, matrix, norms, asked, 0.0), mask, groups)
        for number, length in enumerate(lengths.tolist()):
            ranking = FloatRanking(metric, matrix, norms, asked[:, number].copy(), length)
            found.append(_candidates(ranking, tops[:, number].copy(), k, mask))
    return found


def _tops(ranking: FloatRanking, mask: Mask | None, groups: int) -> NDArray[np.float32]:
    """The best key of each group of rows, a row, for each query, a column."""
    matrix = ranking.matrix
    many = ranking.query.shape[1]
    tops = np.empty((groups, many), np.float32)
    keys = np.empty((_ROWS_AT_ONCE, many), np.float32)
    with np.errstate(all="ignore"):
        for start, block in matrix.blocks(_ROWS_AT_ONCE):
            part = slice(start, start + len(block))
            own = keys[: len(block)]
            ranking.score_each(block, part, own)
            if mask is not None:
                own[~mask[part]] = -np.inf
            whole, first = len(block) // _GROUP, start // _GROUP
            grouped = own[: whole * _GROUP].reshape(whole, _GROUP, many)
            np.max(grouped, axis=1, out=tops[first : first + whole])
            if whole * _GROUP < len(block):
                np.max(own[whole * _GROUP :], axis=0, out=tops[first + whole])
    return tops


def _candidates(
    ranking: FloatRanking, tops: NDArray[np.float32], k: int, mask: Mask | None
) -> Slots:
    groups, _ = candidates.good_groups(tops, ranking.group_errors(), k)
    if 2 * len(groups) > len(tops):
        return candidates.among_all(ranking, k, mask).rows
    rows = candidates.rows_of(groups, _GROUP, ranking.matrix.count)
    return candidates.among(ranking, k, rows if mask is None else rows[mask[rows]]).rows
