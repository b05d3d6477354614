"""The rooms of docs/design.md: no import goes upwards, and no call passes many files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("vectorize_core", "langchain_vectorize", "llama_index_vectorize")
MOST_FILES = {"add": 33, "search": 30, "delete": 42}


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


BREACHES = {
    "api/wire.py": ("from vectorize_core.reads import search", "api.wire -> vectorize_core.reads"),
    "state/polling.py": (
        "from vectorize_core.filters import F",
        "state.polling -> vectorize_core.f",
    ),
    "local/vectors.py": (
        "from vectorize_core.transport.io import Io",
        "local.vectors -> vectorize_core.t",
    ),
    "records/target.py": ("import langchain_core", "records.target -> langchain_core"),
    "index.py": ("import sqlite3", "vectorize_core.index -> sqlite3"),
    "local/columns.py": (
        "import vectorize_core.local.server.app",
        "columns -> vectorize_core.local.s",
    ),
    "api/d1.py": (
        "if TYPE_CHECKING:\n    from vectorize_core.reads import search",
        "api.d1 -> vectorize_core.reads",
    ),
}


def test_each_import_upwards_breaks_a_contract(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, (line, _) in BREACHES.items():
        with (tmp_path / "vectorize_core" / file).open("a") as written:
            written.write(f"\n{line}\n")
    done = check_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert [complaint for _, complaint in BREACHES.values() if complaint not in said] == []


def test_no_call_passes_more_files_than_a_reader_can_follow() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rooms"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"(\w+) +(\w+) +(\d+) files", done.stdout)
    assert len(found) == 6
    for store, call, files in found:
        assert int(files) <= MOST_FILES[call], (store, call)
