"""What a score of Vectorize says about relevance, which LangChain wants from 0 to 1.

Relevance is ``(1 + cosine) / 2``: 1 for the same direction as the query's, 0.5 at a right angle, 0
for the opposite. By cosine that is exact. The other metrics' scores depend on lengths too; they are
read as if every vector were as long as the query's. So embeddings of one length, as most models
make them, have the same relevance by all metrics, and a document with the query's own embedding has
1. A vector that is longer than the query's can score higher than that, or be further away than the
opposite: its relevance is 1 or 0. Relevance never contradicts the order of the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from vectorize_core.models import Metric, Values

_DIGITS: Final = 6


def relevance_by(metric: Metric, query: Values | None = None) -> Callable[[float], float]:
    """The function from a score to relevance, for this query; without one, for one of length 1."""
    squared = 1.0 if query is None else float(np.square(query, dtype=np.float64).sum())
    if squared == 0.0:
        squared = 1.0

    def rounded(cosine: float) -> float:
        # Scores are of single precision: without this, the perfect match would be at 0.99999998.
        return round(cosine, _DIGITS)

    def relevance(score: float) -> float:
        if metric == "cosine":
            cosine = score
        elif metric == "dot-product":
            cosine = rounded(-score / squared)
        else:
            cosine = rounded(1.0 - score * score / (2.0 * squared))
        return min(1.0, max(0.0, (1.0 + cosine) / 2.0))

    return relevance
