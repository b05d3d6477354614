"""What is searched: rows, queries and metadata; made when they are first needed, and kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine.sizes import Size
from benchmarks.vectors import Clustered, Rows
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector

INDEX = "docs"
BATCH = 1_000
PROPERTIES = ("half", "percent", "mille")
TEXT = (
    "A sentence or two of text, as long as a chunk of a manual that is kept with its vector. " * 2
)
_QUERIES, _QUERY_SEED = 500, 10**6


def metadata(number: int) -> dict[str, Any]:
    """What a vector has: text, and numbers by which a half, a hundredth, a thousandth is chosen."""
    return {"text": TEXT, "half": number % 2, "percent": number % 100, "mille": number % 1000}


FILTERS: dict[str, dict[str, Any] | None] = {
    "unfiltered": None,
    "half": {"half": 1},
    "percent": {"percent": 7},
    "mille": {"mille": 7},
}
"""What queries are filtered by, by name."""


def passes(count: int, wanted: dict[str, Any] | None) -> NDArray[np.bool_]:
    """Which of ``count`` rows a filter lets through, as a mask."""
    numbers, mask = np.arange(count), np.ones(count, np.bool_)
    moduli = {"half": 2, "percent": 100, "mille": 1000}
    for name, value in (wanted or {}).items():
        mask &= numbers % moduli[name] == value
    return mask


def vectors(rows: Rows, start: int = 0) -> list[Vector]:
    """Rows as they are written, with their ids and metadata; the first is number ``start``."""
    return [Vector(f"id{start + i}", row, None, metadata(start + i)) for i, row in enumerate(rows)]


def in_batches(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Rows as they are loaded, with the number of the first of each batch."""
    for start in range(0, len(rows), BATCH):
        yield start, rows[start : start + BATCH]


def turning(rows: Rows) -> Iterator[Any]:
    """One row after the other, for ever."""
    return iter(cycle(rows))


class Corpus:
    """The vectors of one size below a directory: as an array, and in an index of ours."""

    def __init__(self, root: Path, size: Size) -> None:
        self.size = size
        self._root = root
        self._name = f"{size.count}x{size.dimensions}"

    def place(self, name: str) -> Path:
        """The directory in which ``name`` keeps these vectors."""
        return self._root / f"{name}-{self._name}"

    @cached_property
    def rows(self) -> Rows:
        """All vectors, in memory."""
        path = self._root / f"rows-{self._name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            source = Clustered(self.size.dimensions)
            np.save(path, np.concatenate(list(source.batches(self.size.count, BATCH))))
        rows: Rows = np.load(path)
        return rows

    @cached_property
    def queries(self) -> Rows:
        """Vectors like the others that are not among them."""
        return Clustered(self.size.dimensions).rows(_QUERIES, _QUERY_SEED)

    def ours(self) -> Service:
        """An embedded Vectorize with the vectors in it, which the caller closes."""
        directory = self.place("ours")
        mark = directory / "done"
        if mark.exists():
            return Service(directory)
        shutil.rmtree(directory, ignore_errors=True)
        service = Service(directory)
        service.create_index(INDEX, IndexConfig(self.size.dimensions))
        for name in PROPERTIES:
            service.create_metadata_index(INDEX, name, "number")
        for start, rows in in_batches(self.rows):
            service.upsert(INDEX, vectors(rows, start))
        mark.touch()
        return service
