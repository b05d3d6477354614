"""Products of rows of codes, by the package simsimd, which uses the processor's instructions.

They are sums of integers, below 2**31 for up to 33,000 dimensions, and then rounded to float32. The
codes are unsigned, because simsimd multiplies those up to twice as fast without AVX-512.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Products = Callable[[Codes, Codes], NDArray[np.float32]]
"""The product of a row of codes with each of some rows, rounded to float32."""

_log = logging.getLogger(__name__)


@cache
def products() -> Products | None:
    """The function that multiplies; None, with one line in the log, where simsimd is missing."""
    try:
        cdist: Any = importlib.import_module("simsimd").cdist
    except ImportError as error:
        _log.info("searches read all values, for simsimd cannot be imported: %s", error)
        return None
    except Exception as error:
        _log.warning("searches read all values, for simsimd fails: %r", error)
        return None

    def multiplied(query: Codes, rows: Codes) -> NDArray[np.float32]:
        if not len(rows):
            return np.empty(0, np.float32)
        # Without `out=`, with which each call of simsimd 6.5 takes a reference to None too many.
        table = cdist(query[np.newaxis], rows, metric="dot", out_dtype="float32")
        found: NDArray[np.float32] = np.asarray(table)[0]
        return found

    try:
        right = _is_right(multiplied)
    except Exception as error:
        _log.warning("searches read all values, for simsimd fails: %r", error)
        return None
    if not right:
        _log.warning("searches read all values, for simsimd's products are wrong here")
    return multiplied if right else None


def for_checksums() -> Products:
    """`products`, or where there are none what is right below 2**24, as for checksums."""
    return products() or _by_numpy


def _by_numpy(query: Codes, rows: Codes) -> NDArray[np.float32]:
    found: NDArray[np.float32] = rows.astype(np.float32) @ query.astype(np.float32)
    return found


def _is_right(multiplied: Products) -> bool:
    """Whether the products of some rows are what they should be, at the extremes too."""
    rows = (np.arange(5 * 1_043, dtype=np.int64) * 37 % 256).reshape(5, 1_043)
    rows[0], rows[1] = 255, 0
    short = rows.astype(np.uint8)
    return all(
        np.array_equal(multiplied(one, short[:, : len(one)]), wide)
        for width in (1_043, 32, 3, 1)
        for one, wide in (
            (row[:width], (rows[:, :width] @ row[:width].astype(np.int64)).astype(np.float32))
            for row in short
        )
    )
