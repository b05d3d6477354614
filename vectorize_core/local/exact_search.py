"""Exact search: keys with a proven error leave few rows, and float64 decides between these.

A pass over the codes, or over the values in float32, gives each row a key and a bound of its error
(`CodeRanking`, `FloatRanking`), so every row that can be among the best ``k`` is known. These few
are scored by `scoring`, each by itself. So the result is the same, to the last bit and in all
ties, as if every row were scored so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import scoring
from vectorize_core.errors import StorageError
from vectorize_core.local import candidates
from vectorize_core.local.candidates import Mask, Near
from vectorize_core.local.code_products import packing
from vectorize_core.local.code_ranking import CodeRanking
from vectorize_core.local.exact_batches import candidates_of_each
from vectorize_core.local.float_ranking import FloatRanking
from vectorize_core.local.index_codes import Coded, IndexCodes
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import Norms
from vectorize_core.models import Metric, Values, are_finite

_CODED_FROM: Final = 1_500_000
"""From so many numbers on, reading their codes saves more than it costs."""
_FEW: Final = 20
"""So many rows are scored by themselves at once; of more, the candidates are found first."""
_GATHER_BELOW: Final = 0.3
"""If a smaller fraction of rows passes the mask, gathering them is faster than scoring all."""
_READ_AHEAD: Final = 0.02
"""If a larger fraction of rows is read, reading all around them is faster."""
_RESCORED: Final = 4_096
_MOST_OTHERS: Final = 20
_PRECISE_LENGTHS: Final = (1e-15, 1e15)
"""The lengths whose squares and products float32 computes with full precision."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows and their scores, best first; rows of equal scores in their order or its reverse."""

    slots: Slots
    scores: NDArray[np.float32]
    others: Slots
    """Rows that were so near that they were scored by themselves too, the nearest of them."""
    values: Rows | None
    """Those of ``slots`` and then of ``others``; None if they are to be read."""


def nearest(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    codes: IndexCodes | None,
    query: Values,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
    with_ties: bool = False,
) -> Found:
    """The best ``k`` rows that pass ``mask``; ``with_ties`` adds all that tie with the last one."""
    found = _candidates(metric, matrix, norms, codes, query, k, mask)
    return _decided(metric, matrix, k, query, found, newest_first=newest_first, with_ties=with_ties)


def nearest_to_each(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    codes: IndexCodes | None,
    queries: Rows,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
    with_ties: bool = False,
) -> Iterator[tuple[int, Found]]:
    """`nearest` for many queries, each a row of ``queries``, with its number, in any order."""
    decide = partial(_decided, metric, matrix, k, newest_first=newest_first, with_ties=with_ties)
    count = matrix.count if mask is None else int(np.count_nonzero(mask))
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    alone = dict.fromkeys(range(len(queries)))
    together = [number for number in alone if _is_precise(float(lengths[number]))]
    if count > k and count >= _GATHER_BELOW * matrix.count:
        coded = None if packing() is None else _coded(matrix, norms, codes, count)
        some = queries[together]
        for place, slots in candidates_of_each(metric, matrix, norms, coded, some, k, mask):
            del alone[together[place]]
            yield together[place], decide(some[place], slots)
    for number in alone:
        query = queries[number]
        yield number, decide(query, _candidates(metric, matrix, norms, codes, query, k, mask))


def _decided(
    metric: Metric,
    matrix: Matrix,
    k: int,
    query: Values,
    candidates: Slots,
    *,
    newest_first: bool,
    with_ties: bool,
) -> Found:
    """The best ``k`` of the candidates, each scored by itself."""
    scores = np.empty(len(candidates), np.float32)
    rows: Rows | None = None
    for start in range(0, len(candidates), _RESCORED):
        part = slice(start, start + _RESCORED)
        rows = matrix.take(candidates[part])
        if not are_finite(rows):
            # Such rows are always candidates, because their keys are NaN too.
            raise StorageError(
                "values that are no numbers were read: a file of values is damaged. Restore it, or "
                "see what can be saved: vectorize-stores check --path DIR"
            )
        scores[part] = scoring.scores(metric, rows, query)
    best = scoring.top(metric, scores, len(scores), newest_first=newest_first)
    if with_ties and k < len(best):
        # They are in order, so the ties with the k-th follow it.
        k += int(np.count_nonzero(scores[best[k:]] == scores[best[k - 1]]))
    best = best[: k + _MOST_OTHERS]
    slots = candidates[best]
    values = rows[best] if rows is not None and len(rows) == len(candidates) else None
    return Found(slots[:k], scores[best[:k]], slots[k:], values)


def _candidates(
    metric: Metric,
    matrix: Matrix,
    norms: Norms,
    codes: IndexCodes | None,
    query: Values,
    k: int,
    mask: Mask | None,
) -> Slots:
    """All rows that can be among the best ``k``, with ties, in ascending order."""
    count = matrix.count if mask is None else int(np.count_nonzero(mask))
    rows = None
    if mask is not None and count < _GATHER_BELOW * matrix.count:
        rows, mask = np.flatnonzero(mask), None
    if count <= max(k, _FEW):
        return _chosen(matrix, rows, mask)
    wide = query.astype(np.float64)
    length = math.sqrt(wide @ wide)
    if not _is_precise(length):
        return _chosen(matrix, rows, mask)
    # The query's length does not change the order, but for distances.
    asked = wide if metric == "euclidean" else wide / length
    coded = _coded(matrix, norms, codes, count)
    ranking = FloatRanking(metric, matrix, norms, asked.astype(np.float32), length)
    if codes is not None and coded is not None:
        by_codes = CodeRanking(metric, coded, asked)
        near: Near | None = None
        if rows is not None:
            near = candidates.among(by_codes, k, rows)
        elif codes.told_few or candidates.are_few(by_codes, k, mask):
            near = candidates.among_all(by_codes, k, mask)
            are_few = len(near.rows) <= max(k, _GATHER_BELOW * matrix.count)
            codes.told_few, near = are_few, near if are_few else None
        if near is not None:
            rows = candidates.narrowed(near, by_codes, ranking, k)
            if len(rows) <= k:
                return rows
    if rows is None or len(rows) > _READ_AHEAD * matrix.count:
        matrix.read_ahead()
    if rows is not None:
        return candidates.among(ranking, k, rows).rows
    return candidates.among_all(ranking, k, mask).rows


def _coded(matrix: Matrix, norms: Norms, codes: IndexCodes | None, count: int) -> Coded | None:
    """The codes, if reading those of so many rows saves anything, and they can be read."""
    if codes is None or count * matrix.dimensions < _CODED_FROM:
        return None
    return codes.of(matrix, norms)


def _is_precise(length: float) -> bool:
    return _PRECISE_LENGTHS[0] <= length <= _PRECISE_LENGTHS[1]


def _chosen(matrix: Matrix, rows: Slots | None, mask: Mask | None) -> Slots:
    if rows is not None:
        return rows
    return np.arange(matrix.count) if mask is None else np.flatnonzero(mask)
