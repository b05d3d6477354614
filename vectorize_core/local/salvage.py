"""Rebuilding a damaged SQLite file from the rows that can still be read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from vectorize_core.local import checksums, schema
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
    "unsynced_values",
)
_PAGE: Final = 4_096
_HEADER: Final = {
    # Its name, pages of 4096 bytes, the write-ahead log.
    0: b"SQLite format 3\0" + bytes([16, 0, 2, 2, 0, 64, 32, 32]),
    44: (4).to_bytes(4),
    # No vacuuming by itself, UTF-8, our version.
    52: (0).to_bytes(4) + (1).to_bytes(4) + schema.FORMAT.to_bytes(4) + bytes(28),
}
_MOST: Final = 1 << 20
"""Rows of a table whose last row is not known."""
_FAILURES: Final = 2_000
"""Statements that may fail before the rest of a range is given up."""
_AT_ONCE: Final = 4_096
"""Rows that are read at once; where that fails, fewer."""


class _ReadError(Exception):
    """All that can be read has been read."""


def mend_header(directory: Path) -> bool:
    """Restore what is the same in the header of every database of ours; whether it was damaged.

    For a file that cannot be opened. One that is cut off gets the number of pages that are left,
    for SQLite opens none that is shorter than its header says.
    """
    with (directory / FILE_NAME).open("r+b") as file:
        header = bytearray(file.read(100))
        for place, wanted in _HEADER.items():
            header[place : place + len(wanted)] = wanted
        pages = -(-file.seek(0, os.SEEK_END) // _PAGE)
        header[28:32] = min(pages, int.from_bytes(header[28:32])).to_bytes(4)
        file.seek(0)
        if len(header) < 100 or file.read(100) == header:
            return False
        file.seek(0)
        file.write(header)
    return True


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
            fresh.text_factory = checksums.lenient
            # No other process writes meanwhile. It is rolled back: nothing was written, and a
            # commit can fail where the file is damaged.
            with suppress(_ReadError), database.writing() as tx:
                findings = list(_copy(tx, fresh))
                _complete(fresh, database)
                raise _ReadError
            fresh.commit()
            database.replace(fresh)
    finally:
        path.unlink(missing_ok=True)
    return findings


def _copy(tx: sqlite3.Connection, fresh: sqlite3.Connection) -> Iterator[Finding]:
    fresh.execute("BEGIN")
    for table in _TABLES:
        fresh.execute(f"DELETE FROM {table}")  # noqa: S608
        _put(fresh, table, _readable(tx, table, 0, _last(tx, table)))
    indexes = "SELECT id, name, slots, slots - dead FROM indexes"
    for index_id, name, slots, count in fresh.execute(indexes).fetchall():
        # The last ones first: of two rows with one id, which only damage makes, the later is kept.
        for start in reversed(range(0, slots, _AT_ONCE)):
            first, last = schema.key(index_id, start), schema.key(index_id, start + _AT_ONCE)
            _put(fresh, "vectors", _readable(tx, "vectors", first, last - 1))
        found = fresh.execute("SELECT id FROM vectors WHERE index_id = ?", (index_id,))
        there = {row[0] for row in found}
        lost = tuple(sorted(_ids(tx, index_id) - there))
        if lost or count > len(there):
            unnamed = max(0, count - len(there) - len(lost))
            more = f", of which {unnamed} are not known by their ids" if unnamed else ""
            problem = f"the records of {len(lost) + unnamed} vectors cannot be read{more}"
            yield Finding(name, problem, lost, repaired=True)
    # Dead slots are whatever holds no vector: the counts are made anew.
    fresh.execute("UPDATE indexes SET row_checksum = -1")


def _complete(fresh: sqlite3.Connection, database: Database) -> None:
    """Write the row of ``storage`` anew, if that is lost: what it held is known otherwise."""
    if not fresh.execute("SELECT 1 FROM storage").fetchone():
        commits = 0 if database.note is None else database.note.commits
        fresh.execute(
            "INSERT INTO storage SELECT ?, ?, count(*) FROM indexes",
            (database.value_stores.token, commits),
        )


def _last(tx: sqlite3.Connection, table: str) -> int:
    try:
        (last,) = tx.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()  # noqa: S608
    except sqlite3.DatabaseError:
        return _MOST
    return int(last)


def _readable(tx: sqlite3.Connection, table: str, first: int, last: int) -> list[tuple[Any, ...]]:
    """The rows of a range that can be read."""
    rows: list[tuple[Any, ...]] = []
    ranges, failures = [(first, last)], 0
    while ranges and failures < _FAILURES:
        first, last = ranges.pop()
        try:
            rows += tx.execute(
                f"SELECT * FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ?",  # noqa: S608
                (first, last),
            ).fetchall()
        except sqlite3.DatabaseError:
            failures += 1
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
    return rows


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
    for row in reversed(rows):
        # Texts as bytes, for one that is damaged may be none any more.
        marks = ("CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row)
        fresh.execute(
            f"INSERT OR IGNORE INTO {table} VALUES ({', '.join(marks)})",  # noqa: S608
            [
                value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
                for value in row
            ],
        )
