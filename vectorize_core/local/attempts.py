"""`Attempts`: whether to try again what helps some queries, and costs the others."""

from __future__ import annotations

from typing import Final

_MOST_SKIPPED: Final = 15


class Attempts:
    """The more often in a row something did not help, the longer it is left out.

    Each number of wanted results counts by itself, but for those that are nearly as many. Threads
    may share it: what gets lost between them is an attempt.
    """

    def __init__(self) -> None:
        self._skipped: dict[int, int] = {}
        self._left: dict[int, int] = {}

    def is_due(self, k: int) -> bool:
        """Whether to try it for the best ``k``."""
        kind = k.bit_length()
        left = self._left.get(kind, 0)
        if left:
            self._left[kind] = left - 1
        return not left

    def note(self, k: int, *, helped: bool) -> None:
        """Remember whether it helped."""
        kind = k.bit_length()
        skipped = 0 if helped else min(_MOST_SKIPPED, 2 * self._skipped.get(kind, 0) + 1)
        self._skipped[kind] = self._left[kind] = skipped
