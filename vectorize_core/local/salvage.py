"""Rebuilding a damaged SQLite file from the rows that can still be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from vectorize_core.local import schema
from vectorize_core.local.integrity import Finding
from vectorize_core.local.storage import FILE_NAME, Database
from vectorize_core.sqlite.connecting import connect

_TABLES: Final = (
    "storage",
    "sqlite_sequence",
    "indexes",
    "deleted_indexes",
    "mutations",
    "mutation_rows",
    "metadata_indexes",
)
_AT_ONCE: Final = 4_096
"""Rows that are read at once; where that fails, fewer."""


def rebuild(database: Database) -> list[Finding]:
    """Replace the content of a database by what can be read of it; what is lost.

    The old content is left alone until the new one is complete.
    """
    assert database.directory is not None
    path = database.directory / f"{FILE_NAME}.rebuilt"
    path.unlink(missing_ok=True)
    try:
        with closing(connect(str(path))) as fresh:
            schema.create(fresh)
            with database.writing() as tx:
                findings = list(_copy(tx, fresh))
            fresh.commit()
            database.replace(fresh)
    finally:
        path.unlink(missing_ok=True)
    return findings


def _copy(tx: sqlite3.Connection, fresh: sqlite3.Connection) -> Iterator[Finding]:
    fresh.execute("BEGIN")
    for table in _TABLES:
        fresh.execute(f"DELETE FROM {table}")  # noqa: S608
        (last,) = tx.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()  # noqa: S608
        _put(fresh, table, _readable(tx, table, 0, last))
    for index_id, name, slots in fresh.execute("SELECT id, name, slots FROM indexes").fetchall():
        for start in range(0, slots, _AT_ONCE):
            first, last = schema.key(index_id, start), schema.key(index_id, start + _AT_ONCE)
            _put(fresh, "vectors", _readable(tx, "vectors", first, last - 1))
        there = {
            row[0]
            for row in fresh.execute("SELECT id FROM vectors WHERE index_id = ?", (index_id,))
        }
        lost = tuple(sorted(_ids(tx, index_id) - there))
        if lost:
            problem = f"the records of {len(lost)} vectors cannot be read, and are removed"
            yield Finding(name, problem, lost, repaired=True)
    # Dead slots are whatever holds no vector: the counts are made anew.
    fresh.execute("UPDATE indexes SET row_checksum = -1")


def _readable(tx: sqlite3.Connection, table: str, first: int, last: int) -> list[tuple[Any, ...]]:
    """The rows of a range that can be read."""
    try:
        return tx.execute(
            f"SELECT * FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ?",  # noqa: S608
            (first, last),
        ).fetchall()
    except sqlite3.DatabaseError:
        if first >= last:
            return []
        middle = (first + last) // 2
        return _readable(tx, table, first, middle) + _readable(tx, table, middle + 1, last)


def _ids(tx: sqlite3.Connection, index_id: int) -> set[str]:
    """The ids that SQLite's own index of them still names."""
    found = set()
    for order in ("ASC", "DESC"):
        try:
            for (name,) in tx.execute(
                f"SELECT id FROM vectors WHERE index_id = ? ORDER BY id {order}",  # noqa: S608
                (index_id,),
            ):
                found.add(name)
        except sqlite3.DatabaseError:
            continue
    return found


def _put(fresh: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        fresh.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608
