"""FAISS."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine.data import PROPERTIES, metadata
from benchmarks.engine.peers.peer import Peer
from benchmarks.vectors import Rows


class Faiss(Peer):
    """IndexFlatIP in memory, with metadata in SQLite; saved to no file."""

    name, package, durable = "FAISS flat", "faiss", False

    def open(self, directory: Path) -> None:
        self._faiss: Any = importlib.import_module("faiss")
        self._index = self._faiss.IndexIDMap2(self._faiss.IndexFlatIP(self.dimensions))
        self._table = sqlite3.connect(":memory:", isolation_level=None)
        self._table.execute("CREATE TABLE m (n INTEGER PRIMARY KEY, half, percent, mille, text)")
        for name in PROPERTIES:
            self._table.execute(f"CREATE INDEX i_{name} ON m ({name})")
        self.is_new = True

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        ids = np.array(numbers, np.int64)
        if len(ids) == 1:
            self._index.remove_ids(ids)
        self._index.add_with_ids(rows, ids)
        self._table.executemany(
            "INSERT OR REPLACE INTO m VALUES (?, ?, ?, ?, ?)",
            [(n, *(metadata(n)[name] for name in (*PROPERTIES, "text"))) for n in numbers],
        )

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        parameters = None
        if wanted is not None:
            ((name, value),) = wanted.items()
            rows = self._table.execute(f"SELECT n FROM m WHERE {name} = ?", (value,))
            chosen = np.array([n for (n,) in rows], np.int64)
            selector = self._faiss.IDSelectorBatch(chosen)
            parameters = self._faiss.SearchParameters(sel=selector)
        _, found = self._index.search(query[np.newaxis], k, params=parameters)
        return [f"id{n}" for n in found[0] if n >= 0]

    def close(self) -> None:
        self._table.close()
