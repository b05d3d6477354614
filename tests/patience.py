"""How tests wait on a machine that is slow, or stands still for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


def growing(seconds: float) -> Iterator[float]:
    """Times for what has to end by itself: the next one where the machine stood still for so long.

    To be left as soon as the test has come to what it is about.
    """
    for factor in (1, 10, 50):
        yield factor * seconds
    raise AssertionError(f"it did not come to that within {50 * seconds} s either")
