"""Two dimensions of many: principal components, by numpy. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 12
"""Directions that are followed for the two that are wanted: the more, the fewer rounds it takes."""
_SOME: Final = 4_000
"""Vectors that show the directions well enough to begin with."""
_ROUNDS: Final = (12, 2)
"""Of steps towards the directions: with some vectors, then with all."""


class Projection(NamedTuple):
    """Points in float32, and which part of the variance each of the two dimensions holds."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    explained: tuple[float, float]


def project(vectors: NDArray[np.float32], *, directions_only: bool = False) -> Projection:
    """The points of vectors, one a row, along the two directions in which they vary most.

    ``directions_only``: vectors count as if all had length 1, as the cosine takes them. The same
    vectors give the same points. The array is used up.
    """
    count, dimensions = vectors.shape
    if count == 0:
        nothing = np.zeros(0, np.float32)
        return Projection(nothing, nothing, (0.0, 0.0))
    # Values near the limits of float32 would overflow in what follows.
    if directions_only:
        # Each by itself, or one that is huge would leave nothing of the others.
        vectors /= _largest(vectors, axis=1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0.0, lengths, 1.0)
    else:
        vectors /= _largest(vectors, axis=None)
    # In float32 the sum of many would lose what they differ by.
    vectors -= vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    total = float(np.linalg.norm(vectors)) ** 2
    if total <= 0.0:
        zeros = np.zeros(count, np.float32)
        return Projection(zeros, zeros.copy(), (0.0, 0.0))
    # Subspace iteration: a covariance of 1,536 dimensions would take ten times as long.
    width = min(_WIDTH, dimensions, count)
    start = np.random.default_rng(0).standard_normal((dimensions, width)).astype(np.float32)
    basis, _ = np.linalg.qr(start)
    for some, rounds in zip((vectors[:: max(count // _SOME, 1)], vectors), _ROUNDS, strict=True):
        for _ in range(rounds):
            basis, _ = np.linalg.qr(some.T @ (some @ basis))
    within = vectors @ basis
    # Of so few directions, exactly.
    _, _, turned = np.linalg.svd((within.T @ within).astype(np.float64))
    points = within @ turned[:2].T.astype(np.float32)
    if points.shape[1] < 2:
        points = np.column_stack((points, np.zeros(count, np.float32)))
    # Either sign is right: the same one each time.
    points *= np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0.0, -1.0, 1.0)
    first, second = np.linalg.norm(points, axis=0).astype(np.float64) ** 2 / total
    x, y = (np.ascontiguousarray(axis, np.float32) for axis in points.T)
    return Projection(x, y, (float(first), float(second)))


def _largest(vectors: NDArray[np.float32], axis: int | None) -> NDArray[np.float32]:
    """The largest absolute value of each vector, or of all; 1 where there is none but 0."""
    found = np.maximum(
        vectors.max(axis=axis, keepdims=True), -vectors.min(axis=axis, keepdims=True)
    )
    return np.where(found > 0.0, found, np.float32(1.0))
