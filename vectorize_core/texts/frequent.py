"""`FrequentWords`: what need not be counted again with every question."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Final

_LEAST: Final = 1_000
"""Records of a word from which on it takes SQLite long to count them."""
_KNOWN_FOR: Final = 600.0
"""Seconds."""
_MOST: Final = 10_000


class FrequentWords:
    """How many records have the most frequent words of indexes, as was counted lately."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, tuple[float, int]]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return FrequentWords, ()

    def find(self, index: str, word: str) -> int | None:
        """How many records of an index have a word, if that is known."""
        at, records = self._found.get(index, {}).get(word, (-math.inf, 0))
        return records if at > time.monotonic() - _KNOWN_FOR else None

    def note(self, index: str, counted: Mapping[str, int]) -> None:
        """Note what was counted, or passed on from here."""
        known = self._found.setdefault(index, {})
        if len(known) > _MOST:
            known.clear()
        now = time.monotonic()
        for word, records in counted.items():
            if records >= _LEAST and self.find(index, word) is None:
                known[word] = now, records

    def forget(self, index: str) -> None:
        """Forget an index."""
        self._found.pop(index, None)
