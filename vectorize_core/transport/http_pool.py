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
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import httpx

T = TypeVar("T", httpx.BaseTransport, httpx.AsyncBaseTransport)

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


class Pool(httpx.BaseTransport):
    """Connections that threads share; each answer is read whole."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[httpx.BaseTransport] = _Stack(
            lambda: httpx.HTTPTransport(limits=ONE, **options)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or a new one."""
        connection = self._stack.take()
        try:
            response = connection.handle_request(request)
            response.read()
        except BaseException:
            self._stack.forget(connection).close()
            raise
        for old in self._stack.put(connection):
            old.close()
        return response

    def close(self) -> None:
        """Close all connections."""
        for connection in self._stack.clear():
            connection.close()


class AsyncPool(httpx.AsyncBaseTransport):
    """Connections of one event loop; each answer is read whole."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[httpx.AsyncBaseTransport] = _Stack(
            lambda: httpx.AsyncHTTPTransport(limits=ONE, **options)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or a new one."""
        connection = self._stack.take()
        try:
            response = await connection.handle_async_request(request)
            await response.aread()
        except BaseException:
            await self._stack.forget(connection).aclose()
            raise
        for old in self._stack.put(connection):
            await old.aclose()
        return response

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


def _sockets(connection: httpx.AsyncBaseTransport) -> Iterator[asyncio.Transport]:
    """asyncio's transports below one of httpx, which no public attribute leads to.

    If a version of httpx has other attributes, nothing is found: Python closes the sockets when it
    collects them.
    """
    pool = getattr(connection, "_pool", None)
    for inside in getattr(pool, "connections", ()):
        found: object = inside
        while found is not None and not isinstance(found, asyncio.BaseTransport):
            found = next(filter(None, (getattr(found, name, None) for name in _INSIDE)), None)
        if isinstance(found, asyncio.Transport):
            yield found
