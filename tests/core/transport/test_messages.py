"""Requests and answers of our own connections say what httpx's would."""

from __future__ import annotations

import asyncio
from typing import Any

import httpcore
import httpx
import pytest

from vectorize_core import VectorizeError
from vectorize_core.transport.http_pool import AsyncPool, Pool
from vectorize_core.transport.io import each
from vectorize_core.transport.messages import FAILURES, HEADERS, Incoming, Outgoing

ADDRESS = "https://api.test/client/v4/accounts/one/vectorize/v2/indexes/docs"


def options(**changed: Any) -> dict[str, Any]:
    return {
        "method": "POST",
        "url": httpx.URL(ADDRESS),
        "params": None,
        "headers": {"Accept-Encoding": "gzip", "Content-Type": "application/json"},
        "timeout": httpx.Timeout(3, read=4),
        "extensions": {"deadline": 5.0, "more_time": 0.5},
        "content": b"",
        **changed,
    }


REQUESTS: dict[str, dict[str, Any]] = {
    "a body": {"content": b"{}"},
    "no body": {},
    "GET": {"method": "GET", "params": {"count": "10", "cursor": "a&b =/\u00e9"}},
    "DELETE": {"method": "DELETE"},
    "a port": {"url": httpx.URL("http://[::1]:8989/client/v4/\u00e9?a=b")},
    "slices": {"content": each([b"{", b"}"]), "headers": {"Content-Length": "2"}},
}


@pytest.mark.parametrize("how", REQUESTS)
def test_a_request_is_the_one_that_httpx_makes(how: str) -> None:
    given = options(**REQUESTS[how])
    made = Outgoing.of(**given)
    with httpx.Client(headers=HEADERS) as usual:
        expected = usual.build_request(**given)
        if "Accept-Encoding" not in given["headers"]:
            del expected.headers["Accept-Encoding"]
    sent, url = made.for_httpcore(), expected.url
    assert (sent.method.decode(), sent.url.target) == (expected.method, url.raw_path)
    assert (sent.url.scheme, sent.url.host, sent.url.port) == (
        url.raw_scheme,
        url.raw_host,
        url.port,
    )
    assert sorted(httpx.Headers(sent.headers).multi_items()) == sorted(expected.headers.items())
    assert sent.extensions == expected.extensions
    assert "gzip" not in repr(made)


def incoming(status: int, headers: list[tuple[bytes, bytes]]) -> Incoming:
    head = httpcore.Response(status, headers=headers, content=b"body")
    return Incoming(Outgoing.of(**options()), head, lambda _: None)


@pytest.mark.parametrize("value", ["plain", "\u00e9".encode(), b"\xe9"])
def test_headers_of_an_answer_read_as_httpx_reads_them(value: Any) -> None:
    headers = [
        (b"CF-Ray", b"1"),
        (b"X-Own", b"a"),
        (b"x-own", httpx.Headers({"a": value}).raw[0][1]),
    ]
    read, expected = incoming(200, headers).headers, httpx.Headers(headers)
    assert list(read.items()) == list(expected.items())


@pytest.mark.parametrize("location", [[], [(b"Location", b"/elsewhere")]])
def test_a_status_means_what_it_means_to_httpx(location: list[tuple[bytes, bytes]]) -> None:
    for status in range(100, 600):
        ours, expected = incoming(status, location), httpx.Response(status, headers=location)
        assert ours.is_success == expected.is_success
        assert ours.has_redirect_location == expected.has_redirect_location


def failures() -> list[type[Exception]]:
    kinds = [kind for kind in vars(httpcore).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, FAILURES)]


def test_a_failure_has_the_name_that_httpx_has_for_it() -> None:
    assert len(failures()) > 10
    for kind in failures():
        error = Outgoing.of(**options(headers={"X-Auth-Key": "secret"})).failed(kind("down"))
        assert (type(error).__name__, str(error)) == (kind.__name__, "down")
        assert (error.request.method, error.request.url) == ("POST", ADDRESS)
        assert "x-auth-key" not in error.request.headers


def test_nothing_is_sent_once_it_is_closed() -> None:
    sync, awaited = Pool(verify=False), AsyncPool(verify=False)
    request = sync.build_request(**options())
    sync.close()
    with pytest.raises(VectorizeError, match="closed"):
        sync.send(request)

    async def closed(pool: AsyncPool) -> None:
        with pytest.raises(VectorizeError, match="closed"):
            await pool.send(request)

    asyncio.run(awaited.aclose())
    asyncio.run(closed(awaited))
    dropped, loop = AsyncPool(verify=False), asyncio.new_event_loop()
    dropped.drop(loop)
    loop.run_until_complete(closed(dropped))
    loop.close()
