"""`D1Database`: statements on one database of D1, within D1's limits and ours."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import Any, Final, NamedTuple

from vectorize_core.local import faults
from vectorize_core.local.d1 import formatting, heap, text_functions
from vectorize_core.local.d1.allowed import (
    HEAVY,
    MAX_LENGTH,
    SWITCHES,
    Authorizer,
    names_own_table,
)
from vectorize_core.local.d1.results import Results, Row
from vectorize_core.local.faults import ServiceFault
from vectorize_core.sqlite.explaining import code_of, is_of_storage
from vectorize_core.sqlite.file import Kind, SqliteFile

MAX_SECONDS: Final = 30.0
"""For one request, whatever the number of its statements."""
MAX_BYTES: Final = 10_000_000_000
MAX_BYTES_IN_MEMORY: Final = 500_000_000
"""D1's limits for paid and for free accounts."""
_SQL_ERROR: Final = 7500
# https://developers.cloudflare.com/d1/platform/limits/ and, for what stands not there, workerd's.
# SQLite keeps them by itself.
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_LENGTH,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 32,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    # A statement must not reach other files of this machine.
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
_OF_STATEMENTS: Final = (
    *(sqlite3.Error, sqlite3.Warning),
    # Memory that SQLite is refused, texts that are not UTF-8, numbers of more than 64 bits.
    *(MemoryError, ValueError, OverflowError),
)
_STEPS: Final = 1_000
"""Of SQLite, between two looks whether the request shall end: some ten microseconds."""
_STEPS_OF_HEAVY: Final = 10
"""The same with functions that take long in one step."""
_SECONDS_PER_BREATH: Final = 0.005
_READS: Final = re.compile(
    r"\s*(SELECT|VALUES|EXPLAIN|PRAGMA(?!\s+(\w+\.)?optimize))\b", re.IGNORECASE
)
"""Statements that need no lock of writers; others may, and get it."""
Statement = tuple[str, Sequence[Any]]
"""SQL and its parameters."""
Result = tuple[list[str], list[Row], dict[str, Any]]
"""Columns, rows and ``meta`` of a statement."""


def only_reads(statements: Sequence[Statement]) -> bool:
    """Whether none of the statements needs the lock of writers."""
    return all(_READS.match(sql) for sql, _ in statements)


class _Schema(NamedTuple):
    """What bounds the statements on a database, by its number of changes of tables."""

    version: int
    virtual: frozenset[str]
    heavy: tuple[str, ...]


class _Request:
    """A request that is being carried out."""

    def __init__(self, breathe: Callable[[], None] | None) -> None:
        self.results = Results()
        self.ended_by: BaseException | None = None
        self.set_switch = False
        self.written: set[str] = set()
        """Names of tables that its statements wrote to."""
        self.longest = MAX_LENGTH
        self.begun_at: int | None = None
        """The version of the schema before its first statement."""
        self._breathe = breathe
        self._last_breath = time.monotonic()
        self._deadline = self._last_breath + MAX_SECONDS

    def shall_end(self) -> bool:
        """Whether SQLite shall end the statement, as it asks every few steps."""
        try:
            self._check()
        except BaseException as error:
            # It would be lost in SQLite.
            self.ended_by = error
        return self.ended_by is not None

    def _check(self) -> None:
        if self.ended_by is not None:
            return
        now = time.monotonic()
        if now > self._deadline:
            text = f"interrupted: a request may take {MAX_SECONDS:g} seconds"
            raise _fault(faults.MARK + text, "SQLITE_INTERRUPT")
        if self._breathe is not None and now - self._last_breath > _SECONDS_PER_BREATH:
            self._breathe()
            self._last_breath = time.monotonic()


class D1Database:
    """One database, in a file or in memory (None), which carries out one request at a time."""

    def __init__(self, path: str | None) -> None:
        self._running: tuple[_Request, sqlite3.Connection] | None = None
        self._interruptions = 0
        self._is_written = False
        self._modules: frozenset[str] = frozenset()
        self._schema: _Schema | None = None
        self._max_bytes = MAX_BYTES_IN_MEMORY if path is None else MAX_BYTES
        self._file = SqliteFile(path, "the D1 database", self._prepare, one_link=True)

    def run(
        self,
        statements: Sequence[Statement],
        breathe: Callable[[], None] | None = None,
        *,
        bound_memory: bool = False,
        admit: Callable[[], None] = lambda: None,
    ) -> list[Result]:
        """Carry out the statements in one transaction; a result for each.

        ``admit`` is called before the first write of all, and may refuse it.

        ``breathe`` is called every few milliseconds of a statement that takes longer, in the thread
        of the caller. It may wait, and what it raises ends the request. With ``bound_memory``
        statements cannot take all memory, nor can others who use SQLite in this process meanwhile.
        """
        interruptions = self._interruptions
        bound = heap.bounded if bound_memory else nullcontext[None]
        reads = only_reads(statements)
        if not reads and self.is_empty():
            # On nothing first, so that what fails or writes nothing makes no file. Always on a
            # connection of its own, whose counts of changes no later statement sees.
            with (
                closing(SqliteFile(None, self._file.what, self._prepare)) as nowhere,
                self._file.reading(),  # for one request at a time
                nowhere.reading() as nothing,
                self._request(nothing, breathe, interruptions) as request,
                bound(),
            ):
                results = self._carry_out(nothing, statements, request)
                is_written = _pages(nothing) > 0
                nothing.rollback()
            if not is_written:
                return results
            admit()
        with self._file.reading() if reads else self._file.writing() as tx:
            with self._request(tx, breathe, interruptions) as request, bound():
                results = self._carry_out(tx, statements, request)
                tx.commit()
            self._is_written |= not reads
            return results

    @contextmanager
    def _request(
        self, connection: sqlite3.Connection, breathe: Callable[[], None] | None, interruptions: int
    ) -> Iterator[_Request]:
        """What is carried out on a connection now, with errors in D1's words."""
        request = _Request(breathe)
        self._running = (request, connection)
        if interruptions != self._interruptions:
            # Meanwhile, while this one waited for its turn.
            request.ended_by = _closing()
        try:
            yield request
        except _OF_STATEMENTS as error:
            raise self._explained(error, request, connection) from None
        finally:
            self._running = None
            _reset(connection, request)

    def _carry_out(
        self, connection: sqlite3.Connection, statements: Sequence[Statement], request: _Request
    ) -> list[Result]:
        return [self._execute(connection, request, *statement) for statement in statements]

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return not (self._is_written if self._file.path is None else self._file.exists())

    def open_files(self) -> int:
        """How many files are open, at most."""
        return self._file.open_files()

    def release(self) -> None:
        """Close the file until it is needed again; what is in memory stays."""
        if self._file.path is not None:
            self._file.close()

    def interrupt(self) -> None:
        """End the request that is being carried out, and those that wait, with a fault.

        May be called in any thread.
        """
        self._interruptions += 1
        running = self._running
        if running is not None:
            request, connection = running
            request.ended_by = _closing()
            connection.interrupt()

    def close(self) -> None:
        """Close it, once a request that is being carried out has ended."""
        self._file.close()

    def _prepare(self, connection: sqlite3.Connection, _: Kind) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = ON")  # it has only what is harmless
        if heap.can_bound():
            # What is sorted counts, too, and fills no disk.
            connection.execute("PRAGMA temp_store = MEMORY")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {self._max_bytes // size}")
        self._schema = None
        rows = connection.execute("SELECT name FROM pragma_module_list").fetchall()
        self._modules = frozenset(name.lower() for (name,) in rows)
        text_functions.install(connection)
        formatting.install(connection)
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)

    def _execute(
        self, connection: sqlite3.Connection, request: _Request, sql: str, params: Sequence[Any]
    ) -> Result:
        if request.shall_end() and request.ended_by is not None:
            raise request.ended_by

        def bound() -> None:
            request.longest = authorizer.longest
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, request.longest)
            connection.set_progress_handler(request.shall_end, _STEPS_OF_HEAVY)

        schema = self._schema_of(connection, request)
        # What FTS5 holds of earlier statements it may write during any later one.
        held = (n for n in request.written & schema.virtual if not names_own_table(sql, n))
        authorizer = Authorizer(self._modules, schema.virtual, held, on_heavy=bound)
        request.longest = MAX_LENGTH
        started, before = time.perf_counter(), connection.total_changes
        try:
            connection.set_progress_handler(request.shall_end, _STEPS)
            authorizer.note_schema(schema.heavy)
            connection.text_factory = request.results.text
            connection.set_authorizer(authorizer)
            cursor = connection.execute(sql, params)
            columns, rows = request.results.rows(cursor)
        finally:
            request.set_switch |= authorizer.set_switch
            request.written |= authorizer.written
            _release(connection)
        changes = connection.total_changes - before
        meta = {
            "duration": (time.perf_counter() - started) * 1_000,
            "changes": changes,
            "last_row_id": cursor.lastrowid if cursor.lastrowid is not None else 0,
            "changed_db": changes > 0,
            "rows_read": len(rows),
            "rows_written": changes,
            "size_after": _pages(connection) * 4_096,
            "served_by": "vectorize-stores",
        }
        return columns, rows, meta

    def _schema_of(self, connection: sqlite3.Connection, request: _Request) -> _Schema:
        """Read once for all requests, because it takes as long as there are tables.

        That of the middle of a request is not kept: if it is undone, another one gets its number.
        """
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        if request.begun_at is None:
            request.begun_at = version
        found = self._schema
        if found is None or found.version != version or version != request.begun_at:
            connection.set_progress_handler(request.shall_end, _STEPS)
            try:
                heavy = tuple(_heavy_definitions(connection))
                found = _Schema(version, _virtual_tables(connection), heavy)
            finally:
                _release(connection)
            if version == request.begun_at:
                self._schema = found
        return found

    def _explained(
        self, error: BaseException, request: _Request, connection: sqlite3.Connection
    ) -> BaseException:
        """What to raise in place of an error of SQLite."""
        if request.ended_by is not None:
            return request.ended_by
        if isinstance(error, MemoryError):
            text = f"out of memory: requests may take {heap.MAX_BYTES // 1_000_000} MB"
            return _fault(faults.MARK + text, "SQLITE_NOMEM")
        if code_of(error) == sqlite3.SQLITE_FULL and self._is_large(connection):
            text = f"the database would be larger than {self._max_bytes // 1_000_000} MB"
            return _fault(faults.MARK + text, "SQLITE_FULL")
        if code_of(error) == sqlite3.SQLITE_TOOBIG and request.longest < MAX_LENGTH:
            text = f"{error}: with these functions at most {request.longest} bytes"
            return _fault(faults.MARK + text, "SQLITE_TOOBIG")
        if is_of_storage(error):
            return error
        return _fault(str(error), *_names(error))

    def _is_large(self, connection: sqlite3.Connection) -> bool:
        """Whether it is its own size that keeps it from growing, and not the disk's.

        SQLite says the same of both, and has undone already what was too much.
        """
        (most,) = connection.execute("PRAGMA max_page_count").fetchone()
        return self._file.path is None or 2 * _pages(connection) > most


def _release(connection: sqlite3.Connection) -> None:
    """Let what is ours again be carried out as it is."""
    connection.set_authorizer(None)
    connection.set_progress_handler(None, 0)
    connection.text_factory = str
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)


def _reset(connection: sqlite3.Connection, request: _Request) -> None:
    """Undo what a request set for itself."""
    if request.set_switch:
        with suppress(sqlite3.Error):
            for name in SWITCHES:
                connection.execute(f"PRAGMA {name} = OFF")


def _pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("SELECT page_count FROM pragma_page_count").fetchone()
    return int(pages)


def _virtual_tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Those whose own tables statements could write to."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage = 0"
    ).fetchall()
    return frozenset(name.lower() for (name,) in rows)


def _heavy_definitions(connection: sqlite3.Connection) -> Iterator[str]:
    """Those of tables and indexes that may have heavy functions in columns or conditions."""
    has_one = " OR ".join(f"lower(sql) GLOB '*{name}*'" for name in sorted(HEAVY))
    which = f"type IN ('table', 'index') AND ({has_one})"
    for (sql,) in connection.execute(f"SELECT sql FROM sqlite_master WHERE {which}"):  # noqa: S608
        yield sql


def _names(error: BaseException) -> tuple[str, ...]:
    """How SQLite calls what happened, and the more exact name for a constraint."""
    exact = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    if exact.startswith("SQLITE_CONSTRAINT"):
        return "SQLITE_CONSTRAINT", exact
    return (exact,)


def _fault(text: str, name: str, exact: str | None = None) -> ServiceFault:
    """As D1 says it."""
    return ServiceFault(
        400, _SQL_ERROR, f"{text}: {name}" + (f" (extended: {exact})" if exact else "")
    )


def _closing() -> ServiceFault:
    return faults.refused("the server is closing", status=503)
