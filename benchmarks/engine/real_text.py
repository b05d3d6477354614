"""Exact search of embeddings of real text, which the reader brings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.engine.bounds import NUMPY, nearest, numpy_scan
from benchmarks.engine.data import INDEX, in_batches, turning
from benchmarks.engine.results import Results
from benchmarks.engine.rounds import Rounds
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector

_HELD_OUT = 500


def measure(path: Path, root: Path, results: Results, rounds: int = 51) -> None:
    """Beside numpy; the first rows of the file are the queries."""
    given = np.load(path).astype(np.float32)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    queries, rows = given[:_HELD_OUT], np.ascontiguousarray(given[_HELD_OUT:])
    directory = root / "real"
    shutil.rmtree(directory, ignore_errors=True)
    service = Service(directory)
    service.create_index(INDEX, IndexConfig(rows.shape[1]))
    for start, some in in_batches(rows):
        service.upsert(INDEX, [Vector(f"id{start + i}", row) for i, row in enumerate(some)])
    found = [service.query(INDEX, vector=query, top_k=10).matches for query in queries[:50]]
    best = nearest(rows, queries[:50], 10)
    hits = sum(len({m.id for m in ours} & them) for ours, them in zip(found, best, strict=True))
    asked = turning(queries)
    turns = Rounds(f"{len(rows):,} x {rows.shape[1]} real embeddings, k = 10")
    turns.add(NUMPY, lambda: numpy_scan(rows, next(asked), 10))
    turns.add("ours", lambda: service.query(INDEX, vector=next(asked), top_k=10), hits / 500)
    turns.run(rounds)
    results.rounds["real"] = turns.timings()
    results.put("real", turns.ratio("ours"), f"{len(rows):,} x {rows.shape[1]}")
    service.close()
