"""No client writes a line of its own into the log, or what a terminal obeys."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from uvicorn.logging import AccessFormatter

from tests.server.helpers import NDJSON, Peer, lines, record
from vectorize_core.errors import StorageError
from vectorize_core.local import service as service_module
from vectorize_core.local.server import logs

Serve = Callable[..., Peer]
EVIL = {
    "a line break": "\n2026-01-01 ERROR forged",
    "CR": "\r forged",
    "ESC": "\x1b[2J\x1b]0;title\x07",
    "C1": "\x9b2J",
    "NEL": "\x85 forged",
    "a line separator": "\u2028 forged",
    "the other direction": "\u202e forged",
    "an isolate": "\u2066 forged",
    "nothing wide": "\u200b\ufeff",
    "NUL": "\0",
    "DEL": "\x7f",
    "a tag": "\U000e0041",
}


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What a handler writes."""
    formatter = logging.Formatter("%(levelname)s %(name)s %(message)s")
    records = [r for r in caplog.records if r.name.startswith(("vectorize_core", "uvicorn"))]
    return "\n".join(formatter.format(each) for each in records)


def check(text: str) -> None:
    assert not re.search(r"[^\x20-\x7e\n]", text), ascii(text)
    for line in text.split("\n"):
        assert not line.startswith((" forged", "2026")), line
    assert "forged" not in text or "\\" in text


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_a_path_is_escaped(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, evil: str
) -> None:
    def broken(self: Any, name: str) -> None:
        raise RuntimeError(f"no {name}") from KeyError(name)

    def damaged(self: Any, name: str) -> None:
        raise StorageError(f"no {name}")

    peer = serve()
    monkeypatch.setattr(service_module.Service, "get_index", broken)
    monkeypatch.setattr(service_module.Service, "index_info", damaged)
    for path in (f"/docs{quote(evil)}", f"/docs{quote(evil)}/info"):
        assert peer.send("GET", path).status_code == 500
    text = logged(caplog)
    assert text.count("docs") >= 4
    check(text)


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_a_hint_is_escaped(docs: Peer, caplog: pytest.LogCaptureFixture, evil: str) -> None:
    docs.write(record("a", metadata={f"x{evil}": 1}))
    docs.send("POST", "/docs/query", {"vector": [1.0] * 32, "filter": {f"x{evil}": 1}})
    docs.send("POST", "/docs/upsert", content=lines(record(f"{evil}", namespace=evil)), kind=NDJSON)
    check(logged(caplog))


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_headers_and_paths_that_are_refused_are_escaped(
    docs: Peer, caplog: pytest.LogCaptureFixture, evil: str
) -> None:
    raw = evil.encode("utf-8", "surrogatepass")
    for request in (
        b"GET /" + raw + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + raw + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: "
        + raw
        + b"\r\n\r\n",
    ):
        docs.exchange(request)
    check(logged(caplog))


def test_a_long_path_is_cut(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, name: str) -> None:
        raise RuntimeError("no")

    peer = serve()
    monkeypatch.setattr(service_module.Service, "get_index", broken)
    assert peer.send("GET", f"/{'x' * 20_000}").status_code == 500
    assert max(map(len, logged(caplog).split("\n"))) < 5_000


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain é 日本 \U0001f600", "plain é 日本 \U0001f600"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\ud800", "\\ud800"),
        ("\u202ex", "\\u202ex"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_escapes(text: str, written: str) -> None:
    assert logs.escaped(text) == written
    assert logs.escaped(text).encode()


@pytest.mark.parametrize("path", ["/plain", "/\x1b[31m\n", f"/{'x' * 9_000}"], ids=len)
def test_the_log_of_requests_can_be_written(path: str) -> None:
    logs.escape_logs()
    text = '%s - "%s %s HTTP/%s" %d'
    given = ("127.0.0.1:1", "GET", path, "1.1", 200)
    logger = logging.getLogger("uvicorn.access")
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, text, given, None)
    logger.filter(record)
    line = AccessFormatter("%(request_line)s %(status_code)s", use_colors=False).format(record)
    assert line == f"GET {logs.escaped(path)} HTTP/1.1 200 OK"
    assert line.isprintable()


def test_a_wish_for_another_protocol_is_not_logged(
    docs: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    try:
        for wish in ("h2c", "websocket"):
            headers = {"Connection": "upgrade", "Upgrade": wish}
            assert docs.send("GET", "", headers=headers).status_code == 200
    finally:
        logger.removeHandler(caplog.handler)
    assert [each for each in caplog.records if each.name == logger.name] == []


# Answers


@pytest.mark.parametrize(
    "headers",
    [
        {"X: y\r\nZ": "1"},
        {"X": "a\r\nB: c"},
        {"X Y": "1"},
        {"X:": "1"},
        {"": "1"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"Connection": "upgrade"},
    ],
    ids=str,
)
def test_faults_on_demand_set_no_header_that_cannot_be_one(
    serve: Serve, headers: dict[str, str]
) -> None:
    peer = serve()
    rule = {"match": "/info", "status": 500, "headers": headers}
    assert peer.fault("PUT", "~/_/faults", [rule])[0] == 400
    assert peer.fault("GET", "/docs/info")[0] == 404
