"""What the rows of a file are: values of vectors, or their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np


@dataclass(frozen=True, slots=True)
class RowType:
    """What is kept of each vector, and in which file."""

    suffix: str
    of: Callable[[int], np.dtype[Any]]
    """The row of an index, by its dimensions."""
    is_derived: bool = False
    """Whether rows that are lost can be made again, so that they need not be synced."""


def _values(dimensions: int) -> np.dtype[Any]:
    return np.dtype(("<f4", (dimensions,)))


@cache
def _codes(dimensions: int) -> np.dtype[Any]:
    # Rows begin at multiples of 16 bytes.
    width = -(-dimensions // 16) * 16
    return np.dtype(
        {
            # The bits of the next three are `numbers`.
            "names": ["codes", "scale", "residual", "length", "checksum", "numbers"],
            "formats": [("u1", (dimensions,)), "<f4", "<f4", "<f4", "<u4", ("<u4", (3,))],
            "offsets": [0, width, width + 4, width + 8, width + 12, width],
            "itemsize": width + 16,
        }
    )


FLOAT_BYTES: Final = 4
"""Bytes of a float32."""
VALUES: Final = RowType(".f32", _values)
CODES: Final = RowType(".u8", _codes, is_derived=True)
