"""A process that is killed when its commit is in the log, and nobody sees it yet.

The next writer finds the state of before. If it is killed too, before it has written to the log,
the commit is there again for whoever opens the directory next.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.core.local.crashes import in_child
from vectorize_core.local import Service, acknowledged, compaction
from vectorize_core.local.storage import FILE_NAME
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.models import IndexConfig, Vector

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
DIMENSIONS = 512
SMALL, LARGE = 5, 60


def vectors(count: int, version: int) -> list[Vector]:
    rows = np.random.default_rng(version).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return [Vector(f"v{n}", row, None, {"v": version}) for n, row in enumerate(rows)]


WRITES: dict[str, Callable[[Service, int], object]] = {
    "small": lambda service, version: service.upsert("docs", vectors(SMALL, version)),
    "large": lambda service, version: service.upsert("docs", vectors(LARGE, version)),
    "compact": lambda service, _: service.compact("docs"),
}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("following", WRITES)
@pytest.mark.parametrize("killed", WRITES)
def test_a_commit_that_comes_back_is_whole(tmp_path: Path, killed: str, following: str) -> None:
    def begin() -> None:
        service = Service(tmp_path)
        service.create_index("docs", IndexConfig(DIMENSIONS))
        service.upsert("docs", vectors(LARGE, 0))
        service.upsert("docs", vectors(SMALL, 1))
        os._exit(0)

    def commit() -> None:
        service = Service(tmp_path)
        acknowledged.write = lambda *_: os._exit(0)  # type: ignore[assignment]
        WRITES[killed](service, 2)

    def write() -> None:
        service = Service(tmp_path)
        ValueStores.sync = end_if_written  # type: ignore[method-assign]
        compaction.compact = lambda *_: os._exit(0)
        WRITES[following](service, 3)

    done(begin)
    with kept_open(tmp_path / FILE_NAME):
        others_see = tmp_path / f"{FILE_NAME}-shm"
        before = others_see.read_bytes()
        done(commit)
        with others_see.open("r+b") as file:
            file.write(before)
        done(write)

    service = Service(tmp_path)
    assert service.check().findings == ()
    versions = [
        service.get_by_ids("docs", [f"v{n}"])[0].metadata["v"]  # type: ignore[index]
        for n in range(LARGE)
    ]
    small = {"small": (1, 2), "large": (1, 2), "compact": (1,)}[killed]
    assert versions[0] in small
    large = versions[0] if killed == "large" and versions[0] == 2 else 0
    assert versions == [versions[0]] * SMALL + [large] * (LARGE - SMALL)
    service.close()


def end_if_written(stores: ValueStores) -> None:
    if stores._shared.written:
        os._exit(0)


def done(work: Callable[[], None]) -> None:
    """``work`` in a process of its own, which ends with it."""
    assert os.waitpid(in_child(work), 0)[1] == 0


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """A process has a database open, and is killed in the end."""
    opened, tell = os.pipe()

    def keep() -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("SELECT * FROM storage").fetchall()
            os.write(tell, b"x")
            time.sleep(600)

    child = in_child(keep)
    try:
        os.read(opened, 1)
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(opened)
        os.close(tell)
