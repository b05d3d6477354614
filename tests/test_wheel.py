"""The wheel: all of it, and its namespace package beside LlamaIndex's own."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STORE = "llama_index.vector_stores.cloudflare_vectorize"
IMPORTED = f"""
import sys
sys.path[:0] = [{{wheel!r}}, {{other!r}}]
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from {STORE} import VectorizeVectorStore
import {STORE} as package, llama_index.vector_stores as parent
import llama_index.vector_stores.another
import llama_index_vectorize
assert package.__file__.startswith({{wheel!r}}), package.__file__
assert llama_index_vectorize.__file__.startswith({{wheel!r}})
assert parent.__file__ is None and len(parent.__path__) >= 2, parent.__path__
assert llama_index_vectorize.VectorizeVectorStore is VectorizeVectorStore
assert BasePydanticVectorStore in VectorizeVectorStore.__mro__
with VectorizeVectorStore.local("docs") as store:
    print(store.class_name(), store.get_nodes(["a"]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The project as a wheel, built by the backend itself, which needs no network."""
    pytest.importorskip("hatchling", reason="it builds the wheel; pip install '.[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_every_file_is_in_the_wheel_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packages = ("vectorize_core", "langchain_vectorize", "llama_index_vectorize", "llama_index")
    ours = {
        file.relative_to(ROOT).as_posix()
        for package in packages
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == ours
    assert {name.partition("/")[0] for name in held} == set(packages)


def test_the_page_is_in_the_wheel_with_the_licences_of_its_libraries(
    wheel: zipfile.ZipFile,
) -> None:
    folder = "vectorize_core/page/static"
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.*")}
    held = set(wheel.namelist())
    assert files <= held
    licences = [name for name in files if Path(name).name.startswith("license-")]
    assert len(licences) == 3
    assert all(any(one.endswith(f"licenses/{name}") for one in held) for name in licences)


def test_the_namespaces_of_llama_index_stay_namespaces(wheel: zipfile.ZipFile) -> None:
    within = sorted(name for name in wheel.namelist() if name.startswith("llama_index/"))
    folder = STORE.replace(".", "/")
    assert within == [f"{folder}/__init__.py", f"{folder}/py.typed"]


def test_the_store_is_where_llama_index_looks_for_stores(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    """Beside llama-index-core, and beside another package's store."""
    installed, other = tmp_path / "installed", tmp_path / "other"
    wheel.extractall(installed)
    another = other / "llama_index" / "vector_stores" / "another"
    another.mkdir(parents=True)
    (another / "__init__.py").write_text("")
    code = IMPORTED.format(wheel=str(installed), other=str(other))
    done = subprocess.run(
        # Isolated: nothing of the working directory, nor of PYTHONPATH.
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "VectorizeVectorStore []\n"), done.stderr
