"""Hostile input: a clean 4xx in the envelope, nothing written, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.helpers import (
    NDJSON,
    ONES,
    Peer,
    fault_of,
    lines,
    raw_fault,
    read_answer,
    record,
)
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer, Settings, parsing

Serve = Callable[..., Peer]
MOST = 100_000


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Path]]:
    """A server with small bounds, and its directory."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data / "inner", max_body=MOST)
    with BackgroundServer(settings) as server:
        peer = Peer(server.base_url)
        peer.create(kind="string")
        peer.write(record("kept", metadata={"kind": "x"}))
        yield peer, data
        peer.close()


@pytest.fixture
def target(strict: tuple[Peer, Path]) -> Iterator[Peer]:
    peer, data = strict
    before = peer.result("GET", "/docs/info")
    yield peer
    assert peer.result("GET", "/docs/info") == before, "something was written"
    assert peer.found(filter={"kind": "x"}) == "kept"
    assert [index["name"] for index in peer.result("GET", "")] == ["docs"]
    assert [path.name for path in data.iterdir()] == ["inner"]


# Names

NAMES = [
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2E%2E%2F%2E%2E",
    "..%2f..%2fetc%2fpasswd",
    "..%5c..%5cx",
    "%2fetc%2fpasswd",
    "%00",
    "docs%00",
    "docs%2finfo",
    "docs%20",
    "DOCS",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%ed%a0%80",
    "%25",
    "%",
    "%zz",
    "docs;drop",
    "'--",
    "~",
    "x" * 5_000,
    "%F0%9F%98%80",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_an_odd_index_name_is_not_found(target: Peer, name: str) -> None:
    account = "/client/v4/accounts/local"
    for method, rest in (("GET", ""), ("GET", "/info"), ("DELETE", ""), ("POST", "/upsert")):
        # Over a bare socket, for httpx would normalise the path.
        path = f"{account}/vectorize/v2/indexes/{name}{rest}"
        body = lines(record("a"))
        raw = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        status, code, _ = raw_fault(target.exchange(raw))
        assert (status, code) in ((404, 3000), (404, 7003))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_an_odd_account_leads_nowhere(target: Peer, name: str) -> None:
    for service in ("vectorize/v2/indexes", "d1/database/texts/query"):
        method = "GET" if service.startswith("v") else "POST"
        body = b'{"sql": "SELECT 1"}'
        raw = (
            f"{method} /client/v4/accounts/{name}/{service} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        answer = target.exchange(raw)
        if name == "DOCS":
            # Letters make an account like any other.
            assert answer.startswith(b"HTTP/1.1 200")
        else:
            assert raw_fault(answer)[:2] == (404, 7003)


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a/b", "a.b", "é", "x" * 65, "a\u0000", "a b", "\n", 1, None, [], {}],
)
def test_an_odd_name_makes_no_index(target: Peer, name: Any) -> None:
    body = {"name": name, "config": {"dimensions": 32, "metric": "cosine"}}
    assert target.fault("POST", "", body)[0] == 400


# Bodies

DEEP = b"[" * 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "no JSON": b"{",
    "two values": b"{}{}",
    "NaN": b'{"topK": NaN, "vector": NaN, "ids": NaN, "name": NaN, "propertyName": NaN}',
    "1e400": b'{"topK": 1e400, "vector": [1e400], "ids": [1e400], "name": 1e400, "sql": 1e400}',
    "a huge integer": b'{"topK": 1%b, "vector": 1, "ids": 1, "name": 1}' % (b"0" * 400),
    "deep lists": DEEP,
    "deep lists, closed": b"[" * 45_000 + b"]" * 45_000,
    "deep objects": b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
    "a deep field": b'{"ids": %b, "vector": 1, "name": 1}' % DEEP[:40_000],
    "wrong UTF-8": b'{"name": "\xff\xfe", "ids": ["\xff"]}',
    "a lone surrogate": b'{"name": "\\ud800", "ids": ["\\udfff"], "vectorId": "\\ud800"}',
    "UTF-16": '{"ids": []}'.encode("utf-16"),
    "a null byte": b"\x00",
}
CALLS = [
    "",
    "/docs/query",
    "/docs/get_by_ids",
    "/docs/delete_by_ids",
    "/docs/metadata_index/create",
    "/docs/metadata_index/delete",
    "~/client/v4/accounts/local/d1/database/texts/query",
    "~/query",
    "~/deleteByIds",
]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_of_another_kind_is_a_clean_400(target: Peer, body: bytes) -> None:
    for path in CALLS:
        answer = target.send("POST", path, content=body, kind="application/json")
        if path.startswith(("~/query", "~/delete")):
            assert answer.json().keys() == {"error", "code"}
            assert answer.status_code == 400
        else:
            assert fault_of(answer)[0] == 400


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_fault_rules_of_another_kind_are_a_clean_400(target: Peer, body: bytes) -> None:
    if body != b"[]":
        assert target.fault("PUT", "~/_/faults", content=body)[0] == 400


WRONG_FIELDS: list[tuple[str, str, Any]] = [
    *(("/docs/query", "vector", v) for v in ("x", 1, {}, True, [], ["1"] * 32, [True] * 32)),
    *(
        ("/docs/query", "vector", v)
        for v in ([None] * 32, [[1]] * 32, [10**30] * 32 + [1], [1e39] * 32)
    ),
    *(("/docs/query", "topK", v) for v in ("5", 5.5, True, [], -1, 0, 10**15, 2**63, -(2**63))),
    *(("/docs/query", "filter", v) for v in ("x", 1, [], True, {"a": {"b": {"c": 1}}}, {"a": [1]})),
    ("/docs/query", "filter", {"a": {"$eq": {}}}),
    ("/docs/query", "filter", {"a": {"$in": "abc"}}),
    ("/docs/query", "filter", {"a": {"$gt": None}}),
    ("/docs/query", "filter", {str(n): "x" * 60 for n in range(40)}),
    *(("/docs/query", "namespace", v) for v in (1, [], {}, True, "x" * 65)),
    *(("/docs/query", "returnMetadata", v) for v in (True, 1, "ALL", "", [])),
    *(("/docs/query", "returnValues", v) for v in ("true", 1, [])),
    *(("/docs/query", "vectorId", v) for v in (1, [], "a")),
    *(("/docs/get_by_ids", "ids", v) for v in ("a", 1, {}, [1], [None], [["a"]], ["x" * 65])),
    *(("/docs/delete_by_ids", "ids", v) for v in ("kept", 1, {}, [1], [None, "kept"])),
    *(
        ("/docs/metadata_index/create", "propertyName", v)
        for v in (1, "", '"', "$x", "x" * 513, None)
    ),
    *(("/docs/metadata_index/create", "indexType", v) for v in (1, "date", "", None, [])),
    *(("/docs/metadata_index/delete", "propertyName", v) for v in (1, None, [], {})),
    *(("", "config", v) for v in (1, [], "x", {}, {"dimensions": "32"}, {"dimensions": 32.0})),
    *(("", "config", v) for v in ({"dimensions": 2**63}, {"dimensions": True}, {"preset": 1})),
    *(
        ("", "config", v)
        for v in ({"preset": "x"}, {"dimensions": 32}, {"dimensions": 32, "metric": []})
    ),
    *(("", "description", v) for v in (1, [], {})),
]
RIGHT: dict[str, dict[str, Any]] = {
    "/docs/query": {"vector": ONES},
    "/docs/metadata_index/create": {"propertyName": "new", "indexType": "string"},
    "": {"name": "new", "config": {"dimensions": 32, "metric": "cosine"}},
}


@pytest.mark.parametrize(
    ("path", "field", "value"), WRONG_FIELDS, ids=[f"{p} {f} {v!r:.20}" for p, f, v in WRONG_FIELDS]
)
def test_a_field_of_another_kind_is_refused(
    target: Peer, path: str, field: str, value: Any
) -> None:
    body = {**RIGHT.get(path, {}), field: value}
    fault = target.fault("POST", path, content=json.dumps(body).encode(), kind="application/json")
    assert fault[0] in (400, 404)


@pytest.mark.parametrize(
    "count", ["0", "-1", "1001", "x", "", "1.0", " 7", "1_0", "１０", "1" * 5_000]
)
def test_an_odd_page_size_is_refused(target: Peer, count: str) -> None:
    assert target.fault("GET", "/docs/list", params={"count": count})[0] == 400


@pytest.mark.parametrize("cursor", ["", "x", "-", "x-1", "0" * 5_000, "\u0000", "é-１", "../.."])
def test_an_odd_cursor_is_refused(target: Peer, cursor: str) -> None:
    assert target.fault("GET", "/docs/list", params={"cursor": cursor})[0] == 400


@pytest.mark.parametrize(
    "line",
    [
        record("", ONES),
        record("a", namespace="x" * 65),
        record("a", metadata={"": 1}),
        record("a", metadata={"a.b": 1}),
        record("a", metadata={'a"': 1}),
        record("a", metadata={"$a": 1}),
        record("a", metadata={"a": {"$b": 1}}),
        record("a", [1e39] * 32),
        record("a", []),
    ],
)
def test_a_record_against_the_rules_refuses_the_write(target: Peer, line: dict[str, Any]) -> None:
    for verb in ("insert", "upsert"):
        assert target.write_fault(record("good"), line, verb=verb)[0] == 400


# Bounds of size and time


def head(path: str, *more: str, kind: str = NDJSON) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


UPSERT = "/client/v4/accounts/local/vectorize/v2/indexes/docs/upsert"


@pytest.mark.parametrize("size", [MOST + 1, 50 * 2**30, 10**17])
def test_a_content_length_of_many_gigabytes_is_refused_unread(target: Peer, size: int) -> None:
    answer = target.exchange(head(UPSERT, f"Content-Length: {size}"))
    assert raw_fault(answer)[0] == 413
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("size", ["9" * 30, "-1", "0x10", "1e3", "１", "+5", ""])
def test_a_content_length_that_is_none_is_refused(target: Peer, size: str) -> None:
    answer = target.exchange(head(UPSERT, f"Content-Length: {size}"))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


def test_a_body_may_have_the_largest_size_and_no_more(serve: Serve) -> None:
    body = lines(record("a"))
    peer = serve(max_body=len(body))
    peer.create()
    peer.result("POST", "/docs/upsert", content=body, kind=NDJSON)
    assert peer.fault("POST", "/docs/upsert", content=body + b"\n", kind=NDJSON)[0] == 413
    assert peer.count() == 1


@pytest.mark.parametrize("text", [b"[],", b"{},", b"1,", b"[[]],"], ids=repr)
def test_json_that_would_take_gigabytes_is_refused_unparsed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    monkeypatch.setattr(parsing, "_MOST_VALUES", 10_000)
    monkeypatch.setattr(parsing, "_MOST_CONTAINERS", 5_000)
    peer = serve()
    peer.create()
    many = b'{"ids": [%b1], "id": "a"}' % (text * 11_000)
    sent = {"content": many, "kind": "application/json"}
    assert peer.fault("POST", "/docs/get_by_ids", **sent)[0] == 413
    assert peer.send("POST", "~/getByIds", **sent).status_code == 413
    assert peer.fault("POST", "/docs/upsert", content=many, kind=NDJSON)[0] == 413
    assert peer.count() == 0


def test_a_chunked_body_over_the_bound_is_refused(target: Peer) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        line = lines(record("a")) + b"\n"
        while sent < 50 * MOST:
            sent += len(line)
            yield line

    try:
        answer = target.send("POST", "/docs/upsert", content=chunks(), kind=NDJSON)
    except httpx.TransportError:
        # Closed while the client was still sending, before it looked for an answer.
        assert sent < 50 * MOST
    else:
        assert fault_of(answer)[0] == 413


def test_a_chunked_body_within_the_bound_is_taken(serve: Serve) -> None:
    peer = serve()
    peer.create()
    body = lines(*(record(f"{n}") for n in range(20)))
    chunks = (body[i : i + 7] for i in range(0, len(body), 7))
    peer.result("POST", "/docs/upsert", content=chunks, kind=NDJSON)
    assert peer.count() == 20


@pytest.mark.parametrize("dripping", [False, True])
def test_a_slow_body_is_given_up(serve: Serve, dripping: bool, tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=32)
    peer = serve(body_timeout=0.3, data=tmp_path)
    body = lines(record("a"))
    with socket.create_connection(peer.address, timeout=10) as connection:
        connection.sendall(head(UPSERT, f"Content-Length: {len(body)}") + body[:10])
        started = time.monotonic()
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - started < 30:
            try:
                answer = read_answer(connection)
            except TimeoutError:
                if dripping:
                    connection.sendall(b" ")
    assert raw_fault(answer)[0] == 408
    assert peer.count() == 0


def test_a_client_that_leaves_in_the_middle_writes_nothing(target: Peer) -> None:
    body = lines(record("a"))
    for part in (0, 10, len(body) - 1):
        with socket.create_connection(target.address, timeout=10) as connection:
            connection.sendall(head(UPSERT, f"Content-Length: {len(body)}") + body[:part])
    time.sleep(0.05)


def test_many_slow_clients_do_not_hold_up_the_others(target: Peer) -> None:
    idle = [socket.create_connection(target.address, timeout=10) for _ in range(100)]
    try:
        for connection in idle:
            connection.sendall(head(UPSERT, "Content-Length: 1000"))
        assert target.found() == "kept"
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        head(UPSERT, "Transfer-Encoding: chunked") + b"zz\r\n",
        head(UPSERT, "Transfer-Encoding: gzip"),
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_no_http_does_no_harm(target: Peer, raw: bytes) -> None:
    answer = target.exchange(raw)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))
