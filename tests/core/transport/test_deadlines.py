"""A request is over in time on every way to the server, and a call with all of its attempts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpcore
import httpx
import pytest

from tests.core.helpers import SYNC, Variant, both_variants, settled
from tests.core.transport.broken_answers import DRIPS, HEAD, SLOW, once, then
from tests.core.transport.raw_server import CERTIFICATE, RawServer, answer, ok_body
from tests.core.transport.test_broken_servers import (
    LONGER,
    SLACK,
    TIMEOUT,
    VECTORS,
    client,
    failures,
    over_in,
)
from tests.patience import growing
from vectorize_core import (
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    RetryPolicy,
    Vector,
    VectorizeClient,
    WaitTimeoutError,
)
from vectorize_core.api.operations import ListIndexes, Query, Upsert
from vectorize_core.connection import http_connection
from vectorize_core.transport import deadline, timeouts
from vectorize_core.transport.deadline import AsyncBackend, Deadline, SyncBackend
from vectorize_core.transport.http_pool import AsyncConnection, Connection
from vectorize_core.transport.io import run
from vectorize_core.transport.one_connection import AsyncOneConnection, OneConnection
from vectorize_core.transport.timeouts import LEAST_SPEED, request_time
from vectorize_core.transport.turns import NoTurnError

QUERY = Query("docs", vector=[1.0] * 32, top_k=1)
DRIPPING = SLOW["drips header lines"]
TLS_HELLO = b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb"
MUTATION = answer(ok_body({"mutationId": "m"}))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies and certificates."""
    for name in (*os.environ,):
        if name.upper().endswith("_PROXY") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)
    return monkeypatch


async def failure(variant: Variant, used: Any, op: Any = QUERY) -> Any:
    """How the operation failed; the client is closed."""
    try:
        return (await failures(variant, used, [op]))[0]
    finally:
        await variant.close(used)


# How long a request may take


@pytest.mark.parametrize(
    ("timeout", "kind", "whole"),
    [
        (1, "read", 1.0),
        (0.5, "write", 0.5),
        (None, "read", 10.0),
        (None, "write", 60.0),
        (None, "control", 60.0),
        (httpx.Timeout(3.0), "read", 3.0),
        (httpx.Timeout(3.0, connect=1.0), "read", 7.0),
        (httpx.Timeout(3.0, pool=None), "read", 3.0),
        (httpx.Timeout(None, connect=1.0), "read", None),
        (httpx.Timeout(3.0, write=None), "read", None),
        (httpx.Timeout(None), "read", None),
        ((1.0, 2.0, 3.0, 4.0), "read", 6.0),
        (10**400, "read", 10.0**8),
    ],
)
def test_the_time_of_a_request_comes_from_its_timeout(
    timeout: Any, kind: Any, whole: float | None
) -> None:
    assert request_time(timeout, kind, size=0).whole == whole
    for within in (0.1, 10.0**9):
        least = within if whole is None else min(within, whole)
        assert request_time(timeout, kind, size=0, within=within).whole == least
    sending = request_time(timeout, kind, size=3 * LEAST_SPEED)
    assert sending.whole == (None if whole is None else whole + 3.0)
    assert sending.more == 3.0


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), -0.5])
def test_a_timeout_that_ends_nothing_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout is more than 0 seconds"):
        VectorizeClient("account", "token", timeout=timeout)


@both_variants
async def test_steps_of_their_own_bound_the_request_by_their_sum(variant: Variant) -> None:
    for seconds in growing(0.1):
        with RawServer(SLOW["drips the body"]) as server:
            used = client(variant, server, timeout=httpx.Timeout(seconds, read=2 * seconds))
            began = time.monotonic()
            with over_in(4 * seconds + SLACK):
                error = await failure(variant, used)
        if error.sent and time.monotonic() - began > 3.5 * seconds:
            assert isinstance(error, RequestTimeoutError)
            break


@both_variants
async def test_a_step_keeps_its_own_time(variant: Variant) -> None:
    with RawServer(SLOW["silent"]) as server:
        used = client(variant, server, timeout=httpx.Timeout(30.0, read=0.1))
        with over_in(0.1 + SLACK):
            assert isinstance(await failure(variant, used), RequestTimeoutError)


# Every way to the server


@pytest.mark.parametrize("proxy", [None, "http://proxy.invalid", "https://proxy.invalid"])
def test_httpx_lets_us_open_the_sockets(proxy: str | None) -> None:
    """If this fails, a new version of httpx or httpcore has to be told otherwise."""
    options: Any = {"verify": False, "proxy": proxy}
    sync, awaited = Connection(**options), AsyncConnection(**options)
    for connection, one, kind in (
        (sync, OneConnection, SyncBackend),
        (awaited, AsyncOneConnection, AsyncBackend),
    ):
        assert isinstance(connection.only, one)
        pool: Any = connection.only._pool
        assert isinstance(pool._network_backend, kind)
        origin = httpcore.Origin(b"https", b"vectorize.invalid", 443)
        inside: Any = pool.create_connection(origin)
        inside = getattr(inside, "_connection", None) or inside
        assert isinstance(inside._network_backend, kind)


@pytest.mark.parametrize(
    "script",
    [once(60.0), then(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", b"\x03", DRIPS)],
    ids=["silent", "drips"],
)
@both_variants
async def test_tls_that_does_not_come_about_ends_in_time(variant: Variant, script: Any) -> None:
    with RawServer(script, reads=False) as server:
        base_url = server.base_url.replace("http:", "https:")
        with over_in(TIMEOUT + SLACK):
            error = await failure(variant, client(variant, server, base_url=base_url))
        assert isinstance(error, ConnectionFailedError)
        assert not error.sent


@pytest.mark.parametrize("how", ["drips header lines", "drips the body", "silent"])
@both_variants
async def test_a_request_over_tls_ends_in_time(
    variant: Variant, how: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    for seconds in growing(TIMEOUT):
        with RawServer(SLOW[how], tls=True) as server, over_in(seconds + SLACK):
            error = await failure(variant, client(variant, server, timeout=seconds))
        if error.sent:
            assert isinstance(error, RequestTimeoutError)
            break


class NotTls(RawServer):
    """Speaks no TLS any more when it answers."""

    def _send(self, connection: socket.socket, data: bytes) -> None:
        os.write(connection.fileno(), data)


@pytest.mark.skipif(os.name == "nt", reason="writes to a socket by its number")
@both_variants
async def test_what_is_no_tls_is_a_broken_connection(
    variant: Variant, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with NotTls(answer(ok_body([])), tls=True) as server:
        error = await failure(variant, client(variant, server, timeout=LONGER))
    assert isinstance(error, ConnectionFailedError)
    assert error.sent


@pytest.mark.parametrize("scheme", ["http", "https"])
@both_variants
async def test_a_proxy_that_drips_ends_in_time(
    variant: Variant, scheme: str, environment: pytest.MonkeyPatch
) -> None:
    base_url = f"{scheme}://vectorize.invalid/client/v4"
    for seconds in growing(TIMEOUT):
        with RawServer(DRIPPING) as server:
            environment.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{server.port}")
            used = client(variant, server, base_url=base_url, rate_limit=None, timeout=seconds)
            with over_in(seconds + SLACK):
                error = await failure(variant, used)
        if server.requests and isinstance(error, RequestTimeoutError):
            assert server.requests[0].line.startswith("CONNECT" if scheme == "https" else "POST")
            break


class TlsProxy(RawServer):
    """A proxy that is spoken to over TLS; what it is connected to is itself."""

    connected = False

    def _exchange(self, connection: socket.socket) -> bool:
        if not self.connected:
            self._receive(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return super()._exchange(connection)


@pytest.mark.parametrize("script", [[60.0], [TLS_HELLO, *[DRIPS, b"\x03"] * 600]])
@both_variants
async def test_tls_through_a_proxy_over_tls_ends_in_time(
    variant: Variant, script: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with TlsProxy(script, tls=True, reads=False) as server:
        environment.setenv("https_proxy", f"https://127.0.0.1:{server.port}")
        # Long enough for the proxy to connect, also beside other tests.
        options: Any = {"base_url": "https://vectorize.invalid/client/v4", "timeout": 1.0}
        used = client(variant, server, **options)
        with over_in(1.0 + SLACK):
            error = await failure(variant, used)
    assert isinstance(error, ConnectionFailedError)
    assert not error.sent


@both_variants
async def test_what_is_over_before_tls_begins_leaves_no_socket_open(variant: Variant) -> None:
    until, context = Deadline(), ssl.create_default_context()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kind = AsyncBackend if variant.is_async else SyncBackend
        opened: Any = kind(until)
        stream = await settled(opened.connect_tcp("127.0.0.1", server.getsockname()[1]))
        opened_socket = stream.get_extra_info("socket")
        past: Any = SimpleNamespace(extensions={"deadline": time.monotonic() - 1.0})
        until.set_for(past)
        with pytest.raises(httpcore.ConnectTimeout):
            await settled(stream.start_tls(context))
        server.accept()[0].close()
        await asyncio.sleep(0)
        assert opened_socket.fileno() == -1


def serve_over(client_side: Any, context: ssl.SSLContext) -> None:
    """Speak TLS as a server over a connection that is TLS already: a request, and an answer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)

    def done(step: Any) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                client_side.sendall(outgoing.read())
                incoming.write(client_side.recv(65_536))
            else:
                client_side.sendall(outgoing.read())
                return result

    done(tls.do_handshake)
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        received += done(lambda: tls.read(65_536))
    data = answer(ok_body({"matches": [{"id": "a" * 60, "score": 1.0}], "x": "y" * 200_000}))
    for start in range(0, len(data), 9_999):
        done(partial(tls.write, data[start : start + 9_999]))
    time.sleep(0.1)


@both_variants
async def test_an_answer_comes_through_a_proxy_over_tls(
    variant: Variant, environment: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    class Connects(RawServer):
        def _exchange(self, connection: socket.socket) -> bool:
            self._receive(connection)
            connection.settimeout(30.0)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            serve_over(connection, context)
            return False

    environment.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with Connects(b"", tls=True) as server:
        environment.setenv("https_proxy", f"https://127.0.0.1:{server.port}")
        environment.setattr("vectorize_core.transport.network.is_loopback", lambda _: False)
        used = client(variant, server, timeout=LONGER)
        io = used.connection.async_io() if variant.is_async else used.connection.io()
        found = await settled(io.call(QUERY) if variant.is_async else run(io.call(QUERY)))
        assert found.matches[0].id == "a" * 60
        await variant.close(used)


def test_addresses_of_a_host_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (address, 1)) for address in ("a", "b", "a", "c")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    tried: dict[str, float] = {}

    class Sockets(httpcore.SyncBackend):
        def connect_tcp(self, host: str, port: int, timeout: Any = None, *_: Any, **__: Any) -> Any:
            tried[host] = timeout
            if host == "c":
                return httpcore.MockStream([])
            raise httpcore.ConnectTimeout if host == "a" else httpcore.ConnectError("refused")

    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: 7.0))
    backend = SyncBackend(Deadline())
    backend._sockets = Sockets()
    backend.connect_tcp("host", 1, timeout=3.0)
    assert list(tried) == ["a", "b", "c"]
    assert tried == {"a": 1.0, "b": 1.5, "c": 3.0}
    backend.connect_tcp("host", 1)
    assert tried["a"] is None


# Much to send

LARGE = Upsert("docs", tuple(Vector(str(n), [0.123456789] * 1536) for n in range(64)))


@both_variants
async def test_a_large_write_gets_through_a_slow_uplink(variant: Variant) -> None:
    size = len(b"".join(LARGE.request().body))
    with RawServer(MUTATION, speed=2 * size) as server:
        used = client(variant, server, timeout=0.2)
        io = used.connection.async_io() if variant.is_async else used.connection.io()
        began = time.monotonic()
        await settled(io.call(LARGE) if variant.is_async else run(io.call(LARGE)))
        assert time.monotonic() - began > 0.4
        await variant.close(used)


@pytest.mark.parametrize("reads", [False, True])
@both_variants
async def test_a_server_that_reads_too_slowly_is_given_up(
    variant: Variant, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Upsert("docs", LARGE.vectors * 16)
    size = len(b"".join(large.request().body))
    monkeypatch.setattr(timeouts, "LEAST_SPEED", 5 * size)
    for seconds in growing(TIMEOUT):
        slow = RawServer(once(60.0), reads=reads, speed=size / 40)
        with slow as server, over_in(seconds + 0.2 + SLACK):
            error = await failure(variant, client(variant, server, timeout=seconds), large)
        if error.sent:
            assert isinstance(error, RequestTimeoutError)
            break


# A call, with all of its attempts


@both_variants
async def test_a_call_ends_at_its_deadline(variant: Variant) -> None:
    for seconds in growing(1.5):
        with RawServer(DRIPPING) as server:
            retry = RetryPolicy(read_deadline=seconds, first_delay=0.01)
            used = client(variant, server, retry=retry)
            with over_in(seconds + SLACK):
                error = await failure(variant, used)
        if len(server.requests) > 2 and isinstance(error, RequestTimeoutError):
            break


def first_breaks() -> Callable[[Any], Any]:
    """Breaks off the first answer, and drips the others."""
    asked = threading.Event()

    def answered(request: Any) -> Any:
        first = not asked.is_set()
        asked.set()
        return [HEAD] if first else DRIPPING(request)  # type: ignore[operator]

    return answered


@both_variants
async def test_a_later_attempt_has_what_is_left(variant: Variant) -> None:
    for seconds in growing(0.3):
        with RawServer(first_breaks()) as server:
            retry = RetryPolicy(read_deadline=seconds, first_delay=0.01)
            used = client(variant, server, retry=retry, timeout=60.0)
            with over_in(seconds + SLACK):
                error = await failure(variant, used)
        if len(server.requests) == 2 and isinstance(error, RequestTimeoutError):
            break


@pytest.mark.parametrize("name", ["create_metadata_index", "delete_metadata_index"])
@both_variants
async def test_what_takes_a_look_at_the_state_ends_at_its_deadline(
    variant: Variant, name: str
) -> None:
    for seconds in growing(0.3):
        with RawServer(first_breaks()) as server:
            retry = RetryPolicy(write_deadline=seconds, first_delay=0.01)
            used = client(variant, server, retry=retry, timeout=60.0)
            index, arguments = used.index("docs"), ["p", "string"][: 1 + name.startswith("create")]
            with over_in(seconds + SLACK), pytest.raises(ConnectionFailedError) as caught:
                await settled(getattr(index, name)(*arguments))
            await variant.close(used)
        if len(server.requests) == 2 and isinstance(caught.value, RequestTimeoutError):
            break


@both_variants
async def test_a_first_attempt_has_its_own_time(variant: Variant) -> None:
    """Also if it is more than the policy's, which says for how long to try again."""
    with RawServer(lambda _: [0.5, answer(ok_body([]))]) as server:
        used = client(variant, server, retry=RetryPolicy(0.1, 0.1), timeout=10.0)
        assert await settled(used.list_indexes()) == ()
        await variant.close(used)


@both_variants
async def test_who_waited_for_a_turn_has_what_is_left(variant: Variant) -> None:
    answers = iter([answer(ok_body([])), [0.3, answer(b"{}", "400 No", connection="close")]])
    with RawServer(lambda _: next(answers, [60.0])) as server:
        used = client(variant, server, retry=RetryPolicy(1.5, 1.5), timeout=30.0)
        used.connection.turns._at_once = 1
        # Opening a client takes its time, too.
        assert await settled(used.list_indexes()) == ()
        with over_in(1.5 + SLACK):
            found = await failures(variant, used, [QUERY] * 3)
            kinds = [type(error) for error in found]
        assert kinds.count(BadRequestError) == 1, found
        # Who comes last may have a moment left when the one before is over, or be over first.
        assert set(kinds) - {BadRequestError} <= {RequestTimeoutError, NoTurnError}, found
        await variant.close(used)


@both_variants
async def test_a_write_that_was_cut_may_have_been_carried_out(variant: Variant) -> None:
    for seconds in growing(0.3):
        with RawServer(DRIPPING) as server:
            retry = RetryPolicy(write_deadline=seconds, first_delay=0.01)
            used = client(variant, server, retry=retry, timeout=seconds)
            error = await failure(variant, used, Upsert("docs", VECTORS))
        if error.sent:
            assert isinstance(error, RequestTimeoutError)
            break


@both_variants
async def test_a_wait_ends_in_time(variant: Variant) -> None:
    """A poll takes no longer than what is left of the wait, or a second."""

    def slow_polls(request: Any) -> Any:
        if request.line.endswith("/info HTTP/1.1"):
            return DRIPPING(request)  # type: ignore[operator]
        details = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
        if request.line.startswith("GET"):
            return answer(ok_body(details))
        return answer(ok_body({"mutationId": "m"} if "upsert" in request.line else []))

    with RawServer(slow_polls) as server:
        used = client(variant, server, timeout=60.0, retry=RetryPolicy(60.0, 60.0))
        index = used.index("docs")
        await settled(index.upsert([Vector("a", [1.0] * 32)]))
        with over_in(0.3 + SLACK + 0.2), pytest.raises(WaitTimeoutError):
            await settled(index.wait(wait_timeout=0.3))
        await variant.close(used)


# What is passed in


@both_variants
async def test_an_async_client_that_is_passed_in_ends_in_time(variant: Variant) -> None:
    """The body is all that a sync one is bounded in: docs/connections.md."""
    how = "drips header lines" if variant.is_async else "drips the body"
    for seconds in growing(TIMEOUT):
        with RawServer(SLOW[how]) as server, httpx.Client(trust_env=False) as mine:
            async with httpx.AsyncClient(trust_env=False) as mine_async:
                clients: dict[str, Any] = {"http_client": mine, "async_http_client": mine_async}
                used = client(variant, server, timeout=seconds, **clients)
                with over_in(seconds + SLACK):
                    error = await failure(variant, used)
        if isinstance(error, RequestTimeoutError):
            break


@both_variants
async def test_the_timeout_of_a_client_that_is_passed_in_is_for_all_of_a_request(
    variant: Variant,
) -> None:
    for seconds in growing(0.2):
        options: Any = {"trust_env": False, "timeout": seconds}
        with RawServer(SLOW["drips the body"]) as server, httpx.Client(**options) as mine:
            async with httpx.AsyncClient(**options) as mine_async:
                clients = {"http_client": mine, "async_http_client": mine_async}
                used = client(variant, server, timeout=None, **clients)
                with over_in(seconds + SLACK):
                    error = await failure(variant, used)
        if isinstance(error, RequestTimeoutError):
            break


async def test_a_transport_that_is_passed_in_ends_in_time() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60.0)
            raise AssertionError

    connection = http_connection(
        account_id="a",
        api_token="t",
        async_transport=Silent(),
        timeout=0.1,
        retry=RetryPolicy(0, 0),
    )
    with over_in(0.1 + SLACK), pytest.raises(RequestTimeoutError) as caught:
        await connection.async_io().call(ListIndexes())
    assert caught.value.sent


@pytest.mark.parametrize("error", [OSError("down"), httpx.InvalidURL("no"), httpx.StreamClosed()])
def test_what_a_transport_raises_is_an_error_of_this_library(error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    connection = http_connection(
        account_id="a",
        api_token="t",
        transport=httpx.MockTransport(fail),
        retry=RetryPolicy(0, 0),
    )
    with pytest.raises(ConnectionFailedError) as caught:
        run(connection.io().call(ListIndexes()))
    assert caught.value.sent


@both_variants
async def test_no_cookies_are_kept(variant: Variant) -> None:
    numbers = iter(range(99))

    def with_cookie(_: Any) -> bytes:
        return answer(ok_body([]), set_cookie=f"c{next(numbers)}=x; Path=/; Max-Age=999")

    with RawServer(with_cookie) as server:
        used = client(variant, server, timeout=LONGER)
        for _ in range(2):
            await settled(used.list_indexes())
        await variant.close(used)
        assert all("cookie" not in request.headers for request in server.requests)


def test_a_connection_is_used_again(environment: pytest.MonkeyPatch) -> None:
    ports: set[int] = set()

    class Server(RawServer):
        def _exchange(self, connection: socket.socket) -> bool:
            ports.add(connection.getpeername()[1])
            return super()._exchange(connection)

    with Server(answer(ok_body([]))) as server, client(SYNC, server, timeout=LONGER) as used:
        for _ in range(3):
            used.list_indexes()
    assert len(ports) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no timers of the system")
@pytest.mark.parametrize("kind", [TimeoutError, OSError, KeyError])
def test_what_a_signals_handler_raises_is_no_failure_of_the_network(
    kind: type[Exception], no_credentials: pytest.MonkeyPatch
) -> None:
    """A read is not tried again behind the back of who bounds it by an alarm."""
    came = threading.Event()

    def handler(*_: object) -> None:
        raise kind("an alarm")

    def silent(_: object) -> Iterator[bytes | float]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
        came.set()
        yield 60.0

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with RawServer(silent) as server:
            asked = VectorizeClient("account", "token", base_url=server.base_url)
            with pytest.raises(kind, match="an alarm"):
                asked.list_indexes()
            assert came.is_set()
            asked.close()
    finally:
        signal.signal(signal.SIGALRM, before)
