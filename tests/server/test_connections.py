"""Connections that do nothing, or little: half-sent heads, slow bodies, answers nobody reads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.nightly import sized
from tests.patience import growing, until
from tests.server.helpers import NDJSON, ONES, Peer, lines, read_answer, record
from vectorize_core.local import service
from vectorize_core.local.server import BackgroundServer, bodies, connections

Serve = Callable[..., Peer]
PATH = "/client/v4/accounts/local/vectorize/v2/indexes"
GET = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def upsert(size: int, *headers: str) -> bytes:
    given = ["Host: localhost", f"Content-Type: {NDJSON}", f"Content-Length: {size}", *headers]
    return "\r\n".join([f"POST {PATH}/docs/upsert HTTP/1.1", *given, "", ""]).encode()


@contextmanager
def connected(peer: Peer, count: int, raw: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            made.append(stack.enter_context(socket.create_connection(peer.address, timeout=10)))
            if raw:
                made[-1].sendall(raw)
        yield made


def answer_in_time(connection: socket.socket) -> bytes:
    """The answer; nothing if the request was sent too late."""
    with suppress(OSError):
        return read_answer(connection)
    return b""


def succeeds(peer: Peer, *request: Any, **more: Any) -> bool:
    with suppress(httpx.TransportError):
        return peer.send(*request, **more).is_success
    return False


def is_closed(connection: socket.socket, seconds: float = 0.0) -> bool:
    connection.settimeout(max(seconds, 0.01))
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("part", [b"", b"G", GET[:-1], GET + GET[:30]])
@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_head_has_to_arrive_in_time(serve: Serve, part: bytes, drips: bool) -> None:
    peer = serve(head_timeout=0.3)
    with connected(peer, 1, part) as (connection,):
        started = time.monotonic()
        connection.settimeout(0.1)
        ended = False
        while not ended and time.monotonic() - started < 30:
            try:
                if drips and part:
                    connection.sendall(b"x")
                ended = not connection.recv(65_536)
            except TimeoutError:
                pass
            except OSError:
                ended = True
        # As long as a head takes, and not for as long as connections idle.
        assert ended
    until(lambda: succeeds(peer, "GET", ""))


def test_a_head_in_parts_within_the_time_is_taken(serve: Serve) -> None:
    peer = serve(head_timeout=5.0)
    with connected(peer, 1) as (connection,):
        for _ in range(2):
            for at in range(0, len(GET), 20):
                connection.sendall(GET[at : at + 20])
                time.sleep(0.001)
            assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_an_idle_connection_outlives_the_time_of_a_head(serve: Serve) -> None:
    for seconds in growing(0.6):
        with connected(serve(head_timeout=seconds), 1, GET) as (connection,):
            if answer_in_time(connection):
                time.sleep(1.5 * seconds)
                connection.sendall(GET)
                assert read_answer(connection).startswith(b"HTTP/1.1 200")
                break


@pytest.mark.parametrize(
    "raw",
    [b"", GET[:-1], GET, upsert(1_000) + b"x", upsert(1_000_000) + b"x" * 100_000],
    ids=["silent", "half a head", "idle", "half a body", "half a large body"],
)
def test_connections_that_do_nothing_make_room_for_others(serve: Serve, raw: bytes) -> None:
    peer = serve(max_connections=20)
    peer.create()
    with connected(peer, 60, raw) as made:
        # The peer's own connection may be one of those that were closed: this is a new one.
        for _ in range(5):
            new = Peer(peer.base_url)
            deadline = time.monotonic() + 30
            while True:
                try:
                    new.write(record("a"))
                    assert new.found() == "a"
                    break
                except httpx.TransportError:
                    # Where all are being answered, new ones are refused.
                    assert time.monotonic() < deadline
            new.close()
        assert sum(is_closed(each) for each in made) >= 40


def test_half_sent_heads_go_before_what_is_idle(serve: Serve) -> None:
    peer = serve(max_connections=20)
    with connected(peer, 5, GET) as idle:
        for each in idle:
            read_answer(each)
        with connected(peer, 15, GET[:-1]), ExitStack() as stack:
            time.sleep(2 * connections.FRESH_SECONDS)
            stack.enter_context(connected(peer, 10, GET[:-1]))
            for each in idle:
                each.sendall(GET)
                assert read_answer(each).startswith(b"HTTP/1.1 200")


def test_connections_are_refused_where_all_are_busy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(
        service.Service, "list_indexes", lambda _: (begun.release(), go_on.wait(30), ())[2]
    )
    peer = serve(max_connections=3)
    try:
        with connected(peer, 3, GET) as busy:
            assert all(begun.acquire(timeout=30) for _ in busy)
            with connected(peer, 3, GET) as refused:
                assert all(is_closed(each, 30) for each in refused)
            go_on.set()
            for each in busy:
                assert read_answer(each).startswith(b"HTTP/1.1 200")
    finally:
        go_on.set()


# Answers that nobody reads


def test_an_answer_has_to_be_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.3)
    lost, note = list[object](), connections.Connection.connection_lost
    monkeypatch.setattr(
        connections.Connection,
        "connection_lost",
        lambda self, error: (lost.append(self), note(self, error)),
    )
    peer = serve()
    fill(peer)
    with connected(peer, 1, get_all() * 40) as (connection,):
        until(lambda: lost)
        # What the system holds can be read, and then there is an end.
        assert is_closed(connection, 30)
    assert peer.count() == 20


def test_answers_that_nobody_reads_are_bounded_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MOST_UNREAD", 1_000_000)
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        fill(peer)
        with connected(peer, 20) as made:
            for each in made:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                each.sendall(get_all() * 40)
            until(lambda: len(server._server.server_state.connections) <= 10)
        assert peer.count() == 20
        peer.close()


def fill(peer: Peer) -> None:
    """Twenty vectors with much metadata."""
    peer.create()
    for number in range(20):
        peer.write(record(f"v{number}", metadata={"text": "x" * 9_000}))


def get_all() -> bytes:
    body = b'{"ids": [%b]}' % b",".join(b'"v%d"' % number for number in range(20))
    return (
        f"POST {PATH}/docs/get_by_ids HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


# Bodies


def half(size: int, part: float = 0.9) -> bytes:
    return upsert(size) + b" " * int(part * size)


def test_half_sent_bodies_do_not_hold_more_than_there_is_room_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 3_000_000)
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)
    peer = serve(max_body=1_000_000)
    peer.create()
    with connected(peer, 12) as made:
        for each in made:
            threading.Thread(target=send, args=(each, half(1_000_000)), daemon=True).start()
        time.sleep(0.1)
        # One that goes on finds room, at the expense of those that do not.
        body = b"\n" * 900_000 + lines(record("a"))
        until(lambda: succeeds(peer, "POST", "/docs/upsert", content=body, kind=NDJSON))
        peer.write(record("b"))
        assert peer.found() == "ab"
        until(lambda: any(is_closed(each) for each in made))


def send(connection: socket.socket, raw: bytes) -> None:
    with suppress(OSError):
        connection.sendall(raw)


def test_large_bodies_that_all_get_on_are_all_taken(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 3_000_000)
    monkeypatch.setattr(bodies, "PATIENCE", 20.0)
    peer = serve(max_body=1_000_000)
    peer.create()
    statuses: list[int] = []

    def write(number: int) -> None:
        each = Peer(peer.base_url)
        body = b"\n" * 900_000 + lines(record(f"{number}"))
        answer = each.send("POST", "/docs/upsert", content=body, kind=NDJSON)
        statuses.append(answer.status_code)
        each.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10
    assert peer.count() == 10


def test_bodies_do_not_wait_for_each_others_room(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(bodies, "PATIENCE", 20.0)
    peer = serve(max_body=500_000)
    peer.create()
    body = b"\n" * 400_000 + lines(record("a"))
    raw = upsert(len(body)) + body
    with connected(peer, 6, raw[:300_000]) as made:
        for each in made:
            each.setblocking(True)
            threading.Thread(target=send, args=(each, raw[300_000:]), daemon=True).start()
        statuses = [read_answer(each).split()[1] for each in made]
    assert set(statuses) == {b"200"}


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_body_has_to_get_on(serve: Serve, monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:
    peer = serve()
    peer.create()
    monkeypatch.setattr(bodies, "SILENCE", 0.3)
    with connected(peer, 1, upsert(10_000)) as (connection,):
        started = time.monotonic()
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - started < 30:
            try:
                if drips:
                    connection.sendall(b" ")
                answer = read_answer(connection)
            except TimeoutError:
                pass
        assert answer.startswith(b"HTTP/1.1 408")
        assert is_closed(connection, 30)
    assert peer.count() == 0


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_the_rest_of_a_body_that_was_refused_has_to_come_soon(serve: Serve, drips: bool) -> None:
    for seconds in growing(0.3):
        peer = serve(head_timeout=seconds, token="secret")
        with connected(peer, 1, upsert(1_000_000)) as (connection,):
            if not (answer := answer_in_time(connection)):
                continue
            assert answer.startswith(b"HTTP/1.1 401")
            started = time.monotonic()
            while not is_closed(connection, 0.05):
                assert time.monotonic() - started < 30
                if drips:
                    with suppress(OSError):
                        connection.sendall(b" ")
            break


def test_a_flood_of_requests_in_one_connection_holds_up_no_other(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, many, answered = service.Service.query, 2_000, list[Any]()

    def counted(*args: Any, **options: Any) -> Any:
        answered.append(query(*args, **options))
        return answered[-1]

    monkeypatch.setattr(service.Service, "query", counted)
    peer = serve()
    peer.create()
    peer.write(record("a"))
    body = b'{"vector": %b}' % str(ONES).encode()
    raw = (
        f"POST {PATH}/docs/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with connected(peer, 5) as made:
        for each in made:
            threading.Thread(target=send, args=(each, raw * many), daemon=True).start()
        for _ in range(20):
            assert peer.found() == "a"
        assert len(answered) < len(made) * many / 2


def test_requests_that_are_sent_ahead_are_read_when_it_is_their_turn() -> None:
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        peer.create()
        ahead, most, count = GET * 20_000, 0, 0
        with connected(peer, 1) as (connection,):
            threading.Thread(target=send, args=(connection, ahead), daemon=True).start()
            while count < sized(300, 20_000):
                count += connection.recv(1 << 20).count(b"HTTP/1.1 200")
                for each in list(server._server.server_state.connections):
                    most = max(most, len(each.conn.trailing_data[0]))  # type: ignore[union-attr]
        # One read, and what was left of the one before.
        assert 0 < most < 600_000
        peer.close()


def test_a_large_body_and_another_request_behind_it_are_answered(serve: Serve) -> None:
    peer = serve()
    peer.create()
    body = b"\n" * 500_000 + lines(record("a"))
    with connected(peer, 1) as (connection,):
        raw = (upsert(len(body)) + body) * 3 + GET
        threading.Thread(target=send, args=(connection, raw), daemon=True).start()
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 4:
            part = connection.recv(65_536)
            assert part, answers
            answers += part
    assert peer.found() == "a"
