"""Exact scores over a float32 matrix: the nearest, similarities, and the most diverse.

Every row is scored on its own, in float64, in an order of additions that its neighbours do not
change: the score of a vector is the same number whatever else is searched with it.
Scores are the service's: https://developers.cloudflare.com/vectorize/best-practices/create-indexes/
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.models import Metric, Values

Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]

_BLOCK_ROWS: Final = 256
_LARGEST: Final = float(np.finfo(np.float32).max)


def scores(
    metric: Metric, matrix: Matrix, query: Values, rows: Positions | None = None
) -> NDArray[np.float32]:
    """The score of each row, or of ``rows``: cosine, Euclidean distance or negative dot product.

    The cosine with a zero vector is 0. A score beyond float32 is given as the largest one.
    """
    wide = query.astype(np.float64)
    result = np.empty(len(matrix if rows is None else rows), dtype=np.float32)
    for start in range(0, len(result), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = matrix[part if rows is None else rows[part]].astype(np.float64)
        result[part] = np.clip(_scores(metric, block, wide), -_LARGEST, _LARGEST)
    return result


def top(
    metric: Metric, scored: NDArray[np.float32], k: int, *, newest_first: bool = False
) -> Positions:
    """Positions of the best ``k`` scores, best first; of equal ones the first (or the last) row."""
    order = np.arange(len(scored))[:: -1 if newest_first else 1]
    key = scored[order] if _smaller_is_better(metric) else -scored[order]
    if k < len(key):
        # Keeping every row that ties with the last one lets the stable sort choose between them.
        kept = np.flatnonzero(key <= np.partition(key, k - 1)[k - 1])
        order, key = order[kept], key[kept]
    return order[np.argsort(key, kind="stable")[:k]]


def nearest(
    metric: Metric,
    matrix: Matrix,
    query: Values,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
) -> tuple[Positions, NDArray[np.float32]]:
    """Positions and scores of the best ``k`` rows among those that ``mask`` lets through."""
    rows = None if mask is None else np.flatnonzero(mask)
    scored = scores(metric, matrix, query, rows)
    best = top(metric, scored, k, newest_first=newest_first)
    return best if rows is None else rows[best], scored[best]


def similarity(metric: Metric, score: float) -> float:
    """A score of Vectorize as a similarity: larger is nearer, for every metric."""
    if metric == "cosine":
        return score
    return -score if metric == "dot-product" else 1.0 / (1.0 + score)


def similarities(metric: Metric, matrix: Matrix, target: Values) -> NDArray[np.float64]:
    """The similarity of each row to ``target``."""
    scored = scores(metric, matrix, target).astype(np.float64)
    if metric == "cosine":
        return scored
    return -scored if metric == "dot-product" else 1.0 / (1.0 + scored)


def choose_diverse(
    metric: Metric, matrix: Matrix, target: Values, threshold: float, k: int
) -> list[int]:
    """Positions of ``k`` rows by maximal marginal relevance, in order of selection.

    ``threshold`` weighs nearness to ``target`` against novelty: 1 gives the nearest rows, 0 the
    most diverse ones after the nearest. Novelty is distance from the most similar row chosen.
    """
    nearness = similarities(metric, matrix, target)
    repeated = np.full(len(matrix), -np.inf)
    chosen: list[int] = []
    # The first one repeats nothing: it is the nearest, whatever the threshold.
    worth = nearness.copy()
    while len(chosen) < min(k, len(matrix)):
        best = int(np.argmax(worth))
        chosen.append(best)
        repeated = np.maximum(repeated, similarities(metric, matrix, matrix[best]))
        worth = threshold * nearness - (1.0 - threshold) * repeated
        worth[chosen] = -np.inf
    return chosen


def _scores(
    metric: Metric, block: NDArray[np.float64], query: NDArray[np.float64]
) -> NDArray[np.float64]:
    if metric == "euclidean":
        return _lengths(block - query)
    # einsum, unlike BLAS, adds up a row in the same order wherever the row lies.
    dots: NDArray[np.float64] = np.einsum("ij,j->i", block, query)
    if metric == "dot-product":
        return 0.0 - dots
    lengths = _lengths(block) * _lengths(query[np.newaxis])
    return np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0.0)


def _lengths(block: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", block, block))
    return lengths


def _smaller_is_better(metric: Metric) -> bool:
    return metric != "cosine"
