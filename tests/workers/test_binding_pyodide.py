"""The stores in Pyodide, as in a Python Worker: real bindings, no threads, no SQLite, no sockets.

Compiled packages are those that Pyodide publishes for itself; where they cannot be loaded,
``PYODIDE_WHEELS`` may name a folder that has them. All else is that of this environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.nightly import NIGHTLY
from tests.workers.workerd import ROOT, WORKERS
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer
from vectorize_core.models import IndexType

pytestmark = pytest.mark.skipif(not NIGHTLY, reason="installs Pyodide, so only at night")

VERSION = "0.27.7"
NO_WHEEL = 77
CORE = ["numpy", "orjson"]
PYDANTIC = [*CORE, "openssl", "ssl", "annotated-types", "pydantic_core", "pydantic", "pyyaml"]
SQL = ["regex", "tiktoken", "sqlalchemy", "sqlite3"]
HTTP = ["multidict", "frozenlist", "yarl", "aiohttp"]
LANGCHAIN = [*PYDANTIC, "xxhash", "zstandard"]
LLAMA_INDEX = [*PYDANTIC, *SQL, *HTTP, "pillow", "wrapt"]


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Pyodide from npm."""
    npm = shutil.which("npm")
    if npm is None or not (WORKERS / "node_modules" / "miniflare").exists():
        pytest.skip("npm and Miniflare are needed: `make workers`")
    folder = tmp_path_factory.mktemp("pyodide")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"pyodide@{VERSION}"]
    (folder / "package.json").write_text('{"private": true}')
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip(f"Pyodide {VERSION} cannot be installed")
    return folder


def in_pyodide(
    tried: str,
    pyodide: Path,
    packages: Sequence[str],
    indexes: Sequence[str],
    dimensions: int = 32,
    **indexed: IndexType,
) -> str:
    """What in_pyodide.py says; each index is there, and empty."""
    node = shutil.which("node", path=f"{WORKERS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert node is not None, "npm was found"
    with BackgroundServer() as server:
        with VectorizeClient(base_url=server.base_url) as client:
            for index in indexes:
                wanted = indexed or {"n": "number"}
                client.create_index(index, dimensions=dimensions, metadata_indexes=wanted)
        given = {
            "tried": tried,
            "file": str(ROOT / "tests" / "workers" / "in_pyodide.py"),
            "mounts": [str(ROOT), sysconfig.get_path("purelib")],
            "packages": list(packages),
            "wheels": os.environ.get("PYODIDE_WHEELS"),
            "pyodide": str(pyodide),
            "workers": str(WORKERS),
            "proxy": server.base_url.removesuffix("/client/v4") + "/proxy",
            "indexes": list(indexes),
        }
        script = ROOT / "tests" / "workers" / "pyodide.mjs"
        done = subprocess.run(
            [node, script, json.dumps(given)],
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    if done.returncode == NO_WHEEL:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    return done.stdout


def test_a_client_and_d1(pyodide: Path) -> None:
    said = in_pyodide("core", pyodide, CORE, ["core"])
    assert said.count("passed") == 3


def test_langchains_standard_suite(pyodide: Path) -> None:
    indexes = [f"langchain{number}" for number in range(12)]
    said = in_pyodide("langchain", pyodide, LANGCHAIN, indexes)
    assert said.count("passed") == 12


def test_llama_index_upserts_queries_and_deletes(pyodide: Path) -> None:
    said = in_pyodide("llama_index", pyodide, LLAMA_INDEX, ["llama"])
    assert said.count("passed") == 1


@pytest.mark.parametrize(
    ("template", "packages"), [("worker_langchain", LANGCHAIN), ("worker_llama_index", LLAMA_INDEX)]
)
def test_the_templates(template: str, packages: Sequence[str], pyodide: Path) -> None:
    said = in_pyodide(template, pyodide, packages, ["docs"], 384, source="string")
    assert said.count("passed") == 1
