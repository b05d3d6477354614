"""The RAG Workers of examples/, over the binding of an index on our server.

The classes that the runtime of Python Workers gives are made here. Both run in Pyodide, too:
test_binding_pyodide.py.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from tests.workers.bindings import VectorizeBinding
from vectorize_core import VectorizeClient
from vectorize_core.cli.app import app
from vectorize_core.cli.wrangler_config import read_config
from vectorize_core.local.server import BackgroundServer

EXAMPLES = Path(__file__).parents[2] / "examples"
TEMPLATES = ["worker_langchain", "worker_llama_index"]
TEXTS = [
    ("We choose to go to the moon", "Kennedy"),
    ("The only thing we have to fear is fear itself", "Roosevelt"),
    ("Ask not what your country can do for you", "Kennedy"),
]


@dataclass
class Response:
    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    url: str
    body: str = ""

    async def text(self) -> str:
        return self.body


class AI:
    """Workers AI: it embeds as the template does without it, and answers with what it was told."""

    def __init__(self, embed: Any) -> None:
        self._embed = embed
        self.texts: list[int] = []

    async def run(self, model: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if "text" in inputs:
            self.texts.append(len(inputs["text"]))
            return {"data": [self._embed(text) for text in inputs["text"]]}
        system, user = inputs["messages"]
        return {"response": f"{user['content']}: {system['content']}"}


@pytest.fixture(params=TEMPLATES)
def template(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of a template, and its ``ai``."""
    workers = types.ModuleType("workers")
    workers.Response = Response  # type: ignore[attr-defined]
    workers.WorkerEntrypoint = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "workers", workers)
    source = EXAMPLES / request.param / "src"
    for name in ("processes", "ai", "entry"):
        path = source / f"{name}.py"
        if not path.exists():
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def worker(template: Any, server: BackgroundServer) -> Iterator[Any]:
    with VectorizeClient(base_url=server.base_url) as client:
        client.create_index("docs", dimensions=384, metadata_indexes={"source": "string"})
        worker = template.Default()
        root = server.base_url.removesuffix("/client/v4")
        worker.env = types.SimpleNamespace(VECTORIZE=VectorizeBinding(root, "docs"))
        yield worker
        client.delete_index("docs")


async def asked(worker: Any, method: str, path: str, body: Any = None) -> Any:
    sent = Request(method, f"https://worker.example{path}", json.dumps(body))
    response = await worker.fetch(sent)
    assert response.headers == {"content-type": "application/json"}
    return response.status, json.loads(response.body)


async def test_documents_are_added_and_found(worker: Any) -> None:
    given = [{"text": text, "source": source} for text, source in TEXTS]
    status, added = await asked(worker, "POST", "/documents", given)
    assert (status, len(set(added["ids"]))) == (200, 3)
    status, found = await asked(worker, "GET", f"/answer?q={quote('Who went to the moon?')}")
    assert (status, found["answer"]) == (200, None)
    assert found["passages"][0] == TEXTS[0][0]
    _, found = await asked(worker, "GET", "/answer?q=fear&source=Kennedy")
    assert sorted(found["passages"]) == sorted([TEXTS[0][0], TEXTS[2][0]])
    assert (await asked(worker, "GET", "/else"))[0] == 404


async def test_workers_ai_embeds_in_batches_and_answers(worker: Any) -> None:
    worker.env.AI = AI(sys.modules["ai"].hashed_words)
    given = [{"text": f"{text} {n}", "source": source} for n in range(50) for text, source in TEXTS]
    await asked(worker, "POST", "/documents", given)
    assert (sum(worker.env.AI.texts), max(worker.env.AI.texts) <= 100) == (150, True)
    _, found = await asked(worker, "GET", "/answer?q=moon")
    assert found["answer"].startswith("moon: Answer from these passages only.")
    assert all(passage in found["answer"] for passage in found["passages"])


@pytest.mark.parametrize("name", [*TEMPLATES, "worker"])
def test_its_configuration_can_be_read(name: str) -> None:
    config = read_config(EXAMPLES / name)
    assert {binding.index for binding in config.bindings()} == {"docs"}
    assert (EXAMPLES / name / config.content["main"]).is_file()


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_one_line_installs_the_wrangler_that_it_needs(name: str, tmp_path: Path) -> None:
    project = tmp_path / name
    shutil.copytree(EXAMPLES / name, project)
    readme = (project / "README.md").read_text()
    (line,) = [one for one in readme.splitlines() if "vectorize-stores wrangler" in one]
    assert line in (EXAMPLES.parent / "docs" / "workers.md").read_text().splitlines()
    install, ours, dev = (part.split() for part in line.split("&&"))
    assert install == ["npm", "install"]
    # As far as can be seen, it is done.
    version = json.loads((project / "package.json").read_bytes())["devDependencies"]["wrangler"]
    installed = project / "node_modules" / "wrangler" / "package.json"
    installed.parent.mkdir(parents=True)
    installed.write_text(json.dumps({"version": version.removeprefix("^")}))
    done = CliRunner().invoke(app, [*ours[1:-1], str(project)])
    assert (done.exit_code, ours[-1]) == (0, "."), done.output
    assert (project / dev[-1]).is_file()
    local = f"env.VECTORIZE of --env {dev[dev.index('--env') + 1]} is the index docs"
    assert local in done.stdout


def test_both_have_the_same_ai() -> None:
    first, second = ((EXAMPLES / name / "src" / "ai.py").read_bytes() for name in TEMPLATES)
    assert first == second
