"""Other engines that a laptop may hold vectors in, each as its own documentation shows it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.vectors import Rows

Metadata = Callable[[int], dict[str, Any]]
PROPERTIES = ("half", "percent", "mille")


class Peer:
    """One engine with one collection, in a directory of its own."""

    name: ClassVar[str]
    package: ClassVar[str]
    most: ClassVar[int] = 100_000
    """Vectors up to which it is tried."""

    def __init__(self, directory: Path, dimensions: int) -> None:
        self.dimensions = dimensions
        self.mark = directory / "done"
        self.is_new = not self.mark.exists()
        directory.mkdir(parents=True, exist_ok=True)
        self.open(directory)

    def open(self, directory: Path) -> None:
        raise NotImplementedError

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
        """Add or replace vectors."""
        raise NotImplementedError

    def finish(self) -> None:
        """All vectors of the benchmark are there."""
        self.mark.touch()

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        """The ids of the nearest."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the collection."""


class Faiss(Peer):
    """IndexFlatIP in memory, with metadata in SQLite; saved to no file."""

    name, package = "FAISS flat", "faiss"

    def open(self, directory: Path) -> None:
        faiss = self._faiss = importlib.import_module("faiss")
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(self.dimensions))
        self._table = sqlite3.connect(":memory:", isolation_level=None)
        self._table.execute("CREATE TABLE m (n INTEGER PRIMARY KEY, half, percent, mille, text)")
        for name in PROPERTIES:
            self._table.execute(f"CREATE INDEX i_{name} ON m ({name})")
        self.is_new = True

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
        ids = np.array(list(numbers), np.int64)
        if len(ids) == 1:
            self._index.remove_ids(ids)
        self._index.add_with_ids(rows, ids)
        self._table.executemany(
            "INSERT OR REPLACE INTO m VALUES (?, ?, ?, ?, ?)",
            [
                # Plain numbers: SQLite would keep numpy's as bytes.
                (n, *(metadata(n)[p] for p in (*PROPERTIES, "text")))
                for n in ids.tolist()
            ],
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
        return [f"id{n}" for n in found[0]]


class Chroma(Peer):
    """A persistent client, HNSW by default, cosine."""

    name, package = "Chroma", "chromadb"

    def open(self, directory: Path) -> None:
        settings = importlib.import_module("chromadb.config").Settings(anonymized_telemetry=False)
        client = importlib.import_module("chromadb").PersistentClient(str(directory), settings)
        self._docs: Any = client.get_or_create_collection(
            "docs", metadata={"hnsw:space": "cosine"}, embedding_function=None
        )

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
        numbers = list(numbers)
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


class Qdrant(Peer):
    """The Python client's local mode, which keeps all in memory and SQLite."""

    name, package, most = "Qdrant local", "qdrant_client", 10_000

    def open(self, directory: Path) -> None:
        library = importlib.import_module("qdrant_client")
        models = self._models = library.models
        self._client: Any = library.QdrantClient(path=str(directory / "db"))
        if self.is_new:
            self._client.create_collection(
                "docs",
                vectors_config=models.VectorParams(
                    size=self.dimensions, distance=models.Distance.COSINE
                ),
            )

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
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

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
        with self._db:
            for n, row in zip(numbers, rows, strict=True):
                more = metadata(n)
                self._db.execute("DELETE FROM v WHERE rowid = ?", (n,))
                self._db.execute(
                    "INSERT INTO v (rowid, e, half, percent, mille, text) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (n, row.tobytes(), *(more[p] for p in PROPERTIES), json.dumps(more)),
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


class Lance(Peer):
    """LanceDB without an approximate index."""

    name, package = "LanceDB", "lancedb"

    def open(self, directory: Path) -> None:
        self._db: Any = importlib.import_module("lancedb").connect(str(directory / "db"))
        self._table: Any = None if self.is_new else self._db.open_table("docs")

    def add(self, numbers: Iterable[int], rows: Rows, metadata: Metadata) -> None:
        numbers = list(numbers)
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

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        search = self._table.search(query).distance_type("cosine")
        if wanted is not None:
            clause = " AND ".join(f"{name} = {value}" for name, value in wanted.items())
            search = search.where(clause, prefilter=True)
        return [row["id"] for row in search.select(["id", "_distance"]).limit(k).to_list()]


INSTALLED: list[type[Peer]] = [
    kind
    for kind in (Faiss, Chroma, Qdrant, SqliteVec, Lance)
    if importlib.util.find_spec(kind.package) is not None
]
