"""`Pool` and `AsyncPool`: clients that keep a stack of connections.

httpx's own pool looks at every connection, and asks the system about each idle one, whenever a
request begins or ends: with dozens of connections that takes longer than the request itself. Here
a request takes the connection used last. How many there are is bounded by who sends
(`vectorize_core.transport.turns`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar
from weakref import WeakValueDictionary

import httpcore
import httpx

from vectorize_core.transport.deadline import AsyncBackend, Deadline, SyncBackend
from vectorize_core.transport.direct_client import check_open
from vectorize_core.transport.messages import FAILURES, AsyncIncoming, Incoming, Outgoing
from vectorize_core.transport.one_connection import AsyncOneConnection, OneConnection

T = TypeVar("T", "Connection", "AsyncConnection")

KEPT_FOR: Final = 60.0
"""Seconds that an unused connection is kept. httpx keeps it for five, but a new one costs a search
three round trips, and users often pause longer between two questions."""
ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_FOR)
"""The limits of each connection."""


class _Stack(Generic[T]):
    """Connections that are open, and those of them that nobody uses, the one used last on top."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        # Not those that are lost, as where Ctrl-C comes when one is about to be put back.
        self._open: WeakValueDictionary[int, T] = WeakValueDictionary()
        # Threads share it: a deque's methods are atomic.
        self._idle: deque[tuple[float, T]] = deque()

    def take(self) -> T:
        """A connection that no other request uses."""
        with suppress(IndexError):
            return self._idle.pop()[1]
        connection = self._make()
        self._open[id(connection)] = connection
        return connection

    def put(self, connection: T) -> Iterator[T]:
        """Keep a connection for other requests; those to close, since they were not used for long.

        One that `clear` met while it was being used, or only made, is not kept.
        """
        if id(connection) not in self._open:
            yield connection
            return
        self._idle.append((time.monotonic(), connection))
        while self._idle and self._idle[0][0] < time.monotonic() - KEPT_FOR:
            with suppress(IndexError):
                yield self.forget(self._idle.popleft()[1])

    def forget(self, connection: T) -> T:
        """The connection, which is no longer kept here."""
        self._open.pop(id(connection), None)
        return connection

    def clear(self) -> list[T]:
        """All connections, which are no longer kept here."""
        refs = self._open.valuerefs()
        connections = [each for ref in refs if (each := ref()) is not None]
        self._open.clear()
        self._idle.clear()
        return connections


class Connection:
    """A connection for one request at a time, which is over when its ``deadline`` is reached.

    The request's extensions name that: see `Deadline.set_for`. The options are those of a
    transport of httpx.
    """

    def __init__(self, **options: Any) -> None:
        self._deadline = Deadline()
        transport = httpx.HTTPTransport(limits=ONE, **options)
        self.only = OneConnection(_pool(transport, SyncBackend(self._deadline)))
        self.layers: list[object] = []

    def send(self, request: Outgoing) -> httpcore.Response:
        """The head of the answer to a request."""
        self._deadline.set_for(request)
        try:
            response = self.only.handle_request(request.for_httpcore())
        except FAILURES as error:
            raise request.failed(error) from error
        self._deadline.head_is_read()
        return response

    def close(self) -> None:
        """Close it."""
        self.only.close()


class AsyncConnection:
    """As `Connection`, for an event loop."""

    def __init__(self, **options: Any) -> None:
        self._deadline = Deadline()
        transport = httpx.AsyncHTTPTransport(limits=ONE, **options)
        self.only = AsyncOneConnection(_pool(transport, AsyncBackend(self._deadline)))
        self.layers: list[object] = []

    async def send(self, request: Outgoing) -> httpcore.Response:
        """The head of the answer to a request."""
        self._deadline.set_for(request)
        try:
            response = await self.only.handle_async_request(request.for_httpcore())
        except FAILURES as error:
            raise request.failed(error) from error
        self._deadline.head_is_read()
        return response

    async def aclose(self) -> None:
        """Close it."""
        await self.only.aclose()


def _pool(transport: Any, backend: object) -> Any:
    """The pool of httpcore below a transport of httpx, which opens its sockets by ``backend``.

    httpx makes it for every kind of proxy, but does not pass on the backend.
    """
    pool = transport._pool  # noqa: SLF001
    pool._network_backend = backend  # noqa: SLF001
    return pool


class Pool:
    """Connections that threads share, as a client. One is free again when its answer is closed."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[Connection] = _Stack(lambda: Connection(**options))
        self.is_closed = False

    def build_request(self, **options: Any) -> Outgoing:
        """The request of these options, as httpx's clients would make it."""
        return Outgoing.of(**options)

    def send(self, request: Outgoing, **_: Any) -> Incoming:
        """The answer, of which only the head is read yet; no redirect is followed."""
        check_open(self)
        connection = self._stack.take()
        try:
            response = connection.send(request)
        except BaseException:
            self._stack.forget(connection).close()
            raise
        return Incoming(request, response, partial(self._free, connection))

    def _free(self, connection: Connection, whole: bool) -> None:
        if not whole or _holds_more(connection):
            self._stack.forget(connection).close()
            return
        for old in self._stack.put(connection):
            old.close()

    def close(self) -> None:
        """Close all connections; nothing is sent any more."""
        self.is_closed = True
        for connection in self._stack.clear():
            connection.close()


class AsyncPool:
    """As `Pool`, for one event loop."""

    def __init__(self, **options: Any) -> None:
        self._stack: _Stack[AsyncConnection] = _Stack(lambda: AsyncConnection(**options))
        self.is_closed = False

    def build_request(self, **options: Any) -> Outgoing:
        """As of `Pool`."""
        return Outgoing.of(**options)

    async def send(self, request: Outgoing, **_: Any) -> AsyncIncoming:
        """As of `Pool`."""
        check_open(self)
        connection = self._stack.take()
        try:
            response = await connection.send(request)
        except BaseException:
            await self._stack.forget(connection).aclose()
            raise
        return AsyncIncoming(request, response, partial(self._free, connection))

    async def _free(self, connection: AsyncConnection, whole: bool) -> None:
        if not whole or _holds_more(connection):
            await self._stack.forget(connection).aclose()
            return
        for old in self._stack.put(connection):
            await old.aclose()

    async def aclose(self) -> None:
        """Close all connections; nothing is sent any more."""
        self.is_closed = True
        for connection in self._stack.clear():
            await connection.aclose()

    def drop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the sockets of all connections without awaiting anything, whatever ``loop`` does.

        Only the loop's own thread may touch sockets of a loop that runs. Another one may never run
        again.
        """
        # No call that the loop goes on with may open another connection.
        self.is_closed = True
        for connection in self._stack.clear():
            for socket in _sockets(connection):
                with suppress(Exception):
                    if loop.is_running():
                        loop.call_soon_threadsafe(socket.abort)
                    else:
                        _end(socket, loop)


def _holds_more(connection: Connection | AsyncConnection) -> bool:
    """Whether bytes came behind the answer, which would be taken for that of the next request.

    What still waits in the socket is noticed by httpcore.
    """
    if connection.layers[:1] != connection.only.connections:
        connection.layers = list(_layers(connection))
    for layer in connection.layers:
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


def _layers(connection: Connection | AsyncConnection) -> Iterator[object]:
    """What a connection is made of, down to asyncio's transport: no public attribute leads there.

    If a version of httpcore has other attributes, this ends early: nothing is noticed of bytes
    behind an answer, and Python closes the sockets when it collects them.
    """
    for inside in connection.only.connections:
        found: object = inside
        while found is not None:
            yield found
            if isinstance(found, asyncio.BaseTransport):
                break
            found = next(filter(None, (getattr(found, name, None) for name in _INSIDE)), None)


def _sockets(connection: AsyncConnection) -> Iterator[asyncio.Transport]:
    """asyncio's transports below a connection."""
    return (layer for layer in _layers(connection) if isinstance(layer, asyncio.Transport))
