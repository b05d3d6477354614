"""Compaction: what lives is moved into a generation of its own, and what is dead is left."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Final

import numpy as np

from vectorize_core.local import catalog
from vectorize_core.local.catalog import Index
from vectorize_core.local.schema import key, slot
from vectorize_core.local.value_store import FLOAT_BYTES, Slots, ValueStores

_CHUNK: Final = 1 << 24
"""Bytes of values that are moved at once."""
_WASTE: Final = 1 << 25
"""Bytes of dead slots below which no write compacts by itself."""


def is_wasteful(index: Index) -> bool:
    """Whether so much is dead that compacting pays for itself."""
    return index.dead > index.count and index.dead * index.dimensions * FLOAT_BYTES > _WASTE


def compact(tx: Connection, value_stores: ValueStores, index: Index) -> Index:
    """Move what lives into the next generation, in order of insertion; the index as it is then.

    Readers go on with the former generation until the transaction commits, and with what they
    have of it after that. Its place is to be removed then.
    """
    return index if not index.dead and index.in_order else move(tx, value_stores, index)


def move(tx: Connection, value_stores: ValueStores, index: Index) -> Index:
    """`compact`, whether anything is dead or not."""
    keys = tx.execute(
        "SELECT key FROM vectors WHERE key BETWEEN ? AND ? ORDER BY position",
        (key(index.id, 0), key(index.id, index.slots)),
    ).fetchall()
    slots = np.fromiter((slot(old) for (old,) in keys), np.int64, len(keys))
    following = catalog.next_generation(index, len(keys))
    _copy(value_stores, index, following, slots)
    # Keys are unique at every step, so the new ones first go where no others are.
    tx.executemany(
        "UPDATE vectors SET key = ?, position = ? WHERE key = ?",
        ((-1 - key(index.id, n), n, old) for n, (old,) in enumerate(keys)),
    )
    tx.execute("UPDATE vectors SET key = -1 - key WHERE key < 0")
    tx.execute("DELETE FROM dead_slots WHERE index_id = ?", (index.id,))
    following.save(tx)
    return following


def _copy(value_stores: ValueStores, index: Index, following: Index, slots: Slots) -> None:
    last = int(slots.max(initial=-1))
    old = value_stores.unshared(index.id, index.generation, index.dimensions).matrix(last + 1)
    new = value_stores.store(following.id, following.generation, following.dimensions)
    rows = max(1, _CHUNK // (index.dimensions * FLOAT_BYTES))
    for start in range(0, len(slots), rows):
        some = slots[start : start + rows]
        order = np.argsort(some)
        chunk = np.empty((len(some), index.dimensions), np.float32)
        chunk[order] = old.take(some[order])
        new.write(start, chunk.astype("<f4", copy=False).tobytes())
