"""`DirectClient` and `AsyncDirectClient`: httpx's clients over a transport that was passed in.

httpx looks at cookies, redirects, authentication, hooks and settings that may differ from request
to request. These send what they are given, as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import httpx

from vectorize_core.errors import VectorizeError
from vectorize_core.transport.messages import HEADERS


class DirectClient(httpx.Client):
    """For threads."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        super().__init__(transport=transport)
        self._sender = transport

    def build_request(self, **options: Any) -> httpx.Request:  # type: ignore[override]
        """The request of these options, as httpx's clients would make it."""
        return _request(**options)

    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """The answer, of which only the head is read yet; no redirect is followed."""
        check_open(self)
        try:
            response = self._sender.handle_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        response.request = request
        return response


class AsyncDirectClient(httpx.AsyncClient):
    """For an event loop."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport)
        self._sender = transport

    def build_request(self, **options: Any) -> httpx.Request:  # type: ignore[override]
        """As of `DirectClient`."""
        return _request(**options)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """As of `DirectClient`."""
        check_open(self)
        try:
            response = await self._sender.handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        response.request = request
        return response


def check_open(client: Any) -> None:
    """`VectorizeError` if ``client`` is closed."""
    if client.is_closed:
        # By another thread or task, while this request was being made.
        raise VectorizeError("this client is closed; make another one, or another store")


def _request(
    *,
    method: str,
    url: httpx.URL,
    params: Any,
    headers: dict[str, str],
    timeout: httpx.Timeout,
    extensions: dict[str, Any],
    content: bytes | AsyncIterable[bytes],
) -> httpx.Request:
    return httpx.Request(
        method,
        url,
        params=params,
        headers=HEADERS | headers,
        content=content,
        extensions={**extensions, "timeout": timeout.as_dict()},
    )
