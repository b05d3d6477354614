"""Accounts, indexes and databases that nobody made, that are many, or that are named oddly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nightly import sized
from tests.server.helpers import NDJSON, ONES, Peer, lines, record
from vectorize_core import BadRequestError, Event, RetryEvent, Vector, VectorizeClient
from vectorize_core.local import Service, open_files
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.file_names import file_of
from vectorize_core.local.server import accounts as accounts_module
from vectorize_core.models import IndexConfig

Serve = Callable[..., Peer]
COUNT = sized(12, 40)
At = Callable[[Peer, str], Peer]


@pytest.fixture
def at() -> Iterator[At]:
    """Other accounts of the same server."""
    made: list[Peer] = []

    def account(peer: Peer, name: str) -> Peer:
        made.append(Peer(peer.base_url, name))
        return made[-1]

    yield account
    for each in made:
        each.close()


def sql(peer: Peer, text: str, *params: Any, database: str = "texts") -> Any:
    path = f"~/client/v4/accounts/{peer.account}/d1/database/{database}/query"
    return peer.send("POST", path, {"sql": text, "params": list(params)})


def rows(answer: Any) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["result"][0]["results"]


READS: dict[str, Callable[[Peer], tuple[int, int | None]]] = {
    "list": lambda p: told(p.send("GET", "")),
    "get": lambda p: told(p.send("GET", "/docs")),
    "info": lambda p: told(p.send("GET", "/docs/info")),
    "ids": lambda p: told(p.send("GET", "/docs/list")),
    "query": lambda p: told(p.send("POST", "/docs/query", {"vector": ONES})),
    "get by ids": lambda p: told(p.send("POST", "/docs/get_by_ids", {"ids": ["a"]})),
    "delete": lambda p: told(p.send("DELETE", "/docs")),
    "delete by ids": lambda p: told(p.send("POST", "/docs/delete_by_ids", {"ids": ["a"]})),
    "upsert": lambda p: told(
        p.send("POST", "/docs/upsert", content=lines(record("a")), kind=NDJSON)
    ),
    "bad index": lambda p: told(p.send("POST", "", {"name": "docs", "config": {}})),
    "select": lambda p: told(sql(p, "SELECT 1")),
    "select from nothing": lambda p: told(sql(p, "SELECT * FROM t")),
    "select with": lambda p: told(sql(p, "WITH t AS (SELECT 1) SELECT * FROM t")),
    "a comment": lambda p: told(sql(p, "/* a */ SELECT 1")),
    "drop nothing": lambda p: told(sql(p, "DROP TABLE IF EXISTS t")),
    "no SQL": lambda p: told(sql(p, "x")),
    "bad insert": lambda p: told(sql(p, "INSERT INTO t VALUES (1)")),
    "half a script": lambda p: told(sql(p, "CREATE TABLE t (a); INSERT INTO u VALUES (1)")),
}


def told(answer: Any) -> tuple[int, int | None]:
    errors = answer.json()["errors"]
    return answer.status_code, errors[0]["code"] if errors else None


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "directory"])
def test_what_writes_nothing_makes_no_account(
    serve: Serve, at: At, tmp_path: Path, name: str, in_memory: bool
) -> None:
    peer = serve(data=":memory:" if in_memory else tmp_path / "data")
    # As an account does that has something, and no such index or table.
    peer.create("other")
    rows(sql(peer, "CREATE TABLE other (a)", database="other"))
    there = READS[name](peer)
    for number in range(3):
        stranger = at(peer, f"invented{number}")
        assert READS[name](stranger) == there
    if not in_memory:
        assert not (tmp_path / "data" / "accounts").exists()


def test_a_write_makes_an_account_that_stays(serve: Serve, at: At, tmp_path: Path) -> None:
    peer = serve(data=tmp_path / "data")
    for account, write in {
        "by-index": lambda p: p.create(),
        "by-sql": lambda p: rows(sql(p, "CREATE TABLE t (a)")),
    }.items():
        made = at(peer, account)
        write(made)
        assert (tmp_path / "data" / "accounts" / account).is_dir()
    assert at(peer, "by-index").count() == 0
    assert rows(sql(at(peer, "by-sql"), "SELECT * FROM t")) == []


def test_what_was_only_in_memory_stays(serve: Serve, at: At) -> None:
    peer = serve()
    first, second = at(peer, "a"), at(peer, "b")
    first.create()
    rows(sql(second, "CREATE TABLE t AS SELECT 5 AS n"))
    assert first.count() == 0
    assert rows(sql(second, "SELECT * FROM t")) == [{"n": 5}]
    # An index that was deleted is remembered.
    first.result("DELETE", "/docs")
    assert first.fault("GET", "/docs")[0] == 410


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "directory"])
def test_accounts_are_bounded_and_others_go_on(
    serve: Serve, at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(accounts_module, "MAX_ACCOUNTS", 3)
    peer = serve(data=":memory:" if in_memory else tmp_path / "data")
    made = [at(peer, f"a{number}") for number in range(3)]
    for each in made:
        each.create()
    refused = at(peer, "one-more")
    config = {"dimensions": 32, "metric": "cosine"}
    assert refused.fault("POST", "", {"name": "docs", "config": config})[0] == 400
    assert sql(refused, "CREATE TABLE t (a)").status_code == 400
    # To wait would not help, so no client tries again.
    told: list[Event] = []
    client = VectorizeClient("one-more", base_url=peer.base_url, on_event=told.append)
    with client, pytest.raises(BadRequestError, match="this server has 3 accounts, and makes no"):
        client.create_index("docs", dimensions=32, metric="cosine")
    assert not any(isinstance(event, RetryEvent) for event in told)
    assert refused.result("GET", "") == []
    assert rows(sql(refused, "SELECT 1 AS a")) == [{"a": 1}]
    for each in made:
        each.create("more")
        rows(sql(each, "CREATE TABLE t (a)"))


def open_now() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="cannot count open files")
def test_many_accounts_and_databases_keep_few_files_open(
    serve: Serve, at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "allowed", lambda: 256)
    peer = serve(data=tmp_path / "data")
    before = open_now()
    for number in range(COUNT):
        each = at(peer, f"account{number}")
        each.create()
        each.write(record("a"))
        for database in ("x", "y"):
            rows(sql(each, "CREATE TABLE t AS SELECT 5 AS n", database=database))
        each.close()
    assert open_now() - before < 80
    for number in range(COUNT):
        each = at(peer, f"account{number}")
        assert each.found() == "a"
        for database in ("x", "y"):
            assert rows(sql(each, "SELECT n FROM t", database=database)) == [{"n": 5}]
        each.close()
    assert open_now() - before < 80


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="cannot count open files")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="mappings hold no descriptor")
def test_many_indexes_keep_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "allowed", lambda: 64)
    service = Service(tmp_path / "data")
    before = open_now()
    names = [f"i{number}" for number in range(40)]
    for _ in range(2):
        for name in names:
            if _ == 0:
                service.create_index(name, IndexConfig(32, "cosine"))
                service.upsert(name, [Vector("a", ONES)])
            assert service.query(name, vector=ONES).matches[0].id == "a"
            assert service.get_by_ids(name, ["a"])
    assert open_now() - before < 32
    service.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_when_no_file_can_be_opened_the_answer_says_so_and_all_goes_on(
    serve: Serve, at: At, tmp_path: Path
) -> None:
    import resource

    peer = serve(data=tmp_path / "data")
    peer.create()
    at(peer, "other").create()
    other = at(peer, "another")
    rows(sql(peer, "SELECT 1"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        other.result("GET", "")
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now() + 20, hard))
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        config = {"dimensions": 32, "metric": "cosine"}
        status, _, text = other.fault("POST", "", {"name": "docs", "config": config})
        assert (status, "too many files" in text) == (503, True)
        # Files that nobody uses were closed meanwhile.
        assert rows(sql(peer, "SELECT 1 AS a")) == [{"a": 1}]
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    other.create()
    rows(sql(other, "CREATE TABLE t (a)"))
    assert peer.count() == 0


# Names


@pytest.mark.parametrize("name", ["a", "A", "aA", "Aa", "AA", "con", "CON", "Nul", "com1", "a-b_c"])
def test_names_have_files_that_no_file_system_mixes_up(tmp_path: Path, name: str) -> None:
    names = ["a", "A", "aA", "Aa", "AA", "aa", "con", "CON", "Con", "Nul", "nul", "com1", "a-b_c"]
    file = file_of(tmp_path, name, ".sqlite3").name
    others = {file_of(tmp_path, other, ".sqlite3").name.lower() for other in names if other != name}
    assert file.lower() not in others
    assert file.partition(".")[0].partition("=")[0].lower() == name.lower()
    assert file.split(".")[0] not in ("con", "nul", "com1", "CON", "Nul")


def test_a_file_of_an_earlier_version_is_found(tmp_path: Path) -> None:
    (tmp_path / "Texts.sqlite3").touch()
    assert file_of(tmp_path, "Texts", ".sqlite3").name == "Texts.sqlite3"
    assert file_of(tmp_path, "TEXTS", ".sqlite3").name != "TEXTS.sqlite3"


def test_accounts_that_differ_by_case_are_two(serve: Serve, at: At, tmp_path: Path) -> None:
    peer = serve(data=tmp_path / "data")
    for account in ("tenant", "Tenant"):
        each = at(peer, account)
        each.create(account)
        rows(sql(each, f"CREATE TABLE t AS SELECT '{account}' AS name"))
    for account in ("tenant", "Tenant"):
        each = at(peer, account)
        assert [index["name"] for index in each.result("GET", "")] == [account]
        assert rows(sql(each, "SELECT name FROM t")) == [{"name": account}]
    made = {path.name.lower() for path in (tmp_path / "data" / "accounts").iterdir()}
    assert len(made) == 2


def test_databases_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vectorize_core.local.d1_databases.MAX_DATABASES", 2)
    for place in (":memory:", tmp_path):
        databases = D1Databases(place)
        for name in ("a", "b"):
            databases.run(name, [("CREATE TABLE t (a)", ())])
        with pytest.raises(ServiceFault, match="this account has 2 databases") as caught:
            databases.run("c", [("CREATE TABLE t (a)", ())])
        assert caught.value.status == 400
        assert databases.run("c", [("SELECT 1", ())])[0][1] == [(1,)]
        databases.run("a", [("INSERT INTO t VALUES (1)", ())])
        databases.close()
