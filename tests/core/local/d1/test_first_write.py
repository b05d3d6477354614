"""The first write to a database, which is tried on nothing before it makes a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectorize_core.local.d1.database import D1Database

SEEN = [
    "SELECT last_insert_rowid() AS before",
    "SELECT changes(), total_changes()",
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b)",
    "INSERT INTO t (b) VALUES (3), (4)",
    "SELECT last_insert_rowid() AS after",
    "SELECT changes(), total_changes()",
]


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("failed", [0, 2])
def test_no_statement_sees_that_it_was_tried(where: str, failed: int, tmp_path: Path) -> None:
    path = None if where == "memory" else str(tmp_path / "d1" / "texts.sqlite3")
    database = D1Database(path)
    failing = [(sql, ()) for sql in [*SEEN[2:4], "INSERT INTO missing VALUES (1)"]]
    for _ in range(failed):
        with pytest.raises(Exception, match="no such table: missing"):
            database.run(failing)
    results = database.run([(sql, ()) for sql in SEEN])
    assert [rows for _, rows, _ in results] == [[(0,)], [(0, 0)], [], [], [(2,)], [(2, 2)]]
    assert [meta["last_row_id"] for _, _, meta in results] == [0, 0, 0, 2, 2, 2]
    database.close()
