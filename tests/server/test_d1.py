"""D1's query and raw endpoints: shapes, limits, errors, and no way out of the database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.helpers import Peer, fault_of, result_of
from vectorize_core.local.d1 import database, results
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.faults import ServiceFault

UNIQUE = "SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)"

Serve = Callable[..., Peer]


class D1:
    def __init__(self, peer: Peer, database: str = "texts") -> None:
        self.peer = peer
        self.url = f"{peer.base_url}/accounts/{peer.account}/d1/database/{database}"

    def send(self, body: Any, how: str = "query") -> Any:
        headers = {"Content-Type": "application/json"}
        return self.peer.http.post(f"{self.url}/{how}", content=json.dumps(body), headers=headers)

    def results(self, body: Any, how: str = "query") -> list[Any]:
        results: list[Any] = result_of(self.send(body, how))
        for result in results:
            assert result.keys() == {"success", "meta", "results"}
            assert result["success"] is True
        return results

    def rows(self, sql: str, *params: Any) -> Any:
        (result,) = self.results({"sql": sql, "params": list(params)})
        return result["results"]

    def fault(self, sql: str, *params: Any) -> tuple[int, int, str]:
        return fault_of(self.send({"sql": sql, "params": list(params)}))


@pytest.fixture
def texts(peer: Peer) -> D1:
    texts = D1(peer)
    texts.rows("CREATE TABLE t (id TEXT PRIMARY KEY, n REAL)")
    return texts


def test_rows_are_objects_for_query_and_lists_for_raw(texts: D1) -> None:
    (made,) = texts.results({"sql": "INSERT INTO t VALUES (?, ?), ('b', 2)", "params": ["a", 1]})
    assert made["results"] == []
    assert (made["meta"]["changes"], made["meta"]["changed_db"]) == (2, True)
    assert made["meta"]["last_row_id"] == 2
    body = {"sql": "SELECT id, n FROM t ORDER BY id"}
    (found,) = texts.results(body)
    assert found["results"] == [{"id": "a", "n": 1.0}, {"id": "b", "n": 2.0}]
    assert (found["meta"]["rows_read"], found["meta"]["changes"]) == (2, 0)
    assert found["meta"]["size_after"] > 0
    (raw,) = texts.results(body, "raw")
    assert raw["results"] == {"columns": ["id", "n"], "rows": [["a", 1.0], ["b", 2.0]]}
    (none,) = texts.results({"sql": "SELECT id FROM t WHERE 0"}, "raw")
    assert none["results"] == {"columns": ["id"], "rows": []}


def test_raw_keeps_columns_of_the_same_name(texts: D1) -> None:
    (raw,) = texts.results({"sql": "SELECT 1 AS x, 2 AS x"}, "raw")
    assert raw["results"] == {"columns": ["x", "x"], "rows": [[1, 2]]}


def test_values_of_every_kind_come_back(texts: D1) -> None:
    (row,) = texts.rows(
        "SELECT ? AS a, ? AS b, ? AS c, x'01ff' AS d, ? AS e", "é\u0000", 2**53, None, True
    )
    assert row == {"a": "é\u0000", "b": 2**53, "c": None, "d": [1, 255], "e": 1}


def test_statements_joined_by_semicolons_are_a_batch(texts: D1) -> None:
    sql = (
        "INSERT INTO t VALUES ('a;b', 1); /* ; */ SELECT id -- ;\n FROM t; ;\n SELECT \"n\" FROM t;"
    )
    assert [r["results"] for r in texts.results({"sql": sql})] == [
        [],
        [{"id": "a;b"}],
        [{"n": 1.0}],
    ]


def test_a_trigger_is_one_statement(texts: D1) -> None:
    sql = (
        "CREATE TRIGGER twice AFTER INSERT ON t WHEN NEW.n < 9 BEGIN "
        "INSERT INTO t VALUES ('copy', 9); INSERT INTO t VALUES ('other', 9); END; SELECT 1"
    )
    assert len(texts.results({"sql": sql})) == 2
    texts.rows("INSERT INTO t VALUES ('a', 1)")
    assert len(texts.rows("SELECT * FROM t")) == 3


def test_a_batch_is_one_transaction(texts: D1) -> None:
    insert = {"sql": "INSERT INTO t VALUES (?, 0)", "params": ["a"]}
    assert len(texts.results({"batch": [insert, {"sql": "SELECT * FROM t"}]})) == 2
    fault = fault_of(texts.send({"batch": [{**insert, "params": ["b"]}, insert]}))
    assert fault == (400, 7500, "UNIQUE constraint failed: t.id: " + UNIQUE)
    assert texts.rows("SELECT id FROM t") == [{"id": "a"}]
    assert texts.results({"batch": []}) == []


def test_a_hundred_parameters_fit_a_statement_each(texts: D1) -> None:
    def marks(count: int) -> str:
        return ", ".join("?" * count)

    sql = f"SELECT 1 AS one WHERE 1 IN ({marks(100)})"
    assert texts.rows(sql, *range(100)) == [{"one": 1}]
    batch = [{"sql": sql, "params": list(range(100))}] * 3
    assert len(texts.results({"batch": batch})) == 3
    status, code, message = texts.fault(f"SELECT 1 WHERE 1 IN ({marks(101)})", *range(101))
    assert (status, code) == (400, 7500)
    assert "too many SQL variables" in message


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM missing", "no such table: missing: SQLITE_ERROR"),
        ("SELEC 1", 'near "SELEC": syntax error: SQLITE_ERROR'),
        ("SELECT ?", "Incorrect number of bindings"),
        (f"SELECT '{'x' * 100_000}'", "too large"),
        ("SELECT zeroblob(2200001)", "too big: SQLITE_TOOBIG"),
        ("SELECT 'a' LIKE '" + "x" * 51 + "'", "LIKE or GLOB pattern too complex"),
        ("SELECT max(" + ", ".join("1" * 33) + ")", "too many arguments"),
        ("SELECT " + ", ".join("1" * 101), "too many columns"),
    ],
)
def test_what_sqlite_or_its_limits_refuse_is_7500(texts: D1, sql: str, said: str) -> None:
    status, code, message = texts.fault(sql)
    assert (status, code) == (400, 7500)
    assert said in message


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '{path}' AS other",
        "VACUUM INTO '{path}'",
        "VACUUM",
        "PRAGMA journal_mode = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA temp_store_directory = '{path}'",
        "SELECT load_extension('{path}')",
        "SELECT writefile('{path}', 'x')",
        "SELECT readfile('{path}')",
        "BEGIN",
        "COMMIT",
        "/* */ ROLLBACK",
        "SAVEPOINT s",
        "RELEASE s",
        "INSERT INTO t VALUES ('b', 1); COMMIT; SELECT * FROM missing",
    ],
)
def test_a_statement_cannot_leave_its_database_or_its_transaction(
    texts: D1, tmp_path: Path, sql: str
) -> None:
    path = tmp_path / "other"
    assert texts.fault(sql.format(path=path))[:2] == (400, 7500)
    assert not path.exists()
    assert texts.rows("SELECT * FROM t") == []


def test_the_shape_of_a_table_can_be_asked_for(texts: D1) -> None:
    assert [row["name"] for row in texts.rows("PRAGMA table_info(t)")] == ["id", "n"]
    assert texts.rows("SELECT name FROM sqlite_master WHERE type = 'table'") == [{"name": "t"}]


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def test_an_endless_statement_holds_up_no_other_database(
    texts: D1, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(database, "MAX_SECONDS", 0.3)
        assert "interrupted" in texts.fault(ENDLESS)[2]
    assert texts.rows("SELECT 1 AS one") == [{"one": 1}]


def test_a_result_of_too_many_rows_is_refused(texts: D1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_ROWS", 10)
    numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < {})"
    rows = f"{numbers} SELECT x FROM c"
    assert len(texts.rows(rows.format(10))) == 10
    assert "more than 10 rows" in texts.fault(rows.format(11))[2]
    assert texts.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"sql": 1},
        {"sql": None},
        {"sql": "SELECT 1", "params": 1},
        {"sql": "SELECT ?", "params": [[1]]},
        {"sql": "SELECT ?", "params": [{}]},
        {"sql": "SELECT ?; SELECT ?", "params": [1]},
        {"batch": 1},
        {"batch": [1]},
        {"batch": [{"params": []}]},
    ],
)
def test_a_body_that_is_no_query_is_refused(texts: D1, body: Any) -> None:
    assert fault_of(texts.send(body))[:2] == (400, 49999)


def test_databases_and_accounts_are_apart(texts: D1, peer: Peer) -> None:
    assert D1(peer, "other").fault("SELECT * FROM t")[1] == 7500
    stranger = Peer(peer.base_url, "stranger")
    assert D1(stranger).fault("SELECT * FROM t")[1] == 7500
    stranger.close()


@pytest.mark.parametrize("name", ["a.b", "%2e%2e", "..%2f..%2fx", "x" * 65, "%00", "é"])
def test_a_database_name_leads_nowhere_else(peer: Peer, name: str) -> None:
    assert D1(peer, name).fault("SELECT 1")[0] == 404


def test_texts_are_kept_in_the_directory(serve: Serve, tmp_path: Path) -> None:
    D1(serve(data=tmp_path)).rows("CREATE TABLE t (id TEXT)")
    assert (tmp_path / "d1" / "texts.sqlite3").exists()
    assert D1(serve(data=tmp_path)).rows("SELECT * FROM t") == []


def test_a_request_is_interrupted_from_another_thread() -> None:
    databases, runs = D1Databases(":memory:"), threading.Event()
    thread = threading.Thread(target=lambda: (runs.wait(), databases.interrupt()))
    thread.start()
    with pytest.raises(ServiceFault, match="is closing"):
        databases.run("a", [(ENDLESS, ())], runs.set)
    thread.join()
    assert databases.run("a", [("SELECT 1", ())])[0][1] == [(1,)]


def test_a_long_statement_breathes_and_what_that_raises_ends_it() -> None:
    breaths = []

    def breathe() -> None:
        breaths.append(1)
        if len(breaths) == 5:
            raise KeyError("enough")

    database = D1Database(None)
    with pytest.raises(KeyError, match="enough"):
        database.run([(ENDLESS, ())], breathe)
    assert len(breaths) == 5
    assert database.run([("SELECT 1", ())])[0][1] == [(1,)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sql": "SELECT 1;" * 10_001}, "more than 10000 statements"),
        ({"batch": [{"sql": "SELECT 1"}] * 10_001}, "more than 10000 statements"),
        ({"sql": "x" * 2_000_001}, "longer than 2000000 characters"),
        ({"batch": [{"sql": "x " * 60_000}] * 20}, "longer than 2000000 characters"),
    ],
)
def test_a_request_of_too_many_statements_is_refused(texts: D1, body: Any, said: str) -> None:
    status, _, message = fault_of(texts.send(body))
    assert status == 400
    assert said in message


@pytest.mark.parametrize("sql", ["", " ; ;", "-- nothing", "/* not closed"])
def test_a_text_without_a_statement_is_refused(texts: D1, sql: str) -> None:
    status, code, message = texts.fault(sql)
    assert (status, code) == (400, 7500)
    assert "holds no statement" in message


def test_a_text_that_is_not_utf8_comes_as_d1_writes_it(texts: D1) -> None:
    assert texts.rows("SELECT CAST(x'61ff62' AS TEXT) AS a") == [{"a": "a\ufffdb"}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("INSERT INTO t VALUES ('a', 1), ('a', 2)", f"UNIQUE constraint failed: t.id: {UNIQUE}"),
        ("PRAGMA journal_mode", "not authorized: SQLITE_AUTH"),
        ("SELECT zeroblob(3000000)", "string or blob too big: SQLITE_TOOBIG"),
    ],
)
def test_errors_are_named_as_d1_names_them(texts: D1, sql: str, said: str) -> None:
    assert texts.fault(sql) == (400, 7500, said)
