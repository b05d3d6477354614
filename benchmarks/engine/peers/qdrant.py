"""Qdrant, without a server."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.data import metadata
from benchmarks.engine.peers.peer import Peer
from benchmarks.vectors import Rows


class Qdrant(Peer):
    """The Python client's local mode, which keeps all in memory and SQLite."""

    name, package = "Qdrant local", "qdrant_client"

    def open(self, directory: Path) -> None:
        # It advises against more than 20,000 points, which is what is measured here.
        warnings.filterwarnings("ignore", "Local mode is not recommended")
        library = importlib.import_module("qdrant_client")
        self._models: Any = library.models
        self._client: Any = library.QdrantClient(path=str(directory / "db"))
        if self.is_new:
            distance = self._models.Distance.COSINE
            vectors = self._models.VectorParams(size=self.dimensions, distance=distance)
            self._client.create_collection("docs", vectors_config=vectors)
            # It commits every point by itself, so 100,000 of them would take hours to load.
            self._synchronous("OFF")

    def finish(self) -> None:
        self._synchronous("FULL")
        super().finish()

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        points = [
            self._models.PointStruct(id=n, vector=row.tolist(), payload=metadata(n))
            for n, row in zip(numbers, rows, strict=True)
        ]
        self._client.upsert("docs", points)

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        models, chosen = self._models, None
        if wanted is not None:
            chosen = models.Filter(
                must=[
                    models.FieldCondition(key=name, match=models.MatchValue(value=value))
                    for name, value in wanted.items()
                ]
            )
        found = self._client.query_points("docs", query=query, limit=k, query_filter=chosen)
        return [f"id{point.id}" for point in found.points]

    def close(self) -> None:
        self._client.close()

    def _synchronous(self, mode: str) -> None:
        local = self._client._client  # noqa: SLF001 (there is no other way to its database)
        local.collections["docs"].storage.storage.execute(f"PRAGMA synchronous = {mode}")
