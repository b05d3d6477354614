"""`AnswerBody`: the body of an answer, decoded as it comes, and bounded.

httpx decodes whatever comes at once: a megabyte of gzip can be a gigabyte. Here nothing is decoded
beyond the bound.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from vectorize_core.errors import ConnectionFailedError, UnexpectedAnswerError

if TYPE_CHECKING:
    import httpx

    from vectorize_core.transport.messages import AsyncIncoming, Incoming

MAX_ANSWER_BYTES: Final = 64 * 2**20
"""The default bound. The largest answer of the API, 100 matches with values, has about 5 MB."""
ENCODINGS: Final = "gzip"
"""What requests ask for. zlib can be told how much to decode, and comes with Python."""
_GZIP: Final = zlib.MAX_WBITS | 16
_STEP: Final = 2**20
"""Bytes that are decoded at once, for they are held twice."""


class AnswerBody:
    """Takes the body of an answer a chunk at a time.

    Raises `UnexpectedAnswerError`, at the latest in `end`: the body has more than ``most`` bytes,
    decoded or as sent, or is not gzip although its headers say so. `ConnectionFailedError` if gzip
    ends early, `TimeoutError` after ``until`` (by `time.monotonic`). Messages begin with
    ``operation``.
    """

    def __init__(
        self, operation: object, headers: Mapping[str, str], most: int, until: float | None = None
    ) -> None:
        self._operation = operation
        self._most = most
        self._until = until
        self._pieces = bytearray()
        self._only: bytes | None = None
        self._received = 0
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise UnexpectedAnswerError(
                f"{operation}: the answer is encoded as {encoding[:40]!r}; only gzip was asked for"
            )
        self._gzip = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise _too_large(self._operation, self._most)

    def add(self, chunk: bytes) -> None:
        """Take what has come."""
        self._check_time()
        self._received += len(chunk)
        if self._received > self._most:
            raise _too_large(self._operation, self._most)
        if self._gzip is None:
            if self._received == len(chunk):
                self._only = chunk
                return
            if self._only is not None:
                self._pieces += self._only
                self._only = None
            self._pieces += chunk
            return
        while True:
            room = min(self._most + 1 - len(self._pieces), _STEP)
            try:
                decoded = self._gzip.decompress(chunk, room)
            except zlib.error as error:
                raise UnexpectedAnswerError(
                    f"{self._operation}: the answer is not gzip, as its headers say ({error})"
                ) from error
            self._pieces += decoded
            if len(self._pieces) > self._most:
                raise _too_large(self._operation, self._most)
            self._check_time()
            chunk = self._gzip.unused_data or self._gzip.unconsumed_tail
            if self._gzip.eof and chunk:
                # Gzip may have several parts.
                self._gzip = zlib.decompressobj(_GZIP)
            elif not chunk and len(decoded) < room:
                return

    def _check_time(self) -> None:
        # No wait ends it while there is something to decode.
        if self._until is not None and time.monotonic() > self._until:
            raise TimeoutError("the answer was not whole by then")

    def end(self) -> bytes | bytearray:
        """All of it."""
        if self._gzip is not None and self._received and not self._gzip.eof:
            raise ConnectionFailedError(f"{self._operation}: the answer ends early, within gzip")
        return self._pieces if self._only is None else self._only


def receive(
    operation: object, response: httpx.Response | Incoming, most: int, until: float | None
) -> bytes | bytearray:
    """The body of an answer that has begun; `TimeoutError` if it goes on after ``until``.

    That of an error may be unreadable: its status says enough, and nothing is returned.
    """
    with _unless_an_error(response):
        if response.is_stream_consumed:
            return _received(operation, response, most)
        body = AnswerBody(operation, response.headers, most, until)
        for chunk in response.iter_raw():
            body.add(chunk)
        return body.end()
    return b""


async def areceive(
    operation: object,
    response: httpx.Response | AsyncIncoming,
    most: int,
    until: float | None,
) -> bytes | bytearray:
    """As `receive`."""
    with _unless_an_error(response):
        if response.is_stream_consumed:
            return _received(operation, response, most)
        body = AnswerBody(operation, response.headers, most, until)
        async for chunk in response.aiter_raw():
            body.add(chunk)
        return body.end()
    return b""


@contextmanager
def _unless_an_error(response: httpx.Response | Incoming | AsyncIncoming) -> Iterator[None]:
    """Let what is wrong with the body of an error pass."""
    try:
        yield
    except UnexpectedAnswerError:
        if response.is_success:
            raise


def _received(operation: object, response: Any, most: int) -> bytes:
    """What a transport, or a hook of a client that was passed in, has read already."""
    content: bytes = response.content
    if len(content) > most:
        raise _too_large(operation, most)
    return content


def _too_large(operation: object, most: int) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"{operation}: the answer has more than {most:,} bytes, which is max_answer_bytes of "
        "this client"
    )
