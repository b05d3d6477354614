"""Exact search for many queries at once, which share each block while it is in a cache.

One matrix product a block, of codes or of values, gives the best key of each group of rows for each
query. The groups that can hold one of a query's best are few; they are searched as for a single
query.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from vectorize_core.local.ranking import GROUP, Keys
from vectorize_core.models import Metric

_TOPS_AT_ONCE: Final = 1 << 24
"""Best keys that are kept at once."""
_MOST_QUERIES: Final = 256
"""Of more, the keys of a block do not stay in a processor's caches."""
_FEWEST_BY_CODES: Final = 4
_FEWEST_BY_VALUES: Final = 16
"""Of fewer queries, each is sooner searched for by itself."""
_FEW_GROUPS: Final = 1 / 4
"""If more are left, a query is sooner searched for by itself than in the rows of these groups."""


def candidates_of_each(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    coded: Coded | None,
    queries: Rows,
    k: int,
    mask: Mask | None,
) -> Iterator[tuple[int, Slots]]:
    """The rows that pass ``mask`` and can be among the best ``k`` for a query, and its number.

    Left out are those queries that are sooner searched for by themselves. Each has a length that
    float32 can square; there are more than ``k`` rows.
    """
    together = max(1, min(_MOST_QUERIES, _TOPS_AT_ONCE * GROUP // matrix.count))
    pack = None if coded is None else packing()
    for start in range(0, len(queries), together):
        wide = queries[start : start + together].astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1)
        asked = wide if metric == "euclidean" else wide / lengths[:, np.newaxis]
        left = np.arange(len(asked))
        if coded is not None and pack is not None and len(left) >= _FEWEST_BY_CODES:
            by_codes = CodeBatchRanking(metric, coded, asked, pack)
            if candidates.are_few(by_codes.rankings[0], k, mask):
                finer = FloatBatchRanking(metric, matrix, norms, asked, lengths)
                for number, slots in _candidates(by_codes, finer, k, mask):
                    left = left[left != number]
                    yield start + number, slots
        if len(left) >= _FEWEST_BY_VALUES:
            matrix.read_ahead()
            by_values = FloatBatchRanking(metric, matrix, norms, asked[left], lengths[left])
            for number, slots in _candidates(by_values, by_values, k, mask):
                yield start + int(left[number]), slots


def _candidates(
    batch: BatchRanking, finer: BatchRanking, k: int, mask: Mask | None
) -> Iterator[tuple[int, Slots]]:
    """For queries of which few groups are left; the ``finer`` keys may be those of ``batch``."""
    tops = _tops(batch, mask)
    most = min(len(tops) // 2, max(int(_FEW_GROUPS * len(tops)), 2 * k))
    for number, ranking in enumerate(batch.rankings):
        groups, _ = candidates.good_groups(tops[:, number].copy(), ranking.group_errors(), k)
        if len(groups) > most:
            continue
        rows = candidates.rows_of(groups, GROUP, ranking.matrix.count)
        near = candidates.among(ranking, k, rows if mask is None else rows[mask[rows]])
        rows = near.rows
        if finer is not batch:
            rows = candidates.narrowed(near, ranking, finer.rankings[number], k)
            if len(rows) > k:
                rows = candidates.among(finer.rankings[number], k, rows).rows
        yield number, rows


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
