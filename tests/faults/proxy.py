"""A proxy on loopback that stands between a client and a server, and harms some of the requests.

Requests are forwarded one at a time, in the order in which they have arrived whole. So a request
that its client has given up still acts before any that the client sends later, and what a test
finds does not hang on a race between the two.
"""

from __future__ import annotations

import asyncio
import enum
import os
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

import orjson

_MOST_SECONDS: Final = 30.0
_BUFFER: Final = 2**20
_END: Final = b"\r\n\r\n"


class Fault(enum.Enum):
    """What may become of a request."""

    LIMITED_WITH_DELAY = "429 with Retry-After"
    LIMITED = "429"
    LIMITED_AS_400 = "40041 as a 400"
    UNAVAILABLE = "503"
    HTML = "500 in HTML"
    RESET_UNSENT = "reset before it is forwarded"
    RESET_IN_BODY = "reset within its body"
    # The server has acted on the rest.
    LOST = "answer lost"
    TRUNCATED = "answer truncated"
    SLOW = "answer late"
    SILENT = "answer too late"
    CUT_JSON = "200 with cut JSON"


def mixed(rate: float, seed: int, weights: Mapping[Fault, float]) -> Iterator[Fault | None]:
    """For one request after the other a fault, or at ``1 - rate`` none; for ever the same."""
    chance = random.Random(seed)
    faults, shares = [*weights], [*weights.values()]
    while True:
        yield chance.choices(faults, shares)[0] if chance.random() < rate else None


class Message(NamedTuple):
    """A request or an answer: its first line, its headers by name in lower case, its body."""

    first: str
    headers: Mapping[str, str]
    body: bytes = b""

    def encoded(self, **more: str) -> bytes:
        """Its bytes, with the headers ``more``."""
        framing = {"connection", "transfer-encoding", "content-length"}
        kept = {name: value for name, value in self.headers.items() if name not in framing}
        kept |= {"content-length": str(len(self.body)), **more}
        lines = [self.first, *(f"{name}: {value}" for name, value in kept.items())]
        return "\r\n".join(lines).encode("latin-1") + _END + self.body


class FaultProxy:
    """Forwards to the server at ``upstream``; ``faults`` says what each request meets.

    Only requests with ``match`` in their first line meet faults; the others pass. ``dealt`` counts
    the faults so far. Use it with ``async with``: leaving it waits until all that has arrived is
    dealt with, so clients have to be closed before.
    """

    def __init__(
        self, upstream: str, faults: Iterator[Fault | None], *, match: str = "", seed: int = 0
    ) -> None:
        self.dealt: Counter[Fault] = Counter()
        self._upstream = urlsplit(upstream)
        self._faults = faults
        self._match = match
        self._chance = random.Random(seed)
        # Only where the protocol is named does asyncio turn off Nagle's algorithm.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._order: asyncio.Lock
        self._connections: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None

    @property
    def base_url(self) -> str:
        """Where clients find the server through the proxy."""
        host, port = self._socket.getsockname()
        return self._upstream._replace(netloc=f"{host}:{port}").geturl()

    async def __aenter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._thread.start()
        await asyncio.to_thread(self._started.wait)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        # In a thread: clients of this event loop need it to close their connections.
        await asyncio.to_thread(self._thread.join)
        if self._failure is not None:
            raise self._failure

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._order = asyncio.Lock()
        server = await asyncio.start_server(self._serve, sock=self._socket, limit=_BUFFER)
        self._started.set()
        await self._stopping.wait()
        server.close()
        if self._connections:
            _, open_still = await asyncio.wait(self._connections, timeout=_MOST_SECONDS)
            if open_still:
                self._failure = RuntimeError("a client has not closed its connections")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client has left, as it may.
            pass
        except Exception as error:
            self._failure = error
        finally:
            await _close(writer)
            self._connections.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Deal with one request; whether the connection can take another."""
        head = await _read_head(reader)
        if head is None:
            return False
        fault = next(self._faults) if self._match in head.first else None
        if fault is not None:
            self.dealt[fault] += 1
        if fault is Fault.RESET_IN_BODY:
            if _has_body(head):
                await reader.read(self._chance.randint(1, 100_000))
            _reset(writer)
            return False
        request = head._replace(body=await _read_body(reader, head))
        answer = self._refusal(fault)
        if answer is None and fault is not Fault.RESET_UNSENT:
            answer = await self._forward(request)
        if answer is None or fault is Fault.LOST:
            _reset(writer)
            return False
        if fault is Fault.SILENT:
            # Until the client gives up, whatever its timeout is; it sends nothing more here.
            await asyncio.wait_for(reader.read(), _MOST_SECONDS)
            return False
        if fault is Fault.SLOW:
            await asyncio.sleep(self._chance.uniform(0.01, 0.05))
        if fault is Fault.CUT_JSON:
            answer = answer._replace(body=answer.body[: self._chance.randrange(len(answer.body))])
        sent = answer.encoded()
        if fault is Fault.TRUNCATED:
            sent = sent[: -self._chance.randint(1, len(answer.body))]
        writer.write(sent)
        await writer.drain()
        if fault is Fault.TRUNCATED:
            _reset(writer)
            return False
        return True

    def _refusal(self, fault: Fault | None) -> Message | None:
        """The answer in place of the server's, where the request is not forwarded at all."""
        match fault:
            case Fault.LIMITED_WITH_DELAY:
                seconds = self._chance.choices(["0", "1"], [0.95, 0.05])[0]
                return _failure("429 Too Many Requests", 971, {"retry-after": seconds})
            case Fault.LIMITED:
                return _failure("429 Too Many Requests", 971)
            case Fault.LIMITED_AS_400:
                return _failure("400 Bad Request", 40041)
            case Fault.UNAVAILABLE:
                return _failure("503 Service Unavailable", 7010)
            case Fault.HTML:
                page = b"<!DOCTYPE html><title>500: Internal server error</title>"
                kind = {"content-type": "text/html"}
                return Message("HTTP/1.1 500 Internal Server Error", kind, page)
        return None

    async def _forward(self, request: Message) -> Message:
        """What the server answers, on a connection for this request alone."""
        async with self._order:
            host, port = self._upstream.hostname, self._upstream.port
            try:
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(request.encoded(connection="close"))
                head, _, body = (await reader.read()).partition(_END)
                await _close(writer)
            except ConnectionError as error:
                raise RuntimeError("the server behind the proxy broke off") from error
        return _parsed(head)._replace(body=body)


def _failure(status: str, code: int, headers: Mapping[str, str] | None = None) -> Message:
    errors = [{"code": code, "message": "a fault of the proxy"}]
    body = {"result": None, "success": False, "errors": errors, "messages": []}
    kind = {"content-type": "application/json"}
    return Message(f"HTTP/1.1 {status}", kind | dict(headers or {}), orjson.dumps(body))


async def _read_head(reader: asyncio.StreamReader) -> Message | None:
    """The next message without its body, None if there is none."""
    try:
        return _parsed((await reader.readuntil(_END)).removesuffix(_END))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


def _parsed(head: bytes) -> Message:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return Message(first, {name.lower(): value.strip() for name, value in pairs})


def _has_body(head: Message) -> bool:
    return "transfer-encoding" in head.headers or head.headers.get("content-length", "0") != "0"


async def _read_body(reader: asyncio.StreamReader, head: Message) -> bytes:
    if "transfer-encoding" not in head.headers:
        return await reader.readexactly(int(head.headers.get("content-length", "0")))
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(chunks)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with RST, as a crash or a firewall does."""
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
