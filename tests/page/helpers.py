"""A browser without a window: it speaks to a page as an application, without a socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from vectorize_core import VectorizeClient, layout
from vectorize_core.layout import Record
from vectorize_core.models import Vector
from vectorize_core.page.answers import HEADERS

DIMENSIONS = 32
INDEXED = {**layout.METADATA_INDEXES, "year": "number", "topic": "string"}
MANY = 60
HOST = "127.0.0.1:8989"
SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    SCRIPT,
    "\"'><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\u202eright to left \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 emoji",
    "\u2028 and \u2029 and \x00 and \x1b[31m",
    "x" * 10_000,
)
"""Texts that are not what they seem."""


def axis(number: float, length: float = 1.0) -> list[float]:
    """A vector near one axis, or between two."""
    first = int(number)
    values = [0.0] * DIMENSIONS
    values[first % DIMENSIONS] = length * (first + 1 - number)
    values[(first + 1) % DIMENSIONS] = length * (number - first)
    return values


def vector(record: Record, values: list[float], namespace: str | None = None) -> Vector:
    return Vector(record.id, values, namespace, layout.encode(record, indexed=INDEXED))


def fill(client: VectorizeClient, count: int = MANY) -> None:
    wanted: Any = {"year": "number", "topic": "string"}
    client.create_index("docs", dimensions=DIMENSIONS, metadata_indexes=wanted)
    records = [
        vector(
            Record(f"r{n}", f"text {n}", {"year": 1900 + n, "topic": f"t{n % 3}", "note": n}),
            axis(n / 4),
            "even" if n % 2 == 0 else None,
        )
        for n in range(count)
    ]
    client.index("docs").upsert(records)


class Browser:
    """Asks a page for data, with all that its own scripts send."""

    def __init__(self, page: ASGIApp, token: str | None = None, host: str = HOST) -> None:
        self.page = page
        self.host = host
        self.token = token

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """An answer. Headers that are None are left out."""
        sent: dict[str, str | None] = {"Host": self.host}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if method not in ("GET", "HEAD"):
            content = json.dumps(body).encode() if content is None else content
            sent |= {"Content-Type": "application/json", "X-Vectorize-Page": "1"}
            sent |= {"Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"}
        sent |= headers or {}
        given = {name: value for name, value in sent.items() if value is not None}
        transport = httpx.ASGITransport(self.page, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            path = path if path.startswith("/") else f"/_/page/{path}"
            answer = await http.request(
                method, f"http://{HOST}{path}", headers=given, content=content, params=params
            )
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (name, path)
        return answer

    async def result(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.send(method, path, body, **more)
        told = answer.json()
        assert (answer.status_code, told["ok"]) == (200, True), told
        return told["result"]

    async def error(
        self, method: str, path: str, body: Any = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        answer = await self.send(method, path, body, **more)
        told = answer.json()
        assert not told["ok"]
        assert set(told["error"]) == {"type", "message", "at", "hint"}
        return answer.status_code, told["error"]

    async def search(self, **body: Any) -> Any:
        return await self.result("POST", "indexes/docs/search", body)


class Visit:
    """One request to an application, message by message: streams, and those who leave."""

    def __init__(
        self, page: ASGIApp, method: str, path: str, body: Any = None, query: str = ""
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"host": HOST, "content-type": "application/json", "x-vectorize-page": "1"}
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8989),
        }
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": content, "more_body": False})
        self.reading = asyncio.Event()
        self.reading.set()
        self.messages: list[Message] = []
        self.task = asyncio.ensure_future(page(self.scope, self._incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        await self.reading.wait()
        self.messages.append(message)

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def text(self) -> str:
        return b"".join(m.get("body", b"") for m in self.messages).decode()

    def events(self, kind: str = "request") -> list[dict[str, Any]]:
        """The data of the events that have come in."""
        parts = [part.split("\n") for part in self.text.split("\n\n")]
        data = [
            dict(line.split(": ", 1) for line in part if line[0] != ":")
            for part in parts
            if part[0]
        ]
        return [json.loads(one["data"]) for one in data if one.get("event") == kind]


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
