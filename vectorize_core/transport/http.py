"""Operations over HTTP, by httpx: a pooled client for sync calls, one for async calls."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx

from vectorize_core.api import wire
from vectorize_core.api.operations import Op
from vectorize_core.errors import (
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.transport.credentials import Credentials
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.io import each

T = TypeVar("T")
logger = logging.getLogger("vectorize_core")
_TIMEOUTS = {"read": 10.0, "write": 60.0, "control": 60.0}


class HttpExecutor:
    """Sends operations to the Vectorize API.

    Clients are made on first use and kept: one for each process, and for async one for each
    event loop. Injected clients are used as they are and never closed. ``timeout`` is in seconds
    for each step of a request (connect, write, read); by default 10 for reads and 60 for writes,
    or what an injected client says.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float | httpx.Timeout | None = None,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.credentials = credentials
        self._timeout = timeout
        self._http_client = http_client
        self._async_http_client = async_http_client
        # A transport for both variants, such as httpx.MockTransport, need be given only once.
        if async_transport is None and isinstance(transport, httpx.AsyncBaseTransport):
            async_transport = transport
        elif transport is None and isinstance(async_transport, httpx.BaseTransport):
            transport = async_transport
        self._transport = transport
        self._async_transport = async_transport
        self._closed = False
        self._clients: dict[int, httpx.Client] = {}
        self._async_clients: WeakKeyDictionary[
            asyncio.AbstractEventLoop,
            tuple[int, httpx.AsyncClient | asyncio.Future[httpx.AsyncClient]],
        ] = WeakKeyDictionary()

    def send(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        request, options = self._prepare(op)
        content = b"".join(request.body)
        client = self._client()
        try:
            response = client.request(**options, content=content)
        except httpx.RequestError as error:
            raise self._unanswered(op, error) from error
        return _read(op, response)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        """Carry ``op`` out; raises its typed error."""
        request, options = self._prepare(op)
        slices = []
        for part in request.body:
            slices.append(part)
            # Encoding a large write takes long; other tasks run after every slice.
            await asyncio.sleep(0)
        content: bytes | AsyncIterator[bytes] = b"".join(slices[:1])
        if len(slices) > 1:
            # So does sending it.
            options["headers"]["Content-Length"] = str(sum(map(len, slices)))
            content = each(slices)
        client = await self._async_client()
        try:
            response = await client.request(**options, content=content)
        except httpx.RequestError as error:
            raise self._unanswered(op, error) from error
        return _read(op, response)

    def _prepare(self, op: Op[Any]) -> tuple[wire.Request, dict[str, Any]]:
        if self._closed:
            raise VectorizeError("this client is closed")
        request = op.request()
        headers = dict(self.credentials.headers)
        if request.content_type:
            headers["Content-Type"] = request.content_type
        options: dict[str, Any] = {
            "method": request.method,
            "url": _parsed(self.credentials.url + request.area + request.path),
            # For an empty mapping httpx would parse the URL to remove a query.
            "params": request.params or None,
            "headers": headers,
        }
        if self._timeout is not None:
            options["timeout"] = self._timeout
        elif self._http_client is None and self._async_http_client is None:
            options["timeout"] = _TIMEOUTS[op.kind]
        return request, options

    def _unanswered(self, op: Op[Any], error: httpx.RequestError) -> ConnectionFailedError:
        text = str(error) or type(error).__name__
        if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ConnectError)):
            url = self.credentials.base_url
            return ConnectionFailedError(f"{op}: no connection to {url}: {text}", sent=False)
        if isinstance(error, httpx.TimeoutException):
            return RequestTimeoutError(f"{op}: no answer in time: {text}")
        return ConnectionFailedError(f"{op}: the connection broke: {text}")

    def _client(self) -> httpx.Client:
        if self._http_client is not None:
            return self._http_client
        if self._async_http_client is not None:
            raise _needs_both("async_http_client", "sync calls need http_client=")
        if self._async_transport is not None and self._transport is None:
            raise _needs_both("async_transport", "sync calls need transport=")
        # One for each process: connections shared with a parent would mix up answers. Without a
        # lock, which a fork could leave locked: setdefault decides between two threads.
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            made = httpx.Client(transport=self._transport, headers=_USER_AGENT, limits=_LIMITS)
            client = self._clients.setdefault(pid, made)
        return client

    async def _async_client(self) -> httpx.AsyncClient:
        if self._async_http_client is not None:
            return self._async_http_client
        if self._http_client is not None:
            raise _needs_both("http_client", "async calls need async_http_client=")
        if self._transport is not None and self._async_transport is None:
            raise _needs_both("transport", "async calls need async_transport=")
        loop = asyncio.get_running_loop()
        known = self._async_clients.get(loop)
        if known is None or known[0] != os.getpid():
            made: httpx.AsyncClient | asyncio.Future[httpx.AsyncClient]
            if self._async_transport is None:
                made = loop.run_in_executor(None, _warm_async_client)
            else:
                made = _new_async_client(self._async_transport)
            self._async_clients[loop] = known = os.getpid(), made
        pid, client = known
        if isinstance(client, asyncio.Future):
            try:
                client = await asyncio.shield(client)
            except Exception:
                self._async_clients.pop(loop, None)
                raise
            if self._async_clients.get(loop) is known:
                self._async_clients[loop] = pid, client
        return client

    def close(self) -> None:
        """Close the sync client, unless it was injected; no operation can follow."""
        self._closed = True
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close both clients, unless they were injected; no operation can follow."""
        self.close()
        pid, client = self._async_clients.pop(asyncio.get_running_loop(), (0, None))
        if client is not None and pid == os.getpid():
            if isinstance(client, asyncio.Future):
                client = await client
            await client.aclose()


def _new_async_client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, headers=_USER_AGENT, limits=_LIMITS)


def _warm_async_client() -> httpx.AsyncClient:
    """In a thread, since it reads files: the certificates, and modules httpx loads on first use."""
    import anyio.streams.tls  # noqa: PLC0415 - comes with httpx; only async calls need it

    anyio.run(anyio.sleep, 0)
    return _new_async_client()


# Parsing the URL anew would be a tenth of the time httpx takes for a search.
_parsed = lru_cache(maxsize=256)(httpx.URL)


def _needs_both(given: str, needed: str) -> ConfigurationError:
    return ConfigurationError(f"only {given}= was given; {needed} too")


_USER_AGENT = {"User-Agent": "vectorize-stores"}
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=60.0)
"""The defaults of httpx, but connections are kept for a minute instead of five seconds: a new one
costs a search three round trips, and users often pause longer between two questions."""


def _read(op: Op[T], response: httpx.Response) -> Answer[T]:
    result, messages = wire.read_answer(
        str(op), response.status_code, response.headers, response.content
    )
    for message in messages:
        logger.warning("%s: %s", op, message)
    try:
        return Answer(op.read(result), response.headers, response.status_code)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswerError(
            f"{op}: the result is not what the API documents ({error!r}): {str(result)[:200]}"
        ) from error
