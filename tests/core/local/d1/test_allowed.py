"""What workerd's D1 refuses is refused: recorded answers, and what SQLite here has besides."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vectorize_core.local.d1 import allowed
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.d1.splitting import split
from vectorize_core.local.faults import ServiceFault

WORKERD = json.loads(Path(__file__).with_name("workerd.json").read_text())
ACCEPTED = frozenset(WORKERD["functions"]["accepted"].split())
REFUSED = frozenset(WORKERD["functions"]["refused"].split())


def said(database: D1Database, sql: str, *params: Any) -> str | None:
    """The text of a refusal in D1's words, if it was refused."""
    try:
        database.run([(one, params) for one in split(sql)])
    except ServiceFault as fault:
        return fault.message if (fault.status, fault.code) == (400, 7500) else None
    return None


def here(what: str) -> set[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        return {name for (name,) in connection.execute(f"SELECT name FROM {what}")}


@pytest.mark.parametrize(
    "name", sorted((REFUSED | {*here("pragma_function_list")} | {"nobody_knows"}) - ACCEPTED)
)
def test_a_function_that_d1_has_not_is_refused(name: str) -> None:
    database = D1Database(None)
    for arguments in ("", "1", "?", "?, ?", "'a', 2, 3", "1, 2, 3, 4, 5, 6, 7, 8, 9", "*"):
        for over in ("", " OVER ()", " FILTER (WHERE 1)"):
            params = (b"\0" * 8, b"\1" * 8)[: arguments.count("?")]
            text = said(database, f'SELECT "{name}"({arguments}){over}', *params)
            assert text is not None, arguments


def test_no_function_is_allowed_that_d1_has_not() -> None:
    assert not allowed.FUNCTIONS & (REFUSED - set(allowed._OF_ALTER_TABLE.split()))
    assert allowed.FUNCTIONS >= ACCEPTED


@pytest.mark.parametrize("name", sorted(here("pragma_function_list") & ACCEPTED))
def test_a_function_that_d1_has_is_there(name: str) -> None:
    database = D1Database(None)
    texts = [said(database, f'SELECT "{name}"({", ".join("1" * n)}) OVER ()') for n in range(4)]
    texts += [said(database, f'SELECT "{name}"({", ".join("1" * n)})') for n in range(4)]
    assert not all(text is not None and "not authorized" in text for text in texts)


def test_statements_that_d1_refuses_are_refused() -> None:
    database, new = D1Database(None), (3, 46)
    for sql, refusal in WORKERD["statements"]:
        text = said(database, sql)
        if refusal is not None:
            assert text is not None or refusal.startswith("SQL code"), sql
        elif sqlite3.sqlite_version_info >= new and not sql.startswith("CREATE TABLE _CF_"):
            assert text is None, sql


def test_pragmas_that_d1_refuses_are_refused() -> None:
    recorded = WORKERD["pragmas"]
    accepted = set(recorded["accepted"])
    names = {*recorded["asked"].split(), *here("pragma_pragma_list"), "nobody_knows"}
    database = D1Database(None)
    for sql in recorded["setup"]:
        assert said(database, sql) is None
    for name in sorted(names):
        for form in recorded["forms"]:
            sql = form.format(name)
            text = said(database, sql)
            if sql not in accepted:
                assert text is not None, sql
            elif "10e0" not in sql and "_cf_" not in sql:
                assert text is None, sql


@pytest.mark.parametrize("name", sorted(here("pragma_module_list") | {"nobody_knows"}))
def test_a_virtual_table_that_d1_has_not_is_refused(name: str) -> None:
    database = D1Database(None)
    made = said(database, f"CREATE VIRTUAL TABLE v USING {name}(a, b)")
    if name not in allowed.MODULES:
        assert made is not None
    if name not in allowed.TABLE_FUNCTIONS:
        for sql in ("SELECT * FROM {}", "SELECT count(*) FROM {}", "SELECT 1 FROM {}('t')"):
            for schema in ("", "main."):
                if name not in ("pragma_table_list", "pragma_quick_check"):
                    assert said(database, sql.format(schema + name)) is not None, sql


def test_a_setting_ends_with_its_request() -> None:
    database = D1Database(None)
    unlike = "SELECT 'a' LIKE 'A'"
    results = database.run([("PRAGMA case_sensitive_like = on", ()), (unlike, ())])
    assert results[1][1] == [(0,)]
    assert database.run([(unlike, ())])[0][1] == [(1,)]
    for name in allowed.SWITCHES[1:]:
        assert database.run([(f"PRAGMA {name} = 1", ()), (f"PRAGMA {name}", ())])[1][1] == [(1,)]
        with pytest.raises(ServiceFault, match="no such table"):
            database.run([(f"PRAGMA {name} = yes", ()), ("SELECT * FROM missing", ())])
        assert database.run([(f"PRAGMA {name}", ())])[0][1] == [(0,)]


INTO_F = "INSERT INTO f (rowid, text) VALUES (new.id, new.text)"
FTS5 = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)",
    "CREATE VIRTUAL TABLE f USING fts5(text, content='t', content_rowid='id')",
    f"CREATE TRIGGER t_f AFTER INSERT ON t BEGIN {INTO_F}; END",
    "INSERT INTO t VALUES (1, 'a quick fox'), (2, 'a lazy dog')",
    "CREATE VIRTUAL TABLE words USING fts5vocab(f, row)",
    "INSERT INTO f (f) VALUES ('optimize')",
]


SEARCH = """
    SELECT rowid, highlight(f, 0, '[', ']'), snippet(f, 0, '', '', '', 9), bm25(f) < 0
    FROM f WHERE f MATCH ? ORDER BY rank
"""


def test_full_text_search_works() -> None:
    database = D1Database(None)
    database.run([(sql, ()) for sql in FTS5])
    found = database.run(
        [
            (SEARCH, ("quick",)),
            ("SELECT term FROM words WHERE doc = 2", ()),
            ("DROP TABLE words", ()),
            ("ALTER TABLE f RENAME TO g", ()),
            ("SELECT count(*) FROM g WHERE g MATCH 'dog'", ()),
            ("DROP TABLE g", ()),
        ]
    )
    assert found[0][1] == [(1, "a [quick] fox", "a quick fox", 1)]
    assert found[1][1] == [("a",)]
    assert found[4][1] == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE u ADD COLUMN b",
        "ANALYZE",
        "CREATE TABLE user_data (a)",
        "CREATE VIRTUAL TABLE g USING fts5vocab(f, row)",
        "DROP TABLE u",
        "INSERT INTO u SELECT id FROM t",
        "REINDEX",
        "SELECT term FROM words",
    ],
)
def test_full_text_search_may_write_during_a_later_statement(sql: str) -> None:
    database = D1Database(None)
    tables = [sql for sql in FTS5 if sql.startswith("CREATE")]
    database.run([(sql, ()) for sql in (*tables, "CREATE TABLE u (a UNIQUE)")])
    database.run([("INSERT INTO f (rowid, text) VALUES (3, 'a hare')", ()), (sql, ())])
    assert database.run([("SELECT rowid FROM f WHERE f MATCH 'hare'", ())])[0][1] == [(3,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM f_data",
        "UPDATE f_data SET block = x'00'",
        "INSERT INTO F_CONFIG VALUES ('version', 9)",
        "REPLACE INTO f_docsize VALUES (1, x'ff')",
        "DROP TABLE f_data",
        "DROP TABLE f_idx",
        "ALTER TABLE f_data RENAME TO g",
        "ALTER TABLE f_data ADD COLUMN a REFERENCES t (id) ON DELETE CASCADE",
        "CREATE INDEX i ON f_data (block)",
        "CREATE TRIGGER i AFTER INSERT ON f_data BEGIN SELECT 1; END",
        "WITH c AS (SELECT * FROM f) INSERT INTO f_data SELECT 1, text FROM c",
    ],
)
def test_the_tables_of_full_text_search_are_its_own(sql: str) -> None:
    database = D1Database(None)
    database.run([(sql, ()) for sql in FTS5])
    database.run([("CREATE TABLE user_data AS SELECT 1 AS a", ())])
    before = database.run([("SELECT * FROM f_data", ())])[0][1]
    assert said(database, sql) is not None
    with pytest.raises(ServiceFault, match=r"authoriz|shadow|may not be"):
        database.run([("INSERT INTO t VALUES (3, 'a quick hare')", ()), (sql, ())])
    assert database.run([("SELECT * FROM f_data", ())])[0][1] == before
    assert database.run([("SELECT a FROM user_data", ())])[0][1] == [(1,)]


@pytest.mark.parametrize("name", ['"a""b{}"', '[a"b{}]', '`a"b{}`', "[\u03a3{}]"])
def test_nor_are_they_under_names_that_need_quotes(name: str) -> None:
    database = D1Database(None)
    make = f"CREATE VIRTUAL TABLE {name.format('')} USING fts5(a)"
    database.run([(make, ()), (f"INSERT INTO {name.format('')} VALUES ('a fox')", ())])
    with pytest.raises(ServiceFault, match=r"authoriz|shadow|may not be"):
        database.run(
            [
                (f"INSERT INTO {name.format('')} VALUES ('a dog')", ()),
                (f"DELETE FROM {name.format('_DATA')}", ()),
            ]
        )


def test_no_trigger_writes_to_the_tables_of_full_text_search() -> None:
    database = D1Database(None)
    database.run([(sql, ()) for sql in (*FTS5, "CREATE TABLE u (a)")])
    before = database.run([("SELECT * FROM f_data", ())])[0][1]
    made = said(database, "CREATE TRIGGER r AFTER INSERT ON u BEGIN DELETE FROM f_data; END")
    # SQLite refuses the one or the other, by its version.
    assert said(database, "INSERT INTO u VALUES (1)") is not None or made is not None
    assert database.run([("SELECT * FROM f_data", ())])[0][1] == before


def test_statistics_that_sqlite_believes_are_its_own() -> None:
    database = D1Database(None)
    database.run([("CREATE TABLE t (a PRIMARY KEY)", ()), ("INSERT INTO t VALUES (1)", ())])
    assert said(database, "ANALYZE") is None
    assert said(database, "UPDATE sqlite_stat1 SET stat = '9 9'") is None
    assert said(database, "INSERT INTO sqlite_stat4 VALUES (1, 2, 3, 4, 5, x'ff')") is not None
