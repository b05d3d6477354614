"""`Watched`: an API of this process, whose requests are noted as they pass."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Any, Final

import orjson
from starlette.types import Message, Receive, Scope, Send

from vectorize_core.local.server.middleware import ServerMiddleware
from vectorize_core.local.server.responses import HINT_CODE
from vectorize_core.page.activity import Activity

_MOST_READ: Final = 1 << 16
"""Bytes of an answer that are looked at."""
_PATH: Final = re.compile(
    r"/client/v4/accounts/(?P<account>[^/]+)/vectorize/v2/indexes(?:/(?P<index>[^/]+)(?P<call>/.*)?)?"
)
_D1: Final = re.compile(r"/client/v4/accounts/[^/]+/d1/database(?:/(?P<database>[^/]+))?.*")
_OPERATIONS: Final = {
    ("POST", None): "CreateIndex",
    ("GET", None): "ListIndexes",
    ("GET", ""): "GetIndex",
    ("DELETE", ""): "DeleteIndex",
    ("GET", "/info"): "GetInfo",
    ("POST", "/insert"): "Insert",
    ("POST", "/upsert"): "Upsert",
    ("POST", "/query"): "Query",
    ("POST", "/get_by_ids"): "GetByIds",
    ("POST", "/delete_by_ids"): "DeleteByIds",
    ("GET", "/list"): "ListVectors",
    ("POST", "/metadata_index/create"): "CreateMetadataIndex",
    ("GET", "/metadata_index/list"): "ListMetadataIndexes",
    ("POST", "/metadata_index/delete"): "DeleteMetadataIndex",
}
_HINTED: Final = b'"code":%d' % HINT_CODE


class Watched:
    """The application, and a note of each of its requests that ends."""

    def __init__(self, app: ServerMiddleware, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    def stop(self) -> None:
        """End what takes long in the application."""
        self._app.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        begun, status, seen = time.monotonic(), None, bytearray()

        async def look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif len(seen) < _MOST_READ:
                seen.extend(message.get("body", b"")[: _MOST_READ - len(seen)])
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            error, hint = _said(status, bytes(seen))
            self._activity.note(
                **_named(scope["method"], scope["path"]),
                status=status,
                seconds=time.monotonic() - begun,
                client=headers.get(b"user-agent", b"").decode("latin-1")[:60] or None,
                error=error if status is not None else "the connection was closed",
                hint=hint,
            )


def _named(method: str, path: str) -> dict[str, Any]:
    """The operation of a request, and its index."""
    found = _PATH.fullmatch(path)
    if found is not None:
        index, call = found["index"], found["call"] or ""
        operation = _OPERATIONS.get((method, None if index is None else call))
        if operation is not None:
            return {"operation": operation, "index": index}
    database = _D1.fullmatch(path)
    if database is not None:
        return {"operation": "D1", "index": database["database"]}
    return {"operation": f"{method} {path[:80]}", "index": None}


def _said(status: int | None, body: bytes) -> tuple[str | None, str | None]:
    """The error and the hints in an answer, if it has any."""
    refused = status is None or status >= 400
    if not (refused or _HINTED in body):
        return None, None
    envelope = _envelope(body)
    messages, errors = envelope.get("messages") or [], envelope.get("errors") or []
    hint = " ".join(str(one["message"]) for one in messages if one.get("code") == HINT_CODE)
    error = "; ".join(str(one.get("message")) for one in errors) or envelope.get("error")
    return (str(error or f"status {status}") if refused else None), hint or None


def _envelope(body: bytes) -> dict[str, Any]:
    """What stands in an answer before its result, whose end may be missing."""
    # No text in JSON has these bytes, for it would have its quotation marks escaped.
    before, _, _ = body.partition(b',"result":')
    for text in (body, before + b"}"):
        with suppress(ValueError):
            found = orjson.loads(text)
            return found if isinstance(found, dict) else {}
    return {}
