"""Cloudflare D1's query endpoints over SQLite: where text stores keep what is too long.

https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/query/ . Any
database id names a database, made when it is first used.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import answers, bodies
from vectorize_core.local.server.accounts import Accounts
from vectorize_core.local.server.calls import Call, Handler, Reader

PREFIX: Final = "/client/v4/accounts/{account}/d1/database/{database}"
MAX_SECONDS: Final = 30.0
"""For one request, whatever the number of its statements."""
MAX_ROWS: Final = 100_000
"""In one result; ours, so that a careless join does not take all memory."""
MOST_DATABASES: Final = 1_000
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
Result = tuple[list[str], list[tuple[Any, ...]], dict[str, Any]]
"""Columns, rows and ``meta`` of a statement."""


class Database:
    """One database, whose requests come one after the other."""

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._connection = sqlite3.connect(target, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        for limit, most in _LIMITS.items():
            self._connection.setlimit(limit, most)
        self._connection.set_progress_handler(lambda: time.monotonic() > self._deadline, 10_000)

    def run(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Result]:
        """The results of the statements, which are one transaction."""
        with self._lock:
            self._deadline = time.monotonic() + MAX_SECONDS
            self._connection.execute("BEGIN")
            self._connection.set_authorizer(_authorize)
            try:
                results = [_execute(self._connection, sql, params) for sql, params in statements]
                self._connection.set_authorizer(None)
                self._connection.commit()
            except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
                raise ServiceFault(400, _SQL_ERROR, f"{error}: SQLITE_ERROR") from None
            finally:
                self._connection.set_authorizer(None)
                self._connection.rollback()
            return results

    def close(self) -> None:
        """Close it, after the request under way."""
        with self._lock:
            self._connection.close()


class Databases:
    """The databases of all accounts of a server."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._open: dict[tuple[str, str], Database] = {}
        self._lock = threading.Lock()

    def get(self, account: str, name: str) -> Database:
        """A database, made if there is none."""
        directory = self._accounts.directory(account)
        if not _ID.fullmatch(name):
            raise ServiceFault(404, 7404, "The database could not be found")
        with self._lock:
            database = self._open.get((account, name))
            if database is None:
                if len(self._open) >= MOST_DATABASES:
                    raise faults.refused("too many databases on this server", status=429)
                target = ":memory:"
                if directory is not None:
                    (directory / "d1").mkdir(parents=True, exist_ok=True)
                    target = str(directory / "d1" / f"{name}.sqlite3")
                database = self._open[account, name] = Database(target)
            return database

    def close(self) -> None:
        """Close all databases."""
        with self._lock:
            for database in self._open.values():
                database.close()
            self._open.clear()


def routes(databases: Databases, reader: Reader) -> Sequence[Route]:
    """The routes of D1."""

    def serving(shape: Callable[[list[str], list[tuple[Any, ...]]], Any]) -> Handler:
        def handler(call: Call) -> Response:
            statements = _statements(bodies.json_object(call))
            database = databases.get(call.names["account"], call.names["database"])
            return answers.success(
                [
                    {"success": True, "meta": meta, "results": shape(columns, rows)}
                    for columns, rows, meta in database.run(statements)
                ]
            )

        return handler

    query = serving(lambda columns, rows: [dict(zip(columns, row, strict=True)) for row in rows])
    raw = serving(lambda columns, rows: {"columns": columns, "rows": rows})
    return [
        Route(f"{PREFIX}/query", reader.endpoint(query), methods=["POST"]),
        Route(f"{PREFIX}/raw", reader.endpoint(raw), methods=["POST"]),
    ]


def _statements(body: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    batch = bodies.field(body, "batch", list)
    statements = []
    for given in [body] if batch is None else batch:
        if not isinstance(given, dict):
            raise faults.unparsable_body("batch", "expected objects")
        sql, params = bodies.field(given, "sql", str), bodies.field(given, "params", list) or []
        if sql is None:
            raise faults.unparsable_body("sql", "expected a string")
        if any(isinstance(value, (list, dict)) for value in params):
            raise faults.unparsable_body("params", "expected plain values")
        parts = _split(sql)
        if len(parts) > 1 and params:
            raise faults.unparsable_body("params", "expected a single statement")
        statements += [(part, params) for part in parts]
    return statements


def _split(sql: str) -> list[str]:
    """The statements of a text, split at the semicolons that end them."""
    ends = [token.end() for token in _TOKEN.finditer(sql) if token[1]]
    parts, start = [], 0
    for end in [*ends, len(sql)]:
        part = sql[start:end]
        # A semicolon inside a trigger ends nothing. A text that is too long is refused as it is.
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
    # Transactions are the request's own; other pragmas could reach files or other requests.
    refused = action in (sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT) or (
        action == sqlite3.SQLITE_PRAGMA and name not in _PRAGMAS
    )
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK
