"""The HTTP routes of Cloudflare D1's query endpoints.

https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/query/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from vectorize_core.local import faults
from vectorize_core.local.d1.splitting import split
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import parsing, responses
from vectorize_core.local.server.endpoints import Call, Handler, RequestReader

MAX_STATEMENTS: Final = 10_000
MAX_SQL: Final = 2_000_000
"""Characters in all statements of a request, so that splitting them takes a second at most."""
PREFIX: Final = "/client/v4/accounts/{account}/d1/database/{database}"


def routes(reader: RequestReader) -> Sequence[Route]:
    """The routes of D1."""

    def answering(shape: Callable[[list[str], list[tuple[Any, ...]]], Any]) -> Handler:
        def handler(call: Call) -> Response:
            statements = _statements(parsing.json_object(call))
            results = call.account.databases.run(
                call.names["database"], statements, call.breathe, bound_memory=True
            )
            return responses.success(
                [
                    {"success": True, "meta": meta, "results": shape(columns, rows)}
                    for columns, rows, meta in results
                ]
            )

        return handler

    query = answering(lambda columns, rows: [dict(zip(columns, row, strict=True)) for row in rows])
    raw = answering(lambda columns, rows: {"columns": columns, "rows": rows})
    return [
        Route(f"{PREFIX}/query", reader.endpoint(query), methods=["POST"]),
        Route(f"{PREFIX}/raw", reader.endpoint(raw), methods=["POST"]),
    ]


def _statements(body: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    batch = parsing.field(body, "batch", list)
    statements: list[tuple[str, list[Any]]] = []
    length = 0
    for given in [body] if batch is None else batch:
        if not isinstance(given, dict):
            raise faults.unparsable_body("batch", "expected objects")
        sql, params = parsing.field(given, "sql", str), parsing.field(given, "params", list) or []
        if sql is None:
            raise faults.unparsable_body("sql", "expected a string")
        length += len(sql)
        if any(isinstance(value, (list, dict)) for value in params):
            raise faults.unparsable_body("params", "expected plain values")
        if length > MAX_SQL:
            raise faults.refused(f"the SQL of a request is longer than {MAX_SQL} characters")
        parts = list(islice(split(sql), MAX_STATEMENTS + 1 - len(statements)))
        if not parts:
            text = f"{faults.MARK}the text holds no statement: SQLITE_ERROR"
            raise ServiceFault(400, 7500, text)
        if len(parts) > 1 and params:
            raise faults.unparsable_body("params", "expected a single statement")
        statements += [(part, params) for part in parts]
        if len(statements) > MAX_STATEMENTS:
            raise faults.refused(f"a request has more than {MAX_STATEMENTS} statements")
    return statements
