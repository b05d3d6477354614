"""A process that opens an index and asks it; prints as JSON what that took.

python -m benchmarks.engine.first_answer DIRECTORY QUERIES.npy
"""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.engine.data import FILTERS, INDEX
from benchmarks.engine.page_cache import read_from_disk
from benchmarks.vectors import Rows
from vectorize_core.local import Service


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """Seconds since the start, bytes from the disk, and bytes of this process's own memory."""

    opened: float
    answered: float
    read: int
    held: int
    held_with_filter: int


def first_answer(directory: Path, queries: Rows) -> FirstAnswer:
    """Open the index and ask it, first without a filter."""
    gc.collect()
    memory, read, start = _private(), read_from_disk(), time.perf_counter()
    service = Service(directory)
    service.index_info(INDEX)
    opened = time.perf_counter() - start
    service.query(INDEX, vector=queries[0], top_k=10)
    answered, read = time.perf_counter() - start, read_from_disk() - read
    for query in queries[1:]:
        service.query(INDEX, vector=query, top_k=10)
    held = _private() - memory
    # More than once, for building a column leaves something behind that the next query frees.
    for query in queries:
        service.query(INDEX, vector=query, top_k=10, filter=FILTERS["percent"])
    done = FirstAnswer(opened, answered, read, held, _private() - memory)
    service.close()
    return done


def _private() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024


if __name__ == "__main__":
    # Made elsewhere: what making them leaves behind would be taken for memory that is reused.
    print(json.dumps(asdict(first_answer(Path(sys.argv[1]), np.load(sys.argv[2])))))
