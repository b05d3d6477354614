"""Vectors that are as hard to search as embeddings of text: clustered, of low intrinsic dimension.

Gaussian noise misleads: its nearest neighbours are hardly nearer than any other vector, which no
embedding of text shows. Here clusters of Zipf's sizes lie around a common mean, each spread in a
few directions of its own, over a spectrum that falls off as a power law, with some noise. All of it
is turned at random, so that no dimension says more than another, and none comes first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

_CLUSTERS, _RANK, _NOISE, _MEAN, _DECAY = 150, 40, 0.55, 0.6, 0.4


class Clustered:
    """A source of unit vectors; two of one seed give the same clusters."""

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self._spectrum = np.arange(1, dimensions + 1) ** -_DECAY
        self._mean = _MEAN * _unit(random.standard_normal(dimensions))
        self._centres = _unit(random.standard_normal((_CLUSTERS, dimensions)) * self._spectrum)
        self._directions = random.standard_normal((_CLUSTERS, _RANK, dimensions)) * self._spectrum
        self._directions /= np.linalg.norm(self._directions, axis=2, keepdims=True)
        sizes = 1.0 / np.arange(1, _CLUSTERS + 1)
        self._shares = sizes / sizes.sum()
        self._dimensions = dimensions
        self._turn = np.linalg.qr(random.standard_normal((dimensions, dimensions)))[0]

    def rows(self, count: int, seed: int) -> Rows:
        """``count`` vectors, the same for the same seed."""
        random = np.random.default_rng([seed, 7])
        chosen = random.choice(_CLUSTERS, count, p=self._shares)
        rows = np.empty((count, self._dimensions))
        for cluster in np.unique(chosen):
            where = np.flatnonzero(chosen == cluster)
            spread = random.standard_normal((len(where), _RANK)) / np.sqrt(_RANK)
            noise = random.standard_normal((len(where), self._dimensions)) * self._spectrum
            noise *= _NOISE / np.linalg.norm(self._spectrum)
            rows[where] = _unit(
                self._mean + self._centres[cluster] + spread @ self._directions[cluster] + noise
            )
        turned: Rows = (rows @ self._turn).astype(np.float32)
        return turned

    def batches(self, count: int, size: int) -> Iterator[Rows]:
        """``count`` vectors, in batches."""
        for number, start in enumerate(range(0, count, size)):
            yield self.rows(min(size, count - start), number)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
