"""Codes of vectors: a quarter of their bytes, with a bound of what that loses.

A row ``x`` becomes ``s * c``: whole numbers ``c`` from -127 to 127 and a scale ``s``. The length of
``x - s * c`` is at most its residual. So a product with a query ``q``, of the numbers ``e`` and the
scale ``t``, is known but for a bound (Cauchy and Schwarz):

    q.x = st c.e + q.(x - sc) + (q - te).sc
    |q.x - st c.e| <= |q| residual(x) + residual(q) (|x| + residual(x))

What is kept is ``c + 128``, for products of unsigned numbers are faster (`code_products`); from
such a product ``c.e`` follows (`shifts`). Codes are derived: a row whose checksum is wrong is made
again from its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.catalog import Index
from vectorize_core.local.code_products import Codes, Products, products
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import lengths_of
from vectorize_core.local.row_types import CODES
from vectorize_core.local.value_store import ValueStore
from vectorize_core.local.value_stores import ValueStores

CodeRows = NDArray[np.void]
"""Rows of the type `CODES`."""

_LARGEST: Final = 127
ZERO: Final = 128
"""What is kept for 0."""
_FACTORS: Final = np.array(
    [0x9E3779B1, 0x165667B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0xFD7046C5], np.uint32
)
"""Odd, so that a change of one field always changes the checksum."""
_STEP: Final = 2.0**-24
"""The relative error of a rounding to float32."""
_AT_ONCE: Final = 200_000
"""Numbers that are encoded at once, so that they stay in the processor's cache."""
_SUMMED_AT_ONCE: Final = 2_048
"""Rows whose checksums are computed at once, so that they stay there too."""
LOOKS: Final = 2
"""At rows that seem damaged: at the first another process may be in the middle of them."""
_WRITTEN_AT_ONCE: Final = 8_192
"""Rows that are made again at once."""


class QueryCodes(NamedTuple):
    """A query as codes, like a row."""

    codes: Codes
    scale: float
    residual: float

    def shift(self, part: slice) -> np.float32:
        """How much larger products of kept codes are than those of the whole numbers, but for what
        a row adds itself (`shifts`)."""
        kept = self.codes[part]
        return np.float32(ZERO * int(kept.sum(dtype=np.int64)) - ZERO * ZERO * len(kept))


def encoded(rows: Rows, slot: int, identity: int, multiplied: Products) -> CodeRows:
    """The codes of rows in slots from ``slot`` on, for the store of that ``identity``.

    Where float32 cannot compute the length of a row, its numbers are NaN.
    """
    made: CodeRows = np.zeros(len(rows), CODES.of(rows.shape[1]))
    height = max(1, _AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), height):
        part = slice(start, start + height)
        _encode(rows[part], made[part])
    slots = np.arange(slot, slot + len(made))
    made["checksum"] = checksums(made, slots, identity, multiplied)
    return made


def making(value_stores: ValueStores, index: Index, slot: int, rows: Rows) -> Callable[[], bytes]:
    """What makes the codes of rows in slots from ``slot`` on; it changes nothing.

    Where simsimd is missing there are none: whoever has it makes them when first searching.
    """
    multiplied = products()
    if multiplied is None:
        return bytes
    identity = value_stores.store(index.id, index.generation, index.dimensions, CODES).identity
    return lambda: encoded(rows, slot, identity, multiplied).tobytes()


def write(value_stores: ValueStores, index: Index, slot: int, rows: Rows, made: bytes) -> None:
    """Write what was made of rows that were written to slots from ``slot`` on."""
    if not made:
        leave_out(value_stores, index, slot, rows)
        return
    store = value_stores.store(index.id, index.generation, index.dimensions, CODES)
    store.write(slot, made, durable=False)


def leave_out(value_stores: ValueStores, index: Index, slot: int, rows: Rows) -> None:
    """Write no codes of rows from ``slot`` on: a search that needs them makes them."""
    store = value_stores.store(index.id, index.generation, index.dimensions, CODES)
    if not store.leaves_blank(slot, len(rows)):
        # Those of a write that was not committed would pass for codes of these. Not by zeros, where
        # the next writer, if this is not committed either, would not see that others may come back.
        none: CodeRows = np.zeros(len(rows), CODES.of(index.dimensions))
        none["codes"] = ZERO
        store.write(slot, none.tobytes(), durable=False)


def complete(
    value_stores: ValueStores, index_id: int, generation: int, dimensions: int, slots: Slots
) -> None:
    """Make the codes of committed ``slots`` of a file that were left out."""
    multiplied = products()
    store = value_stores.unshared(index_id, generation, dimensions, CODES)
    kept = value_stores.file(index_id, generation, dimensions)
    if multiplied is None or not len(slots) or min(store.readable(), kept.readable()) <= slots[-1]:
        return
    try:
        rows: CodeRows = np.frombuffer(b"".join(store.read(slots.tolist())), store.row)
    except FileNotFoundError:
        return  # they were deleted meanwhile
    missing = slots[~intact(rows, slots, store.identity, multiplied)]
    for _ in made_again(store, missing, kept.matrix(int(slots[-1]) + 1), multiplied):
        pass


def made(
    store: ValueStore, slots: Slots, values: Matrix, multiplied: Products
) -> Iterator[tuple[int, CodeRows]]:
    """The codes of committed ``slots``, some at a time: the first slot of these, and their rows."""
    for run in np.split(slots, np.flatnonzero(np.diff(slots) != 1) + 1):
        for start in range(0, len(run), _WRITTEN_AT_ONCE):
            some = run[start : start + _WRITTEN_AT_ONCE]
            first = int(some[0])
            yield first, encoded(values.take(some), first, store.identity, multiplied)


def made_again(
    store: ValueStore, slots: Slots, values: Matrix, multiplied: Products
) -> Iterator[tuple[int, CodeRows]]:
    """`made`, each written before it is yielded."""
    for first, rows in made(store, slots, values, multiplied):
        store.restore(first, rows.tobytes())
        yield first, rows


def make_again(store: ValueStore, slots: Slots, values: Matrix) -> None:
    """Replace codes that are wrong for good: they do not come back after a loss of power.

    Where simsimd is missing they are only taken away.
    """
    multiplied = products()
    if multiplied is None:
        for slot in slots.tolist():
            store.restore(slot, bytes(store.row_bytes))
    else:
        for _ in made_again(store, slots, values, multiplied):
            pass
    if len(slots):
        store.will_sync()
        store.sync()


def encoded_query(query: NDArray[np.float64]) -> QueryCodes:
    """The codes of a query whose length is not zero."""
    scale = float(np.max(np.abs(query))) / _LARGEST
    whole = np.rint(query / scale)
    off = query - scale * whole
    residual = math.sqrt(off @ off)
    # The roundings of float64 are some 2**-53 each.
    kept = (whole + ZERO).astype(np.uint8)
    return QueryCodes(kept, scale, residual * (1 + 1e-9) + scale * 1e-9)


def shifts(kept: Codes, multiplied: Products) -> NDArray[np.float32]:
    """How much larger products with each row are because all codes are `ZERO` larger."""
    return multiplied(np.full(kept.shape[1], ZERO, np.uint8), kept)


def intact(rows: CodeRows, slots: Slots, identity: int, multiplied: Products) -> NDArray[np.bool_]:
    """Which rows, of these slots of a store, have their checksum. One of zeros never has."""
    are_intact: NDArray[np.bool_] = rows["checksum"] == checksums(rows, slots, identity, multiplied)
    return are_intact


def are_blank(rows: CodeRows) -> NDArray[np.bool_]:
    """Which rows were never made, or not to their end, where the checksum is; or a loss of power
    has taken that, or the first part of rows that are cut.
    """
    blank: NDArray[np.bool_] = rows["checksum"] == 0
    first, _ = cut(rows["codes"])
    if first.shape[1]:
        blank |= (first == 0).all(axis=1)
    return blank


def cut(kept: Codes) -> tuple[Codes, Codes]:
    """The codes of the first part of rows, none if they are not cut, and of the rest."""
    first = CODES.cut(kept.shape[1])
    return kept[:, :first], kept[:, first:]


def covers(rows: CodeRows, values: Rows) -> NDArray[np.bool_]:
    """Which rows are codes of the values beside them, within their residuals."""
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        whole = rows["codes"].astype(np.float64) - ZERO
        off = wide - whole * rows["scale"][:, np.newaxis]
        residuals = np.linalg.norm(off, axis=1)
        lengths = np.linalg.norm(wide, axis=1)
        near = np.abs(lengths - rows["length"]) <= lengths * (values.shape[1] + 8) * _STEP
        covered: NDArray[np.bool_] = near & (residuals <= rows["residual"])
        if first := CODES.cut(values.shape[1]):
            covered &= np.linalg.norm(wide[:, first:], axis=1) <= rows["rest"]
        covered |= np.isnan(rows["length"]) & np.isnan(lengths_of(values))
    return covered


def checksums(
    rows: CodeRows, slots: Slots, identity: int, multiplied: Products
) -> NDArray[np.uint32]:
    """The checksums that rows should have: of their codes, by products with fixed weights, of
    their numbers, of their slots, and of the identity of their store. None is 0."""
    total = np.empty(len(rows), np.uint32)
    for start in range(0, len(rows), _SUMMED_AT_ONCE):
        part = slice(start, start + _SUMMED_AT_ONCE)
        total[part] = _sums(rows["codes"][part], multiplied)
    total *= _FACTORS[0]
    total += (slots % 2**32).astype(np.uint32) * _FACTORS[1] + np.uint32(identity)
    total += rows["numbers"] @ _FACTORS[2 : 2 + rows["numbers"].shape[1]]
    return np.maximum(total, np.uint32(1))


def _sums(rows: Codes, multiplied: Products) -> NDArray[np.uint32]:
    """Sums of codes with two weights each, by which any two rows are told apart but for 2**-32."""
    total = np.zeros(len(rows), np.uint32)
    for start in range(0, rows.shape[1], _WEIGHED):
        part = slice(start, start + _WEIGHED)
        for weights in _weights(rows.shape[1]):
            product = multiplied(weights[part], rows[:, part])
            total = total * _FACTORS[0] + product.astype(np.int32).view(np.uint32)
    return total


_WEIGHED: Final = 1_024
"""Codes that are weighed at once: their products are below 2**24, so that float32 holds them."""


@cache
def _weights(dimensions: int) -> tuple[Codes, Codes]:
    """Numbers from 0 to 63, of the second ones odd ones only.

    So the difference of one code changes a sum by an odd multiple of itself, and always shows.
    """
    numbers = np.arange(dimensions, dtype=np.int64)
    even = (numbers * 37 + numbers // 61 * 23) % 61
    odd = (numbers * 19 + numbers // 31 * 11) % 31 * 2 + 1
    return even.astype(np.uint8), odd.astype(np.uint8)


def _encode(rows: Rows, made: CodeRows) -> None:
    dimensions = rows.shape[1]
    lengths = lengths_of(rows)
    with np.errstate(all="ignore"):
        scales = np.abs(rows).max(axis=1) / np.float32(_LARGEST)
        is_odd = np.isnan(lengths)
        scales[is_odd] = np.nan
        units = rows * np.divide(np.float32(1), scales, where=scales != 0, out=scales * 0)[:, None]
        if first := CODES.cut(dimensions):
            made["rest"] = _longest(units[:, first:], scales)
        whole = np.rint(units)
        units -= whole
        made["residual"] = _longest(units, scales)
        whole += ZERO
        whole[is_odd] = ZERO
        made["codes"] = whole
        made["scale"] = scales
        made["length"] = lengths


def _longest(units: Rows, scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """The most that rows can be long: ``units`` are numbers of rows by their scales.

    Each is off by the rounding of the quotient and of the product, of at most 127.
    """
    dimensions = units.shape[1]
    lengths = np.sqrt(np.einsum("ij,ij->i", units, units)) * np.float32(
        1 + (dimensions + 8) * _STEP
    )
    lengths += np.float32(np.sqrt(dimensions) * (_LARGEST + 1) * 2 * _STEP)
    longest: NDArray[np.float32] = lengths * scales * np.float32(1 + 8 * _STEP)
    return longest
