"""Cloudflare D1's query endpoints.

https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/query/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local import faults
from vectorize_core.local.d1_databases import D1Database, D1Databases, split
from vectorize_core.local.server import parsing, responses
from vectorize_core.local.server.accounts import MAX_ACCOUNTS, Accounts
from vectorize_core.local.server.endpoints import Call, Handler, RequestReader

PREFIX: Final = "/client/v4/accounts/{account}/d1/database/{database}"


class AccountDatabases:
    """The databases of all accounts of a server."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._of: dict[str, D1Databases] = {}
        self._lock = threading.Lock()

    def get(self, account: str, name: str) -> D1Database:
        """A database, made if there is none."""
        directory = self._accounts.directory(account)
        with self._lock:
            databases = self._of.get(account)
            if databases is None:
                if len(self._of) >= MAX_ACCOUNTS:
                    raise faults.refused("too many accounts on this server", status=429)
                databases = self._of[account] = D1Databases(directory)
        return databases.get(name)

    def close(self) -> None:
        """Close all databases."""
        with self._lock:
            for databases in self._of.values():
                databases.close()
            self._of.clear()


def routes(databases: AccountDatabases, reader: RequestReader) -> Sequence[Route]:
    """The routes of D1."""

    def serving(shape: Callable[[list[str], list[tuple[Any, ...]]], Any]) -> Handler:
        def handler(call: Call) -> Response:
            statements = _statements(parsing.json_object(call))
            database = databases.get(call.names["account"], call.names["database"])
            return responses.success(
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
    batch = parsing.field(body, "batch", list)
    statements = []
    for given in [body] if batch is None else batch:
        if not isinstance(given, dict):
            raise faults.unparsable_body("batch", "expected objects")
        sql, params = parsing.field(given, "sql", str), parsing.field(given, "params", list) or []
        if sql is None:
            raise faults.unparsable_body("sql", "expected a string")
        if any(isinstance(value, (list, dict)) for value in params):
            raise faults.unparsable_body("params", "expected plain values")
        parts = split(sql)
        if len(parts) > 1 and params:
            raise faults.unparsable_body("params", "expected a single statement")
        statements += [(part, params) for part in parts]
    return statements
