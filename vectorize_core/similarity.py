"""Scores as similarities, larger for nearer by every metric, and what is chosen by them. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vectorize_core import scoring
from vectorize_core.models import Metric, Values


def similarity(metric: Metric, score: float) -> float:
    """A score of Vectorize as a similarity: larger is nearer, for every metric."""
    if metric == "cosine":
        return score
    return -score if metric == "dot-product" else 1.0 / (1.0 + score)


def similarities(metric: Metric, matrix: scoring.Matrix, target: Values) -> NDArray[np.float64]:
    """The similarity of each row to ``target``."""
    scores = scoring.scores(metric, matrix, target).astype(np.float64)
    if metric == "cosine":
        return scores
    return -scores if metric == "dot-product" else 1.0 / (1.0 + scores)


def choose_diverse(
    metric: Metric, matrix: scoring.Matrix, target: Values, threshold: float, k: int
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
