"""What a mapped file is said to be read like, where the system takes such advice."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from vectorize_core.local import page_advice
from vectorize_core.local.value_store import FileValueStore, MemoryValueStore

DIMENSIONS = 1_024
pytestmark = pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="no advice here")


def flags(path: Path) -> list[set[str]]:
    """The flags of each mapping of a file: ``rr`` is read at random."""
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("this platform does not tell")
    found: list[set[str]] = []
    is_ours = False
    for line in smaps.read_text().splitlines():
        if line.startswith("VmFlags:"):
            if is_ours:
                found.append(set(line.split()[1:]))
        elif "-" in line.split()[0]:
            is_ours = line.endswith(str(path))
    return found


def test_values_are_read_here_and_there_until_most_are(tmp_path: Path) -> None:
    store = FileValueStore(tmp_path / "rows.f32", DIMENSIONS)
    store.reads_at_random = True
    store.height = 64
    rows = np.random.default_rng(0).standard_normal((200, DIMENSIONS)).astype(np.float32)
    store.write(0, rows.tobytes())
    matrix = store.matrix(200)
    assert [("rr" in each) for each in flags(store.path)] == [True] * 4
    for first, last in ((0, 0), (3, 199), (63, 64), (199, 199), (150, 10_000), (9, 8)):
        matrix.read_soon(first, last)
    assert (matrix.take(np.arange(200)) == rows).all()
    assert [("rr" in each) for each in flags(store.path)] == [True] * 4
    matrix.read_ahead()
    assert [("rr" in each) for each in flags(store.path)] == [False] * 4
    # What is mapped for a pass is so from the beginning.
    another = FileValueStore(store.path, DIMENSIONS)
    del matrix, store
    whole = another.matrix(200)
    assert not any("rr" in each for each in flags(another.path))
    assert (whole.take(np.arange(200)) == rows).all()


def test_what_is_in_memory_needs_no_advice() -> None:
    store = MemoryValueStore(3)
    store.write(0, np.ones((5, 3), np.float32).tobytes())
    matrix = store.matrix(5)
    matrix.read_ahead()
    matrix.read_soon(0, 4)
    page_advice.in_order(np.ones(3))
