"""Cloudflare D1 on SQLite, for text stores: databases by id, each made when it is first used.

https://developers.cloudflare.com/d1/platform/limits/
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from vectorize_core import paths
from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.file_names import file_of
from vectorize_core.local.open_files import Named, OpenFiles
from vectorize_core.sqlite.explaining import is_of_storage
from vectorize_core.sqlite.file import Kind, SqliteFile

MAX_SECONDS: Final = 30.0
"""For one request, whatever the number of its statements."""
MAX_ROWS: Final = 100_000
"""In one result: a limit of ours, so that a careless join does not take all memory."""
MAX_DATABASES: Final = 1_000
"""Of an account."""
_MOST_OPEN_FILES: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SQL_ERROR: Final = 7500
# https://developers.cloudflare.com/d1/platform/limits/ ; SQLite keeps them by itself.
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_LENGTH: 2_000_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 32,
    # A statement must not reach other files of this machine.
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
_PRAGMAS: Final = (
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
    *("foreign_key_list", "foreign_key_check", "foreign_keys", "defer_foreign_keys"),
    *("quick_check", "optimize", "page_count"),
)
_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|(;)""", re.DOTALL
)
_READS: Final = re.compile(r"\s*(SELECT|VALUES|EXPLAIN|PRAGMA)\b", re.IGNORECASE)
"""Statements that need no lock of writers; others may, and get it."""
Result = tuple[list[str], list[tuple[Any, ...]], dict[str, Any]]
"""Columns, rows and ``meta`` of a statement."""


class D1Database:
    """One database, in a file or in memory (None), which carries out one request at a time."""

    def __init__(self, path: str | None) -> None:
        self._deadline = math.inf
        self._running: sqlite3.Connection | None = None
        self._breathe: Callable[[], None] | None = None
        self._ended_by: BaseException | None = None
        self._file = SqliteFile(path, "the D1 database", self._prepare, one_link=True)

    def run(
        self,
        statements: Sequence[tuple[str, Sequence[Any]]],
        breathe: Callable[[], None] | None = None,
    ) -> list[Result]:
        """Carry out the statements in one transaction; a result for each.

        ``breathe`` is called every few milliseconds of a statement that takes longer, in the thread
        of the caller. It may wait, and what it raises ends the request.
        """
        reads = only_reads(statements)
        if not reads and self._file.path is not None and not self._file.exists():
            # On nothing first, so that one that fails makes no file.
            with self._file.reading() as nothing:
                self._carry_out(nothing, statements, breathe, end=nothing.rollback)
        with self._file.reading() if reads else self._file.writing() as tx:
            return self._carry_out(tx, statements, breathe, end=tx.commit)

    def _carry_out(
        self,
        tx: sqlite3.Connection,
        statements: Sequence[tuple[str, Sequence[Any]]],
        breathe: Callable[[], None] | None,
        *,
        end: Callable[[], None],
    ) -> list[Result]:
        self._deadline = time.monotonic() + MAX_SECONDS
        self._breathe, self._ended_by, self._running = breathe, None, tx
        tx.set_authorizer(_authorize)
        try:
            results = []
            for sql, params in statements:
                if self._ended_by is not None:
                    raise self._ended_by
                results.append(_execute(tx, sql, params))
            tx.set_authorizer(None)
            end()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            if self._ended_by is not None:
                raise self._ended_by from None
            if is_of_storage(error):
                raise
            raise ServiceFault(400, _SQL_ERROR, f"{error}: SQLITE_ERROR") from None
        finally:
            self._running = self._breathe = None
            self._deadline = math.inf
            tx.set_authorizer(None)
        return results

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        if self._file.path is not None:
            return not self._file.exists()
        with self._file.reading() as tx:
            (pages,) = tx.execute("SELECT page_count FROM pragma_page_count").fetchone()
        return not pages

    def open_files(self) -> int:
        """How many files are open, at most."""
        return self._file.open_files()

    def release(self) -> None:
        """Close the file until it is needed again; what is in memory stays."""
        if self._file.path is not None:
            self._file.close()

    def interrupt(self) -> None:
        """End the request that is being carried out, if there is one, with a fault; any thread."""
        running = self._running
        if running is not None:
            self._ended_by = faults.refused("the server is closing", status=503)
            running.interrupt()

    def close(self) -> None:
        """Close it, once a request that is being carried out has ended."""
        self._file.close()

    def _prepare(self, connection: sqlite3.Connection, _: Kind) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.set_progress_handler(self._go_on, 10_000)

    def _go_on(self) -> bool:
        """Whether SQLite shall end the statement."""
        if self._breathe is not None and self._ended_by is None:
            try:
                self._breathe()
            except BaseException as error:
                # An exception would be lost in SQLite.
                self._ended_by = error
        return self._ended_by is not None or time.monotonic() > self._deadline


class D1Databases:
    """The databases of an account: in the folder ``d1`` of a directory, or in memory.

    ``files`` bounds how many are open at once. ``admit`` is called before the first write to a
    database, and may refuse it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        files: OpenFiles | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        location = paths.absolute_or_memory(path)
        self._folder = None if location == paths.MEMORY else Path(location, "d1")
        self._databases = Named(self._make, files or OpenFiles(_MOST_OPEN_FILES))
        self._admit = admit

    def run(
        self,
        name: str,
        statements: Sequence[tuple[str, Sequence[Any]]],
        breathe: Callable[[], None] | None = None,
    ) -> list[Result]:
        """`D1Database.run` in the database of this id, which its first write makes."""
        if not _ID.fullmatch(name):
            raise ServiceFault(404, 7404, "The database could not be found")
        with self._databases.use(name) as database:
            if not only_reads(statements) and database.is_empty():
                self._admit()
                if self._count() >= MAX_DATABASES:
                    raise faults.refused("too many databases", status=429)
            return database.run(statements, breathe)

    def is_empty(self) -> bool:
        """Whether nothing was ever written to any of them."""
        if self._folder is not None:
            return not self._folder.exists()
        return all(database.is_empty() for database in self._databases.all())

    def interrupt(self) -> None:
        """End all requests that are being carried out with a fault; from any thread."""
        for database in self._databases.all():
            database.interrupt()

    def release(self) -> None:
        """Close the files until they are needed again; what is in memory stays."""
        for database in self._databases.all():
            database.release()

    def close(self) -> None:
        """Close all databases."""
        self._databases.close()

    def _make(self, name: str) -> D1Database:
        if self._folder is None:
            return D1Database(None)
        return D1Database(str(file_of(self._folder, name, ".sqlite3")))

    def _count(self) -> int:
        if self._folder is None:
            # Without the one that is to be made.
            return len(self._databases.all()) - 1
        return sum(1 for _ in self._folder.glob("*.sqlite3"))


def only_reads(statements: Sequence[tuple[str, Sequence[Any]]]) -> bool:
    """Whether none of the statements needs the lock of writers."""
    return all(_READS.match(sql) for sql, _ in statements)


def split(sql: str) -> list[str]:
    """The statements of a text, split at the semicolons that end them."""
    ends = [token.end() for token in _TOKEN.finditer(sql) if token[1]]
    parts, start = [], 0
    for end in [*ends, len(sql)]:
        part = sql[start:end]
        # A semicolon inside a trigger ends no statement.
        if end < len(sql) and not (part.startswith(";") or sqlite3.complete_statement(part)):
            continue
        if part.strip("; \t\r\n"):
            parts.append(part)
        start = end
    return parts


def _execute(connection: sqlite3.Connection, sql: str, params: Sequence[Any]) -> Result:
    started, before = time.perf_counter(), connection.total_changes
    cursor = connection.execute(sql, params)
    rows = cursor.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise faults.refused(f"a result has more than {MAX_ROWS} rows")
    columns = [column[0] for column in cursor.description] if cursor.description else []
    changes = connection.total_changes - before
    (pages,) = connection.execute("SELECT page_count FROM pragma_page_count").fetchone()
    meta = {
        "duration": (time.perf_counter() - started) * 1_000,
        "changes": changes,
        "last_row_id": cursor.lastrowid if cursor.lastrowid is not None else 0,
        "changed_db": changes > 0,
        "rows_read": len(rows),
        "rows_written": changes,
        "size_after": pages * 4_096,
        "served_by": "vectorize-stores",
    }
    return columns, [tuple(_json(value) for value in row) for row in rows], meta


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, bytes) else value


def _authorize(action: int, name: str | None, *_: Any) -> int:
    # A request is one transaction already; other pragmas could reach files or other requests.
    refused = action in (sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT) or (
        action == sqlite3.SQLITE_PRAGMA and name not in _PRAGMAS
    )
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK
