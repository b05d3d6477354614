"""A server that is prepared for the test suites of Cloudflare's SDKs.

    python -m tests.conformance.prepared_server [--port 4010]

These suites were generated for a mock that answers anything: each test sends the placeholders of
the API's description, in any order, and expects a success. So before each request the index they
name is put where the request needs it, and placeholders that no Vectorize could take are replaced:
vectors of three values, a file that is no NDJSON, a cursor of nobody. All else is the local server.

The suites find it by ``TEST_API_BASE_URL=http://127.0.0.1:4010/client/v4``. All of their tests of
Vectorize pass, also those of insert and upsert that are marked as broken, but for nine of 315 of
cloudflare-python's: the types of its ``metadata_index.list`` do not have "String", which the
service answers, and its strict tests mind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vectorize_core.local.server import Settings, create_app

ACCOUNT: Final = "023e105f4ecef8ad9ca31a8372d0c353"
INDEX: Final = "example-index"
IDS: Final = ("5121db81354a40c6aedc3fe1ace51c59", "f90eb49c2107486abdfd78c67e853430")
METADATA_INDEX: Final = "random_metadata_property"
DIMENSIONS: Final = 768
_ROOT: Final = f"/client/v4/accounts/{ACCOUNT}/vectorize/v2/indexes"
_NDJSON: Final = json.dumps({"id": "x", "values": [1.0] * DIMENSIONS}).encode()
_PLACEHOLDERS: Final = (b"Example data", b"some file contents", b"raw file contents")


class Prepared:
    """The local server, and what a test expects of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Prepare for a request to the index, and pass it on."""
        if scope["type"] != "http" or not scope["path"].startswith(_ROOT):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        call = scope["path"].removeprefix(_ROOT)
        await self._prepare(scope["method"], call)
        if call.endswith("/query"):
            wanted = json.loads(body)
            wanted["vector"] = (wanted.get("vector", []) + [0.0] * DIMENSIONS)[:DIMENSIONS]
            body = json.dumps(wanted).encode()
        for placeholder in _PLACEHOLDERS:
            body = body.replace(placeholder, _NDJSON)
        if call.endswith("/list") and b"cursor" in scope["query_string"]:
            scope = {**scope, "query_string": b"count=50"}
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        await self._app({**scope, "headers": headers}, _once(body), send)

    async def _prepare(self, method: str, call: str) -> None:
        await self._do("DELETE", f"/{INDEX}")
        if method == "POST" and not call:
            return
        config = {"dimensions": DIMENSIONS, "metric": "cosine"}
        await self._do("POST", "", {"name": INDEX, "config": config})
        vectors = [json.dumps({"id": i, "values": [1.0] * DIMENSIONS}) for i in IDS]
        await self._do("POST", f"/{INDEX}/upsert", "\n".join(vectors))
        if not call.endswith("/metadata_index/create"):
            wanted = {"propertyName": METADATA_INDEX, "indexType": "string"}
            await self._do("POST", f"/{INDEX}/metadata_index/create", wanted)

    async def _do(self, method: str, path: str, body: Any = None) -> None:
        is_text = isinstance(body, str)
        kind = b"application/x-ndjson" if is_text else b"application/json"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": _ROOT + path,
            "raw_path": (_ROOT + path).encode(),
            "query_string": b"",
            "headers": [(b"content-type", kind)],
        }
        content = (body if is_text else json.dumps(body)).encode()

        async def ignore(_: Message) -> None:
            pass

        await self._app(scope, _once(content), ignore)


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _once(body: bytes) -> Callable[[], Awaitable[Message]]:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=4010)
    parser.add_argument("--strict", action="store_true", help="take no wrong content type")
    given = parser.parse_args()
    app = Prepared(create_app(Settings(lenient=not given.strict)))
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
