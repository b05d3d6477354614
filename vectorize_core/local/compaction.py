"""Compaction: moving the live vectors of an index to a new generation, without dead slots."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from vectorize_core.local import catalog, codes, unsynced
from vectorize_core.local.catalog import Index
from vectorize_core.local.checksums import placed
from vectorize_core.local.matrix import Slots
from vectorize_core.local.row_types import FLOAT_BYTES
from vectorize_core.local.schema import key, slot
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection

_CHUNK: Final = 1 << 24
"""Bytes of values that are moved at once."""
_WASTE: Final = 1 << 25
"""Bytes of dead slots below which no write compacts an index."""


def is_wasteful(index: Index) -> bool:
    """Whether so much is dead that a write should compact the index."""
    return index.dead > index.count and index.dead * index.dimensions * FLOAT_BYTES > _WASTE


def compact(tx: Connection, value_stores: ValueStores, index: Index) -> Index:
    """Move the live vectors to the next generation, in order of insertion; the changed index.

    Readers use the former generation until the transaction commits, and can use what they have
    mapped of it after that. The former generation can be removed after the commit.
    """
    return index if not index.dead and index.in_order else move(tx, value_stores, index)


def move(
    tx: Connection,
    value_stores: ValueStores,
    index: Index,
    restored: Mapping[int, bytes] = MappingProxyType({}),
) -> Index:
    """`compact`, also if nothing is dead; ``restored`` are values that take the place of others."""
    keys = tx.execute(
        "SELECT key, position, row_checksum FROM vectors "
        "WHERE key BETWEEN ? AND ? ORDER BY position",
        (key(index.id, 0), key(index.id, index.slots)),
    ).fetchall()
    slots = np.fromiter((slot(old) for old, _, _ in keys), np.int64, len(keys))
    following = catalog.next_generation(index, len(keys))
    _copy(value_stores, index, following, slots, restored)
    # Keys must be unique at every step, so the new keys are negative at first.
    tx.executemany(
        "UPDATE vectors SET key = ?, position = ?, row_checksum = ? WHERE key = ?",
        (
            (-1 - key(index.id, n), n, placed(placed(checksum, old, was), key(index.id, n), n), old)
            for n, (old, was, checksum) in enumerate(keys)
        ),
    )
    tx.execute("UPDATE vectors SET key = -1 - key WHERE key < 0")
    tx.execute("DELETE FROM dead_slots WHERE index_id = ?", (index.id,))
    # Of the former generation, whose slots the new one uses again.
    unsynced.forget(tx, index)
    following.save(tx)
    return following


def _copy(
    value_stores: ValueStores,
    index: Index,
    following: Index,
    slots: Slots,
    restored: Mapping[int, bytes],
) -> None:
    # The old file may end, or be gone, where values are restored.
    last = max((n for n in slots.tolist() if n not in restored), default=-1)
    old = value_stores.unshared(index.id, index.generation, index.dimensions).matrix(last + 1)
    new = value_stores.new(following.id, following.generation, following.dimensions)
    rows = max(1, _CHUNK // (index.dimensions * FLOAT_BYTES))
    for start in range(0, len(slots), rows):
        some = slots[start : start + rows]
        order = np.argsort(some)
        chunk = np.empty((len(some), index.dimensions), np.float32)
        chunk[order] = old.take(some[order])
        for n, number in enumerate(some.tolist() if restored else ()):
            if number in restored:
                chunk[n] = np.frombuffer(restored[number], "<f4")
        new.write(start, chunk.astype("<f4", copy=False).tobytes())
        made = codes.making(value_stores, following, start, chunk)()
        codes.write(value_stores, following, start, chunk, made)
