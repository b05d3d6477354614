"""Answers that are harmed at random: what comes of them is right, or an error of this library."""

from __future__ import annotations

import gzip
import random
import time

import pytest

from tests.core.helpers import ASYNC, SECRET, SYNC, settled
from tests.core.transport.raw_server import Part, RawRequest, RawServer, answer, ok_body
from tests.core.transport.test_broken_servers import SLACK, client
from tests.nightly import sized
from vectorize_core import VectorizeError
from vectorize_core.models import QueryResult

SECONDS = 1.0
TIMEOUT = 0.1
MATCHES = [{"id": f"id-{n}", "score": 1.0 - n / 8} for n in range(5)]
BODY = ok_body({"count": len(MATCHES), "matches": MATCHES})
PIECES = (
    *(b"\r\n", b"\n", b"\0", b"\xff", b" ", b":", b"{", b"}", b"\r\n\r\n", b"0\r\n\r\n", b"-1"),
    *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"Content-Length: 3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Location: http://[\r\n"),
    *(b"Connection: close\r\n", b"Upgrade: x\r\n", b"Retry-After: 0\r\n", b"Set-Cookie: a=b\r\n"),
)
STATUSES = (
    "200 OK",
    "204 No Content",
    "302 Found",
    "400 Bad",
    "429 Wait",
    "503 Oops",
    "101 Switch",
)


def whole(chance: random.Random) -> bytes:
    """An answer as it should be, in one of the forms it may have."""
    status = chance.choice(STATUSES) if chance.random() < 0.3 else "200 OK"
    body, headers = BODY, {}
    if chance.random() < 0.4:
        body, headers = gzip.compress(body), {"content_encoding": "gzip"}
    if chance.random() < 0.6:
        return answer(body, status, **headers)
    head = answer(b"", status, content_length=None, transfer_encoding="chunked", **headers)
    size = chance.randint(1, len(body))
    cuts = [body[at : at + size] for at in range(0, len(body), size)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(cut), cut) for cut in [*cuts, b""])


def harmed(data: bytes, chance: random.Random) -> list[Part]:
    """``data`` with a few bytes lost, changed or added; in parts, and then the end or silence."""
    sent = bytearray(data)
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        # Most of what can be wrong is in the head.
        at = chance.randrange(len(sent) + 1) if chance.random() < 0.5 else chance.randrange(120)
        match chance.randrange(5):
            case 0:
                sent[at : at + chance.randint(1, 20)] = b""
            case 1:
                sent[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                sent[at:at] = chance.choice(PIECES)
            case 3:
                sent[at:at] = sent[: chance.randrange(len(sent) + 1)]
            case 4:
                del sent[at:]
        sent = sent or bytearray(b"x")
    cut = chance.randrange(len(sent) + 1)
    return [bytes(sent[:cut]), bytes(sent[cut:]), *([60.0] if chance.random() < 0.1 else [])]


@pytest.mark.parametrize("seed", range(sized(3, 200)))
async def test_harmed_answers_are_right_or_an_error_of_this_library(seed: int) -> None:
    chance = random.Random(seed)
    sent: list[object] = []

    def script(_: RawRequest) -> bytes | list[Part]:
        parts = harmed(whole(chance), chance)
        sent.append(parts)
        # Half of the connections are kept.
        whole_parts = [part for part in parts if isinstance(part, bytes)]
        return b"".join(whole_parts) if chance.random() < 0.5 else parts

    began, tries = time.monotonic(), 0
    with RawServer(script) as server:
        clients = {
            v: client(v, server, timeout=TIMEOUT, max_answer_bytes=10_000) for v in (SYNC, ASYNC)
        }
        while time.monotonic() - began < SECONDS / sized(4, 1) or tries < 20:
            tries += 1
            variant = chance.choice([SYNC, ASYNC])
            asked = time.monotonic()
            failure: VectorizeError | None
            try:
                result = await settled(clients[variant].index("docs").query([1.0] * 32, top_k=5))
            except VectorizeError as error:
                failure = error
            else:
                failure = None
                assert isinstance(result, QueryResult)
                assert result.count <= 5
            assert SECRET not in f"{failure} {failure and failure.__cause__}", sent[-1]
            assert time.monotonic() - asked < TIMEOUT + SLACK, sent[-1]
        for variant, used in clients.items():
            await variant.close(used)
