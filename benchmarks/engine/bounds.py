"""What an exact search is measured by: a dozen lines of numpy, and reading every number once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.engine.data import passes
from benchmarks.vectors import Rows

NUMPY = "np.dot + argpartition"


def numpy_scan(rows: Rows, query: Any, k: int) -> Any:
    """The numbers of the ``k`` best rows, best first, as a program without an engine finds them."""
    scores = np.dot(rows, query)
    best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
    return best[np.argsort(-scores[best])]


def read_all(rows: Rows, pool: ThreadPoolExecutor, threads: int = 2) -> None:
    """Read every byte once, on two threads, doing next to nothing with it."""
    words = rows.reshape(-1).view(np.uint64)
    list(pool.map(np.bitwise_xor.reduce, np.array_split(words, threads * 8)))


def nearest(
    rows: Rows, queries: Rows, k: int, wanted: dict[str, Any] | None = None
) -> list[set[str]]:
    """The ids of the ``k`` best that pass a filter, in float64: what recall is measured by."""
    numbers = np.flatnonzero(passes(len(rows), wanted))
    scores = rows[numbers].astype(np.float64) @ queries.astype(np.float64).T
    best = np.argsort(-scores, axis=0)[:k]
    return [{f"id{number}" for number in numbers[some]} for some in best.T]
