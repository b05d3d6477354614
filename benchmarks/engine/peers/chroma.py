"""Chroma."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.data import metadata
from benchmarks.engine.peers.peer import Peer
from benchmarks.vectors import Rows


class Chroma(Peer):
    """A persistent client, HNSW by default, cosine."""

    name, package, exact = "Chroma", "chromadb", False

    def open(self, directory: Path) -> None:
        settings = importlib.import_module("chromadb.config").Settings(anonymized_telemetry=False)
        client = importlib.import_module("chromadb").PersistentClient(str(directory), settings)
        self._docs: Any = client.get_or_create_collection(
            "docs", metadata={"hnsw:space": "cosine"}, embedding_function=None
        )

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        self._docs.upsert(
            ids=[f"id{n}" for n in numbers],
            embeddings=rows,
            metadatas=[metadata(n) for n in numbers],
        )

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        found = self._docs.query(
            query_embeddings=[query], n_results=k, where=wanted, include=["distances"]
        )
        return list(found["ids"][0])
