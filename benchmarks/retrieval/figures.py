"""How good rankings are, of queries that have one right answer each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

DEPTH: Final = 10
"""How many results are looked at."""
Place: TypeAlias = int | None
"""Where among the results of a query its answer stands: from 0, or None if it is not among them."""

_SAMPLES, _SEED = 4_000, 17


class Figures(NamedTuple):
    """Means over queries, 0 to 1."""

    hit_1: float
    hit_5: float
    mrr: float
    ndcg: float

    @classmethod
    def of(cls, places: Sequence[Place]) -> Self:
        """The figures of these queries; all are of the first `DEPTH` results."""
        found = np.array([place for place in places if place is not None])
        count = len(places)
        return cls(
            float(np.sum(found < 1)) / count,
            float(np.sum(found < 5)) / count,
            float(np.sum(1 / (found + 1))) / count,
            float(gains(places).mean()),
        )


def gains(places: Sequence[Place]) -> NDArray[np.float64]:
    """The nDCG of each query: 1 for an answer that comes first, 0 for one that is not found."""
    return np.array([0.0 if place is None else 1 / np.log2(place + 2) for place in places])


class Gain(NamedTuple):
    """By how much the nDCG of one mode is above that of another, with a 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def between(cls, places: Sequence[Place], others: Sequence[Place]) -> Self:
        """Of the same queries, which are drawn anew with repetition, thousands of times."""
        gained = gains(places) - gains(others)
        drawn = np.random.default_rng(_SEED).integers(len(gained), size=(_SAMPLES, len(gained)))
        low, high = np.percentile(gained[drawn].mean(axis=1), [2.5, 97.5])
        return cls(float(gained.mean()), float(low), float(high))
