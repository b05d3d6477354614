"""The log of values that were written to a file and not synced.

A small write does not wait for its file: its values go there at once, where all readers find them,
and also into a table, in the same transaction, so that the commit of SQLite is its one sync. Only a
loss of power can take from a file what was not synced, and with that all processes that had it
open. So whoever opens the database next compares the two, and writes to the file again what is not
there (`mend`).

The log is short: a large write syncs its file and forgets what the log has of it, and so does the
write that would make the log too long, with all files. Until then values of vectors that were
replaced or deleted meanwhile stay in it; they are of no use, and do no harm.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from itertools import count, groupby
from typing import Final, NamedTuple

import numpy as np

from vectorize_core.errors import StorageError
from vectorize_core.local import codes, schema
from vectorize_core.local.catalog import Index
from vectorize_core.local.checksums import of_row, of_values
from vectorize_core.local.matrix import Rows
from vectorize_core.local.row_types import FLOAT_BYTES
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection

_SMALL: Final = 1 << 16
"""Bytes of values up to which writing them twice costs less than a sync."""
_MOST: Final = 512
"""Rows of the log."""

_log = logging.getLogger(__name__)


class _Lost(NamedTuple):
    """Values that the log has and their file has not."""

    store: FileValueStore
    slot: int
    data: bytes


def keep(tx: Connection, value_stores: ValueStores, index: Index, rows: Rows) -> bool:
    """Log the values of a write behind all slots of an index; False if they must be synced.

    The first ones of a file must be, with its name.
    """
    if value_stores.in_memory:
        return False  # and need not be
    if not index.slots or rows.nbytes > _SMALL:
        _code(tx, value_stores, index.id, index.generation, index.dimensions)
        forget(tx, index)
        return False
    first, last = tx.once("unsynced values", partial(_ordinals, tx))
    if last - first + len(rows) >= _MOST:
        sync(tx, value_stores)
        return False
    data = (row.tobytes() for row in rows)
    places = zip(count(last + 1), count(schema.key(index.id, index.slots)), data)
    tx.executemany(
        "INSERT INTO unsynced_values VALUES (?, ?, ?, ?)",
        ((n, key, row, of_row(n, key, of_values(row))) for n, key, row in places),
    )
    tx.learn("unsynced values", (first, last + len(rows)))
    return True


def _ordinals(tx: Connection) -> tuple[int, int]:
    """The first and the last row of the log."""
    first, last = tx.execute(
        "SELECT coalesce((SELECT min(ordinal) FROM unsynced_values), 1), "
        "coalesce((SELECT max(ordinal) FROM unsynced_values), 0)"
    ).fetchone()
    return first, last


def logged(tx: Connection, key: int, checksum: int) -> bytes | None:
    """The values of a vector, if the log has those of that checksum."""
    rows = tx.execute(
        "SELECT CAST(data AS BLOB) FROM unsynced_values WHERE key = ?", (key,)
    ).fetchall()
    return next((data for (data,) in rows if of_values(data) == checksum), None)


def forget(tx: Connection, index: Index) -> None:
    """Remove what the log has of an index, whose file is synced before the commit, or gone."""
    tx.execute("DELETE FROM unsynced_values WHERE key BETWEEN ? AND ?", _span(index.id))


def sync(tx: Connection, value_stores: ValueStores) -> None:
    """Empty the log: all files of which it has anything are synced before the commit."""
    indexes = tx.execute(
        "SELECT id, generation, dimensions FROM indexes "
        "WHERE id IN (SELECT key >> ? FROM unsynced_values)",
        (schema.SLOT_BITS,),
    )
    for index_id, generation, dimensions in indexes.fetchall():
        store = value_stores.store(index_id, generation, dimensions)
        if store.readable():  # else it is missing, as whoever reads it says
            store.will_sync()
        _code(tx, value_stores, index_id, generation, dimensions)
    tx.execute("DELETE FROM unsynced_values")


def _code(
    tx: Connection, value_stores: ValueStores, index_id: int, generation: int, dimensions: int
) -> None:
    """Make the codes of all that the log has of an index, which small writes leave out."""
    keys = tx.execute(
        "SELECT key FROM unsynced_values WHERE key BETWEEN ? AND ? ORDER BY key", _span(index_id)
    ).fetchall()
    slots = np.fromiter((schema.slot(key) for (key,) in keys), np.int64, len(keys))
    codes.complete(value_stores, index_id, generation, dimensions, slots)


def _span(index_id: int) -> tuple[int, int]:
    """The first key that an index can have, and the last one."""
    return schema.key(index_id, 0), schema.key(index_id + 1, 0) - 1


def mend(connection: Connection, value_stores: ValueStores, place: str, *, writes: bool) -> None:
    """Write again what a loss of power has taken from files; for a database that is being opened.

    `StorageError` if anything is to be written without ``writes``.
    """
    lost = _lost(connection, value_stores)
    if lost and not writes:
        raise StorageError(
            f"{place}: a loss of power has taken the values of {len(lost)} vectors from their "
            "file. The database has them, and this process cannot write there. Open it once where "
            "it can be written"
        )
    if lost:
        # Another process may have done so meanwhile, and may be writing.
        with schema.transaction(connection):
            lost = _lost(connection, value_stores)
            for store, slot, data in lost:
                # The log keeps them, so this need not be synced either.
                store.write(slot, data, durable=False)
    if lost:
        _log.warning(
            "%s: the values of %d vectors were not in their file, as after a loss of power, and "
            "are there again",
            place,
            len(lost),
        )


def _lost(connection: Connection, value_stores: ValueStores) -> list[_Lost]:
    rows = connection.execute(
        "SELECT i.id, i.generation, i.dimensions, u.key, v.checksum "
        "FROM unsynced_values u JOIN indexes i ON i.id = u.key >> ? "
        "AND length(u.data) = i.dimensions * ? LEFT JOIN vectors v ON v.key = u.key ORDER BY u.key",
        (schema.SLOT_BITS, FLOAT_BYTES),
    ).fetchall()
    lost: list[_Lost] = []
    for file, group in groupby(rows, lambda row: row[:3]):
        store = value_stores.file(*file)
        keys = [(key, checksum) for *_, key, checksum in group]
        live = [(key, checksum) for key, checksum in keys if checksum is not None]
        there: list[bytes] = []
        # Else it is missing or cut off, by something else: whoever reads it says so.
        if store.readable() >= schema.slot(keys[0][0]):
            with suppress(FileNotFoundError):  # compacted away meanwhile
                there = store.read(schema.slot(key) for key, _ in live)
        for (key, checksum), found in zip(live, there, strict=False):
            if of_values(found) != checksum:
                data = logged(connection, key, checksum)
                if data is not None:
                    lost.append(_Lost(store, schema.slot(key), data))
    return lost
