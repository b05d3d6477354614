"""Products of rows of codes, by packages that use the processor's instructions.

simsimd multiplies one row with many, numkong many with many. Products are sums of integers, below
2**31 for up to 33,000 dimensions. The codes are unsigned, because simsimd multiplies those up to
twice as fast without AVX-512.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Codes = NDArray[np.uint8]
Products = Callable[[Codes, Codes], NDArray[np.float32]]
"""The product of a row of codes with each of some rows, rounded to float32."""
Packed = Callable[[Codes], NDArray[np.int32]]
"""The products of each of some rows, a row, with each of the rows that were packed, a column."""
Packing = Callable[[Codes], Packed]

_log = logging.getLogger(__name__)


@cache
def products() -> Products | None:
    """The function that multiplies; None, with one line in the log, where simsimd is missing."""
    return _tried("simsimd", _by_simsimd, _is_right, "searches read all values", logging.INFO)


@cache
def packing() -> Packing | None:
    """The function that packs many rows, to multiply others with them; None without numkong."""
    without = "searches for many vectors at once read all values"
    return _tried("numkong", _by_numkong, _packs_right, without, logging.DEBUG)


def for_checksums() -> Products:
    """`products`, or where there are none what is right below 2**24, as for checksums."""
    return products() or _by_numpy


def _tried(
    package: str,
    made: Callable[[Any], T],
    is_right: Callable[[T], bool],
    without: str,
    if_missing: int,
) -> T | None:
    """What is made of a package; None, with one line in the log, if it is missing or fails."""
    try:
        multiplied = made(importlib.import_module(package))
        right = is_right(multiplied)
    except ImportError as error:
        _log.log(if_missing, "%s, for %s cannot be imported: %s", without, package, error)
        return None
    except Exception as error:
        _log.warning("%s, for %s fails: %r", without, package, error)
        return None
    if not right:
        _log.warning("%s, for %s's products are wrong here", without, package)
    return multiplied if right else None


def _by_simsimd(package: Any) -> Products:
    cdist = package.cdist

    def multiplied(query: Codes, rows: Codes) -> NDArray[np.float32]:
        if not len(rows):
            return np.empty(0, np.float32)
        # Without `out=`, with which each call of simsimd 6.5 takes a reference to None too many.
        table = cdist(query[np.newaxis], rows, metric="dot", out_dtype="float32")
        found: NDArray[np.float32] = np.asarray(table)[0]
        return found

    return multiplied


def _by_numkong(package: Any) -> Packing:
    def packed(queries: Codes) -> Packed:
        columns = package.dots_pack(queries, dtype="uint8")

        def multiplied(rows: Codes) -> NDArray[np.int32]:
            # They are below 2**31, and NumPy makes floats of signed numbers sooner.
            return np.asarray(package.dots_packed(rows, columns)).view(np.int32)

        return multiplied

    return packed


def _by_numpy(query: Codes, rows: Codes) -> NDArray[np.float32]:
    found: NDArray[np.float32] = rows.astype(np.float32) @ query.astype(np.float32)
    return found


def _is_right(multiplied: Products) -> bool:
    """Whether the products of some rows are what they should be, at the extremes too."""
    rows = _some_rows()
    return all(
        np.array_equal(
            multiplied(row[:width], rows[:, :width]), _wide(rows, width)[place].astype(np.float32)
        )
        for width in _WIDTHS
        for place, row in enumerate(rows)
    )


def _packs_right(packed: Packing) -> bool:
    rows = _some_rows()
    return all(
        np.array_equal(
            packed(np.ascontiguousarray(rows[:, :width]))(rows[:, :width]), _wide(rows, width)
        )
        for width in _WIDTHS
    )


_WIDTHS: Final = 1_043, 32, 3, 1


def _some_rows() -> Codes:
    rows = (np.arange(5 * 1_043, dtype=np.int64) * 37 % 256).reshape(5, 1_043)
    rows[0], rows[1] = 255, 0
    return rows.astype(np.uint8)


def _wide(rows: Codes, width: int) -> NDArray[np.int64]:
    """The products of all rows with all, cut at a width."""
    wide = rows[:, :width].astype(np.int64)
    return wide @ wide.T
