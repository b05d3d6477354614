"""`Deadline`: when a request has to be over, whatever its server does, and who keeps it.

httpx bounds each wait by itself. A server that sends a byte now and then, header lines or
``100 Continue`` for ever, ends no wait by that. So below httpx, the streams of a connection shorten
each wait to what is left of the request: connecting, TLS, sending and receiving, also through a
proxy. `SyncBackend` and `AsyncBackend` are what httpcore calls a network backend.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import httpcore

from vectorize_core.transport.messages import Outgoing
from vectorize_core.transport.tls_over_tls import TlsOverTls

_SLICE: Final = 1_048_576
"""Bytes that are sent at once. httpcore lets each send of a part of them wait anew; and with many
small ones, sending takes twice as long."""
_SLICE_OF_HEAD: Final = 16_384
"""Bytes of a head that are received at once. To read many answers ``100 Continue`` takes long, and
between two slices the time is looked at."""


class Deadline:
    """The deadline of the request that a connection is busy with."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._more = 0.0
        self._in_head = True

    def set_for(self, request: Outgoing) -> None:
        """Keep that of ``request``.

        Its extension ``deadline`` is by `time.monotonic`; None: no bound but those of the steps.
        ``more_time`` are seconds that each step after connecting has beyond its own.
        """
        self._at = request.extensions.get("deadline")
        self._more = request.extensions.get("more_time", 0.0)
        self._in_head = True

    def head_is_read(self) -> None:
        """Note that what comes now is the body."""
        self._in_head = False

    def room(self, most: int) -> int:
        """How many bytes to receive at once, of ``most``."""
        return min(most, _SLICE_OF_HEAD) if self._in_head else most

    def left(self, step: float | None, late: type[httpcore.TimeoutException]) -> float | None:
        """Seconds that a wait may take which may take ``step`` seconds by itself.

        Raises ``late`` when the request has to be over.
        """
        if step is not None and late is not httpcore.ConnectTimeout:
            step += self._more
        if self._at is None:
            return step
        left = self._at - time.monotonic()
        if left <= 0:
            raise late("all of its time is over")
        return left if step is None else min(step, left)


class SyncBackend(httpcore.NetworkBackend):
    """Opens sockets whose waits end at a `Deadline`."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of ``host`` that takes one.

        Each has an equal share of the time; httpcore would give each all of it.
        """
        within = self._deadline.left(timeout, httpcore.ConnectTimeout)
        end = None if within is None else time.monotonic() + within
        addresses = _addresses(host, port)
        failure: Exception | None = None
        for number, address in enumerate(addresses):
            share = None
            if end is not None:
                share = max(end - time.monotonic(), 0.001) / (len(addresses) - number)
            try:
                stream = self._sockets.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return SyncStream(stream, self._deadline)
        raise failure or httpcore.ConnectError(f"{host} has no address")


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class SyncStream(httpcore.NetworkStream):
    """A connection whose waits end at a `Deadline`."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._held = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, at least a byte; nothing at the end."""
        if self._held:
            self.write(b"", timeout)
        within = self._deadline.left(timeout, httpcore.ReadTimeout)
        return self._stream.read(self._deadline.room(max_bytes), within)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``, the head of a request with what follows."""
        held, self._held = self._held, b""
        if not held and 0 < len(buffer) < _SLICE_OF_HEAD:
            self._held = buffer
            return
        for part in _parts(held, buffer):
            self._stream.write(part, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close it; a thread that waits for it is woken, by the end of what it reads."""
        with suppress(OSError):
            # Not by a method of a socket with TLS, which would take away what that thread uses.
            socket.socket.shutdown(self.get_extra_info("socket"), socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted; closed if it does not come about."""
        try:
            within = self._deadline.left(timeout, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            self.close()
            raise
        if isinstance(self.get_extra_info("socket"), ssl.SSLSocket):
            return TlsOverTls(self, ssl_context, server_hostname, within)
        stream = self._stream.start_tls(ssl_context, server_hostname, within)
        return SyncStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the socket."""
        return self._stream.get_extra_info(info)


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets of an event loop whose waits end at a `Deadline`."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the address of ``host`` that takes one first."""
        within = self._deadline.left(timeout, httpcore.ConnectTimeout)
        stream = await self._sockets.connect_tcp(host, port, within, local_address, socket_options)
        return AsyncStream(stream, self._deadline)


class AsyncStream(httpcore.AsyncNetworkStream):
    """A connection of an event loop whose waits end at a `Deadline`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._held = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, at least a byte; nothing at the end."""
        if self._held:
            await self.write(b"", timeout)
        within = self._deadline.left(timeout, httpcore.ReadTimeout)
        return await self._stream.read(self._deadline.room(max_bytes), within)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``, the head of a request with what follows."""
        held, self._held = self._held, b""
        if not held and 0 < len(buffer) < _SLICE_OF_HEAD:
            self._held = buffer
            return
        # What is large is not copied.
        for part in (held + buffer,) if len(buffer) < _SLICE else (held, buffer):
            if part:
                within = self._deadline.left(timeout, httpcore.WriteTimeout)
                await self._stream.write(part, within)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted; closed if it does not come about."""
        try:
            within = self._deadline.left(timeout, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            await self.aclose()
            raise
        stream = await self._stream.start_tls(ssl_context, server_hostname, within)
        return AsyncStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the socket."""
        return self._stream.get_extra_info(info)


def _parts(held: bytes, buffer: bytes) -> Iterable[bytes]:
    if len(buffer) <= _SLICE:
        return (held + buffer,)
    # Without copying it: what sends it takes any buffer.
    view: Any = memoryview(buffer)
    return (held, *(view[start : start + _SLICE] for start in range(0, len(buffer), _SLICE)))
