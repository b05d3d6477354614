"""Calls that fail, are interrupted or cancelled print no token, key or password."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import signal
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx
import pytest

from tests.core.transport.raw_server import RawRequest, RawServer, answer, ok_body
from tests.patience import growing
from tests.secrets.hidden import (
    BASIC,
    PASSWORD,
    SECRETS,
    TOKEN,
    WITH_TOKEN,
    User,
    all_users,
    both_secrets,
    finish,
    of_a_client,
    refused,
)
from tests.stores import Call, async_call, both_ways, sync_call
from tests.walking import chain, places, shown
from vectorize_core import (
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.transport.deadline import AsyncStream, Deadline, SyncStream
from vectorize_core.transport.tracebacks import FramesHidden

pytestmark = pytest.mark.covering(2)


def repeated(request: RawRequest) -> bytes:
    """A refusal that says what it was sent."""
    messages = [{"code": 1, "message": f"refused: {dict(request.headers)}"}]
    return answer(json.dumps({"success": False, "errors": messages}).encode(), "400 No")


def page(request: RawRequest) -> bytes:
    """A page about the request, as gateways show it."""
    return answer(f"{request.headers.get('authorization')} {dict(request.headers)}".encode())


def repeated_in_headers(request: RawRequest) -> bytes:
    said = " ".join(request.headers.values())
    return answer(refused(429).partition(b"\r\n\r\n")[2], "429 No", cf_ray=said, ratelimit=said)


def escaped(request: RawRequest) -> bytes:
    """As `repeated`, in another spelling of JSON."""
    said = [{"code": 1, "message": f"refused: {sent(request)}"}]
    body = json.dumps({"success": False, "errors": said}).replace("-", "\\u002d")
    return answer(body.encode(), "400 No")


def sent(request: RawRequest) -> str:
    return request.headers.get("authorization", request.headers.get("x-auth-key", ""))


def raw(head: str) -> Callable[[RawRequest], bytes]:
    """An answer that repeats the secret in its head."""
    return lambda request: head.format(sent(request)).encode() + b"\r\n\r\n"


FAILURES: dict[str, tuple[Any, type[Exception]]] = {
    "401": (refused(401), AuthenticationError),
    "403": (refused(403), AuthenticationError),
    "429": (refused(429), RateLimitError),
    "500": (refused(500), ServerError),
    "repeated": (repeated, BadRequestError),
    "repeated in headers": (repeated_in_headers, RateLimitError),
    "repeated with escapes": (escaped, BadRequestError),
    "a status line": (raw("HTTX {}"), ConnectionFailedError),
    "a reason": (raw("HTTP/1.1 400 {}\r\nContent-Length: 0"), BadRequestError),
    "a header line": (raw("HTTP/1.1 200 OK\r\n{}"), ConnectionFailedError),
    "an encoding": (
        raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Encoding: {}"),
        UnexpectedAnswerError,
    ),
    "a chunk": (
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
        ConnectionFailedError,
    ),
    "a page": (page, UnexpectedAnswerError),
    "no result": (answer(ok_body({"x": 1})), UnexpectedAnswerError),
    "slow": (lambda _: iter([5.0]), RequestTimeoutError),
    "cut off": (lambda _: iter([answer(b"{", content_length=50)]), ConnectionFailedError),
    "cut off after it repeated": (
        lambda request: iter([answer(sent(request).encode(), content_length=90)]),
        ConnectionFailedError,
    ),
    "slow after it repeated": (
        lambda request: iter([answer(sent(request).encode(), content_length=90), 5.0]),
        RequestTimeoutError,
    ),
    "closed": ([], ConnectionFailedError),
    "no HTTP": (b"nonsense\r\n\r\n", ConnectionFailedError),
    "redirect": (
        answer(status="307 No", location=f"https://user:{PASSWORD}@host/x?token={TOKEN}"),
        VectorizeError,
    ),
}


@all_users
@both_ways
@both_secrets
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.covering(2)
def test_a_failing_call(use: User, call: Call, secret: dict[str, str], failure: Any) -> None:
    script, kind = failure
    is_slow = kind is RequestTimeoutError
    for seconds in growing(0.3 if is_slow else 30.0):
        raised = pytest.raises(ConnectionFailedError if is_slow else kind)
        with RawServer(script) as server, raised as caught:
            finish(call, use(call, base_url=server.base_url, timeout=seconds, **secret))
        if server.requests and isinstance(caught.value, kind):
            break
    assert not places(caught.value, *SECRETS)
    assert not any(secret.encode() in pickle.dumps(caught.value) for secret in SECRETS)
    assert not any(secret.lower() in str(caught.value).lower() for secret in SECRETS)
    requests = [vars(one).get("_request") for one in chain(caught.value)]
    headers = [shown(dict(request.headers)) for request in requests if request is not None]
    assert not any(secret in text for text in headers for secret in SECRETS)


@both_ways
@both_secrets
def test_a_request_that_failed_stays_as_it_was_sent(call: Call, secret: dict[str, str]) -> None:
    """A user's own transport keeps what it was given."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ConnectError("down")

    transport = httpx.MockTransport(handle)
    with pytest.raises(ConnectionFailedError) as caught:
        finish(call, of_a_client(call, transport=transport, **secret))
    assert (TOKEN in requests[0].headers.get("authorization", "")) is (secret is WITH_TOKEN)
    assert requests[0].headers.get("x-auth-key") == secret.get("api_key")
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ConnectError)
    assert (cause.request.method, cause.request.url) == (requests[0].method, requests[0].url)
    assert not any(text in shown(dict(cause.request.headers)) for text in SECRETS)


INDEX = {
    "name": "docs",
    "config": {"dimensions": 32, "metric": "cosine"},
    "created_on": "2024-01-01T00:00:00Z",
    "modified_on": "2024-01-01T00:00:00Z",
}


@both_ways
@both_secrets
@pytest.mark.parametrize("token", [None, 'tok"3nWm9\\<&/OnlyHere'])
def test_what_a_server_says_of_an_answer_that_it_gives(
    call: Call, secret: dict[str, str], token: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    def remark(request: RawRequest) -> bytes:
        said = json.loads(ok_body(INDEX))
        messages = [{"code": 1, "message": f"outdated: {sent(request)}"}]
        return answer(json.dumps({**said, "messages": messages}).encode())

    if token is not None:
        secret = dict.fromkeys(secret, token) | ({"email": "a@b.c"} if "email" in secret else {})
    with RawServer(remark) as server, caplog.at_level(logging.DEBUG):
        finish(call, of_a_client(call, base_url=server.base_url, **secret))
    assert "***" in caplog.text
    assert not any(text in caplog.text for text in (*SECRETS, token or TOKEN))


@all_users
@both_ways
@both_secrets
@pytest.mark.parametrize(
    ("base_url", "proxy"),
    [
        ("http://127.0.0.1:1/client/v4", None),
        ("http://nowhere.invalid/client/v4", None),
        ("http://nowhere.invalid/client/v4", f"http://user:{PASSWORD}@127.0.0.1:1"),
        ("https://nowhere.invalid/client/v4", f"http://user:{PASSWORD}@127.0.0.1:1"),
        ("https://nowhere.invalid/client/v4", f"https://user:{PASSWORD}@127.0.0.1:1"),
        ("https://nowhere.invalid/client/v4", f"nonsense://user:{PASSWORD}@host"),
        ("https://nowhere.invalid/client/v4", f"http://user:{PASSWORD}@[::1"),
        ("https://nowhere.invalid/client/v4", f"http://user:{PASSWORD} @host"),
        ("https://nowhere.invalid/client/v4", f"http://user:{PASSWORD}:x@host"),
    ],
)
@pytest.mark.covering(2)
def test_a_server_that_is_not_reached(
    use: User,
    call: Call,
    secret: dict[str, str],
    base_url: str,
    proxy: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if proxy is not None:
        monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(VectorizeError) as caught:
        finish(call, use(call, base_url=base_url, timeout=5.0, **secret))
    assert not places(caught.value, *SECRETS)


@both_ways
@pytest.mark.parametrize("status", ["407 No", "502 No"])
def test_a_proxy_that_refuses(call: Call, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer(status=status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectionFailedError) as caught:
            finish(call, of_a_client(call, base_url="https://nowhere.invalid", api_token=TOKEN))
    assert BASIC in proxy.requests[0].headers["proxy-authorization"]
    assert not places(caught.value, *SECRETS)


def of_the_proxy(head: str) -> Callable[[RawRequest], bytes]:
    """An answer that repeats what the proxy was sent."""
    return lambda request: head.format(request.headers["proxy-authorization"]).encode()


@both_ways
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "script",
    [
        of_the_proxy("HTTP/1.1 407 {}\r\nContent-Length: 0\r\n\r\n"),
        of_the_proxy("HTTP/1.1 200 OK\r\n{}\r\n\r\n"),
        of_the_proxy("HTTP/1.1 503 No\r\ncf-ray: {0}\r\nContent-Length: 99\r\n\r\n{0}"),
        repeated,
        page,
    ],
)
def test_a_proxy_that_repeats_its_password(
    call: Call, scheme: str, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = f"{PASSWORD}-OnlyHere"
    url = f"{scheme}://nowhere.invalid/client/v4"
    for seconds in growing(0.3):
        with RawServer(script) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"http://user:{long}@127.0.0.1:{proxy.port}")
            work = of_a_client(call, base_url=url, api_token=TOKEN, timeout=seconds)
            with pytest.raises(VectorizeError) as caught:
                finish(call, work)
        if proxy.requests:
            break
    basic = b64encode(f"user:{long}".encode()).decode()
    assert basic in proxy.requests[0].headers["proxy-authorization"]
    assert not places(caught.value, long, basic, TOKEN)


@both_ways
@both_secrets
def test_a_server_without_tls(call: Call, secret: dict[str, str]) -> None:
    with RawServer(b"", reads=False) as server:
        url = server.base_url.replace("http", "https")
        with pytest.raises(ConnectionFailedError) as caught:
            finish(call, of_a_client(call, base_url=url, timeout=1.0, **secret))
    assert not places(caught.value, *SECRETS)


@pytest.mark.skipif(os.name == "nt", reason="no signal for a thread")
@all_users
@both_secrets
def test_ctrl_c(use: User, secret: dict[str, str]) -> None:
    def interrupt(_: RawRequest) -> Iterator[float]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        yield 5.0

    with RawServer(interrupt) as server, pytest.raises(KeyboardInterrupt) as caught:
        finish(sync_call, use(sync_call, base_url=server.base_url, **secret))
    assert not places(caught.value, *SECRETS)


@all_users
@both_secrets
def test_a_cancelled_task(use: User, secret: dict[str, str]) -> None:
    arrived = threading.Event()

    def arrive(_: RawRequest) -> Iterator[float]:
        arrived.set()
        yield 5.0

    async def cancelled(base_url: str) -> BaseException:
        task = asyncio.ensure_future(use(async_call, base_url=base_url, **secret))
        await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    with RawServer(arrive) as server:
        assert not places(asyncio.run(cancelled(server.base_url)), *SECRETS)


@both_ways
def test_an_error_that_was_being_handled_keeps_its_frames(call: Call) -> None:
    """And so does what a transport of the user's raises: only those of httpx are taken out."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    transport = httpx.MockTransport(handle)
    with pytest.raises(httpx.UnsupportedProtocol) as earlier:
        httpx.get("nonsense://host")
    frames = len(earlier.traceback)
    try:
        raise earlier.value
    except httpx.UnsupportedProtocol:
        with pytest.raises(ConnectionFailedError) as caught:
            finish(call, of_a_client(call, transport=transport, api_token=TOKEN))
    assert frames > 3
    own = caught.value.__cause__
    assert own is not None
    assert earlier.value in (own.__context__, own.__context__ and own.__context__.__context__)
    cause = pytest.ExceptionInfo.from_exception(own)
    assert "handle" in [entry.name for entry in cause.traceback]
    after = pytest.ExceptionInfo.from_exception(earlier.value)
    assert len(after.traceback) > frames


@both_ways
def test_a_header_of_an_injected_client_that_cannot_be_sent(call: Call) -> None:
    headers = {"X-Own": f"{TOKEN}\n"}
    clients: dict[str, Any] = {
        "http_client": httpx.Client(headers=headers),
        "async_http_client": httpx.AsyncClient(headers=headers),
    }
    with RawServer(answer(ok_body([]))) as server:
        work = of_a_client(call, base_url=server.base_url, api_token=TOKEN, **clients)
        with pytest.raises(ConnectionFailedError, match="Illegal header value") as caught:
            finish(call, work)
    assert not places(caught.value, *SECRETS)


@both_ways
def test_a_request_that_breaks_off_while_it_is_sent(call: Call) -> None:
    class Broken(httpcore.NetworkStream, httpcore.AsyncNetworkStream):
        def write(self, buffer: bytes, timeout: float | None = None) -> Any:
            raise httpcore.WriteError("reset")

    async def send() -> None:
        with FramesHidden():
            stream = SyncStream(Broken(), Deadline())
            for part in f"Bearer {TOKEN}".encode(), b"":
                stream.write(part)

    async def asend() -> None:
        with FramesHidden():
            stream = AsyncStream(Broken(), Deadline())
            for part in f"Bearer {TOKEN}".encode(), b"":
                await stream.write(part)

    with pytest.raises(httpcore.WriteError) as caught:
        finish(call, asend() if call is async_call else send())
    assert not places(caught.value, *SECRETS)
