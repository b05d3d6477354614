"""Durable batches beside the least that is durable, and one row upserted beside a bare commit."""

from __future__ import annotations

import json
import shutil
import sqlite3
from itertools import count
from pathlib import Path

from benchmarks.engine.data import BATCH, INDEX, TEXT, Corpus, vectors
from benchmarks.engine.results import Results
from benchmarks.engine.rounds import Rounds
from benchmarks.vectors import Rows
from vectorize_core.local import Service, value_store
from vectorize_core.models import IndexConfig


class Bare:
    """A file of values and a table of SQLite: what any durable store has to write, unchecked."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._values = directory / "values"
        self._db = sqlite3.connect(directory / "db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE v (slot INTEGER PRIMARY KEY, id TEXT UNIQUE, metadata TEXT)")

    def write(self, rows: Rows, described: list[tuple[str, str]]) -> None:
        """Write a batch: the values, synced, and then ids and metadata."""
        with self._values.open("ab", buffering=0) as file:
            file.write(rows.tobytes())
            value_store._sync(file.fileno())  # noqa: SLF001 (the same call on every platform)
        self.commit(described)

    def commit(self, described: list[tuple[str, str]]) -> None:
        """Write ids and metadata alone."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO v (id, metadata) VALUES (?, ?)", described)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


def measure(corpus: Corpus, results: Results, batches: int = 30, rounds: int = 601) -> None:
    """Write the first rows of a corpus into new directories.

    More rows are upserted than the 512 whose values are synced together: the means have that too.
    """
    directory = corpus.place("writing")
    shutil.rmtree(directory, ignore_errors=True)
    service = Service(directory / "ours")
    service.create_index(INDEX, IndexConfig(corpus.size.dimensions))
    bare = Bare(directory / "bare")
    _batches(corpus.rows, service, bare, results, batches)
    _single(corpus.rows[:BATCH], service, bare, results, rounds)
    service.close()
    bare.close()


def _batches(rows: Rows, service: Service, bare: Bare, results: Results, many: int) -> None:
    size = max(1, min(BATCH, len(rows) // many))
    starts = range(0, size * many, size)
    batches = [(rows[n : n + size], vectors(rows[n : n + size], n)) for n in starts]
    described = [[(v.id, json.dumps(v.metadata)) for v in given] for _, given in batches]
    theirs, ours = count(), count()

    def write_bare() -> None:
        number = next(theirs)
        bare.write(batches[number][0], described[number])

    turns = Rounds(f"a durable batch of {size:,}")
    turns.add("bare write, sync, commit", write_bare)
    turns.add("ours", lambda: service.upsert(INDEX, batches[next(ours)][1]))
    turns.run(len(batches) - 1)
    results.rounds["ingest"] = turns.timings()
    results.put("ingest", 1 / turns.ratio("ours"))
    results.put("ingest_rows", size / turns.seconds("ours"))
    results.put("ingest_rows_bare", size / turns.seconds("bare write, sync, commit"))


def _single(rows: Rows, service: Service, bare: Bare, results: Results, rounds: int) -> None:
    ids, given = count(), vectors(rows)
    asked = count()
    turns = Rounds("one row, durable")
    turns.add("bare SQLite commit", lambda: bare.commit([(f"x{next(ids)}", TEXT)]))
    turns.add("ours", lambda: service.upsert(INDEX, [given[next(asked) % len(given)]]))
    turns.run(rounds)
    results.rounds["upsert"] = turns.timings()
    results.put("upsert", turns.ratio("ours"))
    results.put("upsert_mean", turns.ratio_of_means("ours"))
