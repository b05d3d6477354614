"""What every peer can be asked for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.vectors import Rows


class Peer:
    """One engine with one collection, in a directory of its own."""

    name: ClassVar[str]
    package: ClassVar[str]
    durable: ClassVar[bool] = True
    """Whether what was written survives the process."""
    exact: ClassVar[bool] = True
    """Whether it finds the nearest, as it is used here."""

    def __init__(self, directory: Path, dimensions: int) -> None:
        self.dimensions = dimensions
        self.mark = directory / "done"
        self.is_new = not self.mark.exists()
        if self.is_new:
            shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        self.open(directory)

    def open(self, directory: Path) -> None:
        """Open the collection, or make it."""
        raise NotImplementedError

    def add(self, numbers: Sequence[int], rows: Rows) -> None:
        """Add or replace vectors, with the metadata of these numbers."""
        raise NotImplementedError

    def finish(self) -> None:
        """All vectors of the benchmark are there."""
        self.mark.touch()

    def query(self, query: Any, k: int, wanted: dict[str, Any] | None) -> Sequence[str]:
        """The ids of the nearest."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the collection."""
