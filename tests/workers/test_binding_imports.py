"""What bindings need of Python: nothing that a Worker has not, by import or by thread."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.nightly import NIGHTLY

ROOT = Path(__file__).parents[2]
NEEDED = {"numpy", "orjson", "tenacity"}
ABSENT = {"httpx", "httpcore", "sqlite3", "simsimd", "ssl", "multiprocessing"}
SCRIPT = """
import asyncio, importlib, sys, threading

framework, package, missing = sys.argv[1], sys.argv[2], sys.argv[3].split()
for name in framework.split():
    # What it imports itself, some of it late, is its own affair.
    module = importlib.import_module(name)
    [getattr(module, exported) for exported in getattr(module, "__all__", ())]
before = set(sys.modules)
for name in missing:
    sys.modules[name] = None

def refuse(*_):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
store = importlib.import_module(package)
from vectorize_core import AsyncVectorizeClient, D1TextIndex, D1Texts, Vector

class Binding:
    async def describe(self):
        return {"dimensions": 32, "vectorCount": 1}
    async def query(self, vector, options):
        match = {"id": "a", "score": 0.5, "metadata": {"text": "found"}}
        return {"count": 1, "matches": [match]}
    async def upsert(self, vectors):
        return {"mutationId": "m"}
    async def getByIds(self, ids):
        return []
    queryById = query
    insert = deleteByIds = upsert

class Database:
    def prepare(self, sql):
        return self
    def bind(self, *parameters):
        return self
    async def raw(self):
        return []
    async def batch(self, statements):
        return [{"results": []} for _ in statements]

async def main():
    ones = [1.0] * 32
    binding, database = Binding(), Database()
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    assert (await index.query(ones))[0].id == "a"
    await index.upsert([Vector(str(n), ones) for n in range(2_000)])
    settings = dict(
        index_name="docs",
        binding=binding,
        texts=D1Texts.from_binding(database),
        text_index=D1TextIndex.from_binding(database),
    )
    if package == "langchain_vectorize":
        from langchain_core.embeddings import Embeddings
        class Ones(Embeddings):
            def embed_documents(self, texts): raise AssertionError
            def embed_query(self, text): raise AssertionError
            async def aembed_documents(self, texts): return [ones for _ in texts]
            async def aembed_query(self, text): return ones
        found = store.VectorizeVectorStore(Ones(), **settings)
        await found.aadd_texts(["a"])
        await found.aclose()
        assert (await found.asimilarity_search("a", 1))[0].page_content == "found"
    elif package == "llama_index_vectorize":
        from llama_index.core.schema import TextNode
        from llama_index.core.vector_stores import VectorStoreQuery
        found = store.VectorizeVectorStore(**settings)
        await found.async_add([TextNode(text="a", embedding=ones)])
        query = VectorStoreQuery(query_embedding=ones, similarity_top_k=1)
        assert (await found.aquery(query)).nodes[0].text == "found"

asyncio.run(main())
loaded = {name for name in set(sys.modules) - before if sys.modules[name] is not None}
print(*sorted(loaded))
"""
CASES = {
    "vectorize_core": "",
    "langchain_vectorize": "langchain_core",
    "llama_index_vectorize": "llama_index",
}


def modules_of(framework: str, package: str) -> str:
    """Those that a store imports, with all that they import themselves."""
    sources = [path.read_text() for path in (ROOT / package).glob("*.py")]
    found = {name for text in sources for name in re.findall(r"from (\S+) import", text)}
    return " ".join(sorted(name for name in found if name.startswith(f"{framework}.")))


def test_under_emscripten_only_that_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(one) for one in project["dependencies"]]
    worker = {"sys_platform": "emscripten", "platform_machine": "wasm32", "python_version": "3.13"}
    needed = {one.name for one in wanted if one.marker is None or one.marker.evaluate(worker)}
    assert needed == NEEDED


@pytest.mark.parametrize("package", [*CASES] if NIGHTLY else [*CASES][:2])
def test_a_store_through_bindings_imports_only_what_a_worker_has(package: str) -> None:
    framework = CASES[package]
    # What these import themselves, as old ones do parts of Cython, is their own affair too.
    modules = modules_of(framework, package) if framework else " ".join(NEEDED)
    # The frameworks need most of these for themselves.
    missing = "simsimd" if framework else " ".join([*ABSENT, "_sqlite3", "_ssl"])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, modules, package, missing],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    roots = {name.partition(".")[0] for name in loaded}
    ours = {"vectorize_core", "langchain_vectorize", "llama_index_vectorize", "llama_index"}
    assert roots - sys.stdlib_module_names - ours - {framework} <= NEEDED | {"pydantic"}
    assert not roots & ABSENT
    for room in ("local", "lynse", "sqlite", "moving", "cli", "transport.http"):
        assert f"vectorize_core.{room}" not in loaded
