"""Commits survive a loss of power, but for those that need not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from vectorize_core.sqlite.file import SqliteFile

NORMAL, FULL = 1, 2


def test_only_commits_that_need_not_be_synced_are_not(tmp_path: Path) -> None:
    found = []
    with closing(SqliteFile(str(tmp_path / "file"), "the file", lambda *_: None)) as file:
        for synced in (True, False, False, True):
            with file.writing(synced=synced) as tx:
                found += tx.execute("PRAGMA synchronous").fetchone()
    assert found == [FULL, NORMAL, NORMAL, FULL]
