"""Whatever a server does: a call ends in time, takes no more memory than allowed, and says why."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest

from tests.core.helpers import ASYNC, SECRET, SYNC, Variant, both_variants, settled
from tests.core.transport.broken_answers import BIG, CHUNKED, SLOW, WRONG, then
from tests.core.transport.raw_server import CERTIFICATE, RawRequest, RawServer, answer, ok_body
from tests.nightly import sized
from tests.patience import growing
from vectorize_core import (
    ApiError,
    AsyncVectorizeClient,
    RequestTimeoutError,
    RetryPolicy,
    UnexpectedAnswerError,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.d1 import ReadD1, WriteD1
from vectorize_core.api.operations import (
    CreateIndex,
    DeleteByIds,
    GetByIds,
    GetInfo,
    Insert,
    ListIndexes,
    ListVectors,
    Op,
    Query,
    Upsert,
)
from vectorize_core.models import IndexConfig
from vectorize_core.transport.io import run
from vectorize_core.transport.turns import AT_ONCE

TIMEOUT = 0.3
LONGER = 30.0
"""For what has to end without it."""
SLACK = sized(15.0, 5.0)
"""Beyond a deadline. By day other tests run beside; what does not end takes far longer."""
MOST = 2**20
VECTORS = (Vector("a", [1.0] * 32),)
DAILY: list[Op[Any]] = [
    Query("docs", vector=[1.0] * 32, top_k=1),
    Upsert("docs", VECTORS),
    ListVectors("docs", 10),
    ReadD1("database", (("SELECT 1", ()),)),
]
OPERATIONS: list[Op[Any]] = sized(
    DAILY,
    [
        *DAILY,
        ListIndexes(),
        GetInfo("docs"),
        GetByIds("docs", ("a",)),
        Insert("docs", VECTORS),
        DeleteByIds("docs", ("a",)),
        CreateIndex("docs", IndexConfig(32, "cosine")),
        WriteD1("database", (("DELETE FROM t", ()),)),
    ],
)


@contextmanager
def over_in(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def client(variant: Variant, server: RawServer, **options: Any) -> Any:
    """A client that tries once."""
    options = {
        "account_id": "account",
        "api_token": SECRET,
        "base_url": server.base_url,
        "timeout": TIMEOUT,
        "max_answer_bytes": MOST,
        "retry": RetryPolicy(0, 0),
        **options,
    }
    kind = AsyncVectorizeClient if variant.is_async else VectorizeClient
    return kind(**options)


async def failures(variant: Variant, used: Any, ops: list[Op[Any]]) -> list[BaseException]:
    """How each operation failed, all begun at once."""
    connection = used.connection
    found: list[Any] = [None] * len(ops)
    if variant.is_async:
        calls = (connection.async_io().call(op) for op in ops)
        found = await asyncio.gather(*calls, return_exceptions=True)
    else:

        def call(at: int) -> None:
            try:
                found[at] = run(connection.io().call(ops[at]))
            except BaseException as error:
                found[at] = error

        threads = [threading.Thread(target=call, args=(at,)) for at in range(len(ops))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for op, error in zip(ops, found, strict=True):
        assert isinstance(error, BaseException), (op, error)
    return found


async def both(
    server: RawServer, ops: list[Op[Any]], *, again: bool = False, **options: Any
) -> list[BaseException]:
    """How each operation failed, sync and async, all at once.

    With ``again`` the first one follows once more, over a connection that may have been used: what
    is left of an answer must harm the next one as little.
    """
    clients = [client(variant, server, **options) for variant in (SYNC, ASYNC)]
    try:
        in_threads = asyncio.to_thread(lambda: asyncio.run(failures(SYNC, clients[0], ops)))
        found = await asyncio.gather(in_threads, failures(ASYNC, clients[1], ops))
        if again:
            found += [await failures(SYNC, clients[0], ops[:1])]
            found += [await failures(ASYNC, clients[1], ops[:1])]
    finally:
        clients[0].close()
        await clients[1].aclose()
    return [error for errors in found for error in errors]


@pytest.mark.parametrize("how", SLOW)
async def test_a_request_is_over_in_time(how: str) -> None:
    for seconds in growing(TIMEOUT):
        with RawServer(SLOW[how]) as server, over_in(seconds + SLACK):
            errors = await both(server, OPERATIONS, timeout=seconds)
        # All of them at once may keep a processor too busy to connect in time.
        late = [error for error in errors if getattr(error, "sent", True)]
        for error in late:
            # It may have been carried out.
            assert isinstance(error, RequestTimeoutError)
            assert f"{seconds} s" in str(error)
        if late:
            break


LABORIOUS: dict[str, Any] = {
    "100 Continue for ever": SLOW["100 Continue for ever"],
    "chunks of a byte": then(CHUNKED, 10_000 * b"1\r\n \r\n"),
    "gzip of nothing in many parts": BIG["gzip of nothing in many parts"][0],
    "gzip": BIG["gzip"][0],
}


@pytest.mark.parametrize("how", LABORIOUS)
async def test_what_is_laborious_to_read_holds_up_no_other_request(how: str) -> None:
    """All in one event loop: none is read for long before the time is looked at."""
    with RawServer(LABORIOUS[how]) as server:
        used = client(ASYNC, server, max_answer_bytes=2**26)
        await failures(ASYNC, used, DAILY[:1])  # Opening a client takes its time, too.
        with over_in(TIMEOUT + SLACK):
            errors = await failures(ASYNC, used, DAILY[:1] * AT_ONCE)
        for error in errors:
            # As above, all of them at once.
            if getattr(error, "sent", True):
                assert isinstance(error, (RequestTimeoutError, UnexpectedAnswerError))
        await used.aclose()


@pytest.mark.parametrize("how", [*BIG, *WRONG])
async def test_what_is_no_answer_is_an_error_of_this_library(how: str) -> None:
    script, expected = {**BIG, **WRONG}[how]
    with RawServer(script) as server:
        with over_in(LONGER + SLACK):
            errors = await both(server, OPERATIONS, again=True, timeout=LONGER)
        for error in errors:
            assert isinstance(error, expected), repr(error)
            assert not isinstance(error, RequestTimeoutError)
            assert SECRET not in str(error)


PAGE = {"count": 1, "totalCount": 9, "isTruncated": True, "vectors": [{"id": "a"}]}
EMPTY = {**PAGE, "count": 0, "vectors": []}
LISTINGS: dict[str, Callable[[int], Any]] = {
    "the same cursor": lambda n: {**PAGE, "nextCursor": "again"},
    "two cursors in turn": lambda n: {**PAGE, "nextCursor": str(n % 2)},
    "empty pages": lambda n: {**EMPTY, "nextCursor": str(n)},
    "the same id": lambda n: {**PAGE, "nextCursor": str(n)},
    "no cursor": lambda n: PAGE,
}


@pytest.mark.parametrize("how", LISTINGS)
@both_variants
async def test_a_listing_that_does_not_end_is_an_error(variant: Variant, how: str) -> None:
    pages = count()
    with RawServer(lambda _: answer(ok_body(LISTINGS[how](next(pages))))) as server:
        used = client(variant, server, timeout=LONGER)
        ids = used.index("docs").list_ids()
        with over_in(LONGER + SLACK), pytest.raises(UnexpectedAnswerError):
            _ = [i async for i in ids] if variant.is_async else list(ids)
        await settled(used.aclose() if variant.is_async else used.close())
    assert next(pages) <= 102


LIMITS: dict[str, dict[str, str]] = {
    "years": {"ratelimit": '"a";r=0;t=999999999'},
    "ten thousand digits": {"ratelimit": f'"a";r=0;t={"9" * 10_000}', "retry-after": "9" * 10_000},
    "raw bytes": {"ratelimit": '"\xff";r=\xb2;t=\xff', "date": "\xff", "retry-after": "\xff"},
    "less than nothing": {"ratelimit": '"a";r=-1;t=-1', "ratelimit-policy": '"a";q=-1'},
    "a point in time": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1796000000"},
    "no numbers": {"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "inf"},
    "a date far off": {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"},
}


@pytest.mark.parametrize("how", LIMITS)
@pytest.mark.parametrize("status", ["200 OK", "429 Slower", "503 Later"])
@both_variants
async def test_absurd_headers_hold_nobody(variant: Variant, how: str, status: str) -> None:
    with RawServer(lambda _: answer(ok_body([]), status, **LIMITS[how])) as server:
        used = client(variant, server, timeout=LONGER)
        with over_in(LONGER):
            for _ in range(3):
                with suppress(ApiError):
                    assert await settled(used.list_indexes()) == ()
        await settled(used.aclose() if variant.is_async else used.close())
        assert len(server.requests) >= 2


class InTwo(RawServer):
    """Sends the last bytes of an answer by themselves: over TLS, in a record of their own."""

    last = 0

    def _send(self, connection: socket.socket, data: bytes) -> None:
        super()._send(connection, data[: len(data) - self.last])
        super()._send(connection, data[len(data) - self.last :])


PAST_THE_END = [answer(ok_body([])), b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 ", b"\r\n"]


@pytest.mark.parametrize("way", ["http", "https", "proxy"])
@pytest.mark.parametrize("more", PAST_THE_END)
@pytest.mark.parametrize("in_two", [False, True])
@both_variants
@pytest.mark.covering(2)
async def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one(
    variant: Variant, more: bytes, in_two: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(request: RawRequest) -> bytes:
        name = request.path.rsplit("/", 1)[1]
        config = {"dimensions": 32, "metric": "cosine"}
        body = ok_body({"name": name, "config": config})
        if name == "first":
            # What follows it comes over a new connection, in the place of this one.
            return answer(body, connection="close")
        return answer(body) + more

    options: dict[str, Any] = {"timeout": LONGER}
    with InTwo(named, tls=way == "https") as server:
        server.last = len(more) if in_two else 0
        if way == "https":
            monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        if way == "proxy":
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
            options |= {"base_url": "http://vectorize.invalid/client/v4"}
        used = client(variant, server, **options)
        for name in ("first", "a", "b", "c"):
            assert (await settled(used.get_index(name))).name == name
            await asyncio.sleep(0.02)
        await variant.close(used)


@both_variants
async def test_values_of_another_length_than_the_index_has_are_an_error(variant: Variant) -> None:
    """Where the query is an id, which has no length itself."""
    details = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
    found = {"matches": [{"id": "a", "score": 1.0, "values": [0.5] * 7}]}
    with RawServer(lambda r: answer(ok_body(details if r.path.endswith("docs") else found))) as s:
        used = client(variant, s, timeout=LONGER)
        with pytest.raises(UnexpectedAnswerError, match="'a' came with 7 values"):
            await settled(used.index("docs").query_by_id("a", return_values=True))
        await variant.close(used)
