"""How fast records go out and in again, and in how much memory.

``python -m benchmarks.moving [RECORDS] [ENDING ...]`` exports so many (100,000; before that a tenth
of them) out of a directory, imports them into another, and verifies that: 384 dimensions, with a
text of 300 characters. Each step is a process of its own. Its memory is what it holds itself at
most, apart from the files that are mapped, which the system takes back when it needs room.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.loopback import DIMENSIONS, metadata, text
from benchmarks.memory import sample
from vectorize_core import Vector, VectorizeClient
from vectorize_core.moving import export_records, import_records, verify_records

_BATCH = 5_000
_STEPS = (("export", "from"), ("import", "to"), ("verify", "to"))


def fill(folder: Path, records: int) -> None:
    random = np.random.default_rng(0)
    with VectorizeClient.local(folder) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        for start in range(0, records, _BATCH):
            rows = random.standard_normal((min(_BATCH, records - start), DIMENSIONS), np.float32)
            client.index("docs").upsert(
                [
                    Vector(f"record-{n}", row, None, {**metadata(n), "text": text(n)})
                    for n, row in enumerate(rows, start)
                ]
            )


def step(name: str, folder: str, file: str) -> None:
    """One step, in this process; prints its seconds of work and its memory in MB."""
    most = 0.0

    def look(done: int, total: int | None) -> None:
        nonlocal most
        most = max(most, sample(done).own)

    began = time.process_time()
    with VectorizeClient.local(folder) as client:
        index = client.index("docs")
        if name == "export":
            export_records(index, file, on_progress=look)
        elif name == "import":
            import_records(file, index, on_progress=look)
        else:
            verify_records(file, index)
            look(0, None)
    print(time.process_time() - began, most)


def measure(name: str, folder: Path, file: Path) -> tuple[float, float, float]:
    """Seconds, seconds of work, and memory in MB, of a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.moving", "--step", name, str(folder), str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    work, memory = map(float, done.stdout.split())
    return time.perf_counter() - began, work, memory


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moving")
    parser.add_argument("records", nargs="?", type=int, default=100_000)
    parser.add_argument("endings", nargs="*", default=["ndjson"])
    given = parser.parse_args()
    print("records     file        step     rows/s  rows/s of work   memory MB   file MB")
    for records in (given.records // 10, given.records):
        with tempfile.TemporaryDirectory() as temporary:
            fill(Path(temporary, "from"), records)
            for ending in given.endings:
                file = Path(temporary, f"docs.{ending}")
                for name, place in _STEPS:
                    folder = Path(temporary, place if place == "from" else f"to-{ending}")
                    seconds, work, memory = measure(name, folder, file)
                    size = file.stat().st_size / 1e6
                    print(
                        f"{records:<11,} {ending:<11} {name:<7} {records / seconds:>7,.0f} "
                        f"{records / work:>15,.0f} {memory:>11,.0f} {size:>9,.0f}",
                        flush=True,
                    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step(*sys.argv[2:])
    else:
        main()
