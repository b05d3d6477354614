"""sqlite-vec."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.data import PROPERTIES, metadata
from benchmarks.engine.peers.peer import Peer
from benchmarks.vectors import Rows


class SqliteVec(Peer):
    """A vec0 table with metadata columns, by apsw: not every Python's sqlite3 loads extensions."""

    name, package = "sqlite-vec", "sqlite_vec"

    def open(self, directory: Path) -> None:
        self._db: Any = importlib.import_module("apsw").Connection(str(directory / "db"))
        self._db.enable_load_extension(True)
        self._db.load_extension(importlib.import_module("sqlite_vec").loadable_path())
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS v USING vec0("
            f"e float[{self.dimensions}] distance_metric=cosine, "
            "half integer, percent integer, mille integer, +text text)"
        )

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        with self._db:
            for n, row in zip(numbers, rows, strict=True):
                more = metadata(n)
                self._db.execute("DELETE FROM v WHERE rowid = ?", (n,))
                self._db.execute(
                    "INSERT INTO v (rowid, e, half, percent, mille, text) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (n, row.tobytes(), *(more[name] for name in PROPERTIES), json.dumps(more)),
                )

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        clause, values = "", []
        if wanted is not None:
            clause = "".join(f" AND {name} = ?" for name in wanted)
            values = list(wanted.values())
        rows = self._db.execute(
            f"SELECT rowid FROM v WHERE e MATCH ? AND k = ?{clause}",
            (query.tobytes(), k, *values),
        )
        return [f"id{n}" for (n,) in rows]

    def close(self) -> None:
        self._db.close()
