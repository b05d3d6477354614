"""What bounds statements is read of the schema once, and never of one that was undone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vectorize_core.local import ServiceFault
from vectorize_core.local.d1 import database as module
from vectorize_core.local.d1.database import D1Database

HEAVY = "CREATE TABLE s (a, b, CHECK (json_patch(a, b) <> 1))"


def run(database: D1Database, *statements: str) -> Any:
    return database.run([(sql, ()) for sql in statements])


def test_it_is_not_read_for_each_statement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = D1Database(str(tmp_path / "d1.sqlite3"))
    run(database, "CREATE TABLE t (a)", "CREATE TABLE u (a)")
    read, one = Counter[str](), module._heavy_definitions

    def counted(connection: Any) -> Any:
        read["schema"] += 1
        return one(connection)

    monkeypatch.setattr(module, "_heavy_definitions", counted)
    for number in range(20):
        run(database, f"INSERT INTO t VALUES ({number})", "SELECT a FROM t")
    assert read["schema"] == 1
    database.close()
    run(database, "SELECT a FROM t")
    assert read["schema"] == 2
    database.close()


def test_one_that_was_undone_bounds_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "d1.sqlite3")
    database, other = D1Database(path), D1Database(path)
    run(database, "CREATE TABLE t (a)")
    run(database, "SELECT a FROM t")
    with pytest.raises(ServiceFault, match="no such table"):
        run(database, "CREATE TABLE s (a)", "SELECT a FROM s", "SELECT a FROM missing")
    # SQLite gives the number of what was undone to this.
    run(other, HEAVY)
    run(database, "SELECT a FROM s")
    assert database._schema is not None
    assert database._schema.heavy == (HEAVY,)
    for each in (database, other):
        each.close()


def test_what_another_process_makes_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "d1.sqlite3")
    database, other = D1Database(path), D1Database(path)
    run(database, "CREATE TABLE t (a)")
    run(database, "SELECT a FROM t")
    run(other, HEAVY, "CREATE VIRTUAL TABLE f USING fts5 (text)")
    with pytest.raises(ServiceFault):
        run(database, "DELETE FROM f_data")
    assert database._schema is not None
    assert database._schema.virtual == {"f"}
    assert database._schema.heavy == (HEAVY,)
    for each in (database, other):
        each.close()
