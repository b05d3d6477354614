"""The other end of a benchmark: a Vectorize over HTTPS on loopback, in a process of its own.

The "cheap" one reads of a request no more than it needs to count, and answers what was made
beforehand, so that the time measured is the client's: uvicorn alone would take as long as a
client. The "real" one is the local server, with neither a round trip nor counts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import uuid
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, cast

import certifi
import orjson
import uvicorn

from vectorize_core.layout import METADATA_INDEXES
from vectorize_core.local.server import Settings
from vectorize_core.local.server.app import create_app
from vectorize_core.local.server.uvicorn_server import UVICORN_OPTIONS

DIMENSIONS = 384
INDEX = "docs"
TOKEN = "t0ken"
ACCOUNT = "benchmark"

Kind = Literal["cheap", "real"]

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TOP_K = re.compile(rb'"topK": ?(\d+)')
_SENTENCE = "Nobody reads the manual before the machine has stopped, and then everybody does. "
_VARIABLES = ("SSL_CERT_DIR", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Counts(NamedTuple):
    """What has reached a "cheap" server: bytes of bodies, and their lines."""

    body_bytes: int
    lines: int


def text(number: int) -> str:
    """About 300 characters, different for each number."""
    return f"{number}: {_SENTENCE * 4}"[:300]


def metadata(number: int) -> dict[str, Any]:
    """What an application keeps beside a text."""
    return {"source": f"handbook/chapter-{number % 40}.html", "page": number % 200, "lang": "en"}


def vector_id(number: int) -> str:
    """An id as long as a UUID."""
    return str(uuid.UUID(int=number))


@cache
def _answer(result: bytes) -> bytes:
    body = b'{"success":true,"errors":[],"messages":[],"result":' + result + b"}"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


@cache
def _matches(count: int) -> bytes:
    matches = [
        {
            "id": vector_id(n),
            "score": 0.9231234 - n / 100,
            "metadata": {
                **metadata(n),
                "text": text(n),
                "_vs": '{"v":1}',
                "_vs_bucket": 524_288 + n,
                "_vs_own": True,
            },
        }
        for n in range(count)
    ]
    return _answer(orjson.dumps({"count": count, "matches": matches}))


_MUTATION = b'{"mutationId":"%s"}' % vector_id(1 << 127).encode()
_TIME = "2026-01-01T00:00:00.000000Z"
_GETS = {
    INDEX: {
        "name": INDEX,
        "config": {"dimensions": DIMENSIONS, "metric": "cosine"},
        "description": "",
        "created_on": _TIME,
        "modified_on": _TIME,
    },
    "info": {"dimensions": DIMENSIONS, "vectorCount": 10_000},
    "list": {
        "metadataIndexes": [
            {"propertyName": name, "indexType": kind} for name, kind in METADATA_INDEXES.items()
        ]
    },
}


class _Canned(asyncio.Protocol):
    """One connection: just enough of HTTP/1.1 to know which of the answers is asked for."""

    def __init__(self, round_trip: float, counts: Any) -> None:
        self._round_trip = round_trip
        self._counts = counts
        # The handshakes of TCP and of TLS come before the first request.
        self._delay = 3 * round_trip
        self._head = bytearray()
        self._last = self._kept = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = bytes(self._head[:end]), bytes(self._head[end + 4 :])
            self._head.clear()
            self._last = head.split(b" ", 2)[1].partition(b"?")[0].rpartition(b"/")[2]
            self._kept = b""
            length = _LENGTH.search(head)
            self._missing = int(length[1]) if length else 0
        self._counts[0] += len(data)
        self._counts[1] += data.count(b"\n")
        self._missing -= len(data)
        if self._last == b"query":
            self._kept += data
        if not self._missing:
            self._counts[1] += data[-1:] not in (b"", b"\n")
            self._reply()

    def _reply(self) -> None:
        if self._last == b"query":
            found = _TOP_K.search(self._kept)
            answer = _matches(int(found[1]) if found else 5)
        elif self._last in (b"upsert", b"insert"):
            answer = _answer(_MUTATION)
        else:
            answer = _answer(orjson.dumps(_GETS[self._last.decode()]))
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)
        self._delay = self._round_trip


async def _serve_canned(
    listening: socket.socket, context: ssl.SSLContext, round_trip: float, counts: Any
) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Canned(round_trip, counts), sock=listening, ssl=context
    )
    await server.serve_forever()


def _serve(
    kind: Kind, listening: socket.socket, folder: str, round_trip: float, counts: Any
) -> None:
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    if kind == "cheap":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        asyncio.run(_serve_canned(listening, context, round_trip, counts))
    else:
        options = {**UVICORN_OPTIONS, "ssl_certfile": cert, "ssl_keyfile": key}
        config = uvicorn.Config(create_app(Settings(token=TOKEN)), **options)
        uvicorn.Server(config).run([listening])


def _make_certificate(folder: str) -> None:
    """A certificate for 127.0.0.1, and a bundle of certifi's certificates and this one."""
    if shutil.which("openssl") is None:
        raise SystemExit("this benchmark makes a certificate with openssl, which is not on PATH")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-addext"),
            "keyUsage=critical,digitalSignature,keyCertSign",
            *("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    ours = Path(folder, "cert.pem").read_text()
    Path(folder, "bundle.pem").write_text(Path(certifi.where()).read_text() + ours)


def _trust(bundle: str) -> None:
    """Make every HTTP client of this process load ``bundle`` where it would load certifi's."""
    for name in _VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = bundle


class Server:
    """A server in another process: ``with Server("cheap", round_trip=0.03) as server:``.

    ``round_trip`` is in seconds; the first request of a connection takes three. Clients of this
    process trust the server, and verify it as they do any other.
    """

    def __init__(self, kind: Kind = "cheap", *, round_trip: float = 0.0) -> None:
        self.kind = kind
        self.round_trip = round_trip
        context = multiprocessing.get_context("spawn")
        self._counts = context.Array("q", 2, lock=False)
        self._folder = tempfile.TemporaryDirectory()
        # Only where the protocol is named does asyncio turn off Nagle's algorithm.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._process = context.Process(
            target=_serve,
            args=(kind, self._socket, self._folder.name, round_trip, self._counts),
            daemon=True,
        )

    @property
    def base_url(self) -> str:
        """What clients take."""
        return f"https://127.0.0.1:{self._socket.getsockname()[1]}/client/v4"

    @property
    def index_url(self) -> str:
        """The address of the index `INDEX`."""
        return f"{self.base_url}/accounts/{ACCOUNT}/vectorize/v2/indexes/{INDEX}"

    def counts(self) -> Counts:
        """What has reached it so far."""
        return Counts(*self._counts)

    def __enter__(self) -> Self:
        _make_certificate(self._folder.name)
        _trust(f"{self._folder.name}/bundle.pem")
        self._socket.bind(("127.0.0.1", 0))
        # Connections wait here until the process has started.
        self._socket.listen(128)
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._socket.close()
        self._folder.cleanup()
