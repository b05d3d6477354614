"""A server whose answers a test writes itself, byte by byte, as wrong as it likes.

    with RawServer(answer(ok_body([]))) as server:
        client = VectorizeClient("account", "token", base_url=server.base_url)

What is served is bytes; or parts, of which bytes are sent and a number is a pause in seconds; or a
function of the request that returns either. Parts may be endless: they end with the client's
connection, or with the server. After an answer, the connection is kept for the next request; after
parts, it is closed.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

Part = bytes | float
Script = bytes | Iterable[Part] | Callable[["RawRequest"], bytes | Iterable[Part]]
CERTIFICATE: Final = Path(__file__).with_name("loopback.pem")
"""Of 127.0.0.1, signed by itself. Its key is no secret."""
_MOMENT: Final = 0.005


@dataclass(frozen=True)
class RawRequest:
    """A request as it came: ``line`` is its first line, ``headers`` are by name in lower case."""

    line: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


def ok_body(result: Any) -> bytes:
    """The JSON of a successful answer of the API."""
    return json.dumps({"success": True, "errors": [], "messages": [], "result": result}).encode()


def answer(body: bytes = b"", status: str = "200 OK", **headers: object) -> bytes:
    """A whole answer; ``content_length="3"`` is the header Content-Length, if the body's is not."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-length": len(body), "content-type": "application/json", **given}
    lines = [f"HTTP/1.1 {status}", *(f"{n}: {v}" for n, v in given.items() if v is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawServer:
    """Serves ``script`` to each request, on a free port of this machine.

    With ``reads=False`` it begins without having read anything, with ``speed`` it reads so many
    bytes a second. With ``tls`` it proves itself by ``CERTIFICATE``. ``requests`` are those so far.
    """

    def __init__(
        self,
        script: Script,
        *,
        reads: bool = True,
        speed: float | None = None,
        tls: bool = False,
    ) -> None:
        self.requests: list[RawRequest] = []
        self._script = script
        self._reads = reads
        self._speed = speed
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._tls is not None:
            self._tls.load_cert_chain(CERTIFICATE)
        self._stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        if speed is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def base_url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/client/v4"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "the script does not end"
        self._socket.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._socket], [], [], _MOMENT)[0]:
                self._start(self._serve, self._socket.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        # What the client does to the connection is its own affair.
        with connection, suppress(OSError):
            connection.settimeout(_MOMENT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection.settimeout(5.0)
                connection = self._tls.wrap_socket(connection, server_side=True)
                connection.settimeout(_MOMENT)
            with connection:
                while self._exchange(connection):
                    pass

    def _exchange(self, connection: socket.socket) -> bool:
        request = RawRequest("")
        if self._reads:
            received = self._receive(connection)
            if received is None:
                return False
            request = received
            self.requests.append(request)
        script = self._script(request) if callable(self._script) else self._script
        if isinstance(script, bytes):
            self._send(connection, script)
            return self._reads
        for part in script:
            if isinstance(part, bytes):
                self._send(connection, part)
            elif self._is_over(connection, part):
                return False
            if self._stopping.is_set():
                return False
        return False

    def _is_over(self, connection: socket.socket, seconds: float) -> bool:
        """Pause for so long; whether the client has left meanwhile, or the server is to stop."""
        while seconds > 0 and not self._stopping.is_set():
            self._stopping.wait(min(seconds, _MOMENT))
            seconds -= _MOMENT
            if select.select([connection], [], [], 0)[0] and self._reads:
                with suppress(TimeoutError, ssl.SSLWantReadError):
                    if not connection.recv(65_536):
                        return True
        return self._stopping.is_set()

    def _send(self, connection: socket.socket, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._stopping.is_set():
            with suppress(TimeoutError, ssl.SSLWantWriteError):
                view = view[connection.send(view[: 2**18]) :]

    def _receive(self, connection: socket.socket) -> RawRequest | None:
        """The next request, whole; None if there is none."""
        received = bytearray()
        while b"\r\n\r\n" not in received:
            if not self._more(connection, received):
                return None
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {n.strip().lower(): v.strip() for n, _, v in (f.partition(":") for f in fields)}
        body = bytearray(rest)
        if headers.get("transfer-encoding") == "chunked":
            while not body.endswith(b"0\r\n\r\n"):
                if not self._more(connection, body):
                    return None
        while len(body) < int(headers.get("content-length", 0)):
            if not self._more(connection, body):
                return None
        return RawRequest(line, headers, bytes(body))

    def _more(self, connection: socket.socket, received: bytearray) -> bool:
        while not self._stopping.is_set():
            with suppress(TimeoutError, ssl.SSLWantReadError):
                data = connection.recv(65_536)
                received += data
                if self._speed is not None:
                    time.sleep(len(data) / self._speed)
                return bool(data)
        return False
