"""How soon a new process answers, what it reads for that, and what it takes of memory and disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.engine import page_cache
from benchmarks.engine.data import Corpus
from benchmarks.engine.first_answer import FirstAnswer
from benchmarks.engine.results import Results

SQLITE_BEFORE = 313
"""Bytes of SQLite's file for each vector of this benchmark, when there were values but no codes."""
_ROOT = Path(__file__).parents[2]


def measure(corpus: Corpus, part: str, results: Results) -> None:
    """Open the index in processes of their own: files in the page cache, and none of them there."""
    corpus.ours().close()
    directory, count = corpus.place("ours"), corpus.size.count
    _ask(corpus)
    warm = _ask(corpus)
    results.put(f"opened.{part}", warm.opened)
    results.put(f"warm.{part}", warm.answered)
    results.put(f"memory.{part}", warm.held / count)
    results.put(f"memory_with_filter.{part}", warm.held_with_filter / count)
    values = sum(map(_room, directory.glob("*.f32")))
    codes = sum(map(_room, directory.glob("vectors-*"))) - values
    before = count * corpus.size.dimensions * 4 + count * SQLITE_BEFORE
    results.put(f"disk.{part}", sum(map(_room, directory.iterdir())) / before)
    if not page_cache.drop(directory):
        print(
            "- cold: the page cache cannot be emptied here, or another process has the files open"
        )
    else:
        cold = _ask(corpus)
        seen = sum(map(page_cache.resident, directory.glob("*.f32")))
        results.put(f"cold.{part}", cold.answered)
        results.put(f"cold_values.{part}", seen / values, "in the page cache after a few queries")
        if codes:
            note = f"{cold.read / 1e6:,.0f} MB, the codes have {codes / 1e6:,.0f}"
            results.put(f"cold_read.{part}", cold.read / codes, note)


def _room(path: Path) -> int:
    """What a file takes on the disk; the room that it has for more rows takes none."""
    found = path.stat()
    return found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size


def _ask(corpus: Corpus) -> FirstAnswer:
    queries = corpus.place("queries").with_suffix(".npy")
    np.save(queries, corpus.queries[:5])
    where = [str(path.resolve()) for path in (corpus.place("ours"), queries)]
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine.first_answer", *where],
        cwd=_ROOT,
        check=True,
        capture_output=True,
    )
    return FirstAnswer(**json.loads(said.stdout))
