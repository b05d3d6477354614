"""What is left to do for a text index, from one call to the next."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from typing import Final

from vectorize_core import forks
from vectorize_core.texts.puts import Puts

_MOST_DUE: Final = 10_000
"""Records whose rows may be due; of more, those due longest go with the records' next write."""


class Upkeep:
    """What a store and its views remember of the rows that they keep; thread-safe.

    Rows of replaced texts are due while reads may still see the old vectors: until all own writes
    are awaited, or for ten minutes. What is still due when the process ends goes with the next
    write of its record.
    """

    def __init__(self) -> None:
        self._due: deque[tuple[float, Puts]] = deque()
        self._records = 0
        self._claimed: set[str] = set()
        """Notes of puts that somebody looks at."""
        self._settled: set[str] = set()
        """Notes of own puts whose vectors are all written."""
        self._lock = forks.lock()

    def __reduce__(self) -> tuple[object, ...]:
        # In another process nothing is due.
        return Upkeep, ()

    def __bool__(self) -> bool:
        """Whether anything is due."""
        return bool(self._due)

    def leave(self, puts: Puts, now: float) -> None:
        """Note rows that are due from now on."""
        with self._lock:
            self._due.append((now, puts))
            self._records += len(puts)
            while self._records > _MOST_DUE:
                self._take_first()

    def _take_first(self) -> Puts:
        puts = self._due.popleft()[1]
        self._records -= len(puts)
        return puts

    def take(self, until: float = math.inf) -> Puts:
        """The rows that are due since ``until``, which are due no more."""
        taken: Puts = {}
        with self._lock:
            while self._due and self._due[0][0] <= until:
                for record_id, some in self._take_first().items():
                    taken.setdefault(record_id, []).extend(some)
        return taken

    def settle(self, names: Iterable[str]) -> None:
        """Remember that the vectors of the puts that these notes are of are all written."""
        with self._lock:
            self._settled.update(names)

    def settled(self, noted: Collection[str]) -> set[str]:
        """Those of the notes that were settled. What is ``noted`` no more is forgotten."""
        with self._lock:
            self._settled.intersection_update(noted)
            return self._settled.copy()

    def claim(self, names: Iterable[str], noted: Collection[str]) -> set[str]:
        """Those of ``names`` that nobody has claimed. What is ``noted`` no more is forgotten."""
        with self._lock:
            claimed = {*names} - self._claimed
            self._claimed = self._claimed.intersection(noted) | claimed
        return claimed
