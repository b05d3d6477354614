"""How much runs by day, and how much with ``VECTORIZE_NIGHTLY=1``."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import Final, TypeVar

import pytest
from hypothesis import settings

T = TypeVar("T")
NIGHTLY: Final = os.environ.get("VECTORIZE_NIGHTLY") == "1"


timed = pytest.mark.skipif(not NIGHTLY, reason="measures time, so only at night")
"""A test that a machine which is busy otherwise could fail."""


def sized(day: T, night: T) -> T:
    return night if NIGHTLY else day


def examples(count: int) -> settings:
    """Half as many examples by day, and twenty times as many at night."""
    return settings(max_examples=sized(count // 2, 20 * count))


def covering(cases: Sequence[Mapping[str, Hashable]], strength: int) -> list[int]:
    """Positions of few cases that hold every combination of ``strength`` values there is.

    With 2, each value of a parameter meets each value of every other one; with 1, each value
    occurs. The earlier of equally good cases is taken.
    """
    held = [set(combinations(sorted(case.items()), min(strength, len(case)))) for case in cases]
    missing = set().union(*held)
    chosen: list[int] = []
    # What a case adds only gets less: one that adds as much as when it was put here is the best.
    by_most_added = [(-len(held[at]), at) for at in range(len(cases))]
    heapify(by_most_added)
    while missing:
        before, best = heappop(by_most_added)
        added = held[best] & missing
        if len(added) == -before:
            missing -= added
            chosen.append(best)
        else:
            heappush(by_most_added, (-len(added), best))
    return sorted(chosen)
