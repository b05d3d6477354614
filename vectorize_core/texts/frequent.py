"""`FrequentWords`: what need not be counted again with every question."""

from __future__ import annotations

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

    def of(self, index: str) -> dict[str, int]:
        """Those of an index."""
        since = time.monotonic() - _KNOWN_FOR
        found = [*self._found.get(index, {}).items()]
        return {word: records for word, (at, records) in found if at > since}

    def note(self, index: str, counted: Mapping[str, int]) -> None:
        """Note what was counted, or passed on from here."""
        known = self._found.setdefault(index, {})
        if len(known) > _MOST:
            known.clear()
        now, current = time.monotonic(), self.of(index)
        for word, records in counted.items():
            if records >= _LEAST and word not in current:
                known[word] = now, records

    def forget(self, index: str) -> None:
        """Forget an index."""
        self._found.pop(index, None)
