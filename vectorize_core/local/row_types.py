"""What the rows of a file are: values of vectors, or their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

_CUT_FROM: Final = 512
"""From so many dimensions on, to read a part of most codes saves more than it costs."""
_FIRST: Final = 3 / 4
"""Of the codes, what searches read of all rows: if it is less, they read the rest of too many."""
_LINE: Final = 64
"""Bytes that processors read at once."""


@dataclass(frozen=True, slots=True)
class RowType:
    """What is kept of each vector, and in which file."""

    suffix: str
    of: Callable[[int], np.dtype[Any]]
    """The row of an index, by its dimensions."""
    is_derived: bool = False
    """Whether rows that are lost can be made again, so that they need not be synced."""
    cut: Callable[[int], int] = lambda _: 0
    """After so many bytes, by the dimensions, rows are cut: a file has the first part of each, and
    another one the rest. 0 if they are whole."""

    def parts(self, dimensions: int) -> tuple[RowType, RowType] | None:
        """What the two files have of rows that are cut."""
        first = self.cut(dimensions)
        if not first:
            return None
        rest = self.of(dimensions).itemsize - first
        return (
            RowType(f"{self.suffix}a", lambda _: np.dtype(("u1", (first,))), self.is_derived),
            RowType(f"{self.suffix}b", lambda _: np.dtype(("u1", (rest,))), self.is_derived),
        )


def _values(dimensions: int) -> np.dtype[Any]:
    return np.dtype(("<f4", (dimensions,)))


def _cut(dimensions: int) -> int:
    return int(dimensions * _FIRST) // _LINE * _LINE if dimensions >= _CUT_FROM else 0


def _codes(dimensions: int) -> np.dtype[Any]:
    return _codes_of(dimensions, is_cut=_cut(dimensions) > 0)


@cache
def _codes_of(dimensions: int, *, is_cut: bool) -> np.dtype[Any]:
    # The numbers begin at multiples of 16 bytes, and so do rows that are whole.
    width = -(-dimensions // 16) * 16
    numbers = ["scale", "residual", "length", *(["rest"] if is_cut else [])]
    after = width + 4 * len(numbers)
    return np.dtype(
        {
            # The bits of all numbers but the checksum are `numbers`.
            "names": ["codes", *numbers, "checksum", "numbers"],
            "formats": [
                ("u1", (dimensions,)),
                *["<f4"] * len(numbers),
                "<u4",
                ("<u4", (len(numbers),)),
            ],
            "offsets": [0, *range(width, after, 4), after, width],
            "itemsize": after + 4,
        }
    )


FLOAT_BYTES: Final = 4
"""Bytes of a float32."""
VALUES: Final = RowType(".f32", _values)
CODES: Final = RowType(".u8", _codes, is_derived=True, cut=_cut)
