"""Ways in which a server may break the rules of HTTP, and what a client makes of each."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Final

from tests.core.transport.raw_server import Part, RawRequest, Script, answer, ok_body
from vectorize_core import (
    ApiError,
    ConnectionFailedError,
    RequestTimeoutError,
    ServerError,
    UnexpectedAnswerError,
    VectorizeError,
)

Kind = type[VectorizeError] | tuple[type[VectorizeError], ...]
OK: Final = ok_body([])
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GZIPPED: Final = HEAD + b"Content-Encoding: gzip\r\n\r\n"
BROKEN: Final = (ConnectionFailedError, UnexpectedAnswerError)
LARGE: Final = 10**9


def then(first: bytes, part: bytes, seconds: float = 0.0) -> Callable[[RawRequest], Iterator[Part]]:
    """``first``, and then ``part`` for ever, with pauses of ``seconds``."""

    def script(_: RawRequest) -> Iterator[Part]:
        yield first
        while True:
            yield part
            if seconds:
                yield seconds

    return script


def once(*parts: Part) -> Callable[[RawRequest], Iterator[Part]]:
    """All of ``parts``, and then the end of the connection."""
    return lambda _: iter(parts)


def begun(wbits: int, data: bytes = b"[") -> tuple[bytes, Any]:
    """A stream of zlib that has begun, and goes on as one likes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH), packer


def _block() -> bytes:
    """10 MiB in 10 KB, in the midst of a stream; it refers to nothing before it."""
    packer = begun(zlib.MAX_WBITS)[1]
    return bytes(packer.compress(bytes(10 * 2**20)) + packer.flush(zlib.Z_FULL_FLUSH))


BLOCK: Final = _block()


def bombs(encoding: str, wbits: int) -> Callable[[RawRequest], Iterator[Part]]:
    def script(_: RawRequest) -> Iterator[Part]:
        yield HEAD + f"Content-Encoding: {encoding}\r\n\r\n".encode()
        yield begun(wbits)[0]
        while True:
            yield BLOCK

    return script


def endless_headers(seconds: float) -> Callable[[RawRequest], Iterator[Part]]:
    def script(_: RawRequest) -> Iterator[Part]:
        yield HEAD
        for number in count():
            yield f"X-{number}: more\r\n".encode()
            if seconds:
                yield seconds

    return script


DRIPS: Final = 0.03
SLOW: Final[Mapping[str, Script]] = {
    "silent": once(60.0),
    "drips the status line": then(b"HTTP/1.1 200 ", b"O", DRIPS),
    "drips header lines": endless_headers(DRIPS),
    "drips a header": then(HEAD + b"X: ", b"x", DRIPS),
    "drips 100 Continue": then(b"", b"HTTP/1.1 100 Continue\r\n\r\n", DRIPS),
    "100 Continue for ever": then(b"", 1_000 * b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints for ever": then(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", DRIPS),
    "silent after the head": once(HEAD + b"Content-Length: 9\r\n\r\n", 60.0),
    "drips the body": then(HEAD + b"Content-Length: 1000000\r\n\r\n[", b" ", DRIPS),
    "drips a body without length": then(HEAD + b"\r\n[", b" ", DRIPS),
    "drips chunks": then(CHUNKED, b"1\r\n \r\n", DRIPS),
    "drips the length of a chunk": then(CHUNKED, b"0", DRIPS),
    "drips an extension of a chunk": then(CHUNKED + b"1;x=", b"x", DRIPS),
    "drips trailers": then(CHUNKED + b"0\r\n", b"X: x\r\n", DRIPS),
    "drips gzip": then(GZIPPED + begun(zlib.MAX_WBITS | 16)[0], b"\0\0\0\xff\xff", DRIPS),
    "drips an error": then(b"HTTP/1.1 500 Oops\r\nContent-Length: 9999\r\n\r\n", b"x", DRIPS),
    "drips a redirect": then(
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9999\r\n\r\n", b"x", DRIPS
    ),
}
"""An answer that does not come to its end in time."""

MEMBER: Final = gzip.compress(bytes(2**16))
BIG: Final[Mapping[str, tuple[Script, Kind]]] = {
    "a body without end": (then(HEAD + b"\r\n[", bytes(2**16)), UnexpectedAnswerError),
    "chunks without end": (
        then(CHUNKED, b"10000\r\n" + bytes(2**16) + b"\r\n"),
        UnexpectedAnswerError,
    ),
    "a length too large": (
        then(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", bytes(2**16)),
        (UnexpectedAnswerError, ConnectionFailedError),
    ),
    "a large length": (
        then(HEAD + b"Content-Length: 9999999999\r\n\r\n", bytes(2**16)),
        UnexpectedAnswerError,
    ),
    "gzip": (bombs("gzip", zlib.MAX_WBITS | 16), UnexpectedAnswerError),
    "x-gzip": (bombs("X-GZIP", zlib.MAX_WBITS | 16), UnexpectedAnswerError),
    "gzip in many parts": (then(GZIPPED, MEMBER), UnexpectedAnswerError),
    "gzip of nothing in many parts": (
        then(GZIPPED, 1_000 * gzip.compress(b"")),
        (UnexpectedAnswerError, RequestTimeoutError),
    ),
    "gzip of gzip": (bombs("gzip, gzip", zlib.MAX_WBITS | 16), UnexpectedAnswerError),
    "deflate": (bombs("deflate", zlib.MAX_WBITS), UnexpectedAnswerError),
    "raw deflate": (bombs("deflate", -zlib.MAX_WBITS), UnexpectedAnswerError),
    "brotli": (then(HEAD + b"Content-Encoding: br\r\n\r\n", b"x"), UnexpectedAnswerError),
    "zstd": (then(HEAD + b"Content-Encoding: zstd\r\n\r\n", b"x"), UnexpectedAnswerError),
    "an error without end": (
        then(b"HTTP/1.1 503 Oops\r\n\r\n", bytes(2**16)),
        ServerError,
    ),
    "a refusal of gzip without end": (
        lambda _: iter(
            [b"HTTP/1.1 400 No\r\nContent-Encoding: gzip\r\n\r\n", *[MEMBER for _ in range(9_999)]]
        ),
        ApiError,
    ),
    "headers without end": (endless_headers(0.0), ConnectionFailedError),
    "one header without end": (then(HEAD + b"X: ", bytes(2**16)), ConnectionFailedError),
    "a chunk's extension without end": (
        then(CHUNKED + b"1;x=", 2**16 * b"x"),
        ConnectionFailedError,
    ),
    "trailers without end": (then(CHUNKED + b"0\r\n", 999 * b"X: x\r\n"), ConnectionFailedError),
}
"""An answer of more than the client takes."""


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", b""])


def whole(body: bytes, *lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head(b"Content-Length: %d" % len(body), *lines, status=status) + body


def redirect(location: bytes, status: bytes = b"302 Found") -> bytes:
    return whole(b"", b"Location: " + location, status=b"HTTP/1.1 " + status)


WRONG: Final[Mapping[str, tuple[Script, Kind]]] = {
    "closes at once": (once(), ConnectionFailedError),
    "closes in the status line": (once(b"HTTP/1.1 2"), ConnectionFailedError),
    "closes in the headers": (once(HEAD), ConnectionFailedError),
    "closes before the body": (once(head(b"Content-Length: 9")), ConnectionFailedError),
    "closes in the body": (once(head(b"Content-Length: 999") + OK), ConnectionFailedError),
    "closes in a chunk": (once(CHUNKED + b"ff\r\n{"), ConnectionFailedError),
    "closes between chunks": (once(CHUNKED + b"1\r\n{\r\n"), ConnectionFailedError),
    "closes in trailers": (once(CHUNKED + b"1\r\n{\r\n0\r\nX: "), ConnectionFailedError),
    "closes in gzip": (once(GZIPPED + gzip.compress(OK)[:-9]), ConnectionFailedError),
    "closes in gzip's checksum": (once(GZIPPED + gzip.compress(OK)[:-4]), ConnectionFailedError),
    "no gzip": (whole(OK, b"Content-Encoding: gzip"), UnexpectedAnswerError),
    "corrupt gzip": (
        whole(gzip.compress(OK)[:-8] + bytes(8), b"Content-Encoding: gzip"),
        UnexpectedAnswerError,
    ),
    "more after gzip": (
        whole(gzip.compress(OK) + b"and more", b"Content-Encoding: gzip"),
        UnexpectedAnswerError,
    ),
    "an unknown encoding": (whole(OK, b"Content-Encoding: x-mine"), UnexpectedAnswerError),
    "an encoding of raw bytes": (whole(OK, b"Content-Encoding: \xff"), BROKEN),
    "an error that is no gzip": (
        whole(b"oops", b"Content-Encoding: gzip", status=b"HTTP/1.1 503 Oops"),
        ServerError,
    ),
    "a length that is too small": (
        head(b"Content-Length: 9") + OK,
        BROKEN,
    ),
    "a negative length": (head(b"Content-Length: -1") + OK, ConnectionFailedError),
    "a length in words": (head(b"Content-Length: nine") + OK, ConnectionFailedError),
    "two lengths": (
        head(b"Content-Length: 9", b"Content-Length: 10") + OK,
        ConnectionFailedError,
    ),
    "a transfer encoding of its own": (head(b"Transfer-Encoding: mine") + OK, BROKEN),
    "gzip as a transfer encoding": (head(b"Transfer-Encoding: gzip, chunked") + OK, BROKEN),
    "a chunk without length": (CHUNKED + b"\r\n\r\n", ConnectionFailedError),
    "a chunk of a negative length": (CHUNKED + b"-1\r\n\r\n", ConnectionFailedError),
    "a chunk of a huge length": (once(CHUNKED + 99 * b"f" + b"\r\n{"), ConnectionFailedError),
    "a chunk that is longer than it says": (
        CHUNKED + b"1\r\n" + OK + b"\r\n0\r\n\r\n",
        ConnectionFailedError,
    ),
    "not HTTP": (once(b"SSH-2.0-OpenSSH_9.6\r\n"), ConnectionFailedError),
    "HTTP/0.9": (once(OK), ConnectionFailedError),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), ConnectionFailedError),
    "HTTP/30": (whole(OK, status=b"HTTP/30 200 OK"), ConnectionFailedError),
    "TLS": (once(b"\x15\x03\x01\x00\x02\x02\x16"), ConnectionFailedError),
    "bytes": (bytes(range(256)) * 4 + b"\r\n\r\n", ConnectionFailedError),
    "an empty line": (once(b"\r\n\r\n"), ConnectionFailedError),
    "no status": (whole(OK, status=b"HTTP/1.1 OK"), ConnectionFailedError),
    "status 1000": (whole(OK, status=b"HTTP/1.1 1000 What"), ConnectionFailedError),
    "status 99": (whole(OK, status=b"HTTP/1.1 99 What"), ConnectionFailedError),
    "status 000": (whole(OK, status=b"HTTP/1.1 000 What"), VectorizeError),
    "status 600": (whole(OK, status=b"HTTP/1.1 600 What"), VectorizeError),
    "status 999": (whole(OK, status=b"HTTP/1.1 999 What"), VectorizeError),
    "a reason of raw bytes": (whole(b"", status=b"HTTP/1.1 200 \xff\xfe"), UnexpectedAnswerError),
    "NUL in the reason": (whole(OK, status=b"HTTP/1.1 200 O\0K"), ConnectionFailedError),
    "NUL in a header": (whole(OK, b"X: a\0b"), ConnectionFailedError),
    "NUL in a header's name": (whole(OK, b"X\0: a"), ConnectionFailedError),
    "a header without colon": (whole(OK, b"what is this"), ConnectionFailedError),
    "a header without name": (whole(OK, b": x"), ConnectionFailedError),
    "a space before the colon": (whole(OK, b"X : x"), ConnectionFailedError),
    "a header of 200 KB": (whole(OK, b"X: " + 200_000 * b"x"), ConnectionFailedError),
    "204 with a body": (whole(OK, status=b"HTTP/1.1 204 No Content"), VectorizeError),
    "205": (whole(b"", status=b"HTTP/1.1 205 Reset Content"), UnexpectedAnswerError),
    "206 of a part": (
        whole(OK[:9], b"Content-Range: bytes 0-8/99", status=b"HTTP/1.1 206 Partial Content"),
        UnexpectedAnswerError,
    ),
    "304": (whole(b"", status=b"HTTP/1.1 304 Not Modified"), ApiError),
    "101": (once(head(b"Upgrade: x", status=b"HTTP/1.1 101 Switching Protocols"), OK), BROKEN),
    "101 as asked": (
        once(
            head(b"Connection: Upgrade", b"Upgrade: x", status=b"HTTP/1.1 101 Switching Protocols"),
            60.0,
        ),
        VectorizeError,
    ),
    "407": (whole(b"", b"Proxy-Authenticate: \xff", status=b"HTTP/1.1 407 Who"), ApiError),
    "401 without a word": (whole(b"", status=b"HTTP/1.1 401 Who"), ApiError),
    "a redirect to itself": (lambda request: redirect(request.path.encode()), ApiError),
    "a redirect to nowhere": (redirect(b""), VectorizeError),
    "a redirect without location": (whole(b"", status=b"HTTP/1.1 302 Found"), ApiError),
    "a redirect to another scheme": (redirect(b"ftp://127.0.0.1/"), VectorizeError),
    "a redirect to a file": (redirect(b"file:///etc/passwd"), VectorizeError),
    "a redirect to no address": (redirect(b"http://[::1"), VectorizeError),
    "a redirect to no port": (redirect(b"http://127.0.0.1:99999999/"), VectorizeError),
    "a redirect to a port in words": (redirect(b"http://127.0.0.1:port/"), VectorizeError),
    "a redirect to no name": (redirect(b"http://" + 999 * b"x" + b".invalid/"), VectorizeError),
    "a redirect to xn--": (redirect(b"http://xn--\xff/"), VectorizeError),
    "a redirect to raw bytes": (redirect(b"/\xff\xfe"), VectorizeError),
    "a redirect of 100 KB": (redirect(b"/" + 90_000 * b"x"), VectorizeError),
    "308": (redirect(b"/", b"308 Permanent Redirect"), ApiError),
    "303": (redirect(b"/", b"303 See Other"), ApiError),
    "300": (redirect(b"/", b"300 Multiple Choices"), ApiError),
    "nothing": (answer(b""), UnexpectedAnswerError),
    "HTML": (answer(b"<!DOCTYPE html><title>Hello</title>"), UnexpectedAnswerError),
    "invalid UTF-8": (
        answer(b'{"success": true, "result": "\xff\xfe"}'),
        UnexpectedAnswerError,
    ),
    "half a surrogate": (
        answer(b'{"success": true, "result": "\xed\xa0\x80"}'),
        UnexpectedAnswerError,
    ),
    "UTF-16": (answer(OK.decode().encode("utf-16")), UnexpectedAnswerError),
    "NUL in JSON": (answer(OK + b"\0"), UnexpectedAnswerError),
    "half of JSON": (answer(OK[:-9]), UnexpectedAnswerError),
    "a number for a result": (answer(ok_body(7)), UnexpectedAnswerError),
    "a text for a result": (answer(ok_body("done")), UnexpectedAnswerError),
    "success in words": (answer(b'{"success": "true", "result": []}'), UnexpectedAnswerError),
    "NaN": (
        answer(b'{"success": true, "result": {"matches": [{"id": "a", "score": NaN}]}}'),
        UnexpectedAnswerError,
    ),
    "JSON in JSON in JSON": (answer(200_000 * b"["), UnexpectedAnswerError),
    "a number of a megabyte": (
        answer(b'{"success": true, "result": ' + 2**19 * b"9" + b"}"),
        UnexpectedAnswerError,
    ),
}
"""An answer that is not one."""
