"""Splitting SQL into statements: as SQLite itself tells whole ones, and in one pass."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.local.d1.splitting import split

_NO_STATEMENT = re.compile(r"(?:[; \t\n\f\r]|--[^\n]*+|(?>/\*.*?(?:\*/|\Z)))*+", re.DOTALL)


def split_slowly(sql: str) -> list[str]:
    """What SQLite calls complete, found by asking it at each semicolon."""
    parts, start = [], 0
    for at, character in enumerate(sql):
        if character == ";" and sqlite3.complete_statement(sql[start : at + 1]):
            parts.append(sql[start : at + 1])
            start = at + 1
    return [part.strip("; \t\n\f\r") for part in [*parts, sql[start:]]]


def statements(parts: list[str]) -> list[str]:
    return [part for part in parts if not _NO_STATEMENT.fullmatch(part)]


PIECES = [
    *("'", '"', "`", "[", "]", "--", "/*", "*/", ";", ";", ";", "\n", " ", "\t", "-", "/", "*"),
    *("a", "é", "$", "_", "1", "(", ",", "\x0b", "''", "\U0001f600"),
    *("CREATE ", "create", " TRIGGER ", "TEMP ", "temporary ", " END", "END;", "; END", "EXPLAIN "),
    *("QUERY PLAN ", "BEGIN ", "CASE WHEN 1 THEN 2 END", "SELECT 1", "/* ; */", "-- ;\n", "';'"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; END; SELECT 2")
@example("EXPLAIN QUERY PLAN CREATE TEMP TRIGGER a BEGIN SELECT 1; ; /* */ END ; x")
@example("SELECT 'a;b' ; SELECT [a;b] ; SELECT `;` /* ; ")
@examples(150)
def test_statements_end_where_sqlite_says(sql: str) -> None:
    found = [part.strip("; \t\n\f\r") for part in split(sql)]
    assert found == statements(split_slowly(sql))


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "'",
            '"',
            "`",
            "[",
            "[[",
            "]",
            "/*",
            "/*/",
            "/**",
            "*/",
            "--",
            "--\n",
            "-",
            "/",
            ";",
            "; ",
        ),
        *(" ", "\n", "a", "a ", "a;", "'a;'", "''", "'';", "SELECT 1;", "CREATE TRIGGER ", "; END"),
        *(
            "CREATE TRIGGER a BEGIN SELECT 1; ",
            "CREATE ",
            "EXPLAIN ",
            "\x00",
            "é",
            "\x0b",
            "(;",
            "$",
        ),
        *("INSERT INTO t VALUES ('x;y', 1); ", "BEGIN ", "CASE END; ", "/*;*/", '"', "'\"`["),
    ],
)
@pytest.mark.parametrize("before", ["", "'", "/*", "CREATE TRIGGER a BEGIN "])
def test_any_hundred_kilobytes_are_split_in_a_moment(before: str, piece: str) -> None:
    sql = before + piece * (100_000 // len(piece))
    started = time.thread_time()
    for _ in split(sql):
        pass
    assert time.thread_time() - started < 3


def test_what_holds_no_statement_is_none() -> None:
    assert list(split(" ; -- nothing\n ;; /* not closed ; ")) == []
    assert list(split("SELECT 1; -- the end")) == ["SELECT 1;"]
