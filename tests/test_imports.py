"""What importing a store does, needs and leaves alone; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STORES = {
    "langchain_vectorize": ("langchain_core", "langchain"),
    "llama_index_vectorize": ("llama_index", "llama-index"),
}
every_store = pytest.mark.parametrize("package", STORES)

# The framework, as if it were not installed: neither found nor importable.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {framework!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] == {framework!r} else find(name, package)
)
"""


def run(code: str, *path: Path, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    """Python with the project and ``path`` on ``sys.path``."""
    places = [str(place) for place in (*path, ROOT)]
    return subprocess.run(
        [sys.executable, "-W", warnings, "-c", f"import sys; sys.path[:0] = {places!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=100,
    )


@every_store
def test_without_its_framework_a_store_names_the_extra(package: str) -> None:
    framework, extra = STORES[package]
    done = run(WITHOUT.format(framework=framework) + f"import {package}")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"pip install 'vectorize-stores[{extra}]'" in last


def test_the_core_needs_neither_framework_nor_the_embedded_service() -> None:
    done = run(
        "import vectorize_core\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'langchain_core', 'llama_index', 'sqlite3', 'httpx'}, loaded\n"
        "assert 'vectorize_core.local' not in sys.modules\n"
        "from vectorize_core import VectorizeClient\n"
        "VectorizeClient.local().close()\n"
        "assert 'vectorize_core.local' in sys.modules\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


@every_store
def test_importing_a_store_loads_only_what_it_needs(package: str) -> None:
    # LlamaIndex itself may load sqlite3; then only ours is looked at.
    framework = STORES[package][0]
    done = run(
        "import importlib, threading\n"
        f"importlib.import_module({framework!r})\n"
        f"{'import llama_index.core, sqlite3' if framework == 'llama_index' else ''}\n"
        "before = set(sys.modules)\n"
        f"import {package}\n"
        "loaded = set(sys.modules) - before\n"
        "assert 'sqlite3' not in loaded\n"
        "assert not [name for name in loaded if name.startswith('vectorize_core.local')]\n"
        "assert threading.active_count() == 1\n"
        f"assert 'VectorizeVectorStore' in {package}.__all__\n",
        warnings="ignore",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_of_vectorize_io_in_the_same_place_is_warned_of(tmp_path: Path) -> None:
    info = tmp_path / "langchain_vectorize-0.0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: langchain-vectorize\nVersion: 0.0.3\n"
    )
    done = run(
        "import sys, warnings\n"
        f"for installed in [], [{str(tmp_path)!r}]:\n"
        "    sys.path[:0] = installed\n"
        "    sys.modules.pop('langchain_vectorize', None)\n"
        "    with warnings.catch_warnings(record=True) as caught:\n"
        "        warnings.simplefilter('always')\n"
        "        import langchain_vectorize\n"
        "    said = [str(w.message) for w in caught if 'Vectorize.io' in str(w.message)]\n"
        "    print(len(said), *said)\n",
        warnings="ignore",
    )
    assert done.returncode == 0, done.stderr
    without, with_it = done.stdout.splitlines()
    assert without == "0"
    assert with_it.startswith("1 ")
    assert "Uninstall" in with_it
