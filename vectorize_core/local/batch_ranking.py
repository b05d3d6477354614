"""`BatchRanking`: keys that order the rows of an index for many queries at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from vectorize_core.local.matrix import Matrix
from vectorize_core.local.ranking import Keys, Ranking


class BatchRanking(ABC):
    """The keys of a `Ranking` for each query, a row for each row and a column for each query."""

    rankings: Sequence[Ranking]
    """For each query, that with these keys and their errors."""
    matrix: Matrix
    """What is read of each row."""
    rows_at_once: int
    """How many consecutive rows are best scored at once."""
    is_shared: bool
    """Whether threads of ours share the rows, since no others do."""

    @abstractmethod
    def score(self, block: NDArray[Any], rows: slice, out: Keys) -> None:
        """Write the keys of ``rows``, of which ``block`` holds what is read."""
