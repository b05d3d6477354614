"""What a score of Vectorize says about relevance, which LangChain wants from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

from vectorize_core.models import Metric


def cosine_relevance(score: float) -> float:
    """A cosine similarity, from -1 to 1, scaled to the range from 0 to 1."""
    return min(1.0, max(0.0, (1.0 + score) / 2.0))


def euclidean_relevance(score: float) -> float:
    """A distance, 0 or larger: 1 for the same vector, towards 0 for distant ones."""
    return 1.0 / (1.0 + max(0.0, score))


def dot_product_relevance(score: float) -> float:
    """A negative dot product of any size, through the logistic function."""
    if score > 0:
        shrunk = math.exp(-score)
        return shrunk / (1.0 + shrunk)
    return 1.0 / (1.0 + math.exp(score))


RELEVANCE: dict[Metric, Callable[[float], float]] = {
    "cosine": cosine_relevance,
    "euclidean": euclidean_relevance,
    "dot-product": dot_product_relevance,
}
