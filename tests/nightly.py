"""How much runs by day, and how much with ``VECTORIZE_NIGHTLY=1``."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
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
    """So many examples by day, and twenty times as many at night."""
    return settings(max_examples=sized(count, 20 * count))


def covering(cases: Sequence[Mapping[str, Hashable]], strength: int) -> list[int]:
    """Positions of few cases that hold every combination of ``strength`` values there is.

    With 2, each value of a parameter meets each value of every other one; with 1, each value
    occurs. The earlier of equally good cases is taken.
    """
    held = [set(combinations(sorted(case.items()), min(strength, len(case)))) for case in cases]
    missing = set().union(*held)
    chosen: list[int] = []
    while missing:
        best = max(range(len(cases)), key=lambda at: (len(held[at] & missing), -at))
        missing -= held[best]
        chosen.append(best)
    return sorted(chosen)
