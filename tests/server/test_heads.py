"""Heads that two readers could read in two ways are refused, and nothing after them is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.server.helpers import Peer, lines, record
from vectorize_core.local.server import BackgroundServer

PATH = "/client/v4/accounts/local/vectorize/v2/indexes"
UPSERT = f"{PATH}/docs/upsert"
BODY = lines(record("smuggled"))
HIDDEN = (
    f"POST {UPSERT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


@pytest.fixture(scope="module")
def target() -> Iterator[Peer]:
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        peer.create()
        yield peer
        peer.close()


def get(*headers: str | bytes, line: str = f"GET {PATH} HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    given = (line.encode(), *(h.encode("latin-1") if isinstance(h, str) else h for h in headers))
    return end.join(given) + 2 * end


def post(*headers: str, line: str = f"POST {UPSERT} HTTP/1.1") -> bytes:
    return get("Host: localhost", "Content-Type: application/x-ndjson", *headers, line=line)


CHUNKED = b"0\r\n\r\n"
REFUSED: dict[str, bytes] = {
    "length and coding": post("Content-Length: 5", "Transfer-Encoding: chunked") + CHUNKED,
    "coding and length": post("Transfer-Encoding: chunked", "Content-Length: 5") + CHUNKED,
    "length 0 and coding": post("Content-Length: 0", "Transfer-Encoding: chunked") + CHUNKED,
    "two lengths": post("Content-Length: 5", "Content-Length: 6") + b"hello",
    "two equal lengths": post("Content-Length: 5", "Content-Length: 5") + b"hello",
    "a list of lengths": post("Content-Length: 5, 5") + b"hello",
    "a list of other lengths": post("Content-Length: 5, 6") + b"hello",
    **{
        f"length {length!r}": post(f"Content-Length: {length}") + b"hello"
        for length in ("-5", "+5", "0x5", "5e0", "5 5", "5;", '"5"', "", "5.0", "9" * 19, "\xb5")
    },
    **{
        f"coding {coding!r}": post(f"Transfer-Encoding: {coding}") + CHUNKED
        for coding in (
            *("xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "identity"),
            *("chunked, chunked", "chunked;q=1", '"chunked"', "gzip", "", "chunke", "chunked,"),
        )
    },
    "coding twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + CHUNKED,
    "coding and identity": post("Transfer-Encoding: identity", "Transfer-Encoding: chunked")
    + CHUNKED,
    "coding in HTTP/1.0": post("Transfer-Encoding: chunked", line=f"POST {UPSERT} HTTP/1.0")
    + CHUNKED,
    "a space before the colon": post("Content-Length : 5") + b"hello",
    "a tab before the colon": post("Transfer-Encoding\t: chunked") + CHUNKED,
    "a folded header": get("Host: localhost", "X: a", " b"),
    "a folded coding": post("Transfer-Encoding:", " chunked") + CHUNKED,
    "a fold before all": get(" Host: localhost", "Host: localhost"),
    "lines without CR": get("Host: localhost", end=b"\n"),
    "a line without CR": f"GET {PATH} HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n".encode(),
    "an end without CR": f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\n".encode(),
    "a bare CR": get("Host: localhost", "X: a\rb"),
    "CR as an end": get("Host: localhost", end=b"\r"),
    **{
        f"{control!r} in a value": get("Host: localhost", b"X: a" + control + b"b")
        for control in (b"\0", b"\x01", b"\x1b", b"\x7f", b"\x0b", b"\x08")
    },
    **{
        f"{odd!r} in a name": get("Host: localhost", b"X" + odd + b"Y: 1")
        for odd in (b"\0", b"(", b" ", b"\xff", b'"', b"[")
    },
    "no name": get("Host: localhost", ": 1"),
    "no colon": get("Host: localhost", "Content-Length"),
    "no host": get(),
    "two hosts": get("Host: localhost", "Host: y"),
    "two equal hosts": get("Host: localhost", "Host: localhost"),
    "a host with a space": get("Host: localhost y"),
    "a host with a path": get("Host: localhost/y"),
    "a host with a user": get("Host: a@b"),
    "a whole URL": get("Host: localhost", line=f"GET http://x{PATH} HTTP/1.1"),
    "an authority": get("Host: localhost", line="CONNECT x:80 HTTP/1.1"),
    "an asterisk": get("Host: localhost", line="OPTIONS * HTTP/1.1"),
    "two spaces": get("Host: localhost", line=f"GET  {PATH} HTTP/1.1"),
    "a tab": get("Host: localhost", line=f"GET\t{PATH} HTTP/1.1"),
    "a space in the path": get("Host: localhost", line=f"GET {PATH} x HTTP/1.1"),
    "raw UTF-8 in the path": get("Host: localhost", line=f"GET {PATH}/é HTTP/1.1"),
    "HTTP/1.2": get("Host: localhost", line=f"GET {PATH} HTTP/1.2"),
    "HTTP/2.0": get("Host: localhost", line=f"GET {PATH} HTTP/2.0"),
    "HTTP/0.9": f"GET {PATH}\r\n\r\n".encode(),
    "http/1.1": get("Host: localhost", line=f"GET {PATH} http/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a small method": get("Host: localhost", line=f"get {PATH} HTTP/1.1"),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "many headers": get("Host: localhost", *(f"X{n}: y" for n in range(200))),
    "a long head": get("Host: localhost", *(f"X{n}: {'y' * 1_000}" for n in range(60))),
    "a long path": get("Host: localhost", line=f"GET {PATH}/{'x' * 100_000} HTTP/1.1"),
    **{
        f"chunk size {size!r}": post("Transfer-Encoding: chunked")
        + size
        + b"\r\nhello\r\n0\r\n\r\n"
        for size in (b"-5", b"+5", b"0x5", b"5_", b"", b"g", b" 5", b"f" * 21, b"5\n", b"5;\n")
    },
    "a chunk that is longer": post("Transfer-Encoding: chunked") + b"3\r\nhello\r\n0\r\n\r\n",
    "a chunk without CR": post("Transfer-Encoding: chunked") + b"5\nhello\n0\n\n",
    "an end of chunks without CR": post("Transfer-Encoding: chunked") + b"0\r\n\n",
    "fields after the chunks": post("Transfer-Encoding: chunked")
    + b"0\r\nContent-Length: 5\r\n\r\n",
    "many small chunks": post("Transfer-Encoding: chunked") + b"1\r\n \r\n" * 2_000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    target: Peer, raw: bytes
) -> None:
    answer = all_said(target, raw + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1, "what came after it was read"
    assert b"connection: close" in answer.lower()
    assert target.count() == 0, "what was smuggled was written"


TAKEN: dict[str, bytes] = {
    "plain": get("Host: localhost"),
    "host with a port": get("Host: [::1]:8989"),
    "an empty host": get("Host:"),
    "no space after the colon": get("Host:localhost", "X:y"),
    "tabs around a value": get("Host:\tlocalhost\t"),
    "latin-1": get("Host: localhost", "X: é"),
    "an empty value": get("Host: localhost", "X:"),
    "HTTP/1.0 without a host": get(line=f"GET {PATH} HTTP/1.0"),
    "an empty body": post("Content-Length: 0"),
    "leading zeros": post("Content-Length: 000"),
    "chunks": post("Transfer-Encoding: chunked") + b"1\r\n\n\r\n0\r\n\r\n",
    "Chunked": post("Transfer-Encoding: Chunked") + b"0;ext=1\r\n\r\n",
    "small chunks": post("Transfer-Encoding: chunked") + b"1\r\n\n\r\n" * 900 + b"0\r\n\r\n",
    "many chunks": post("Transfer-Encoding: chunked")
    + b"%x\r\n%b\r\n" % (70, b"\n" * 70) * 1_500
    + b"0\r\n\r\n",
}


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])
def test_what_clients_send_is_taken(target: Peer, raw: bytes, at_once: bool) -> None:
    with socket.create_connection(target.address, timeout=10) as connection:
        for part in [raw] if at_once else [raw[i : i + 1] for i in range(len(raw))]:
            connection.sendall(part)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_requests_in_one_go_are_answered_in_order(target: Peer) -> None:
    count = 30
    last = get("Host: localhost", "Connection: close", line=f"GET {PATH}/none HTTP/1.1")
    answer = all_said(target, (get("Host: localhost") + post("Content-Length: 0")) * count + last)
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200"] * 2 * count + [b"404"]


def all_said(peer: Peer, raw: bytes) -> bytes:
    """What the server says until it closes."""
    answer = b""
    with socket.create_connection(peer.address, timeout=5) as connection:
        try:
            connection.sendall(raw)
            while chunk := connection.recv(65_536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer
