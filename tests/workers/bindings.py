"""Bindings as objects of Python: what workerd's own clients send, and what they throw.

https://github.com/cloudflare/workerd/tree/main/src/cloudflare/internal: vectorize-api and d1-api.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx


class JsError(Exception):
    """As Pyodide shows an error of JavaScript."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Error: {message}")


async def send(method: str, url: str, **content: Any) -> httpx.Response:
    """An answer over a connection of its own, which nobody has to close."""
    # Loading certificates where none are needed takes longer than most tests.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
        return await client.request(method, url, **content)


class VectorizeBinding:
    """``env.VECTORIZE``, whose backend is a server that speaks the protocol of bindings."""

    def __init__(self, root: str, index: str) -> None:
        self._root, self._headers = root, {"x-vectorize-index": index}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    async def describe(self) -> Any:
        return await self._send("INDEX_GET", "GET", "info")

    async def query(self, vector: list[float], options: dict[str, Any]) -> Any:
        return await self._query({**options, "vector": vector}, "query", vector, options)

    async def queryById(self, vector_id: str, options: dict[str, Any]) -> Any:  # noqa: N802
        body = {**options, "vectorId": vector_id}
        return await self._query(body, "queryById", vector_id, options)

    async def _query(self, body: dict[str, Any], name: str, *arguments: Any) -> Any:
        self.calls.append((name, arguments))
        return await self._send("VECTOR_QUERY", "POST", "query", json.dumps(body))

    async def insert(self, vectors: list[Any]) -> Any:
        return await self._write("VECTOR_INSERT", "insert", vectors)

    async def upsert(self, vectors: list[Any]) -> Any:
        return await self._write("VECTOR_UPSERT", "upsert", vectors)

    async def _write(self, operation: str, name: str, vectors: list[Any]) -> Any:
        self.calls.append((name, (vectors,)))
        lines = "\n".join(map(json.dumps, vectors))
        return await self._send(operation, "POST", name, lines, "application/x-ndjson")

    async def getByIds(self, ids: list[str]) -> Any:  # noqa: N802
        self.calls.append(("getByIds", (ids,)))
        return await self._send("VECTOR_GET", "POST", "getByIds", json.dumps({"ids": ids}))

    async def deleteByIds(self, ids: list[str]) -> Any:  # noqa: N802
        self.calls.append(("deleteByIds", (ids,)))
        return await self._send("VECTOR_DELETE", "POST", "deleteByIds", json.dumps({"ids": ids}))

    async def _send(
        self,
        operation: str,
        method: str,
        path: str,
        body: str | None = None,
        kind: str = "application/json",
    ) -> Any:
        headers = self._headers | ({} if body is None else {"content-type": kind})
        answer = await send(method, f"{self._root}/{path}", content=body, headers=headers)
        if answer.status_code != 200:
            try:
                said = answer.json()
            except ValueError:
                raise JsError(f"{operation}_ERROR: Status + {answer.status_code}") from None
            code = f" (code = {said['code']})" if isinstance(said.get("code"), int) else ""
            raise JsError(f"{operation}_ERROR{code}: {said.get('error', 'undefined')}")
        try:
            return answer.json()
        except ValueError:
            raise JsError(f"Failed to parse body as JSON, got: {answer.text}") from None


class Statement:
    """A prepared statement, and its parameters."""

    def __init__(self, database: D1Binding, sql: str, params: Sequence[Any] = ()) -> None:
        self._database = database
        self.sent = {"sql": sql, "params": list(params)}

    def bind(self, *params: Any) -> Statement:
        return Statement(self._database, self.sent["sql"], params)

    async def raw(self) -> Any:
        (one,) = await self._database.send([self.sent])
        return one["results"]["rows"]


class D1Binding:
    """``env.DB``, whose backend is D1's own interface."""

    def __init__(self, base_url: str, database: str = "words", account: str = "local") -> None:
        url = f"{base_url}/accounts/{account}/d1/database/{database}/raw"
        self._url = url
        self.batches: list[int] = []

    def prepare(self, sql: str) -> Statement:
        return Statement(self, sql)

    async def batch(self, statements: list[Statement]) -> Any:
        results = await self.send([statement.sent for statement in statements])
        return [
            {
                "success": True,
                "results": [
                    dict(zip(one["results"]["columns"], row, strict=True))
                    for row in one["results"]["rows"]
                ],
            }
            for one in results
        ]

    async def send(self, batch: list[Any]) -> Any:
        self.batches.append(len(batch))
        answer = await send("POST", self._url, json={"batch": batch})
        said = answer.json()
        if not said["success"]:
            raise JsError(f"D1_ERROR: {said['errors'][0]['message']}")
        return said["result"]
