"""Exact search for many queries at once, which share each block while it is in a cache.

One matrix product a block, of codes or of values, gives the best key of each group of rows for each
query. The groups that can hold one of a query's best are few; they are searched as for a single
query.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorize_core.local import candidates, workers
from vectorize_core.local.batch_ranking import BatchRanking
from vectorize_core.local.candidates import Mask
from vectorize_core.local.code_batch_ranking import CodeBatchRanking
from vectorize_core.local.code_products import packing
from vectorize_core.local.float_batch_ranking import FloatBatchRanking
from vectorize_core.local.index_codes import Coded
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import Norms
from vectorize_core.local.ranking import GROUP, Keys, Ranking
from vectorize_core.models import Metric

_TOPS_AT_ONCE: Final = 1 << 24
"""Best keys that are kept at once."""
_MOST_QUERIES: Final = 256
"""Of more, the keys of a block do not stay in a processor's caches."""


def candidates_of_each(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    coded: Coded | None,
    queries: Rows,
    k: int,
    mask: Mask | None,
) -> list[Slots]:
    """For each query, the rows that pass ``mask`` and can be among the best ``k``, with ties.

    Each query has a length that float32 can square; there are more than ``k`` rows.
    """
    groups = -(-matrix.count // GROUP)
    together = max(1, min(_MOST_QUERIES, _TOPS_AT_ONCE // groups))
    found: list[Slots] = []
    for start in range(0, len(queries), together):
        wide = queries[start : start + together].astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1)
        asked = wide if metric == "euclidean" else wide / lengths[:, np.newaxis]
        batch: BatchRanking = FloatBatchRanking(metric, matrix, norms, asked, lengths)
        finest = batch.rankings
        if coded is not None and (pack := packing()) is not None:
            by_codes = CodeBatchRanking(metric, coded, asked, pack)
            if candidates.are_few(by_codes.rankings[0], k, mask):
                batch = by_codes
        if batch.matrix is matrix:
            matrix.read_ahead()
        tops = _tops(batch, mask)
        for number, (ranking, finer) in enumerate(zip(batch.rankings, finest, strict=True)):
            found.append(_candidates(ranking, finer, tops[:, number].copy(), k, mask))
    return found


def _tops(batch: BatchRanking, mask: Mask | None) -> Keys:
    """The best key of each group of rows, a row, for each query, a column."""
    matrix, many = batch.matrix, len(batch.rankings)
    spans = list(matrix.spans(batch.rows_at_once))
    tops = np.empty((-(-matrix.count // GROUP), many), np.float32)

    def best(number: int) -> Keys:
        span = spans[number]
        keys = np.empty((span.stop - span.start, many), np.float32)
        with np.errstate(all="ignore"):
            batch.score(matrix.block(span), span, keys)
            if mask is not None:
                keys[~mask[span]] = -np.inf
            return np.maximum.reduceat(keys, np.arange(0, len(keys), GROUP))

    def keep(number: int, found: Keys) -> None:
        tops[spans[number].start // GROUP :][: len(found)] = found

    workers.collect(len(spans), best, keep, worthwhile=batch.is_shared)
    return tops


def _candidates(ranking: Ranking, finer: Ranking, tops: Keys, k: int, mask: Mask | None) -> Slots:
    """Of one query, by the best keys of its ranking; the ``finer`` one may be the same."""
    groups, _ = candidates.good_groups(tops, ranking.group_errors(), k)
    if 2 * len(groups) > len(tops):
        return candidates.among_all(finer, k, mask).rows
    rows = candidates.rows_of(groups, GROUP, ranking.matrix.count)
    near = candidates.among(ranking, k, rows if mask is None else rows[mask[rows]])
    if ranking is finer:
        return near.rows
    rows = candidates.narrowed(near, ranking, finer, k)
    return rows if len(rows) <= k else candidates.among(finer, k, rows).rows
