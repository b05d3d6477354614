"""Several processes with several threads each write to one directory: all get their turn."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nightly import sized
from vectorize_core import VectorizeClient
from vectorize_core.local import Service

ROOT = str(Path(__file__).parents[2])
MOST = 20
"""How often a write may be overtaken by others that begin later, for each thread there is."""


@pytest.mark.parametrize("seed", range(sized(1, 200)))
def test_no_process_waits_for_ever(tmp_path: Path, seed: int) -> None:
    # Others pass by one that stands still, as the system may let it; but not each time.
    assert any(is_fair(tmp_path / f"{attempt}", seed) for attempt in range(3))


def is_fair(place: Path, seed: int) -> bool:
    """Whether no write was overtaken too often; they are all there."""
    draw = random.Random(seed)
    with VectorizeClient.local(place) as client:
        client.create_index("docs", dimensions=32)
    names = [f"p{number}" for number in range(draw.randint(2, 4))]
    threads = {name: draw.choice([1, 3, 3]) for name in names}
    count = 40
    processes = {
        name: subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.stress.writing_process", str(place), name),
                *(str(threads[name]), str(count), str(seed)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": ROOT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    done = {name: json.loads(process.communicate()[0]) for name, process in processes.items()}
    written = {
        f"{name}-{number}-{turn}"
        for name in names
        for number in range(threads[name])
        for turn in range(count)
    }
    with VectorizeClient.local(place) as client:
        assert set(client.index("docs").list_ids()) == written
    service = Service(place)
    assert service.check().ok
    service.close()
    spans = [span for name in names for writes in done[name] for span in writes]
    most = max(
        sum(began < later and sooner < ended for later, sooner in spans) for began, ended in spans
    )
    # Windows knows no order.
    return os.name == "nt" or most <= MOST * sum(threads.values())
