"""The functions that stand in for SQLite's own: the same values, in time that ends."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.local.d1 import database as module
from vectorize_core.local.d1 import formatting, text_functions
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.faults import ServiceFault

VALUES = st.sampled_from(
    [
        *("", "abc", "é€😀", "a\0b", "\0", "aaa", "  x ", "12ab", " aXXa ", "0", "%d", "4a4B z41"),
        *(b"ab", b"a\x00", None, 0, 1, -5, 2**62, 1.5, 1e20, -0.0, 1e-7),
    ]
)
FUNCTIONS = {"instr": 2, "replace": 3, "trim": 2, "ltrim": 2, "rtrim": 2}
if sqlite3.sqlite_version_info >= (3, 41):
    FUNCTIONS["unhex"] = 2
DIRECTIVES = st.lists(
    st.sampled_from(
        [*"%dsxfcqQwgeXz é", "%%", "%s", "%-5d", "%+.3f", "%,d", "%*d", "%.*f", "%05d", "%!.9g"]
    ),
    max_size=9,
).map("".join)


def answer(sql: str, params: list[Any], *, ours: bool) -> Any:
    with closing(sqlite3.connect(":memory:")) as connection:
        if ours:
            text_functions.install(connection)
            formatting.install(connection)
        return connection.execute(sql, params).fetchone()


@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(VALUES, min_size=3, max_size=3))
@examples(150)
def test_they_find_what_sqlite_finds(name: str, values: list[Any]) -> None:
    params = values[: FUNCTIONS[name]]
    sql = f"SELECT f, typeof(f) FROM (SELECT {name}({', '.join('?' * len(params))}) AS f)"
    assert answer(sql, params, ours=True) == answer(sql, params, ours=False)


@given(DIRECTIVES, st.lists(VALUES, max_size=5))
@examples(150)
def test_printf_prints_what_sqlite_prints(text: str, values: list[Any]) -> None:
    sql = f"SELECT printf({', '.join('?' * (len(values) + 1))})"
    assert answer(sql, [text, *values], ours=True) == answer(sql, [text, *values], ours=False)


A = "replace(hex(zeroblob(1000000)), '0', 'a')"
A_THEN_B = "replace(hex(zeroblob(500000)), '0', 'a') || 'b'"
KEYS = "(SELECT '{{' || group_concat('\"{}' || x || '\":1') || '}}' FROM n)"
LONG = {
    "instr": f"instr({A}, {A_THEN_B})",
    "replace": f"replace({A}, {A_THEN_B}, '')",
    "replace that grows": f"replace({A}, 'a', {A})",
    "trim": f"trim({A}, replace(hex(zeroblob(900000)), '0', 'b') || 'a')",
    "ltrim": f"ltrim({A}, replace(hex(zeroblob(900000)), '0', 'b') || 'a')",
    "rtrim": f"rtrim({A}, replace(hex(zeroblob(900000)), '0', 'b') || 'a')",
    "unhex": f"unhex({A}, replace(hex(zeroblob(900000)), '0', 'b') || 'a')",
    "like": f"{A} LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b'",
    "glob": f"{A} GLOB '*a*a*?a*[ab]*a*a*a*a*a*a*a*a*b'",
    "json_patch": f"json_patch({KEYS.format('')}, {KEYS.format('x')})",
    "printf of a character": "printf('%.*c', 2000000000, 'x')",
    "printf of a text for a number": "printf('%*.*c', '2000000000', x'32303030303030303030', 'x')",
    "printf of a large number": "printf('%.*c', 1e9, 'x')",
    "format with a number": "format('%.2000000000c', 'x')",
    "format of many": "format(replace(hex(zeroblob(5000)), '0', '%.99999c'), 'x')",
    "printf of digits": "printf('%2000000000d %.2000000000f', 1, 1e300)",
}


NUMBERS = "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n LIMIT 30000) "
COUNTED = NUMBERS + "SELECT sum({}) FROM n, t"


@pytest.mark.parametrize("expression", LONG.values(), ids=LONG)
def test_none_takes_longer_than_a_moment(expression: str) -> None:
    numbers = "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n LIMIT 150000) "
    started = time.thread_time()
    with suppress(ServiceFault):
        D1Database(None).run([(f"{numbers}SELECT length({expression})", ())])
    assert time.thread_time() - started < 5


CHAIN = "'$' || replace(hex(zeroblob(1000000)), '00', '{}')"
TWO = [f"'{{' || group_concat('\"{key}' || x || '\":1') || '}}'" for key in ("", "x")]
FILL = f"{NUMBERS}INSERT INTO s SELECT {TWO[0]}, {TWO[1]} FROM n"
LIKE = "a LIKE '%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{}'"
MANY: dict[str, list[str]] = {
    **{
        f"{name} with a long path": [f"SELECT length({name}('{{}}', {CHAIN.format(step)}, 1))"]
        for name in ("json_set", "json_insert", "jsonb_set", "jsonb_insert")
        for step in (".a", "[0]")
    },
    "a column that is made": ["CREATE TABLE s (a, b, c AS (json_patch(a, b)) STORED)", FILL],
    "a condition": ['CREATE TABLE s (a, b, CHECK ("JSON_PATCH"(a, b) <> 1))', FILL],
    "an index": ["CREATE TABLE s (a, b)", "CREATE INDEX i ON s (json_patch(a, b))", FILL],
    "a trigger": [
        "CREATE TABLE s (a, b)",
        "CREATE TRIGGER r AFTER INSERT ON s BEGIN SELECT json_patch(new.a, new.b); END",
        FILL,
    ],
    "a view": [
        "CREATE TABLE s (a, b)",
        "CREATE VIEW v AS SELECT json_patch(a, b) AS c FROM s",
        FILL,
        "SELECT length(c) FROM v",
    ],
    "calls in rows": [f"CREATE TABLE t AS SELECT {A} AS a", COUNTED.format(LIKE.format("'||x||'"))],
    "calls in a row": [
        f"CREATE TABLE t AS SELECT {A} AS a",
        f"SELECT {', '.join(LIKE.format(number % 100) for number in range(100))} FROM t",
    ],
    "a format": ["SELECT printf(replace(hex(zeroblob(500000)), '00', '%!g'), 1e300)"],
    "a snippet": [
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        f"INSERT INTO f SELECT replace({A}, 'aa', 'a ')",
        "SELECT snippet(f, 0, '', '', '', 9) FROM f WHERE f MATCH 'a'",
    ],
}


@pytest.mark.parametrize("statements", MANY.values(), ids=MANY)
def test_no_request_holds_a_processor_beyond_its_time(
    statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.5)
    started = time.thread_time()
    with suppress(ServiceFault):
        D1Database(None).run([(sql, ()) for sql in statements])
    assert time.thread_time() - started < 5


def test_an_error_of_a_length_says_why() -> None:
    with pytest.raises(ServiceFault, match="too big: with these functions at most 40000 bytes"):
        D1Database(None).run([("SELECT json_set('{}', '$.a', hex(zeroblob(30000)))", ())])


def test_heavy_functions_are_bounded_only_in_their_statements() -> None:
    results = D1Database(None).run(
        [
            ("CREATE TABLE t (a TEXT CHECK (length(trim(a)) > 0 AND a NOT LIKE 'x%'))", ()),
            ("SELECT json_set('{}', '$.a', 1), json_patch('{}', '{}')", ()),
            (f"INSERT INTO t SELECT {A} RETURNING length(a)", ()),
        ]
    )
    assert results[2][1] == [(2_000_000,)]
