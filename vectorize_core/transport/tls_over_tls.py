"""`TlsOverTls`: a connection to an https server through an https proxy, for sync calls."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import httpcore

T = TypeVar("T")
_RECORD: Final = 2**14 + 256
"""Bytes of a record of TLS, with what is around it."""


class TlsOverTls(httpcore.NetworkStream):
    """TLS over ``stream``, which keeps the deadline of a request at each of its reads.

    That of httpcore reads from the socket itself, and lets each read wait anew.
    """

    def __init__(
        self,
        stream: httpcore.NetworkStream,
        context: ssl.SSLContext,
        server_hostname: str | None,
        timeout: float | None,
    ) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        try:
            self._carry_out(self._tls.do_handshake, timeout)
        except httpcore.TimeoutException as error:
            stream.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except (httpcore.NetworkError, OSError) as error:
            stream.close()
            raise httpcore.ConnectError(str(error)) from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, at least a byte; nothing at the end."""
        try:
            return self._carry_out(partial(self._tls.read, max_bytes), timeout)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``."""
        view = memoryview(buffer)
        try:
            while view:
                sent = self._carry_out(partial(self._tls.write, view[:_RECORD]), timeout)
                view = view[sent:]
        except ssl.SSLError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """What is known of the socket."""
        return self._tls if info == "ssl_object" else self._stream.get_extra_info(info)

    def _carry_out(self, step: Callable[[], T], timeout: float | None) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._send(timeout)
                if data := self._stream.read(_RECORD, timeout):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._send(timeout)
                return result

    def _send(self, timeout: float | None) -> None:
        if self._outgoing.pending:
            self._stream.write(self._outgoing.read(), timeout)
