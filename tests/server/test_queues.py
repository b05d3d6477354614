"""Long work holds up no short work, and ends when its client leaves or the server does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx
import pytest

from tests.nightly import sized
from tests.patience import until
from tests.server.helpers import NDJSON, ONES, Peer, lines, record
from vectorize_core.job import Job
from vectorize_core.local import ServiceFault
from vectorize_core.local import service as service_module
from vectorize_core.local.server import BackgroundServer, Settings, long_sql, traffic
from vectorize_core.local.server.lanes import Lane, Usage
from vectorize_core.local.server.traffic import Traffic

Serve = Callable[..., Peer]
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"


def url(peer: Peer, database: str, account: str = "local") -> str:
    return f"{peer.base_url}/accounts/{account}/d1/database/{database}/query"


def sql(peer: Peer, text: str, database: str = "texts", account: str = "local") -> httpx.Response:
    return peer.http.post(url(peer, database, account), json={"sql": text}, timeout=60)


def asking(peer: Peer, database: str, text: str, account: str = "local") -> bytes:
    """The request, for who is not to wait for its answer."""
    path = url(peer, database, account).removeprefix(peer.root)
    body = json.dumps({"sql": text})
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@contextmanager
def heavy(
    peer: Peer, count: int, *, databases: int = 1, account: str = "local"
) -> Iterator[list[int]]:
    """``count`` clients that send SQL without an end, over and over."""
    stop, statuses, sockets = threading.Event(), list[int](), list[socket.socket]()

    def work(number: int) -> None:
        raw = asking(peer, f"heavy{number % databases}", ENDLESS, account)
        while not stop.is_set():
            try:
                with socket.create_connection(peer.address) as connection:
                    sockets.append(connection)
                    connection.sendall(raw)
                    statuses.append(int(connection.recv(65_536).split()[1]))
            except (OSError, IndexError):
                continue

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        yield statuses
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):
            for each in list(sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            time.sleep(0.01)


@pytest.mark.parametrize("databases", [1, 40], ids=["one database", "many databases"])
def test_endless_sql_of_many_clients_holds_up_nobody(serve: Serve, databases: int) -> None:
    peer = serve()
    peer.create()
    assert sql(peer, "CREATE TABLE t AS SELECT 5 AS n").is_success
    with heavy(peer, 40, databases=databases):
        slowest = 0.0
        for number in range(sized(5, 10)):
            started = time.monotonic()
            peer.write(record(f"{number}"))
            assert len(peer.query(topK=20)) == number + 1
            assert peer.count() == number + 1
            assert sql(peer, "SELECT n FROM t").json()["result"][0]["results"] == [{"n": 5}]
            slowest = max(slowest, time.monotonic() - started)
        # Without lanes each waits for half a minute.
        assert slowest < sized(20.0, 5.0)


def test_too_many_long_statements_are_told_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_sql, "MOST_LONG", 2)
    wait, waiting = long_sql.LongStatements.wait, list[object]()
    monkeypatch.setattr(
        long_sql.LongStatements, "wait", lambda self, one: (waiting.append(one), wait(self, one))
    )
    peer = serve()
    with heavy(peer, 2, databases=2):
        until(lambda: len(set(waiting)) >= 2)
        answer = sql(peer, ENDLESS)
        assert answer.status_code == 503
        assert "overloaded" in answer.json()["errors"][0]["message"]
        # Short ones go on.
        assert sql(peer, "SELECT 1").is_success


def test_long_statements_of_two_clients_take_turns(serve: Serve) -> None:
    peer = serve()
    counted = ENDLESS.replace("FROM c)", "FROM c WHERE n < 300000)")
    with heavy(peer, 1):
        # Takes as long as several moments, alone.
        assert sql(peer, counted, "other").json()["result"][0]["results"] == [{"max(n)": 300000}]


def test_sql_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()
    check, end = long_sql.Statement.check, long_sql.Statement.end
    monkeypatch.setattr(long_sql.Statement, "check", lambda self: (begun.set(), check(self)))
    monkeypatch.setattr(long_sql.Statement, "end", lambda self: (ended.set(), end(self)))
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        with socket.create_connection(peer.address) as connection:
            connection.sendall(asking(peer, "texts", ENDLESS))
            assert begun.wait(20)
            assert not ended.is_set()
        assert ended.wait(20)
        peer.close()


def test_what_waits_is_dropped_when_its_client_leaves(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, calls = threading.Event(), threading.Event(), list[str]()
    join, leave, joined, left = Lane._join, Lane._leave, list[object](), list[object]()
    monkeypatch.setattr(Lane, "_join", lambda self, turn: (join(self, turn), joined.append(turn)))
    monkeypatch.setattr(Lane, "_leave", lambda self, turn: (leave(self, turn), left.append(turn)))

    def slow(self: Any, name: str) -> None:
        calls.append(name)
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(service_module.Service, "delete_index", slow)
    peer = serve()
    path = peer.url("/left").removeprefix(peer.root)
    try:
        first = threading.Thread(target=lambda: peer.send("DELETE", "/first"))
        first.start()
        assert begun.wait(60)
        for number in range(1, 6):
            with socket.create_connection(peer.address) as connection:
                connection.sendall(f"DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                until(lambda number=number: len(joined) > number)
        until(lambda: len(left) == 5)
    finally:
        go_on.set()
    first.join()
    peer.send("DELETE", "/last")
    assert calls == ["first", "last"]


@contextmanager
def in_line(
    monkeypatch: pytest.MonkeyPatch, verb: str, name: str, requests: list[Callable[[], object]]
) -> Iterator[None]:
    """Requests on an index that each have a thread, or wait for one, and do not end meanwhile."""
    call, lane = getattr(service_module.Service, verb), Traffic._lane
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def slow(self: Any, index: str, *args: Any, **options: Any) -> Any:
        assert index != name or go_on.wait(60)
        return call(self, index, *args, **options)

    def chosen(self: Traffic, *request: Any) -> Lane:
        arrived.release()
        return lane(self, *request)

    threads = [threading.Thread(target=request) for request in requests]
    with monkeypatch.context() as patched:
        patched.setattr(service_module.Service, verb, slow)
        patched.setattr(Traffic, "_lane", chosen)
        for thread in threads:
            thread.start()
        try:
            assert all(arrived.acquire(timeout=30) for _ in threads)
            yield
            assert all(thread.is_alive() for thread in threads)
        finally:
            go_on.set()
            for thread in threads:
                thread.join()


def test_large_writes_hold_up_no_small_ones(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = serve()
    peer.create()
    others = [Peer(peer.base_url, f"other{number}") for number in range(4)]
    large = lines(record("x")) + b"\n" * traffic.LARGE_BODY
    for other in others:
        other.create("large")
    writes = [
        partial(other.send, "POST", "/large/upsert", content=large, kind=NDJSON) for other in others
    ]
    # As many as there are threads for small ones.
    with in_line(monkeypatch, "upsert", "large", writes):
        for number in range(10):
            peer.write(record(f"{number}"))
            assert peer.query(vector=ONES)
    assert [other.count("large") for other in others] == [1] * 4
    for other in others:
        other.close()


# The end


def test_a_server_stops_in_time_whatever_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(service_module.Service, "get_index", lambda *_: go_on.wait(60))
    server = BackgroundServer(Settings()).start()
    peer = Peer(server.base_url)
    try:
        peer.create()
        halves = [
            b"GET / HT",
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1",
            b"",
        ]
        made = [socket.create_connection(peer.address) for _ in range(3)]
        for each, half in zip(made, halves, strict=True):
            each.sendall(half)
        stuck = threading.Thread(target=lambda: ignore(lambda: peer.send("GET", "/docs")))
        stuck.start()
        with heavy(peer, 5, databases=5):
            started = time.monotonic()
            server.stop()
            # By itself the call takes three times as long, and SQL half a minute.
            assert time.monotonic() - started < 20
        stuck.join(30)
        assert not stuck.is_alive()
    finally:
        go_on.set()
        for each in made:
            each.close()
        peer.close()


def ignore(work: Callable[[], Any]) -> None:
    with suppress(httpx.HTTPError):
        work()


def test_what_waits_or_is_long_is_answered_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join, arrived = Lane._join, threading.Semaphore(0)
    monkeypatch.setattr(Lane, "_join", lambda self, turn: (join(self, turn), arrived.release()))
    server = BackgroundServer(Settings()).start()
    peer = Peer(server.base_url)
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(url(peer, "t"), json={"sql": ENDLESS}, timeout=30))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(arrived.acquire(timeout=30) for _ in threads)
    server.stop()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [503] * 4
    peer.close()


# The parts


def test_the_client_that_was_busy_least_passes_first() -> None:
    import asyncio

    async def run() -> list[str]:
        lane, order, never = Lane("test", slots=1, each=1), list[str](), asyncio.Future[None]()
        lane._usage.add("greedy", 5.0)

        async def one(client: str) -> None:
            await lane.run(client, lambda _: order.append(client), never)

        busy = threading.Event()
        first = asyncio.create_task(lane.run("first", lambda _: busy.wait(60), never))
        await asyncio.sleep(0.05)
        later = [asyncio.create_task(one(c)) for c in ("greedy", "greedy", "modest", "greedy")]
        await asyncio.sleep(0.05)
        busy.set()
        await asyncio.gather(first, *later)
        lane.close()
        return order

    assert asyncio.run(run())[0] == "modest"


def test_a_lane_that_is_closed_answers_with_a_fault() -> None:
    import asyncio

    def never_begins(lane: Lane) -> None:
        go_on = threading.Event()
        lane._threads.begin(Job(lambda: go_on.wait(60)))
        asyncio.get_running_loop().call_later(0.05, lambda: (lane.close(), go_on.set()))

    async def run(close: Callable[[Lane], object]) -> int:
        lane = Lane("test", slots=1, each=1)
        close(lane)
        with pytest.raises(ServiceFault) as caught:
            await lane.run("a", lambda _: None, asyncio.Future())
        return caught.value.status

    assert asyncio.run(run(lambda lane: lane.close())) == 503
    # As what was given to a thread that has not begun.
    assert asyncio.run(run(never_begins)) == 503


def test_usage_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("vectorize_core.local.server.lanes.time.monotonic", lambda: now)
    usage = Usage()
    usage.add("a", 8.0)
    now += 20.0
    assert usage.of("a") == pytest.approx(2.0)
    for number in range(5_000):
        usage.add(number, 1.0)
    assert len(usage._seconds) <= 1_000


def test_a_call_that_was_slow_waits_with_the_slow_ones_next_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes: list[str] = []
    lane = Traffic._lane

    def chosen(self: Traffic, method: str, path: str, body: bytes) -> Lane:
        found = lane(self, method, path, body)
        lanes.append(next(name for name, value in vars(self).items() if value is found))
        return found

    monkeypatch.setattr(Traffic, "_lane", chosen)
    peer = serve()
    peer.create()
    peer.write(record("a"))
    peer.query()
    monkeypatch.setattr(traffic, "SLOW", -1.0)
    peer.query()
    monkeypatch.setattr(traffic, "SLOW", 1e9)
    peer.query()
    peer.query()
    assert peer.count() == 1
    peer.send("POST", "/docs/upsert", content=b"\n" * 2_000_000, kind=NDJSON)
    expected = ["_writes", "_writes", "_reads", "_reads", "_long", "_reads", "_reads", "_long"]
    assert lanes == expected


@pytest.mark.parametrize("path", ["/proxy", "/proxy/docs/", "/proxy/docs", "/proxy?index=docs"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_calls_that_are_relayed_take_the_lane_of_the_call(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    lanes: list[str] = []
    lane = Traffic._lane

    def chosen(self: Traffic, *request: Any) -> Lane:
        found = lane(self, *request)
        lanes.append(next(name for name, value in vars(self).items() if value is found))
        return found

    monkeypatch.setattr(Traffic, "_lane", chosen)
    peer = serve()
    peer.create()

    def relay(url: str, body: bytes) -> str:
        answer = peer.send(method, f"~{path}", content=body, headers={"MF-URL": url})
        assert answer.is_success, answer.text
        return lanes[-1]

    for root in ("http://vector-search/", ""):
        written = [relay(f"{root}{verb}", lines(record("a"))) for verb in ("insert", "upsert")]
        assert [*written, relay(f"{root}deleteByIds", b'{"ids": ["a"]}')] == ["_writes"] * 3
        assert relay(f"{root}getByIds", b'{"ids": ["a"]}') == "_reads"
        assert relay(f"{root}info", b"") == "_reads"
    monkeypatch.setattr(traffic, "SLOW", -1.0)
    search = json.dumps({"vector": ONES}).encode()
    assert relay("http://vector-search/query", search) == "_reads"
    monkeypatch.setattr(traffic, "SLOW", 1e9)
    # A slow search makes the other calls of a binding no slow ones.
    assert relay("http://vector-search/upsert", b"") == "_writes"
    assert relay("http://vector-search/query", search) == "_long"


def test_searches_that_take_long_hold_up_no_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve()
    peer.create("large")
    peer.create()
    with monkeypatch.context() as patched:
        patched.setattr(traffic, "SLOW", -1.0)
        peer.query("large")
    # More than there are threads for quick ones.
    searches = [partial(peer.send, "POST", "/large/query", {"vector": ONES})] * 8
    with in_line(monkeypatch, "query", "large", searches):
        for _ in range(10):
            assert peer.query() == []
