"""What docs/moving.md says of other stores works as it stands there; pgvector: test_pgvector."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.cli.conftest import Run, run  # noqa: F401
from tests.documents import examples
from tests.documents import run as run_code
from tests.moving.foreign.commands import commands
from tests.moving.foreign.records import documents, nodes
from tests.moving.foreign.test_pinecone import write
from tests.stores import Embedder, vector
from vectorize_core import VectorizeClient
from vectorize_core.cli.foreign import Kind


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, folder in (("chroma", "chroma"), ("qdrant", "qdrant"), ("faiss", "faiss")):
        shutil.copytree(made / name, folder)
    shutil.copytree(made / "simple", "storage")
    shutil.copy(made / "qdrant/docs.json", "points.json")
    rows = [{"id": "a", "values": vector("a"), "metadata": json.dumps({"text": "a"})}]
    write(tmp_path / "export/0.parquet", rows)
    return tmp_path


def test_each_command(run: Run, place: Path) -> None:  # noqa: F811
    found = commands()
    assert set(found) == set(Kind)
    for kind, arguments in found.items():
        if kind != Kind.PGVECTOR:
            shutil.rmtree("vectors", ignore_errors=True)
            assert run(*arguments, "--verify").exit_code == 0, kind
            with VectorizeClient.local("vectors") as client:
                wanted = {Kind.LLAMA_INDEX: len(nodes()), Kind.PINECONE: 1}
                assert client.index("docs").count() == wanted.get(kind, len(documents()))  # type: ignore[call-overload]


async def test_the_code(place: Path) -> None:
    with VectorizeVectorStore(Embedder(), index_name="docs", path=place / "vectors") as store:
        names: dict[str, Any] = {"store": store}
        await run_code(examples("moving.md")["From other stores"], "moving.md", names)
        assert store.count() == len(documents())
