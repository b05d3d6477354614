"""Products of rows of codes, by packages that use the processor's instructions.

simsimd multiplies one row with many, numkong many with many. Products are sums of integers, below
2**31 for up to 33,000 dimensions. The codes are unsigned, because simsimd multiplies those up to
twice as fast without AVX-512.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Codes = NDArray[np.uint8]
Products = Callable[[Codes, Codes], NDArray[np.float32]]
"""The product of a row of codes with each of some rows, rounded to float32."""
Packed = Callable[[Codes], NDArray[np.int32]]
"""The products of each of some rows, a row, with each of the rows that were packed, a column."""
Packing = Callable[[Codes], Packed]
Failed = Callable[[Exception], None]
"""Is told of an error of a package, or raises what is none."""

_OURS: Final = __name__.partition(".")[0]

_log = logging.getLogger(__name__)


class _Package(Generic[T]):
    """What is made of a package; None if it is missing, or its products are wrong, or it fails.

    It is tried when it is first asked for. If it fails later, what it was to compute is computed
    without it, and nobody is given it any more. One line in the log says why it is not used.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Any, Failed], T],
        is_right: Callable[[T], bool],
        without: str,
        if_missing: int,
    ) -> None:
        self._name, self._make, self._is_right = name, make, is_right
        self._without, self._if_missing = without, if_missing
        self._made: T | None = None
        self._is_tried = False
        self._unsaid = [None]

    def __call__(self) -> T | None:
        """What is made of it."""
        if not self._is_tried:
            self._made = self._tried()
            self._is_tried = True
        return self._made if self._unsaid else None

    def cache_clear(self) -> None:
        """Try it again."""
        self._is_tried, self._made = False, None
        self._unsaid = [None]

    def _tried(self) -> T | None:
        try:
            made = self._make(importlib.import_module(self._name), self._failed)
            if self._is_right(made):
                return made
        except ImportError as error:
            self._do_without("cannot be imported: %s", error, self._if_missing)
        except Exception as error:
            self._do_without("fails: %r", error)
        else:
            self._do_without("multiplies wrongly here%s", "")
        return None

    def _failed(self, error: Exception) -> None:
        """Do without it from now on, if it was the package that raised this error."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        # Functions of C have no frame, so it is ours; a signal's handler behind them has its own.
        where = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(error, MemoryError) or where.partition(".")[0] not in (self._name, _OURS):
            raise error
        self._do_without("fails: %r", error)

    def _do_without(self, why: str, what: object, level: int = logging.WARNING) -> None:
        # In one step, so that one of several threads says it.
        with suppress(IndexError):
            self._unsaid.pop()
            _log.log(level, f"%s, for %s {why}", self._without, self._name, what)


def _by_simsimd(package: Any, failed: Failed) -> Products:
    cdist = package.cdist

    def multiplied(query: Codes, rows: Codes) -> NDArray[np.float32]:
        if not len(rows):
            return np.empty(0, np.float32)
        try:
            table = cdist(query[np.newaxis], rows, metric="dot", out_dtype="float32")
            found: NDArray[np.float32] = np.asarray(table)[0]
        except Exception as error:
            failed(error)
            return _by_numpy(query, rows)
        return found

    return multiplied


def _by_numkong(package: Any, failed: Failed) -> Packing:
    pack, multiply = package.dots_pack, package.dots_packed

    def packed(queries: Codes) -> Packed:
        def by_numpy(rows: Codes) -> NDArray[np.int32]:
            return _wide(queries, rows).astype(np.int32)

        def multiplied(rows: Codes) -> NDArray[np.int32]:
            try:
                # They are below 2**31, and NumPy makes floats of signed numbers sooner.
                return np.asarray(multiply(rows, columns)).view(np.int32)
            except Exception as error:
                failed(error)
                return by_numpy(rows)

        try:
            columns = pack(queries, dtype="uint8")
        except Exception as error:
            failed(error)
            return by_numpy
        return multiplied

    return packed


def _by_numpy(query: Codes, rows: Codes) -> NDArray[np.float32]:
    return _wide(query, rows).astype(np.float32)


def _wide(some: Codes, rows: Codes) -> NDArray[np.float64]:
    """The products of each of the rows with one, or with each of some, without a rounding."""
    products: NDArray[np.float64] = rows.astype(np.float64) @ some.T.astype(np.float64)
    return products


def _is_right(multiplied: Products) -> bool:
    """Whether the products of some rows are what they should be, at the extremes too."""
    return all(
        np.array_equal(multiplied(row, rows), _by_numpy(row, rows))
        for rows in _some_rows()
        for row in rows
    )


def _packs_right(packed: Packing) -> bool:
    return all(
        np.array_equal(packed(np.ascontiguousarray(rows))(rows), _wide(rows, rows))
        for rows in _some_rows()
    )


def _some_rows() -> Iterator[Codes]:
    rows = (np.arange(5 * 1_043, dtype=np.int64) * 37 % 256).reshape(5, 1_043).astype(np.uint8)
    rows[0], rows[1] = 255, 0
    for width in (1_043, 32, 3, 1):
        yield rows[:, :width]


products: Final = _Package(
    "simsimd", _by_simsimd, _is_right, "searches read all values", logging.INFO
)
"""The function that multiplies; None without simsimd."""
packing: Final = _Package(
    "numkong",
    _by_numkong,
    _packs_right,
    "searches for many vectors at once read all values",
    logging.DEBUG,
)
"""The function that packs many rows, to multiply others with them; None without numkong."""


def for_checksums() -> Products:
    """`products`, or where there are none the same by NumPy."""
    return products() or _by_numpy
