"""`Pool` and `AsyncPool`: httpx transports that keep a stack of connections.

httpx's own pool looks at every connection, and asks the system about each idle one, whenever a
request begins or ends: with dozens of connections that takes longer than the request itself. Here
each connection is a transport of httpx of its own, and a request takes the one used last. How many
there are is bounded by who sends (`vectorize_core.transport.turns`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar

import httpx

from vectorize_core.transport.deadline import AsyncBackend, Deadline, SyncBackend
from vectorize_core.transport.one_connection import AsyncOneConnection, OneConnection

T = TypeVar("T", "Connection", "AsyncConnection")

KEPT_FOR: Final = 60.0
"""Seconds that an unused connection is kept. httpx keeps it for five, but a new one costs a search
three round trips, and users often pause longer between two questions."""
ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_FOR)
"""The limits of each transport."""


class _Stack(Generic[T]):
    """Connections that are open, and those of them that nobody uses, the one used last on top."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        self._open: set[T] = set()
        # Threads share it: a deque's methods are atomic.
        self._idle: deque[tuple[float, T]] = deque()

    def take(self) -> T:
        """A connection that no other request uses."""
        with suppress(IndexError):
            return self._idle.pop()[1]
        connection = self._make()
        self._open.add(connection)
        return connection

    def put(self, connection: T) -> Iterator[T]:
        """Keep a connection for other requests; those to close, since they were not used for long.

        One that `clear` met while it was being used, or only made, is not kept.
        """
        if connection not in self._open:
            yield connection
            return
        self._idle.append((time.monotonic(), connection))
        while self._idle and self._idle[0][0] < time.monotonic() - KEPT_FOR:
            with suppress(IndexError):
                yield self.forget(self._idle.popleft()[1])

    def forget(self, connection: T) -> T:
        """The connection, which is no longer kept here."""
        self._open.discard(connection)
        return connection

    def clear(self) -> list[T]:
        """All connections, which are no longer kept here."""
        connections = list(self._open)
        self._open.clear()
        self._idle.clear()
        return connections


class Connection(httpx.HTTPTransport):
    """A connection for one request at a time, which is over when its ``deadline`` is reached.

    The request's extensions name that: see `Deadline.set_for`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(limits=ONE, **options)
        self._deadline = Deadline()
        _replace_pool(self, SyncBackend(self._deadline), OneConnection)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self._deadline.set_for(request)
        response = super().handle_request(request)
        self._deadline.head_is_read()
        return response


class AsyncConnection(httpx.AsyncHTTPTransport):
    """As `Connection`, for an event loop."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limits=ONE, **options)
        self._deadline = Deadline()
        _replace_pool(self, AsyncBackend(self._deadline), AsyncOneConnection)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self._deadline.set_for(request)
        response = await super().handle_async_request(request)
        self._deadline.head_is_read()
        return response


def _replace_pool(transport: Any, backend: object, one: Callable[[Any], object]) -> None:
    """Have httpcore's pool below a transport open its sockets by ``backend``, and but ``one``.

    httpcore takes the backend as an argument, but httpx passes none on. If a version of httpx has
    other attributes, only the steps of a request are bounded, not all of it.
    """
    pool: Any = getattr(transport, "_pool", None)
    if hasattr(pool, "_network_backend"):
        pool._network_backend = backend  # noqa: SLF001
        transport._pool = one(pool)  # noqa: SLF001


class Pool(httpx.BaseTransport):
    """Connections that threads share. One is free again when its answer is closed."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[Connection] = _Stack(lambda: Connection(**options))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or a new one."""
        connection = self._stack.take()
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._stack.forget(connection).close()
            raise
        response.stream = _Body(response.stream, partial(self._free, connection))
        return response

    def _free(self, connection: Connection, whole: bool) -> None:
        if not whole or _holds_more(connection):
            self._stack.forget(connection).close()
            return
        for old in self._stack.put(connection):
            old.close()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._stack.clear():
            connection.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer; ``free`` is called at its end, with whether it was read whole."""

    def __init__(self, body: Any, free: Callable[[bool], None]) -> None:
        self._body = body
        self._free = free
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body
        self._whole = True

    def close(self) -> None:
        try:
            self._body.close()
        finally:
            self._free(self._whole)


class AsyncPool(httpx.AsyncBaseTransport):
    """Connections of one event loop. One is free again when its answer is closed."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[AsyncConnection] = _Stack(lambda: AsyncConnection(**options))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or a new one."""
        connection = self._stack.take()
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._stack.forget(connection).aclose()
            raise
        response.stream = _AsyncBody(response.stream, partial(self._free, connection))
        return response

    async def _free(self, connection: AsyncConnection, whole: bool) -> None:
        if not whole or _holds_more(connection):
            await self._stack.forget(connection).aclose()
            return
        for old in self._stack.put(connection):
            await old.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in self._stack.clear():
            await connection.aclose()

    def drop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the sockets of all connections without awaiting anything, whatever ``loop`` does.

        Only the loop's own thread may touch sockets of a loop that runs. Another one may never run
        again.
        """
        for connection in self._stack.clear():
            for socket in _sockets(connection):
                with suppress(Exception):
                    if loop.is_running():
                        loop.call_soon_threadsafe(socket.abort)
                    else:
                        _end(socket, loop)


class _AsyncBody(httpx.AsyncByteStream):
    """As `_Body`, for an event loop."""

    def __init__(self, body: Any, free: Callable[[bool], Awaitable[None]]) -> None:
        self._body = body
        self._free = free
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk
        self._whole = True

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._free(self._whole)


def _holds_more(connection: object) -> bool:
    """Whether bytes came behind the answer, which would be taken for that of the next request.

    What still waits in the socket is noticed by httpcore.
    """
    for layer in _layers(connection):
        h11, tls = getattr(layer, "_h11_state", None), getattr(layer, "_read_bio", None)
        queue = getattr(getattr(layer, "_protocol", None), "read_queue", None)
        if queue or (h11 and h11.trailing_data[0]) or (tls and tls.pending):
            return True
    return False


def _end(socket: Any, loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio's ``close()`` does, without leaving the last step to the loop."""
    socket._closing = True  # noqa: SLF001
    socket._conn_lost = 1  # noqa: SLF001
    # If the loop goes on later, its next socket may have the same number.
    with suppress(NotImplementedError):
        number = socket.get_extra_info("socket").fileno()
        loop.remove_reader(number)
        loop.remove_writer(number)
    socket._call_connection_lost(None)  # noqa: SLF001


_INSIDE: Final = ("_connection", "_network_stream", "_stream", "transport_stream", "_transport")


def _layers(connection: object) -> Iterator[object]:
    """What is below a transport of httpx, down to that of asyncio: no public attribute leads there.

    If a version of httpx has other attributes, this ends early: nothing is noticed of bytes behind
    an answer, and Python closes the sockets when it collects them.
    """
    for inside in getattr(getattr(connection, "_pool", None), "connections", ()):
        found: object = inside
        while found is not None:
            yield found
            if isinstance(found, asyncio.BaseTransport):
                break
            found = next(filter(None, (getattr(found, name, None) for name in _INSIDE)), None)


def _sockets(connection: httpx.AsyncBaseTransport) -> Iterator[asyncio.Transport]:
    """asyncio's transports below one of httpx."""
    return (layer for layer in _layers(connection) if isinstance(layer, asyncio.Transport))
