"""The head of a request goes out with what follows it, and nothing is left unsent."""

from __future__ import annotations

import os
from typing import Any

import httpcore
import pytest

from tests.core.helpers import SYNC, Variant, both_variants
from vectorize_core.transport.deadline import AsyncStream, Deadline, SyncStream

LONG = b"b" * 20_000


class Sent(httpcore.NetworkStream):
    """Notes what is sent at once, and when it was read from."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def write(self, buffer: bytes, *_: Any) -> None:
        self.seen += [bytes(buffer)] if buffer else []

    def read(self, *_: Any) -> bytes:
        self.seen.append(b"read")
        return b""


class AsyncSent(httpcore.AsyncNetworkStream):
    """The same, awaited."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    async def write(self, buffer: bytes, *_: Any) -> None:
        self._sent.write(buffer)

    async def read(self, *_: Any) -> bytes:
        return self._sent.read()


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        ([b"head", b"body", b""], [b"headbody", b"read"]),
        ([b"head", b""], [b"head", b"read"]),
        ([b"hello"], [b"hello", b"read"]),
        ([b"head", LONG, b"end", b""], [b"head" + LONG, b"end", b"read"]),
        ([LONG, b"end"], [LONG, b"end", b"read"]),
    ],
)
@both_variants
async def test_a_head_is_sent_with_what_follows(
    variant: Variant, parts: list[bytes], seen: list[bytes]
) -> None:
    sent = Sent()
    if variant is SYNC:
        stream = SyncStream(sent, Deadline())
        for part in parts:
            stream.write(part)
        stream.read(1)
    else:
        async_stream = AsyncStream(AsyncSent(sent), Deadline())
        for part in parts:
            await async_stream.write(part)
        await async_stream.read(1)
    assert sent.seen == seen


def test_a_large_body_arrives_whole() -> None:
    sent, body = Sent(), os.urandom(3_000_000)
    stream = SyncStream(sent, Deadline())
    for part in b"head", body, b"":
        stream.write(part)
    assert b"".join(sent.seen) == b"head" + body
