"""Proxies, certificates, addresses and servers that are down: what is tried, what errors say."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.core.helpers import Variant, both_variants, settled
from tests.core.transport.raw_server import RawServer, answer, ok_body
from vectorize_core import (
    AsyncVectorizeClient,
    ConfigurationError,
    ConnectionFailedError,
    NotFoundError,
    RetryPolicy,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.api.operations import ListIndexes
from vectorize_core.connection import http_connection
from vectorize_core.local.server import BackgroundServer
from vectorize_core.local.server.uvicorn_server import is_open_to_network
from vectorize_core.transport import http, network
from vectorize_core.transport.events import Event
from vectorize_core.transport.io import run
from vectorize_core.transport.loopback import is_loopback
from vectorize_core.transport.network import find_proxy, tls_context

SECRET = "pa55word"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
REMOTE = "http://vectorize.invalid/client/v4"


@pytest.fixture(autouse=True)
def environment(no_credentials: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One without proxies and certificates."""
    for name in VARIABLES:
        no_credentials.delenv(name, raising=False)
        no_credentials.delenv(name.lower(), raising=False)
    for name in CERTIFICATES:
        no_credentials.delenv(name, raising=False)
    return no_credentials


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class Proxy(threading.Thread):
    """Answers every request with one line, and counts them."""

    def __init__(self, answer: str) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.asked: list[str] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65_536).split(b"\r\n")[0].decode())
                connection.sendall(f"HTTP/1.1 {self._answer}\r\nContent-Length: 0\r\n\r\n".encode())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() keeps the socket open otherwise.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.join(10)


def client(variant: Variant, base_url: str, **options: Any) -> Any:
    options = {"account_id": "account", "api_token": "token", **options}
    kind = AsyncVectorizeClient if variant.is_async else VectorizeClient
    return kind(base_url=base_url, **options)


async def listed(variant: Variant, base_url: str, **options: Any) -> Any:
    """The indexes there; the client is closed."""
    made = client(variant, base_url, **options)
    try:
        return await settled(made.list_indexes())
    finally:
        await variant.close(made)


# Proxies


@both_variants
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
@pytest.mark.covering(2)
async def test_a_server_on_this_machine_is_reached_without_a_proxy(
    variant: Variant, variable: str, proxy: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(variable, proxy)
    with BackgroundServer() as server:
        assert await listed(variant, server.base_url) == ()


THIS_MACHINE = (
    "localhost",
    "LocalHost",
    "localhost.",
    "api.localhost",
    "127.0.0.1",
    "127.0.0.1.",
    "127.255.0.2",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0.0.0.0",
    "0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0.0.0.0]",
    "[::]",
)


@both_variants
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", THIS_MACHINE)
@pytest.mark.covering(2)
async def test_no_proxy_hears_of_a_server_on_this_machine(
    variant: Variant, variable: str, host: str, environment: pytest.MonkeyPatch
) -> None:
    with RawServer(answer(ok_body([]))) as server, RawServer(answer(ok_body([]))) as proxy:
        environment.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        # Not every system has every name and address; the proxy is asked for none.
        with suppress(ConnectionFailedError):
            await listed(variant, f"http://{host}:{server.port}/client/v4", retry=ONCE)
        assert not proxy.requests
        if host in ("127.0.0.1", "127.1", "0x7f000001", "2130706433"):
            assert server.requests[0].headers["authorization"] == "Bearer token"


@pytest.mark.parametrize("host", ["127.0.0.1.example", "0x7f.example", "8.8.8.8", "134744072", "1"])
def test_other_numbers_are_other_machines(host: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy:1")
    assert not is_loopback(f"http://{host}:1")
    assert find_proxy(f"http://{host}:1") is not None


@pytest.mark.parametrize("host", ["", "0", "0x0", "0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_what_listens_at_all_addresses_is_open_to_the_network(host: str) -> None:
    assert is_open_to_network(host)


@both_variants
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_an_injected_client_sends_no_token_for_this_machine_to_a_proxy(
    variant: Variant, variable: str, environment: pytest.MonkeyPatch
) -> None:
    make: Any = httpx.AsyncClient if variant.is_async else httpx.Client
    name = "async_http_client" if variant.is_async else "http_client"
    with RawServer(answer(ok_body([]))) as server, RawServer(answer(ok_body([]))) as proxy:
        address = f"http://user:{SECRET}@127.0.0.1:{proxy.port}"
        environment.setenv(variable, address)
        injected = make()
        with pytest.raises(ConfigurationError, match=f"{variable}.*trust_env=False") as caught:
            client(variant, server.base_url, **{name: injected})
        assert SECRET not in str(caught.value)
        assert not proxy.requests
        # What is meant for this machine is used: without the environment, and a proxy of its own.
        without, own = make(trust_env=False), make(proxy=address)
        assert await listed(variant, server.base_url, **{name: without}) == ()
        environment.delenv(variable)
        assert await listed(variant, server.base_url, **{name: own}) == ()
        assert (len(server.requests), len(proxy.requests)) == (1, 1)
        environment.setenv(variable, address)
        environment.setenv("NO_PROXY", "127.0.0.1")
        excluded = make()
        assert await listed(variant, server.base_url, **{name: excluded}) == ()
        # A client knows of what came after it neither the proxy nor that it is excluded.
        with pytest.raises(ConfigurationError, match=f"{variable}.*before it is made"):
            client(variant, server.base_url, **{name: injected})
        environment.delenv("NO_PROXY")
        transport: Any = httpx.AsyncHTTPTransport if variant.is_async else httpx.HTTPTransport
        for more in ({"proxy": "http://127.0.0.1:1"}, {"mounts": {"http://": transport()}}):
            other = make(**more)
            client(variant, server.base_url, **{name: other})
            await settled(other.aclose() if variant.is_async else other.close())
        for each in (injected, without, own, excluded):
            await settled(each.aclose() if variant.is_async else each.close())


@both_variants
async def test_a_proxy_is_used_for_other_servers(
    variant: Variant, environment: pytest.MonkeyPatch
) -> None:
    with Proxy("200 OK") as proxy:
        environment.setenv("HTTP_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(Exception, match="without the envelope"):
            await listed(variant, REMOTE)
    assert proxy.asked[0].startswith("GET http://vectorize.invalid/client/v4/accounts/account/")


@both_variants
@pytest.mark.parametrize(
    ("base_url", "variable"),
    [(REMOTE, "HTTP_PROXY"), (REMOTE, "ALL_PROXY"), (REMOTE.replace("p:", "ps:"), "HTTPS_PROXY")],
)
async def test_a_proxy_that_is_down_is_named_soon(
    variant: Variant,
    base_url: str,
    variable: str,
    environment: pytest.MonkeyPatch,
    closed_port: int,
) -> None:
    environment.setattr(http, "_LOOPBACK_PATIENCE", 0.1)
    environment.setenv(variable, f"http://user:{SECRET}@127.0.0.1:{closed_port}")
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError) as caught:
        await listed(variant, base_url, retry=RetryPolicy(first_delay=0.01, max_delay=0.05))
    assert time.monotonic() - began < 10
    text = str(caught.value)
    assert f"no connection to {base_url} through the proxy http://127.0.0.1:{closed_port}" in text
    assert variable in text
    assert SECRET not in text


@both_variants
@pytest.mark.parametrize("answer", ["403 Forbidden", "407 Proxy Authentication Required"])
async def test_a_proxy_that_refuses_is_named_at_once(
    variant: Variant, answer: str, environment: pytest.MonkeyPatch
) -> None:
    with Proxy(answer) as proxy:
        environment.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectionFailedError) as caught:
            await listed(variant, "https://vectorize.invalid/client/v4")
        assert len(proxy.asked) == 1
    text = str(caught.value)
    assert f"the proxy http://127.0.0.1:{proxy.port} (HTTPS_PROXY) does not connect" in text
    assert answer in text
    assert SECRET not in text


@both_variants
@pytest.mark.parametrize("answer", ["403 Forbidden", "407 Proxy Authentication Required"])
async def test_a_refusal_that_may_be_the_proxys_names_it(
    variant: Variant, answer: str, environment: pytest.MonkeyPatch
) -> None:
    with Proxy(answer) as proxy:
        environment.setenv("HTTP_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(Exception, match=r"the proxy http://127.0.0.1:\d+ \(HTTP_PROXY\)"):
            await listed(variant, REMOTE)


BAD_PROXIES = {
    "no socksio": ("ALL_PROXY", f"socks5://user:{SECRET}@127.0.0.1:9", r"socksio.*httpx\[socks\]"),
    "socks5h": ("HTTPS_PROXY", "socks5h://127.0.0.1:9", "socksio"),
    "another scheme": ("HTTPS_PROXY", f"socks4://u:{SECRET}@h:1", "socks4.*http://, https://"),
    "ftp": ("https_proxy", "ftp://host", "https_proxy.*ftp://host"),
    "no host": ("HTTPS_PROXY", "http://", "HTTPS_PROXY"),
    "a bad port": ("HTTPS_PROXY", f"http://u:{SECRET}@host:port", "HTTPS_PROXY.*http://host:port"),
    "a space": ("ALL_PROXY", f"http://u:{SECRET}@ho st:1", "ALL_PROXY"),
    "a bracket": ("HTTPS_PROXY", f"http://u:{SECRET}@[::1", "HTTPS_PROXY"),
}


@both_variants
@pytest.mark.parametrize(("variable", "proxy", "message"), BAD_PROXIES.values(), ids=BAD_PROXIES)
async def test_a_proxy_that_cannot_be_used_is_a_configuration_error(
    variant: Variant, variable: str, proxy: str, message: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(network, "find_spec", lambda name: None)
    environment.setenv(variable, proxy)
    url = "https://vectorize.invalid/client/v4"
    with pytest.raises(ConfigurationError, match=message) as caught:
        await listed(variant, url)
    assert variable in str(caught.value)
    assert "NO_PROXY" in str(caught.value)
    assert SECRET not in repr(caught.value)
    # Nothing is looked at for a server that NO_PROXY covers.
    environment.setenv("NO_PROXY", "invalid")
    with pytest.raises(ConnectionFailedError) as direct:
        await listed(variant, url, retry=ONCE)
    assert "proxy" not in str(direct.value)


@pytest.mark.parametrize(
    ("excluded", "base_url"),
    [
        ("*", "https://api.example.com"),
        ("example.com", "https://api.example.com"),
        (".example.com", "https://api.example.com"),
        ("other, api.example.com", "https://api.example.com"),
        ("API.Example.com", "https://api.example.com"),
        ("api.example.com:8443", "https://api.example.com:8443"),
        ("https://api.example.com", "https://api.example.com"),
        ("all://example.com", "https://api.example.com"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("", "https://localhost:1"),
        ("", "http://127.0.0.2:1"),
        ("", "http://[::1]:1"),
        ("", "http://some.localhost"),
    ],
)
def test_no_proxy_covers(excluded: str, base_url: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://proxy:1")
    environment.setenv("NO_PROXY", excluded)
    assert find_proxy(base_url) is None


@pytest.mark.parametrize(
    ("excluded", "base_url"),
    [
        ("", "https://api.example.com"),
        ("example.org", "https://api.example.com"),
        ("ample.com", "https://api.example.com"),
        ("api.example.com:8443", "https://api.example.com"),
        ("http://api.example.com", "https://api.example.com"),
        ("10.0.0.0/8,nonsense/x", "https://11.1.2.3"),
    ],
)
def test_no_proxy_does_not_cover(
    excluded: str, base_url: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("ALL_PROXY", "proxy:1")
    environment.setenv("NO_PROXY", excluded)
    found = find_proxy(base_url)
    assert str(found) == "the proxy http://proxy:1 (ALL_PROXY)"


def test_the_proxy_of_a_scheme_comes_before_that_of_all(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://all:1")
    environment.setenv("HTTPS_PROXY", "http://tls:1")
    assert str(find_proxy("https://host")) == "the proxy http://tls:1 (HTTPS_PROXY)"
    assert str(find_proxy("http://host")) == "the proxy http://all:1 (ALL_PROXY)"


# Certificates


def no_file(folder: Path) -> Path:
    return folder / "missing"


def a_folder(folder: Path) -> Path:
    return folder


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("no certificate")
    return folder / "file"


@both_variants
@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("SSL_CERT_FILE", no_file),
        ("SSL_CERT_FILE", a_folder),
        ("SSL_CERT_FILE", a_file),
        ("SSL_CERT_DIR", no_file),
        ("SSL_CERT_DIR", a_file),
    ],
)
async def test_certificates_that_cannot_be_read_are_a_configuration_error(
    variant: Variant, variable: str, path: Any, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    named = path(tmp_path)
    environment.setenv(variable, str(named))
    with pytest.raises(ConfigurationError) as caught:
        await listed(variant, "https://vectorize.invalid/client/v4")
    assert f"{variable} names {str(named)!r}" in str(caught.value)
    # A server without TLS needs no certificates.
    with BackgroundServer() as server:
        assert await listed(variant, server.base_url) == ()


def test_a_variable_that_is_empty_names_nothing(environment: pytest.MonkeyPatch) -> None:
    for name in CERTIFICATES:
        environment.setenv(name, "")
    assert tls_context().cert_store_stats()["x509_ca"] > 0


def test_directories_of_certificates_may_be_a_list(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    # As OpenSSL takes them, and systems set them; those that are missing are passed over.
    environment.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "missing"), str(tmp_path)]))
    assert tls_context().verify_mode is ssl.CERT_REQUIRED


# Addresses


@pytest.mark.parametrize(
    "base_url",
    [
        "localhost:8989/client/v4",
        "api.cloudflare.com",
        "ftp://host/client/v4",
        "http://",
        "https:///client/v4",
        "http://host:port/client/v4",
        "http://host:99999/client/v4",
        "http://[::1/client/v4",
        "http://ho st/client/v4",
        "http://host/client/v4?x=1",
        "http://host/client/v4#x",
        "http://host/client/v4?",
        "http://user@host/client/v4",
        "http://0177.0.0.1/client/v4",
        "http://\N{FULLWIDTH DIGIT ONE}.1.1.1/client/v4",
        "http://\N{CIRCLED LATIN SMALL LETTER I}ocalhost/client/v4",
        f"ftp://user:{SECRET}@host",
        f"http://user:{SECRET}@host:port",
        f"http://user:{SECRET}@host/client/v4",
    ],
)
@pytest.mark.parametrize("kind", [VectorizeClient, AsyncVectorizeClient])
def test_an_address_that_is_none_is_refused_at_once(kind: Any, base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        kind("account", "token", base_url=base_url)
    assert SECRET not in repr(caught.value)


@both_variants
async def test_an_address_without_the_path_of_the_api_is_hinted_at(variant: Variant) -> None:
    with BackgroundServer() as server:
        base_url = server.base_url.removesuffix("/client/v4")
        with pytest.raises(NotFoundError, match="does not end with /client/v4") as caught:
            await listed(variant, base_url)
        assert repr(base_url) in str(caught.value)
        made = client(variant, server.base_url)
        with pytest.raises(NotFoundError) as missing:
            await settled(made.get_index("missing"))
        assert "/client/v4" not in str(missing.value)
        await variant.close(made)


class Answering(Proxy):
    """A server that is not the API; it says the same to everyone."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/client/v4"


@both_variants
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("404 Not Found", "base_url is '{base_url}'$"),
        ("405 Method Not Allowed", "base_url is '{base_url}'$"),
        ("301 Moved\r\nLocation: https://other.invalid/x", "redirects to 'https://other.inv"),
        ("308 Moved\r\nLocation: /other", "redirects to '/other'"),
        ("200 OK", "Does base_url point at the API"),
    ],
)
async def test_what_is_not_the_api_is_hinted_at(variant: Variant, answer: str, said: str) -> None:
    with Answering(answer) as server:
        expected = said.format(base_url=server.base_url)
        with pytest.raises(VectorizeError, match=expected):
            await listed(variant, server.base_url, retry=ONCE)


@both_variants
async def test_the_path_of_the_api_given_twice_is_hinted_at(variant: Variant) -> None:
    with BackgroundServer() as server:
        base_url = f"{server.base_url}/client/v4"
        with pytest.raises(NotFoundError, match="holds /client/v4 twice"):
            await listed(variant, base_url)


@both_variants
async def test_https_to_a_server_without_tls_is_an_error_that_says_so_at_once(
    variant: Variant,
) -> None:
    with BackgroundServer() as server:
        events: list[Event] = []
        with pytest.raises(ConnectionFailedError, match=r"may have to begin with http://"):
            await listed(
                variant, server.base_url.replace("http:", "https:"), on_event=events.append
            )
        # It is not tried again.
        assert [event.name for event in events] == ["request"]


@pytest.mark.parametrize("variable", [None, *CERTIFICATES])
def test_a_certificate_that_is_refused_names_what_it_was_checked_against(
    variable: str | None, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("verify failed") from ssl.SSLCertVerificationError()

    if variable is not None:
        environment.setenv(variable, str(tmp_path))
    connection = http_connection(
        account_id="a",
        api_token="t",
        base_url="https://vectorize.invalid/client/v4",
        transport=httpx.MockTransport(refuse),
    )
    with pytest.raises(ConnectionFailedError) as caught:
        run(connection.io().call(ListIndexes()))
    expected = f"those of {variable}, {str(tmp_path)!r}" if variable else "those of certifi"
    assert expected in str(caught.value)


# A server that is down


@both_variants
async def test_a_server_of_this_machine_that_is_down_is_given_up_soon(
    variant: Variant, closed_port: int
) -> None:
    base_url = f"http://127.0.0.1:{closed_port}/client/v4"
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError, match=f"no connection to {base_url}"):
        await listed(variant, base_url)
    assert 1 < time.monotonic() - began < 10


@both_variants
async def test_a_server_of_this_machine_that_comes_back_is_waited_for(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_LOOPBACK_PATIENCE", 30.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    base_url = f"http://127.0.0.1:{address[1]}/client/v4"
    stop = threading.Event()

    def serve() -> None:
        time.sleep(0.3)
        body = b'{"success":true,"result":[]}'
        with socket.create_server(address) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                connection.sendall(head + body)
                stop.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert await listed(variant, base_url) == ()
    finally:
        stop.set()
        thread.join()
