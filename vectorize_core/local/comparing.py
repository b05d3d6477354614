"""Comparing what is stored of an index with its checksums: a slice at a time, or all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vectorize_core.errors import StorageError
from vectorize_core.local import code_products, codes, vectors
from vectorize_core.local.catalog import Index
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.row_types import CODES, FLOAT_BYTES
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.local.vectors import VectorRow
from vectorize_core.models import Values
from vectorize_core.sqlite.connecting import Connection

_CHUNK: Final = 1 << 24
"""Bytes of values that are read at once."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Vectors in consecutive slots, and those of them that are damaged."""

    rows: list[VectorRow]
    damaged: list[tuple[VectorRow, Values | None]]
    """Each with its values as they are; None if the file does not reach so far."""
    values: Rows
    """Those of the ``rows`` that the file reaches to."""

    def sound(self) -> tuple[Slots, Rows]:
        """The slots of the vectors that are not damaged, and their values."""
        damaged = {row.slot for row, _ in self.damaged}
        kept = [n for n, row in enumerate(self.rows) if row.slot not in damaged]
        return np.array([self.rows[n].slot for n in kept], np.int64), self.values[kept]


NOTHING: Final = Slice([], [], np.empty((0, 0), np.float32))
"""What is found where nothing can be read."""


@dataclass(slots=True)
class IndexDamage:
    """What is wrong with an index."""

    index: Index
    problems: list[str] = field(default_factory=list)
    damaged: list[tuple[VectorRow, Values | None]] = field(default_factory=list)
    wrong_codes: list[int] = field(default_factory=list)
    """The slots of vectors with codes that are not theirs. By these nothing is lost."""

    def __bool__(self) -> bool:
        return bool(self.problems or self.damaged)


def compare(tx: Connection, index: Index, matrix: Matrix, start: int, count: int) -> Slice:
    """Compare up to ``count`` vectors in slots from ``start`` on with their checksums."""
    rows = list(vectors.unverified(tx, index, start, count))
    slots = [row.slot for row in rows]
    there = int(np.searchsorted(slots, matrix.count))
    if there:
        matrix.read_soon(slots[0], slots[there - 1])
    values = matrix.take(np.array(slots[:there], np.int64))
    damaged: list[tuple[VectorRow, Values | None]] = []
    for n, row in enumerate(rows):
        if n >= there:
            damaged.append((row, None))
        elif not (row.holds(values[n]) and row.intact):
            damaged.append((row, values[n]))
    return Slice(rows, damaged, values)


def examine(tx: Connection, value_stores: ValueStores, index: Index) -> IndexDamage:
    """Compare all of an index, whose own row is that which was written."""
    found = IndexDamage(index)
    store = value_stores.unshared(index.id, index.generation, index.dimensions)
    readable = min(index.slots, store.readable())
    if readable < index.slots:
        found.problems.append(f"the file holds {readable} of {index.slots} slots")
    matrix, start, live = store.matrix(readable), 0, list[int]()
    store = value_stores.unshared(index.id, index.generation, index.dimensions, CODES)
    coded = store.matrix(min(index.slots, store.readable()))
    while True:
        part = compare(tx, index, matrix, start, max(1, _CHUNK // (index.dimensions * FLOAT_BYTES)))
        if not part.rows:
            break
        live += [row.slot for row in part.rows]
        found.damaged += part.damaged
        found.wrong_codes += _wrong_codes(coded, store.identity, part)
        following = part.rows[-1].slot + 1
        if following <= start:
            found.problems.append("SQLite gives its rows out of order")
            break
        start = following
    try:
        dead = vectors.dead_slots(tx, index)
    except StorageError:
        found.problems.append("its table of dead slots is damaged")
        return found
    if sorted(live + dead) != list(range(index.slots)):
        found.problems.append(
            f"of {index.slots} slots {len(live)} hold a vector and {len(dead)} are given as dead"
        )
    return found


def _wrong_codes(coded: Matrix, identity: int, part: Slice) -> list[int]:
    """The slots whose codes are neither theirs nor missing."""
    slots, values = part.sound()
    reached = int(np.searchsorted(slots, coded.count))
    slots, values = slots[:reached], values[:reached]
    for _ in range(codes.LOOKS):
        rows = coded.take(slots)
        right = codes.intact(rows, slots, identity, code_products.for_checksums())
        right &= codes.covers(rows, values)
        wrong = ~(right | codes.are_blank(rows))
        slots, values = slots[wrong], values[wrong]
    left: list[int] = slots.tolist()
    return left
