"""Exact scores over a float32 matrix: the nearest rows, similarities, and the most diverse rows.

Every row is scored alone, in float64, with its additions in a fixed order. So a vector's score is
the same number whatever else is searched with it.
Scores are the service's: https://developers.cloudflare.com/vectorize/best-practices/create-indexes/
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import orjson
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

    The cosine with a zero vector is 0. A score beyond float32 is cut to the largest.
    """
    wide = query.astype(np.float64)
    result = np.empty(len(matrix if rows is None else rows), dtype=np.float32)
    for start in range(0, len(result), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = matrix[part if rows is None else rows[part]].astype(np.float64)
        found = _scores(metric, block, wide)
        # A cosine is never so large.
        result[part] = found if metric == "cosine" else found.clip(-_LARGEST, _LARGEST)
    return result


def top(
    metric: Metric, scored: NDArray[np.float32], k: int, *, newest_first: bool = False
) -> Positions:
    """Positions of the best ``k`` scores, best first; of equal scores the first (or last) row."""
    best: Positions
    key = scored if _smaller_is_better(metric) else -scored
    if newest_first:
        key = key[::-1]
    if k < len(key):
        # Every row that ties with the last one is kept: the stable sort chooses between them.
        kept = np.flatnonzero(key <= np.partition(key, k - 1)[k - 1])
        best = kept[np.argsort(key[kept], kind="stable")[:k]]
    else:
        best = np.argsort(key, kind="stable")
    return len(scored) - 1 - best if newest_first else best


def nearest(
    metric: Metric,
    matrix: Matrix,
    query: Values,
    k: int,
    mask: Mask | None = None,
    *,
    newest_first: bool = False,
) -> tuple[Positions, NDArray[np.float32]]:
    """Positions and scores of the best ``k`` rows, of those that ``mask`` selects."""
    rows = None if mask is None else np.flatnonzero(mask)
    scored = scores(metric, matrix, query, rows)
    best = top(metric, scored, k, newest_first=newest_first)
    return best if rows is None else rows[best], scored[best]


def shortest(scored: NDArray[np.float32]) -> list[float]:
    """Scores as JSON prints those of the service: the shortest decimals that are the same float32.

    So a score is the same number whether it was computed here or read from an answer.
    """
    found: list[float] = orjson.loads(orjson.dumps(scored, option=orjson.OPT_SERIALIZE_NUMPY))
    return found


def similarity(metric: Metric, score: float) -> float:
    """A score of Vectorize as a similarity: larger is nearer, for every metric."""
    if metric == "cosine":
        return score
    return -score if metric == "dot-product" else 1.0 / (1.0 + score)


def score_of(metric: Metric, similarity: float) -> float:
    """The score of Vectorize that has a similarity; infinite where none has."""
    if metric != "euclidean":
        return similarity if metric == "cosine" else -similarity
    return 1.0 / similarity - 1.0 if similarity > 0.0 else math.inf


def similarities(metric: Metric, matrix: Matrix, target: Values) -> NDArray[np.float64]:
    """The similarity of each row to ``target``."""
    scored = scores(metric, matrix, target).astype(np.float64)
    if metric == "cosine":
        return scored
    return -scored if metric == "dot-product" else 1.0 / (1.0 + scored)


def choose_diverse(
    metric: Metric, matrix: Matrix, target: Values, threshold: float, k: int
) -> list[int]:
    """Positions of ``k`` rows by maximal marginal relevance, in the order of their choice.

    ``threshold`` weighs similarity to ``target`` against similarity to the rows already chosen:
    1 gives the nearest rows, 0 the nearest row and then the most diverse ones.
    """
    relevance = similarities(metric, matrix, target)
    redundancy = np.full(len(matrix), -np.inf)
    chosen: list[int] = []
    # The first row is the nearest one, whatever the threshold.
    worth = relevance.copy()
    while len(chosen) < min(k, len(matrix)):
        best = int(np.argmax(worth))
        chosen.append(best)
        redundancy = np.maximum(redundancy, similarities(metric, matrix, matrix[best]))
        worth = threshold * relevance - (1.0 - threshold) * redundancy
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
    lengths[lengths == 0.0] = np.inf
    return dots / lengths


def _lengths(block: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", block, block))
    return lengths


def _smaller_is_better(metric: Metric) -> bool:
    return metric != "cosine"
