"""A child process that carries out random SQL: the program, and the grammar.

``python -m tests.core.local.d1.hostile SEED COUNT direct|http`` writes a line of JSON before each
statement and one after it, so that the last line names the statement that ended the process.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from vectorize_core.local.d1 import database as module
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import BackgroundServer

WORKERD = json.loads(Path(__file__).with_name("workerd.json").read_text())
ACCEPTED = frozenset(WORKERD["functions"]["accepted"].split())
STATEMENTS_PER_DATABASE = 40
SECONDS = 0.25
"""Of a request here, instead of thirty."""

SETUP = [
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB)",
    "INSERT INTO t VALUES (1, 'one', x'00ff'), (2, NULL, zeroblob(9)), (3, 'é', randomblob(3))",
    "CREATE VIRTUAL TABLE f USING fts5(b, c)",
    "INSERT INTO f VALUES ('a quick fox', 'x'), ('lazy', 'a dog')",
    "CREATE VIEW v AS SELECT a, b FROM t",
]
_TEXTS = [
    *("''", "'x'", "'%s%n%d'", "'$.a[#-1]'", "'{\"a\":[1,{}]}'", "'now'", "'main'", "'t'", "'f'"),
    *(
        "'fts5'",
        "'[1,2'",
        "'%d-%m'",
        "'a' || char(0) || 'b'",
        "'x' COLLATE nocase",
        "'/etc/passwd'",
    ),
]
_VALUES = [
    *("NULL", "0", "1", "-1", "2147483648", "9223372036854775807", "-9223372036854775808", "1e308"),
    *("-0.0", "9e999", "0.5", "x''", "x'0000000000000000'", "x'deadbeefdeadbeef'", "TRUE", *_TEXTS),
    *(
        "zeroblob(1000)",
        "zeroblob(2200000)",
        "zeroblob(1e18)",
        "randomblob(100)",
        "hex(zeroblob(9))",
    ),
    *("hex(zeroblob(1100000))", "CURRENT_TIMESTAMP", "(SELECT 1)", "(SELECT b FROM t LIMIT 1)"),
    *(
        "replace(hex(zeroblob(2000)), '0', '[')",
        "replace(hex(zeroblob(9999)), '0', '%')",
        '"quoted"',
    ),
]
_PARAMS: list[Any] = [
    *(
        None,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        1.5,
        float("inf"),
        "",
        "x",
        "a\0b",
        "é\U0001f600",
        "f",
        "t",
    ),
    *(b"", b"\0" * 8, b"\x10\x20\x30\x40\x50\x60\x70\x01", b"\xff" * 8, "x" * 10_000, True),
]
_PARAM = re.compile("\1([0-9]+)\1")
"""Where one of them stands, until the statement is whole."""
_COLUMNS = [*"aaabbbccc", "rowid", "t.a", "f", "rank", "oid", "t", "v.b", "nobody", "*"]
_TABLES = [
    "t",
    "f",
    "v",
    "t, f",
    "t JOIN f",
    "f_data",
    "f_config",
    "sqlite_master",
    "v NATURAL JOIN t",
]
_OTHERS = [
    *("ATTACH 'x' AS y", "DETACH main", "VACUUM", "VACUUM INTO 'x'", "BEGIN", "COMMIT", "END"),
    *("ROLLBACK", "SAVEPOINT s", "RELEASE s", "ANALYZE", "REINDEX", "REINDEX t", "ANALYZE t"),
    *("INSERT INTO f (f) VALUES ('optimize')", "INSERT INTO f (f) VALUES ('rebuild')"),
    *("INSERT INTO f (f) VALUES ('integrity-check')", "INSERT INTO f (f) VALUES ('delete-all')"),
    *("INSERT INTO f (f, rank) VALUES ('{}', {})", "DELETE FROM f_data", "DELETE FROM f_idx"),
    *("UPDATE f_data SET block = {1}", "DELETE FROM sqlite_master", "DELETE FROM sqlite_sequence"),
    *(
        "DROP TABLE t",
        "DROP VIEW v",
        "DROP TABLE f",
        "ALTER TABLE t RENAME TO u",
        "DROP TABLE f_data",
    ),
    *("ALTER TABLE t RENAME COLUMN b TO d", "ALTER TABLE t DROP COLUMN c", "SELECT * FROM _cf_KV"),
    *(
        "ALTER TABLE t ADD COLUMN e DEFAULT {1}",
        "ALTER TABLE f RENAME TO g",
        "EXPLAIN ATTACH 'x' AS y",
    ),
    *("CREATE TEMP TABLE x (a)", "CREATE TABLE _cf_x (a)", "CREATE TABLE temp.x (a)"),
    *("UPDATE sqlite_stat1 SET stat = {1}", "INSERT INTO sqlite_stat1 VALUES ('t', NULL, {1})"),
]


def _names(what: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        return [name for (name,) in connection.execute(f"SELECT DISTINCT name FROM {what}")]


class Grammar:
    """Random statements; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counts: dict[str, list[int]] = {}
        with closing(sqlite3.connect(":memory:")) as connection:
            for name, count in connection.execute("SELECT name, narg FROM pragma_function_list"):
                self.counts.setdefault(name, []).append(count)
        self.accepted = sorted(ACCEPTED & self.counts.keys())
        recorded = WORKERD["functions"]["refused"].split()
        self.functions = sorted({*self.counts, *ACCEPTED, *recorded})
        self.modules = sorted(
            {*_names("pragma_module_list"), "fts5", "fts5vocab", "fts3", "dbstat"}
        )
        self.pragmas = sorted({*_names("pragma_pragma_list"), *WORKERD["pragmas"]["asked"].split()})

    def statement(self) -> tuple[str, list[Any]]:
        """SQL and its parameters."""
        pick = self.random.random()
        if pick < 0.62:
            sql = self._select()
        elif pick < 0.70:
            sql = self._pragma()
        elif pick < 0.76:
            sql = self._virtual()
        elif pick < 0.84:
            sql = self._change()
        elif pick < 0.90:
            sql = self._definition()
        else:
            option = self._one("pgsz", "hashsize", "automerge", "rank", "crisismerge", "usermerge")
            sql = self._one(*_OTHERS).format(option, self._value())
        if self.random.random() < 0.05:
            sql = self._broken(sql)
        if self.random.random() < 0.03:
            sql = self._one("EXPLAIN ", "EXPLAIN QUERY PLAN ") + sql
        params = [_PARAMS[int(number)] for number in _PARAM.findall(sql)]
        return _PARAM.sub("?", sql), params

    def _one(self, *choices: str) -> str:
        return self.random.choice(choices)

    def _value(self, depth: int = 0) -> str:
        pick = self.random.random()
        if pick < 0.15:
            return f"\1{self.random.randrange(len(_PARAMS))}\1"
        if pick < 0.25:
            return self._one(*_COLUMNS)
        if pick < 0.5 and depth < 3:
            return self._call(depth + 1)
        if pick < 0.6 and depth < 3:
            operator = self._one(
                "||", "+", "/", "%", "<<", "=", "IS", "LIKE", "GLOB", "->", "MATCH", "IN"
            )
            left, right = self._value(depth + 1), self._value(depth + 1)
            return f"({left} {operator} {f'({right})' if operator == 'IN' else right})"
        return self._one(*_VALUES)

    def _call(self, depth: int = 0) -> str:
        known = self.random.random() < 0.8
        name = self._one(*(self.accepted if known else self.functions))
        count = self.random.choice(self.counts.get(name, [1, 2]))
        if count < 0 or self.random.random() < 0.1:
            count = self.random.choice([0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 9, 31, 100])
        arguments = ", ".join(self._value(depth if count < 9 else 3) for _ in range(count))
        quoted = name if name.isidentifier() and self.random.random() < 0.8 else f'"{name}"'
        if self.random.random() < 0.85:
            return f"{quoted}({arguments})"
        distinct = self._one("", "DISTINCT ")
        over = ("", " OVER ()", " OVER (ORDER BY a ROWS 1 PRECEDING)", " FILTER (WHERE a)")
        return f"{quoted}({distinct}{arguments}){self._one(*over)}"

    def _select(self) -> str:
        what = ", ".join(self._value() for _ in range(self.random.choice([1, 1, 2])))
        if self.random.random() < 0.5:
            return f"SELECT {self._call()}, {what} FROM {self._one(*_TABLES)}"
        where = self._one("", f"WHERE {self._value()}", f"GROUP BY {self._value()}", "LIMIT 2")
        source = self._one(
            *_TABLES, f"json_each({self._value()})", f"json_tree({self._value()})", "c"
        )
        rows = self._one("LIMIT 50", "LIMIT 100000", "WHERE x < 20", "")
        numbers = f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c {rows}) "
        return f"{numbers if source == 'c' else ''}SELECT {what} FROM {source} {where}"

    def _pragma(self) -> str:
        form = self._one(*WORKERD["pragmas"]["forms"], "PRAGMA {}={{}}", "PRAGMA {}({{}})")
        return form.format(self._one(*self.pragmas)).format(self._one(*_VALUES))

    def _virtual(self) -> str:
        module = self._one(*self.modules)
        if self.random.random() < 0.5:
            arguments = ", ".join(self._value() for _ in range(self.random.randrange(3)))
            return f"SELECT {self._one('*', 'count(*)', '1')} FROM {module}({arguments})"
        options = (
            *(
                "a",
                "b UNINDEXED",
                "content='t'",
                "content='x'",
                "content='f'",
                "content=''",
                "tokenize=x",
            ),
            *(
                "tokenize='porter ascii'",
                "tokenize='trigram'",
                "prefix='2 3'",
                "detail=none",
                "'f'",
                "row",
            ),
            *(
                "instance",
                "columnsize=0",
                "content='sqlite_master'",
                "content_rowid=b",
                '"f"',
                "col",
            ),
        )
        chosen = ", ".join(self._one(*options) for _ in range(self.random.randint(1, 3)))
        name = self._one("x", "y", "t", "_cf_x", "f_x")
        return f"CREATE VIRTUAL TABLE {name} USING {module}({chosen})"

    def _change(self) -> str:
        a, b = self._value(), self._value()
        return self._one(
            f"INSERT INTO t VALUES (NULL, {a}, {b}) RETURNING {self._one('*', 'a')}",
            f"INSERT OR REPLACE INTO t (a, b) SELECT {a}, {b} FROM t",
            f"UPDATE t SET b = {a} WHERE {b}",
            f"DELETE FROM t WHERE {a} = {b}",
            f"INSERT INTO f VALUES ({a}, {b})",
            f"UPDATE f SET b = {a} WHERE rowid = {b}",
            f"INSERT INTO t (b) VALUES ({a}) ON CONFLICT (a) DO UPDATE SET c = {b}",
        )

    def _definition(self) -> str:
        # Nothing is bound in a definition.
        value = _PARAM.sub("1", self._value())
        name = self._one("x", "y", "z")
        return self._one(
            f"CREATE TABLE {name} (a, b AS ({value}))",
            f"CREATE TABLE {name} (a CHECK ({value}), b DEFAULT ({value}))",
            f"CREATE TABLE {name} AS SELECT {value} AS a",
            f"CREATE INDEX i{name} ON t ({value})",
            f"CREATE VIEW {name} AS SELECT {value}",
            f"CREATE TRIGGER r{name} AFTER INSERT ON t BEGIN SELECT {value}; END",
            f"SELECT * FROM {name}",
            f"DROP TABLE {name}",
        )

    def _broken(self, sql: str) -> str:
        at, length = self.random.randrange(len(sql)), self.random.randrange(9)
        return sql[:at] + self._one("", "'", ";", "\0", "((", "/*", sql) + sql[at + length :]


class Direct:
    """Carries statements out in databases of this process."""

    def __init__(self) -> None:
        self._database = D1Database(None)

    def anew(self) -> None:
        """Begin with an empty database."""
        self._database = D1Database(None)

    def answer(self, sql: str, params: list[Any]) -> str:
        """The text of a refusal, or "accepted"."""
        try:
            self._database.run([(sql, params)], bound_memory=True)
        except ServiceFault as fault:
            return fault.message
        return "accepted"


class OverHttp:
    """Sends statements to a server in this process."""

    def __init__(self) -> None:
        self._server = BackgroundServer().start()
        self._http = httpx.Client(trust_env=False, timeout=60)
        self._number = 0

    def anew(self) -> None:
        """Begin with an empty database."""
        self._number += 1

    def answer(self, sql: str, params: list[Any]) -> str:
        """The text of a refusal, or "accepted"."""
        how = ("query", "raw")[len(sql) % 2]
        answer = self._http.post(
            f"{self._server.base_url}/accounts/fuzz/d1/database/d{self._number}/{how}",
            json={
                "sql": sql,
                "params": [None if isinstance(p, bytes) else _as_json(p) for p in params],
            },
        )
        if answer.is_success:
            return "accepted"
        return f"{answer.status_code} {answer.json()['errors'][0]['message']}"


def main(seed: int, count: int, way: str) -> None:
    module.MAX_SECONDS = SECONDS
    grammar = Grammar(seed)
    databases = OverHttp() if way == "http" else Direct()
    databases.answer("SELECT 1", [])
    idle = _memory()
    for number in range(count):
        if number % STATEMENTS_PER_DATABASE == 0:
            databases.anew()
            for sql in SETUP:
                assert databases.answer(sql, []) == "accepted"
            _say(new=True)
        sql, params = grammar.statement()
        _say(sql=sql, params=[_as_json(value) for value in params])
        started = time.process_time()
        answer = databases.answer(sql, params)
        _say(answer=answer[:300], seconds=time.process_time() - started)
    _say(megabytes=(_memory() - idle) / 1_000)


def _as_json(value: Any) -> Any:
    """A parameter as JSON, which is sent to workerd."""
    if isinstance(value, bytes):
        return list(value)
    return None if value == float("inf") else value


def _memory() -> int:
    """The most that this process ever had in memory, in kilobytes; not known on Windows."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
        1_000 if sys.platform == "darwin" else 1
    )


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    # Without waiting for what a server still has open.
    os._exit(0)
