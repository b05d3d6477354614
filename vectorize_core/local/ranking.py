"""`Ranking`: keys that order the rows of an index nearly as their scores do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.attempts import Attempts
from vectorize_core.local.matrix import Matrix, Slots

Keys = NDArray[np.float32]

GROUP: Final = 32
"""Rows whose greatest error and whose best key are known."""


class Ranking(ABC):
    """The keys of rows for a query, greater is better, and how far each can be off.

    A key that is NaN says nothing of its row. The errors cover the roundings of the score too, so
    rows of equal scores have keys that overlap.
    """

    unit: float = 1.0
    """What a key of 1 stands for, so that keys of two rankings can be compared."""
    matrix: Matrix
    """What is read of each row."""
    rows_at_once: int
    """How many consecutive rows are best scored at once."""
    gathered_at_once: int
    """How many rows are best copied together and scored, so that they stay in a cache."""

    def parts(self) -> Parts | None:
        """Those of rows that are cut; None if rows are read as wholes."""
        return None

    @abstractmethod
    def score(self, block: NDArray[Any], rows: slice | Slots, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds what is read."""

    @abstractmethod
    def errors(self, rows: slice | Slots) -> NDArray[np.float64]:
        """How far the keys of ``rows`` can be off, or one number for all of them.

        NaN or anything where a key is NaN.
        """

    @abstractmethod
    def group_errors(self) -> NDArray[np.float64]:
        """The greatest error in each `GROUP` of rows, or one number for all."""


class Parts(NamedTuple):
    """Rankings by parts of each row.

    ``first`` has greater errors. ``rest`` adds to its keys, so that they are as good as those of
    whole rows.
    """

    first: Ranking
    rest: Ranking
    attempts: Attempts
    """To read the first part alone, and the rest of few rows."""
