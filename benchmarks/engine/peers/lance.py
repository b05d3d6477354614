"""LanceDB."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.data import metadata
from benchmarks.engine.peers.peer import Peer
from benchmarks.vectors import Rows


class Lance(Peer):
    """Without an approximate index; its fragments are merged after writing, as it advises."""

    name, package = "LanceDB", "lancedb"

    def open(self, directory: Path) -> None:
        self._db: Any = importlib.import_module("lancedb").connect(str(directory / "db"))
        self._table: Any = None if self.is_new else self._db.open_table("docs")

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        records = [
            {"id": f"id{n}", "vector": row, **metadata(n)}
            for n, row in zip(numbers, rows, strict=True)
        ]
        if self._table is None:
            self._table = self._db.create_table("docs", records)
        elif len(numbers) == 1:
            merge = self._table.merge_insert("id")
            merge.when_matched_update_all().when_not_matched_insert_all().execute(records)
        else:
            self._table.add(records)

    def finish(self) -> None:
        self._table.optimize()
        super().finish()

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        search = self._table.search(query).distance_type("cosine")
        if wanted is not None:
            clause = " AND ".join(f"{name} = {value}" for name, value in wanted.items())
            search = search.where(clause, prefilter=True)
        return [row["id"] for row in search.select(["id", "_distance"]).limit(k).to_list()]

    def close(self) -> None:
        self._table.optimize()
