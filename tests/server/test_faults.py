"""Faults on demand, as our own client meets and survives them."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.helpers import NDJSON, ONES, Peer, fault_of, lines, read_answer, record
from vectorize_core import (
    AsyncVectorizeClient,
    ConfigurationError,
    InvalidInputError,
    StorageError,
    VectorizeClient,
)
from vectorize_core.local.server import BackgroundServer, Settings, load_faults
from vectorize_core.models import Vector
from vectorize_core.transport.retry import RetryPolicy

Serve = Callable[..., Peer]
QUICK = RetryPolicy(first_delay=0.01, max_delay=0.02)


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    """Not the shared one, whose other users must not meet the faults."""
    with BackgroundServer() as server:
        yield server


@pytest.fixture
def target(server: BackgroundServer) -> Iterator[Peer]:
    peer = Peer(server.base_url, uuid.uuid4().hex)
    peer.create()
    yield peer
    peer.put_faults()
    peer.close()


@pytest.fixture
def client(target: Peer) -> Iterator[VectorizeClient]:
    with VectorizeClient(target.account, base_url=target.base_url, retry=QUICK) as client:
        yield client


def test_a_rule_replaces_the_answers_it_is_for_and_no_others(target: Peer) -> None:
    target.put_faults(
        {"match": "GET ", "nth": 2, "times": 2, "status": 503, "code": 7010, "message": "busy"}
    )
    told = [target.send("GET", "/docs").status_code for _ in range(4)]
    assert told == [200, 503, 503, 200]
    assert target.found() == ""
    target.put_faults({"status": 500, "times": None})
    assert {target.send("GET", "/docs").status_code for _ in range(5)} == {500}
    target.put_faults()
    assert target.count() == 0


def test_an_injected_answer_has_its_code_message_and_headers(target: Peer) -> None:
    headers = {"Retry-After": "7"}
    target.put_faults(
        {"status": 429, "code": 40041, "message": "Too Many Requests", "headers": headers}
    )
    answer = target.send("GET", "/docs")
    assert fault_of(answer) == (429, 40041, "Too Many Requests")
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["cf-ray"]


@pytest.mark.parametrize("act", [False, True])
def test_a_request_whose_answer_is_lost_was_carried_out_or_not(target: Peer, act: bool) -> None:
    target.put_faults({"match": "upsert", "reset": True, "act": act})
    with pytest.raises(httpx.TransportError):
        target.send("POST", "/docs/upsert", content=lines(record("a")), kind=NDJSON)
    assert target.count() == int(act)
    target.put_faults({"match": "upsert", "status": 500, "act": act})
    target.send("POST", "/docs/upsert", content=lines(record("b")), kind=NDJSON)
    assert target.count() == 2 * act


def test_a_delay_holds_one_request_and_not_the_others(target: Peer) -> None:
    target.put_faults({"match": "/info", "delay": 20})
    started = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        target.http.get(target.url("/docs/info"), timeout=0.2)
    assert target.found() == ""
    assert time.monotonic() - started < 20
    target.put_faults({"match": "/info", "delay": 0.3})
    started = time.monotonic()
    assert target.count() == 0
    assert time.monotonic() - started >= 0.3


def test_a_truncated_answer_breaks_off_after_so_many_bytes(target: Peer) -> None:
    target.put_faults({"match": "/info", "truncate": 10})
    with socket.create_connection(target.address, timeout=10) as connection:
        path = target.url("/docs/info").removeprefix(target.root)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = read_answer(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b'{"success"'
    target.put_faults({"match": "/info", "truncate": 10})
    with pytest.raises(httpx.RemoteProtocolError):
        target.count()
    assert target.count() == 0


BROKEN: dict[str, dict[str, Any]] = {
    "reset": {"reset": True},
    "reset, but done": {"reset": True, "act": True},
    "truncated": {"truncate": 20},
    "truncated at once": {"truncate": 0},
    "503": {"status": 503, "code": 7010},
    "408": {"status": 408, "code": 7010},
    "429 with Retry-After": {"status": 429, "code": 971, "headers": {"Retry-After": "0"}},
    "40041 as a 400": {"status": 400, "code": 40041},
    "500, but done": {"status": 500, "code": 7010, "act": True},
}


@pytest.mark.parametrize("rule", BROKEN.values(), ids=BROKEN)
def test_our_client_tries_again_until_it_has_succeeded(
    target: Peer, client: VectorizeClient, rule: dict[str, Any]
) -> None:
    target.put_faults(*({"match": call, "times": 2, **rule} for call in ("/upsert", "/query")))
    client.index("docs").upsert([Vector("a", ONES)])
    assert [match.id for match in client.index("docs").query(ONES)] == ["a"]
    assert target.count() == 1


@pytest.mark.parametrize("rule", BROKEN.values(), ids=BROKEN)
async def test_our_async_client_tries_again_until_it_has_succeeded(
    target: Peer, rule: dict[str, Any]
) -> None:
    target.put_faults(*({"match": call, "times": 2, **rule} for call in ("/upsert", "/query")))
    account, base_url = target.account, target.base_url
    async with AsyncVectorizeClient(account, base_url=base_url, retry=QUICK) as client:
        await client.index("docs").upsert([Vector("a", ONES)])
        matches = await client.index("docs").query(ONES)
    assert [match.id for match in matches] == ["a"]
    assert target.count() == 1


@pytest.mark.parametrize(
    "rule", [{"reset": True, "act": True}, {"status": 502, "code": 7010, "act": True}]
)
def test_our_client_survives_lost_answers_of_index_changes(
    target: Peer, client: VectorizeClient, rule: dict[str, Any]
) -> None:
    target.put_faults({"match": "POST", **rule}, {"match": "DELETE", **rule})
    client.create_index("new", dimensions=32)
    client.delete_index("new")
    assert [index["name"] for index in target.result("GET", "")] == ["docs"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [1],
        [{"nth": "1"}],
        [{"nth": 0}],
        [{"times": 0}],
        [{"delay": -1}],
        [{"delay": 1e9}],
        [{"delay": True}],
        [{"status": 99}],
        [{"status": "500"}],
        [{"code": -1}],
        [{"match": None}],
        [{"message": 1}],
        [{"headers": []}],
        [{"headers": {"a": "b\r\nc: d"}}],
        [{"headers": {"a": 1}}],
        [{"truncate": -1}],
        [{"reset": 1}],
        [{"unknown": 1}],
    ],
)
def test_what_is_no_rule_is_refused_and_changes_nothing(target: Peer, wrong: Any) -> None:
    target.put_faults({"status": 503, "times": None})
    body = json.dumps(wrong).encode()
    assert target.fault("PUT", "~/_/faults", content=body)[:2] == (400, 49999)
    assert target.send("GET", "/docs").status_code == 503


def test_rules_come_out_of_a_file(tmp_path: Path, serve: Serve) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"match": "GET", "status": 503}]')
    peer = serve(faults=load_faults(file))
    assert [peer.send("GET", "").status_code for _ in range(2)] == [503, 200]
    for wrong in ("{}", "[1]", '[{"nth": 0}]', "1", "{"):
        file.write_text(wrong)
        with pytest.raises(InvalidInputError, match=r"faults\.json is no (JSON|list of rules): "):
            load_faults(file)
    for rules in (7, [1], [{"nth": 0}], {"nth": 1}):
        with pytest.raises(ConfigurationError, match=r"faults: (the rule at|expected a list)"):
            Settings(faults=rules)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="the rules of faults"):
        load_faults(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (7, "expected an object, got 7"),
        ("503", "expected an object, got '503'"),
        ({"statuss": 503}, "'statuss'; did you mean 'status'?"),
        ({"operation": "query"}, "'operation'; it takes match, nth, times, delay, status, code"),
    ],
)
def test_a_rule_that_is_none_says_what_one_takes(rule: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Settings(faults=[{}, rule])


def test_a_broken_connection_is_no_error_in_the_log(
    target: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for rule in ({"reset": True}, {"reset": True, "act": True}, {"truncate": 3}):
            target.put_faults(rule)
            with pytest.raises(httpx.TransportError):
                target.send("GET", "/docs")
        assert target.count() == 0
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
