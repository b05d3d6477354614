"""Starting, stopping, and staying responsive."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.nightly import timed
from tests.server.helpers import NDJSON, ONES, Peer, axis, lines, record
from vectorize_core.local import service as service_module
from vectorize_core.local.server import (
    BackgroundServer,
    Settings,
    create_app,
    environment,
    parsing,
    responses,
    serve,
    uvicorn_server,
)

Serve = Callable[..., Peer]


def listened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where servers listened, if they were started; none is."""
    addresses: list[tuple[str, int]] = []

    def listen(host: str, port: int) -> socket.socket:
        addresses.append((host, port))
        return socket.socket()

    monkeypatch.setattr(uvicorn_server, "listen", listen)
    monkeypatch.setattr(uvicorn_server, "run", lambda app, listener, settings: None)
    return addresses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_an_address_that_others_reach_needs_a_token_or_a_word(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    started = listened(monkeypatch)
    with pytest.raises(ValueError, match="give a token"):
        serve(Settings(), host)
    assert started == []
    serve(Settings(token="t"), host)
    serve(Settings(), host, 1234, open_to_network=True)
    assert started == [(host, uvicorn_server.DEFAULT_PORT), (host, 1234)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_a_loopback_address_needs_neither(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    started = listened(monkeypatch)
    serve(Settings(), host)
    assert len(started) == 1


def test_a_background_server_stops_and_can_be_stopped_again() -> None:
    server = BackgroundServer().start()
    url = f"{server.base_url}/accounts/local/vectorize/v2/indexes"
    assert httpx.get(url, trust_env=False).is_success
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


@pytest.mark.parametrize("before", ["started", "stopped", "both"])
def test_a_background_server_starts_once(before: str) -> None:
    server = BackgroundServer()
    if before != "stopped":
        server.start()
    if before != "started":
        server.stop()
    url = server.base_url
    with pytest.raises(RuntimeError, match="once"):
        server.start()
    server.stop()
    assert server.base_url == url


def test_the_environment_points_other_clients_at_the_server() -> None:
    told = environment("http://127.0.0.1:8989/client/v4", "t")
    assert told == {
        "CLOUDFLARE_BASE_URL": "http://127.0.0.1:8989/client/v4",
        "CLOUDFLARE_API_BASE_URL": "http://127.0.0.1:8989/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": "local",
        "CLOUDFLARE_API_TOKEN": "t",
    }
    with BackgroundServer() as server:
        assert server.environment["CLOUDFLARE_API_TOKEN"] == "any"


def test_the_token_is_not_shown() -> None:
    assert "s3cret" not in repr(Settings(token="s3cret"))


def test_answers_are_not_held_up_by_the_network_stack(
    docs: Peer, shared_server: BackgroundServer
) -> None:
    # With Nagle's algorithm every answer takes 40 ms more.
    docs.count()
    for connection in shared_server._server.server_state.connections:
        accepted = connection.transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_slow_call_of_the_service_holds_up_no_other_account(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve()
    go_on, begun = threading.Event(), threading.Event()

    def slow(self: Any, name: str) -> None:
        begun.set()
        assert go_on.wait(30)

    monkeypatch.setattr(service_module.Service, "delete_index", slow)
    thread = threading.Thread(target=lambda: peer.http.delete(peer.url("/docs")))
    thread.start()
    assert begun.wait(30)
    other = Peer(peer.base_url, "other")
    assert other.result("GET", "") == []
    go_on.set()
    thread.join()
    other.close()


def test_bodies_are_parsed_and_answered_in_threads(
    docs: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def note(owner: Any, name: str) -> None:
        call = getattr(owner, name)

        def noted(*args: Any, **options: Any) -> Any:
            threads.append(threading.current_thread().name)
            return call(*args, **options)

        monkeypatch.setattr(owner, name, noted)

    note(parsing, "parse_vectors")
    note(parsing, "json_value")
    note(service_module.Service, "upsert")
    note(service_module.Service, "query")
    note(responses, "success")
    docs.write(record("a"))
    assert docs.found() == "a"
    assert len(threads) == 6
    assert set(threads) == {"vectorize-write", "vectorize-read"}


@timed
def test_reading_and_answering_large_bodies_leaves_the_loop_alone(serve: Serve) -> None:
    peer = serve()
    peer.create()
    body = lines(*({"id": str(n), "values": axis(0)} for n in range(5_000)))
    body += b"\n" * 10_000_000

    def write() -> float:
        started = time.monotonic()
        peer.result("POST", "/docs/upsert", content=body, kind=NDJSON)
        return time.monotonic() - started

    # A loop that did the work itself would hold the others for about as long as each write takes.
    # What else the machine does holds them now and then.
    attempts = (longest_wait(peer, write) for _ in range(8))
    assert any(waited < seconds / 2 for waited, seconds in attempts)
    assert peer.count() == 5_000


def longest_wait(peer: Peer, write: Callable[[], float]) -> tuple[float, float]:
    """For how long others waited for an answer at most, and how long the write took meanwhile."""
    worst, watching, done = 0.0, threading.Event(), threading.Event()

    def watch() -> None:
        nonlocal worst
        other = Peer(peer.base_url, "other")
        other.result("GET", "")
        watching.set()
        while not done.is_set():
            started = time.monotonic()
            other.http.get(other.url("/x/y/z"))
            worst = max(worst, time.monotonic() - started)
        other.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert watching.wait(30)
        seconds = write()
    finally:
        done.set()
        thread.join()
    return worst, seconds


@pytest.mark.parametrize("where", ["memory", "directory"])
def test_the_application_runs_again_and_again(where: str, tmp_path: Path) -> None:
    app = create_app(Settings(data=":memory:" if where == "memory" else tmp_path / "data"))
    path = "/client/v4/accounts/local/vectorize/v2/indexes"
    for run in range(3):
        with TestClient(app, base_url="http://localhost") as client:
            config = {"dimensions": 32, "metric": "cosine"}
            assert client.post(path, json={"name": f"a{run}", "config": config}).is_success
            found = [index["name"] for index in client.get(path).json()["result"]]
        first = run if where == "memory" else 0
        assert sorted(found) == [f"a{number}" for number in range(first, run + 1)]


def test_the_application_runs_under_any_asgi_server() -> None:
    app = create_app()
    url = "http://localhost/client/v4/accounts/local/vectorize/v2/indexes"

    async def ask() -> httpx.Response:
        told: asyncio.Queue[Any] = asyncio.Queue()
        said: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        life = asyncio.create_task(app(scope, told.get, said.put))  # type: ignore[arg-type]
        await told.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answer = await client.get(url)
        await told.put({"type": "lifespan.shutdown"})
        await life
        return answer

    assert asyncio.run(ask()).json()["result"] == []


def test_a_bug_is_a_500_in_the_envelope_and_logged(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service_module.Service, "list_indexes", broken)
    peer = serve()
    answer = peer.send("GET", "")
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["message"].startswith("embedded Vectorize: RuntimeError")
    assert "secret" not in answer.text
    assert answer.headers["cf-ray"]
    assert "secret detail" in caplog.text
    assert peer.send("GET", "/X").status_code == 404


def test_reads_and_writes_at_once_lose_nothing(docs: Peer) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        peer = Peer(docs.base_url, docs.account)
        try:
            for round_number in range(5):
                peer.write(record(f"{number}-{round_number}"))
                assert len(peer.query(vector=ONES, topK=5)) >= 1
        except BaseException as error:
            errors.append(error)
        finally:
            peer.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert docs.count() == 40
