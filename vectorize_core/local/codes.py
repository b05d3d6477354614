"""Codes of vectors: a quarter of their bytes, with a bound of what that loses.

A row ``x`` becomes ``s * c``: whole numbers ``c`` from -127 to 127 and a scale ``s``. The length
of ``x - s * c`` is at most its residual. So a product with a query ``q``, of the codes ``e`` and
the scale ``t``, is known but for a bound (Cauchy and Schwarz):

    q.x = st c.e + q.(x - sc) + (q - te).sc
    |q.x - st c.e| <= |q| residual(x) + residual(q) (|x| + residual(x))

Codes are derived: a row whose checksum is wrong is made again from its values.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.catalog import Index
from vectorize_core.local.int8_products import Int8Rows, Products, products
from vectorize_core.local.norms import lengths_of
from vectorize_core.local.row_types import CODES
from vectorize_core.local.value_store import Rows, ValueStores

CodeRows = NDArray[np.void]
"""Rows of the type `CODES`."""

_LARGEST: Final = 127
_FACTORS: Final = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1], np.uint32)
"""Odd, so that a change of one field always changes the checksum."""
_STEP: Final = 2.0**-24
"""The relative error of a rounding to float32."""
_AT_ONCE: Final = 200_000
"""Numbers that are encoded at once, so that they stay in the processor's cache."""


class QueryCodes(NamedTuple):
    """A query as codes, like a row."""

    codes: Int8Rows
    scale: float
    residual: float


def encoded(rows: Rows, slot: int, multiplied: Products) -> CodeRows:
    """The codes of rows in slots from ``slot`` on.

    Where float32 cannot compute the length of a row, its numbers are NaN.
    """
    made: CodeRows = np.zeros(len(rows), CODES.of(rows.shape[1]))
    height = max(1, _AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), height):
        part = slice(start, start + height)
        _encode(rows[part], made[part])
    made["checksum"] = checksums(made, slot, multiplied)
    return made


def write(value_stores: ValueStores, index: Index, slot: int, rows: Rows) -> None:
    """Write the codes of rows that were written to slots from ``slot`` on.

    Where simsimd is missing nothing is written: whoever has it makes them when first searching.
    """
    multiplied = products()
    if multiplied is not None:
        store = value_stores.store(index.id, index.generation, index.dimensions, CODES)
        store.write(slot, encoded(rows, slot, multiplied).tobytes(), durable=False)


def encoded_query(query: NDArray[np.float64]) -> QueryCodes:
    """The codes of a query whose length is not zero."""
    scale = float(np.max(np.abs(query))) / _LARGEST
    whole = np.rint(query / scale)
    residual = float(np.linalg.norm(query - scale * whole))
    # The roundings of float64 are some 2**-53 each.
    return QueryCodes(whole.astype(np.int8), scale, residual * (1 + 1e-9) + scale * 1e-9)


def intact(rows: CodeRows, slot: int, multiplied: Products) -> NDArray[np.bool_]:
    """Which rows, in slots from ``slot`` on, have their checksum. One of zeros never has."""
    are_intact: NDArray[np.bool_] = rows["checksum"] == checksums(rows, slot, multiplied)
    return are_intact


def covers(rows: CodeRows, values: Rows) -> NDArray[np.bool_]:
    """Which rows are codes of the values beside them, within their residuals."""
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        off = wide - rows["codes"] * rows["scale"][:, np.newaxis].astype(np.float64)
        residuals = np.linalg.norm(off, axis=1)
        lengths = np.linalg.norm(wide, axis=1)
        near = np.abs(lengths - rows["length"]) <= lengths * (values.shape[1] + 8) * _STEP
        covered: NDArray[np.bool_] = near & (residuals <= rows["residual"])
        covered |= np.isnan(rows["length"]) & np.isnan(lengths_of(values))
    return covered


def checksums(rows: CodeRows, slot: int, multiplied: Products) -> NDArray[np.uint32]:
    """The checksums that rows should have: of their codes, by a product with fixed weights, of
    their numbers, and of their slots."""
    # Below 2**24, so that float32 holds the product.
    codes, total = rows["codes"], np.zeros(len(rows), np.uint32)
    weights = _weights(codes.shape[1])
    for start in range(0, codes.shape[1], _WEIGHED):
        part = slice(start, start + _WEIGHED)
        product = multiplied(weights[part], codes[:, part])
        total = total * _FACTORS[0] + product.astype(np.int32).view(np.uint32)
    total *= _FACTORS[0]
    for factor, name in zip(_FACTORS[1:], ("scale", "residual", "length"), strict=False):
        total += rows[name].copy().view(np.uint32) * factor
    total += (np.arange(slot + 1, slot + len(rows) + 1) % 2**32).astype(np.uint32) * _FACTORS[4]
    return total


_WEIGHED: Final = 1_024
"""Codes that are weighed at once."""


@cache
def _weights(dimensions: int) -> Int8Rows:
    """Odd numbers from -125 to 127, so that a flipped bit always shows."""
    numbers = np.arange(dimensions, dtype=np.int64)
    return ((numbers * 73 + numbers // 127 * 29) % 127 * 2 - 125).astype(np.int8)


def _encode(rows: Rows, made: CodeRows) -> None:
    dimensions = rows.shape[1]
    lengths = lengths_of(rows)
    with np.errstate(all="ignore"):
        scales = np.abs(rows).max(axis=1) / np.float32(_LARGEST)
        scales[np.isnan(lengths)] = np.nan
        units = rows * np.divide(np.float32(1), scales, where=scales != 0, out=scales * 0)[:, None]
        whole = np.rint(units)
        units -= whole
        # `units` is off by the rounding of the quotient and of the product, each of at most 127.
        losses = np.sqrt(np.einsum("ij,ij->i", units, units)) * np.float32(
            1 + (dimensions + 8) * _STEP
        ) + np.float32(np.sqrt(dimensions) * (_LARGEST + 1) * 2 * _STEP)
        made["codes"] = np.nan_to_num(whole, copy=False)
        made["scale"] = scales
        made["residual"] = losses * scales * np.float32(1 + 8 * _STEP)
        made["length"] = lengths
