"""No token, key or password is printed: by tracebacks with variables, reprs, pickles, logs."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pydantic
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps

from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.core.transport.raw_server import RawRequest, RawServer, answer, ok_body
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.nightly import sized
from tests.stores import Call, Embedder, async_call, both_ways, sync_call
from tests.walking import chain, places, shown
from vectorize_core import (
    AsyncVectorizeClient,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.local.server import BackgroundServer, Settings, create_app, environment
from vectorize_core.transport.deadline import AsyncStream, Deadline, SyncStream
from vectorize_core.transport.network import find_proxy
from vectorize_core.transport.tracebacks import FramesHidden

pytestmark = pytest.mark.covering(2)

TOKEN = "tok-3nWm9-OnlyHere"
KEY = "key-7rTq2-OnlyHere"
PASSWORD = "pa55word"
BASIC = b64encode(f"user:{PASSWORD}".encode()).decode()
SECRETS = (TOKEN, KEY, PASSWORD, BASIC)
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
WITH_TOKEN = {"api_token": TOKEN}
WITH_KEY = {"api_key": KEY, "email": "a@b.c"}
both_secrets = pytest.mark.parametrize("secret", [WITH_TOKEN, WITH_KEY], ids=["token", "key"])
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _environment(no_credentials: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        no_credentials.delenv(name, raising=False)
        no_credentials.delenv(name.lower(), raising=False)


def finish(call: Call, work: Coroutine[Any, Any, Any]) -> Any:
    """What ``work`` comes to: in an event loop, or without one, as sync code runs."""
    if call is async_call:
        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("sync code suspended")


User = Callable[..., Coroutine[Any, Any, Any]]


async def of_a_client(call: Call, **options: Any) -> None:
    kind = AsyncVectorizeClient if call is async_call else VectorizeClient
    made = kind("account", retry=ONCE, **options)
    try:
        found = made.get_index("docs")
        if call is async_call:
            await found
    finally:
        await (made.aclose() if call is async_call else sync_call(made, "close"))


def of_a_store(kind: Kind) -> User:
    async def use(call: Call, **options: Any) -> None:
        store = kind.make(index_name="docs", account_id="account", retry=ONCE, **options)
        try:
            await kind.add(call, store, "a", "b")
        finally:
            await (store.aclose() if call is async_call else sync_call(store, "close"))

    return use


USERS = {"client": of_a_client, **{k.name: of_a_store(k) for k in (LANGCHAIN, LLAMA_INDEX)}}
all_users = pytest.mark.parametrize("use", USERS.values(), ids=USERS)


# Failing calls


def refused(status: int) -> bytes:
    said = b'{"success": false, "errors": [{"code": 1, "message": "no"}], "result": null}'
    return answer(said, f"{status} No")


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
    with RawServer(script) as server, pytest.raises(kind) as caught:
        finish(call, use(call, base_url=server.base_url, timeout=0.3, **secret))
    assert not places(caught.value, *SECRETS)
    assert not any(secret.encode() in pickle.dumps(caught.value) for secret in SECRETS)
    assert not any(secret.lower() in str(caught.value).lower() for secret in SECRETS)
    requests = [vars(one).get("_request") for one in chain(caught.value)]
    headers = [shown(dict(request.headers)) for request in requests if request is not None]
    assert not any(secret in text for text in headers for secret in SECRETS)
    assert server.requests


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
    with RawServer(script) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://user:{long}@127.0.0.1:{proxy.port}")
        url = f"{scheme}://nowhere.invalid/client/v4"
        work = of_a_client(call, base_url=url, api_token=TOKEN, timeout=0.3)
        with pytest.raises(VectorizeError) as caught:
            finish(call, work)
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
            SyncStream(Broken(), Deadline()).write(f"Bearer {TOKEN}".encode())

    async def asend() -> None:
        with FramesHidden():
            await AsyncStream(Broken(), Deadline()).write(f"Bearer {TOKEN}".encode())

    with pytest.raises(httpcore.WriteError) as caught:
        finish(call, asend() if call is async_call else send())
    assert not places(caught.value, *SECRETS)


# Wrong arguments


MAKERS: dict[str, Callable[..., Any]] = {
    "client": VectorizeClient,
    "async client": AsyncVectorizeClient,
    "langchain": lambda **o: LANGCHAIN.make(**{"index_name": "docs"} | o),
    "llama_index": lambda **o: LLAMA_INDEX.make(**{"index_name": "docs"} | o),
    "from_texts": lambda **o: LANGCHAIN.store.from_texts(  # type: ignore[attr-defined]
        ["a"], Embedder(), **{"index_name": "docs"} | o
    ),
    "afrom_texts": lambda **o: asyncio.run(
        LANGCHAIN.store.afrom_texts(  # type: ignore[attr-defined]
            ["a"], Embedder(), **{"index_name": "docs"} | o
        )
    ),
    "from_documents": lambda **o: LANGCHAIN.store.from_documents(  # type: ignore[attr-defined]
        [], Embedder(), **{"index_name": "docs"} | o
    ),
    "afrom_documents": lambda **o: asyncio.run(
        LANGCHAIN.store.afrom_documents(  # type: ignore[attr-defined]
            [], Embedder(), **{"index_name": "docs"} | o
        )
    ),
    "from_existing_index": lambda **o: LANGCHAIN.store.from_existing_index(  # type: ignore[attr-defined]
        embedding=Embedder(), **{"index_name": "docs"} | o
    ),
    "from_params": lambda **o: LLAMA_INDEX.store.from_params(  # type: ignore[attr-defined]
        **{"index_name": "docs"} | o
    ),
    "from_dict": lambda **o: LLAMA_INDEX.store.from_dict(  # type: ignore[attr-defined]
        {"index_name": "docs", **o}
    ),
}
WRONG: dict[str, dict[str, Any]] = {
    "no account": {"api_token": TOKEN},
    "no account for a key": WITH_KEY,
    "a key without its e-mail address": {"account_id": "a", "api_key": KEY},
    "a line break": {"account_id": "a", "api_token": f"{TOKEN}\n{TOKEN}"},
    "no ASCII": {"account_id": "a", "api_key": f"{KEY}é", "email": "a@b.c"},
    "bytes": {"account_id": "a", "api_token": TOKEN.encode()},
    "a list": {"account_id": "a", "api_key": [KEY], "email": "a@b.c"},
    "another name": {"account_id": "a", "token": TOKEN},
    "a misspelt name": {"account_id": "a", "api_tokn": TOKEN},
    "another wrong argument": {"account_id": "a", "api_token": TOKEN, "nonsense": 1},
    "a wrong timeout": {"account_id": "a", "api_token": TOKEN, "timeout": "x"},
    "a wrong client": {"account_id": "a", "api_token": TOKEN, "http_client": 5},
    "an address as the token": {"account_id": "a", "base_url": TOKEN, "api_token": TOKEN},
    "a token as the account": {"account_id": TOKEN},
    "a key as the e-mail address": {"account_id": "a", "email": KEY},
    "no address": {"account_id": "a", "api_token": TOKEN, "base_url": "nowhere"},
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_arguments(make: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        make(**wrong)
    assert not places(caught.value, *SECRETS)


def test_too_many_arguments() -> None:
    with pytest.raises(TypeError) as caught:
        VectorizeClient("account", TOKEN, KEY)  # type: ignore[misc]
    assert not places(caught.value, *SECRETS)
    with pytest.raises(ConfigurationError) as failed:
        VectorizeClient(TOKEN)
    assert not places(failed.value, *SECRETS)


POSITIONAL: dict[str, Callable[[Any], Any]] = {
    "langchain": lambda token: LANGCHAIN.store(Embedder(), "docs", token),
    "from_texts": lambda token: LANGCHAIN.store.from_texts(  # type: ignore[attr-defined]
        ["a"], Embedder(), None, token
    ),
    "afrom_texts": lambda token: asyncio.run(
        LANGCHAIN.store.afrom_texts(["a"], Embedder(), None, token)  # type: ignore[attr-defined]
    ),
    "from_existing_index": lambda token: LANGCHAIN.store.from_existing_index(  # type: ignore[attr-defined]
        "docs", Embedder(), token
    ),
    "llama_index": lambda token: LLAMA_INDEX.store("docs", token),
    "from_params": lambda token: LLAMA_INDEX.store.from_params(  # type: ignore[attr-defined]
        "docs", token
    ),
    "from_dict": lambda token: LLAMA_INDEX.store.from_dict({}, token),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("make", POSITIONAL.values(), ids=POSITIONAL)
def test_a_secret_among_positional_arguments_that_are_too_many(make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="positional") as caught:
        make(TOKEN)
    assert not places(caught.value, *SECRETS)


@both_stores
@pytest.mark.parametrize("name", ["client", "index", "http_client", "async_http_client"])
@pytest.mark.parametrize("wrong", [{"api_token": TOKEN}, f"https://u:{PASSWORD}@host", [TOKEN]])
def test_secrets_in_place_of_a_client(kind: Kind, name: str, wrong: Any) -> None:
    options: dict[str, Any] = {"account_id": "a"} if name.endswith("http_client") else {}
    with pytest.raises(ConfigurationError, match=f"{name} is .*; got a {type(wrong).__name__}$"):
        kind.make(index_name="docs", **{name: wrong}, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_token": TOKEN, "index_name": "do cs"}, "an index name is made"),
        ({"api_key": KEY, "email": "a@b.c", "wait": 5}, "wait is"),
        ({"api_token": f"{TOKEN} x"}, "the token has a space"),
        ({"api_token": TOKEN, "base_url": f"https://u:{PASSWORD}@host"}, "base_url must not hold"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_an_error_of_pydantic_shows_none(options: dict[str, Any], said: str, nested: bool) -> None:
    data = {"index_name": "docs", "account_id": "a", **options}
    model, given = (Settled, {"store": data}) if nested else (LlamaIndexStore, data)
    with pytest.raises(pydantic.ValidationError, match=said) as caught:
        model.model_validate(given)
    texts = [str(caught.value), shown(caught.value.errors())]
    assert not any(secret in text for text in texts for secret in SECRETS)


class Settled(pydantic.BaseModel):
    """What a program may keep its settings in."""

    store: LlamaIndexStore


def test_pydantic_makes_a_store_with_its_secret() -> None:
    data = {"index_name": "docs", "account_id": "a", "api_token": TOKEN}
    for store in (
        LlamaIndexStore.model_validate(data),
        LlamaIndexStore.model_validate_json(json.dumps(data)),
        Settled(store=data).store,  # type: ignore[arg-type]
    ):
        credentials: Any = store.client.connection.executor
        assert credentials.credentials.headers.reveal() == {"Authorization": f"Bearer {TOKEN}"}
    assert data["api_token"] == TOKEN


@pytest.mark.parametrize("name", ["api_token", "api_key", "base_url", "http_client"])
def test_a_store_is_given_another_secret(name: str) -> None:
    store = LlamaIndexStore("docs", account_id="a", api_token=KEY)
    for give in (setattr, lambda store, *pair: store.model_copy(update=dict([pair]))):
        with pytest.raises(ConfigurationError, match=f"{name} is what a store is made") as caught:
            give(store, name, TOKEN)
        assert not places(caught.value, *SECRETS)


@pytest.mark.parametrize("method", ["from_texts", "from_existing_index", "local", "from_params"])
def test_a_subclass_is_given_the_secret_and_our_frames_do_not_show_it(method: str) -> None:
    kind = LLAMA_INDEX if method == "from_params" else LANGCHAIN
    given: list[str] = []

    class Mine(kind.store):  # type: ignore[name-defined,misc]
        def __init__(self, *args: Any, mine: int, **options: Any) -> None:
            given.append(options["api_token"])
            super().__init__(*args, mine=mine, **options)

    positional = {"from_texts": [["a"], Embedder()], "from_existing_index": ["docs", Embedder()]}
    with pytest.raises(TypeError, match="mine") as caught:
        getattr(Mine, method)(*positional.get(method, [Embedder()]), api_token=TOKEN, mine=1)
    assert given == [TOKEN]
    assert not places(caught.value, *SECRETS)


@both_stores
def test_a_pickle_that_cannot_be_opened(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    store = kind.make(index_name="docs", account_id="a", api_token=TOKEN, base_url="https://host")
    data = pickle.dumps(store)
    for wrong in (f"{TOKEN} x", f"{TOKEN}é"):
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", wrong)
        with pytest.raises(ConfigurationError, match="token has a space") as caught:
            pickle.loads(data)
        assert not places(caught.value, *SECRETS)


ADDRESSES = [
    f"https://user:{PASSWORD}@host/client/v4",
    f"https://user:{PASSWORD} word@host",
    f"https://user:{PASSWORD}/word@host",
    f"https://user:{PASSWORD}?word@host",
    f"https://user:{PASSWORD}#word@host",
    f"https://user:{PASSWORD}@a@b@host",
    f"https://{PASSWORD}@host",
    f"https://user:{PASSWORD}",
    f"https://user:{PASSWORD}/client/v4",
    f"https:user:{PASSWORD}@host",
    f"https:/user:{PASSWORD}@host",
    f"//user:{PASSWORD}@host",
    f"user:{PASSWORD}@host/client/v4",
    f"user:{PASSWORD}",
    f"ftp://user:{PASSWORD}@host",
    f"https://user:{PASSWORD}@host:port",
    f"https://user:{PASSWORD}@host:99999",
    f"https://user:{PASSWORD}@[::1",
    f"https://[::1]:{PASSWORD}",
    f"https://user%3A{PASSWORD}%40host",
    f"https://user%253A{PASSWORD}%2540host",
    f"https://user:{PASSWORD}\N{FULLWIDTH COMMERCIAL AT}host",
    f"https://host/user:{PASSWORD}@client/v4",
    f"https://host/client/v4?token={PASSWORD}",
    f"https://host/client/v4#{PASSWORD}",
    f"https://host/client/v4\n{PASSWORD}@",
    f"\\\\user:{PASSWORD}@host",
    PASSWORD,
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("variable", [None, "CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.covering(2)
def test_a_password_in_an_address(
    make: Callable[..., Any],
    address: str,
    variable: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"account_id": "account", "api_token": TOKEN}
    if variable is None:
        options["base_url"] = address
    else:
        monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        make(**options)
    assert not places(caught.value, *SECRETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "\0"},
        {"data": 5},
        {"nonsense": 1},
        {"faults": [{"nonsense": 1}]},
        {"token": f"{TOKEN}\udc80"},
        {"token": f"{TOKEN} x"},
        {"token": TOKEN.encode()},
        {"token": ""},
    ],
)
def test_wrong_settings_of_a_server(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        BackgroundServer(Settings(**{"token": TOKEN, **wrong}))
    assert not places(caught.value, *SECRETS)


# Errors of the server


@contextmanager
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """All loggers say everything, those too that do not pass it on, such as uvicorn's."""
    caplog.set_level(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict]]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate = True
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate


def test_an_error_in_the_server_shows_no_token_of_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> float:
        raise LookupError("the clock is broken")

    settings = Settings(token=TOKEN, rate_limit=5, clock=broken)
    with BackgroundServer(settings) as server, listening(caplog):
        for call in (sync_call, async_call):
            with pytest.raises(ServerError) as caught:
                finish(call, USERS["client"](call, base_url=server.base_url, api_token=TOKEN))
            assert not places(caught.value, *SECRETS)
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert logged
    assert not [place for error in logged if error for place in places(error, *SECRETS)]


# What is printed without an error


def objects() -> dict[str, Any]:
    """Everything public that has seen a secret."""
    options: dict[str, Any] = {"account_id": "account", "base_url": "https://host/client/v4"}
    found: dict[str, Any] = {}
    for name, secret in (("token", WITH_TOKEN), ("key", WITH_KEY)):
        given = {**options, **secret}
        client, other = VectorizeClient(**given), AsyncVectorizeClient(**given)
        langchain = LANGCHAIN.make(index_name="docs", **given)
        llama_index = LLAMA_INDEX.make(index_name="docs", **given)
        found |= {
            f"{name}: {label}": value
            for label, value in {
                "client": client,
                "async client": other,
                "index": client.index("docs"),
                "async index": other.index("docs"),
                "connection": client.connection,
                "address": client.connection.address,
                "executor": client.connection.executor,
                "credentials": client.connection.executor.credentials,  # type: ignore[attr-defined]
                "io": client.connection.io(),
                "langchain": langchain,
                "its view": langchain.with_namespace("a"),
                "its retriever": langchain.as_retriever(),
                "llama_index": llama_index,
                "its client": llama_index.client,
                "its other view": llama_index.with_namespace("a"),
            }.items()
        }
    settings = Settings(token=TOKEN)
    server = BackgroundServer(settings)
    server.stop()
    found |= {"settings": settings, "server": server}
    found["environment"] = environment("http://127.0.0.1:1", TOKEN)
    return found


def test_no_repr_shows_one() -> None:
    for name, value in objects().items():
        texts = [shown(value), f"{value}"]
        fields = getattr(value, "__dict__", {})
        texts += [shown(held) for field, held in fields.items() if field != "_server"]
        assert not [text for text in texts if any(s in text for s in SECRETS)], name


def test_an_application_shows_no_token() -> None:
    application = create_app(Settings(token=TOKEN))
    assert TOKEN not in shown(vars(application))


def test_the_variables_of_a_server_hold_its_token() -> None:
    variables = environment("http://127.0.0.1:1", TOKEN)
    assert variables["CLOUDFLARE_API_TOKEN"] == TOKEN
    assert {**variables} == dict(variables.items()) == json.loads(json.dumps(variables))
    assert Settings(token=TOKEN).token == TOKEN
    assert Settings().token is None


def test_a_proxy_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{TOKEN}:{PASSWORD}@host:1")
    proxy = find_proxy("https://api.example")
    assert proxy is not None
    of_httpx = proxy.for_httpx()
    # httpcore logs the last one for a SOCKS proxy.
    for value in (proxy, of_httpx, of_httpx.raw_auth):
        assert not any(secret in shown(value) for secret in SECRETS)
    assert of_httpx.raw_auth == (TOKEN.encode(), PASSWORD.encode())


def test_no_pickle_and_no_copy_shows_one() -> None:
    pickled = 0
    for name, value in objects().items():
        if name in ("settings", "environment"):
            continue  # A server has its token from them.
        try:
            data = [pickle.dumps(value, p) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        except (AttributeError, TypeError, pickle.PicklingError, VectorizeError) as error:
            failure: BaseException = error
        else:
            pickled += 1
            assert not any(s.encode() in one for one in data for s in SECRETS), name
            continue
        assert not places(failure, *SECRETS), name
    assert pickled > 10
    for name, value in objects().items():
        for make in (copy.copy, copy.deepcopy):
            with suppress(TypeError, VectorizeError):
                assert not any(secret in shown(make(value)) for secret in SECRETS), name


@both_stores
@both_ways
def test_no_log_and_no_event_shows_one(
    kind: Kind, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """All loggers at DEBUG, of the server too, over calls that work and one that does not."""
    events: list[Any] = []

    async def work(base_url: str, token: str) -> None:
        options = {"base_url": base_url, "api_token": token, "on_event": events.append}
        if call is async_call:
            asyncio.get_running_loop().set_debug(True)
        store = kind.make(index_name="docs", retry=ONCE, create_index=True, **options)
        try:
            await kind.add(call, store, "a", "b")
            await kind.search(call, store, "a")
            await kind.delete(call, store, ["a"])
        finally:
            await (store.aclose() if call is async_call else sync_call(store, "close"))

    with BackgroundServer(Settings(token=TOKEN)) as server, listening(caplog):
        finish(call, work(server.base_url, TOKEN))
        with pytest.raises(AuthenticationError):
            finish(call, work(server.base_url, KEY))
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpcore", "vectorize_core"} <= names
    assert ("asyncio" in names) is (call is async_call)
    texts = [f"{r.getMessage()} {r.args!r} {vars(r)!r}" for r in caplog.records]
    texts += [shown(event) + shown(event.as_dict()) for event in events]
    assert events
    assert not [text for text in texts if any(secret in text for secret in SECRETS)]


def test_no_trace_of_langchain_shows_one() -> None:
    seen: list[Any] = []

    class Tracer(BaseCallbackHandler):
        raise_error = True

        def on_retriever_start(self, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))

        def on_retriever_error(self, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))

    with RawServer(refused(500)) as server:
        store = LANGCHAIN.make(
            index_name="docs",
            account_id="a",
            base_url=server.base_url,
            api_token=TOKEN,
            retry=ONCE,
        )
        retriever = store.as_retriever()
        with store, pytest.raises(ServerError):
            retriever.invoke("a", config={"callbacks": [Tracer()]})
    assert len(seen) == 2
    texts = [shown(seen), dumps(store), dumps(retriever), str(retriever.lc_attributes)]
    assert not any(secret in text for secret in SECRETS for text in texts)


@both_secrets
def test_nothing_that_llama_index_writes_shows_one(secret: dict[str, str]) -> None:
    store = LLAMA_INDEX.make(
        index_name="docs", account_id="a", base_url="https://host/v4", **secret
    )
    texts = [shown(store.to_dict()), store.to_json(), shown(store.model_dump())]
    texts += [store.model_dump_json(), shown(type(store).model_json_schema())]
    assert not any(secret in text for secret in SECRETS for text in texts)


# What others print


PLAIN = ("-p", "no:cacheprovider", "-o", "addopts=")
FAILING = """
import asyncio, os
from vectorize_core import RetryPolicy, VectorizeClient

def client(**more):
    return VectorizeClient(
        "account", os.environ["SECRET"], base_url=os.environ["THERE"],
        retry=RetryPolicy(0, 0), timeout=0.3, **more
    )

def test_client():
    client().get_index("docs")

def test_async():
    asyncio.run(client().to_async().get_index("docs"))

def test_wrong():
    client(rate_limit=5)
"""
OF_STORES = """
def test_langchain():
    from langchain_core.embeddings import FakeEmbeddings
    from langchain_vectorize import VectorizeVectorStore
    store = VectorizeVectorStore(FakeEmbeddings(size=32), client=client(), index_name="docs")
    store.similarity_search("a")

def test_llama_index():
    from llama_index_vectorize import VectorizeVectorStore
    VectorizeVectorStore("docs", client=client()).get_nodes(["a"])
"""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (lambda _: iter([5.0]), ["-l", "-vv", "--full-trace"]),
        *sized([], [(refused(401), ["-l"]), (lambda _: iter([5.0]), ["-l"])]),
    ],
)
def test_pytest_with_locals(script: Any, options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text(FAILING + sized("", OF_STORES))
    with RawServer(script) as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *PLAIN, f"--rootdir={tmp_path}", str(file)],
            env={
                **os.environ,
                "SECRET": TOKEN,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "THERE": server.base_url,
                "PYTHONPATH": str(ROOT),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert f"{sized(3, 5)} failed" in done.stdout, done.stdout + done.stderr
    assert "self       = <vectorize_core.transport.http.HttpExecutor" in done.stdout
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)


@both_ways
def test_rich_with_locals(call: Call) -> None:
    from rich.console import Console
    from rich.traceback import Traceback

    with RawServer(lambda _: iter([5.0])) as server:
        options = {"base_url": server.base_url, "timeout": 0.1, "api_token": TOKEN * 9}
        with pytest.raises(RequestTimeoutError) as caught:
            finish(call, USERS["langchain"](call, **options))
    console = Console(record=True, width=200, file=StringIO())
    kind, error = type(caught.value), caught.value
    console.print(
        Traceback.from_exception(
            kind,
            error,
            error.__traceback__,
            show_locals=True,
            locals_max_length=None,
            locals_max_string=None,
            suppress=[str(ROOT / "tests")],
        )
    )
    text = console.export_text()
    assert "HttpExecutor" in text
    assert not any(secret in text for secret in SECRETS)
