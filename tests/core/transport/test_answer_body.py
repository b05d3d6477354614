"""An answer is decoded within its bound, however it is cut and packed."""

from __future__ import annotations

import gzip
import pickle
import random
import subprocess
import sys
import textwrap
from typing import Any

import httpx
import pytest

from tests.core.helpers import ACCOUNT, SECRET, Variant, both_variants, settled
from tests.core.transport.broken_answers import BIG, BLOCK, GZIPPED, HEAD, begun, then
from tests.core.transport.raw_server import RawServer, Script, answer, ok_body
from tests.core.transport.test_broken_servers import client
from vectorize_core import (
    ConfigurationError,
    ConnectionFailedError,
    UnexpectedAnswerError,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.transport.answer_body import MAX_ANSWER_BYTES, AnswerBody

GZIP = {"content-encoding": "gzip"}


def decoded(data: bytes, headers: Any, most: int, cuts: random.Random) -> bytes:
    body = AnswerBody("Query(docs)", httpx.Headers(headers), most)
    while data:
        size = cuts.choice([1, 2, 100, len(data)])
        body.add(data[:size])
        data = data[size:]
    return bytes(body.end())


@pytest.mark.parametrize("size", [0, 1, 300, 5_000, 300_000])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("filled", [True, False])
def test_a_body_of_just_the_bound_is_read_and_one_more_byte_is_not(
    size: int, packed: bool, filled: bool
) -> None:
    cuts = random.Random(size)
    text = bytes(size) if filled else cuts.randbytes(size)
    sent, headers = (gzip.compress(text), GZIP) if packed else (text, {})
    # What is random does not get smaller.
    most = max(size, len(sent), 1)
    for _ in range(20):
        assert decoded(sent, headers, most, cuts) == text
        if size > 1 and len(sent) <= size:
            with pytest.raises(UnexpectedAnswerError, match=f"more than {size - 1:,} bytes"):
                decoded(sent, headers, size - 1, cuts)


def test_gzip_in_parts_is_one_text() -> None:
    cuts = random.Random(0)
    parts = [cuts.randbytes(cuts.choice([0, 1, 1_000])) for _ in range(20)]
    sent = b"".join(map(gzip.compress, parts))
    for _ in range(20):
        assert decoded(sent, GZIP, 10**6, cuts) == b"".join(parts)


def test_a_length_beyond_the_bound_is_refused_unread() -> None:
    for length in ("101", "9" * 30):
        with pytest.raises(UnexpectedAnswerError, match="max_answer_bytes"):
            AnswerBody("Query(docs)", {"content-length": length}, 100)
    AnswerBody("Query(docs)", {"content-length": "100"}, 100)


@pytest.mark.parametrize("cut", range(1, len(gzip.compress(b"text"))))
def test_gzip_that_ends_early_is_a_broken_connection(cut: int) -> None:
    with pytest.raises(ConnectionFailedError, match="ends early"):
        decoded(gzip.compress(b"text")[:cut], GZIP, 1_000, random.Random(cut))


# The option


@both_variants
async def test_answers_may_have_as_much_as_is_allowed(variant: Variant) -> None:
    with RawServer(answer(ok_body([]))) as server:
        for most, allowed in ((len(ok_body([])), True), (len(ok_body([])) - 1, False)):
            used = client(variant, server, timeout=5.0, max_answer_bytes=most)
            if allowed:
                assert await settled(used.list_indexes()) == ()
            else:
                with pytest.raises(UnexpectedAnswerError, match="max_answer_bytes"):
                    await settled(used.list_indexes())
            await variant.close(used)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "64", None])
def test_a_bound_that_is_none_is_refused(most: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_answer_bytes is a number of bytes"):
        VectorizeClient(ACCOUNT, SECRET, max_answer_bytes=most)


def test_a_pickled_connection_has_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    for options in ({"max_answer_bytes": 12_345}, {}):
        made = VectorizeClient(ACCOUNT, SECRET, timeout=3.0, **options)
        copy: Any = pickle.loads(pickle.dumps(made.connection))
        most = options.get("max_answer_bytes", MAX_ANSWER_BYTES)
        assert (copy.executor._max_answer_bytes, copy.executor._timeout) == (most, 3.0)


# What is passed in


@pytest.mark.parametrize("how", ["gzip", "brotli", "a body without end", "an error without end"])
@both_variants
async def test_a_client_that_is_passed_in_takes_no_more(variant: Variant, how: str) -> None:
    script, expected = BIG[how]
    with RawServer(script) as server, httpx.Client(trust_env=False, verify=False) as mine:
        async with httpx.AsyncClient(trust_env=False, verify=False) as mine_async:
            used = client(
                variant, server, timeout=5.0, http_client=mine, async_http_client=mine_async
            )
            with pytest.raises(VectorizeError) as caught:
                await settled(used.list_indexes())
            assert isinstance(caught.value, expected)


@both_variants
async def test_what_a_hook_has_read_is_bounded_too(variant: Variant) -> None:
    def read(response: httpx.Response) -> None:
        response.read()

    async def aread(response: httpx.Response) -> None:
        await response.aread()

    clients: dict[str, Any] = {
        "http_client": httpx.Client(
            trust_env=False, verify=False, event_hooks={"response": [read]}
        ),
        "async_http_client": httpx.AsyncClient(
            trust_env=False, verify=False, event_hooks={"response": [aread]}
        ),
    }
    with RawServer(answer(gzip.compress(ok_body([])), content_encoding="gzip")) as server:
        for most in (1_000, 10):
            used = client(variant, server, timeout=5.0, max_answer_bytes=most, **clients)
            if most > 100:
                assert await settled(used.list_indexes()) == ()
            else:
                with pytest.raises(UnexpectedAnswerError, match="max_answer_bytes"):
                    await settled(used.list_indexes())
    clients["http_client"].close()
    await clients["async_http_client"].aclose()


# Memory

ENDLESS: dict[str, Script] = {
    "gzip": lambda _: iter([GZIPPED + begun(31)[0], *[BLOCK] * 150]),
    "a body": then(HEAD + b"\r\n[", bytes(2**20)),
    "header lines": BIG["headers without end"][0],
    "a body of an error": then(b"HTTP/1.1 500 Oops\r\n\r\n", bytes(2**20)),
}
CHILD = """
import asyncio, resource, sys
from vectorize_core import AsyncVectorizeClient, RetryPolicy, VectorizeClient, VectorizeError

options = dict(base_url=sys.argv[1], timeout=60.0, retry=RetryPolicy(0, 0))

def sync():
    VectorizeClient("account", "token", **options).list_indexes()

async def awaited():
    await AsyncVectorizeClient("account", "token", **options).list_indexes()

def peak():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit

# Everything is loaded, and nothing is there.
VectorizeClient("account", "token", base_url="http://127.0.0.1:9/client/v4").close()
before = peak()
try:
    sync() if sys.argv[2] == "sync" else asyncio.run(awaited())
except VectorizeError as error:
    print(type(error).__name__, peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is of Unix")
@pytest.mark.covering(1)
@pytest.mark.parametrize("how", ENDLESS)
@both_variants
def test_no_answer_takes_more_memory_than_the_bound_and_a_little(
    variant: Variant, how: str
) -> None:
    """1.5 MB of gzip are 1.5 GB; a body without end has no size at all."""
    with RawServer(ENDLESS[how]) as server:
        arguments = [server.base_url, variant.name]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CHILD), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    error, megabytes = done.stdout.split()
    assert error in ("UnexpectedAnswerError", "ServerError", "ConnectionFailedError")
    assert int(megabytes) < MAX_ANSWER_BYTES / 2**20 + 64
