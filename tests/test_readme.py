"""The README's code runs as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core import MockEmbedding, Settings
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import Document as LlamaDocument

from langchain_vectorize import VectorizeVectorStore
from vectorize_core.local.server import BackgroundServer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def code(heading: str) -> str:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))


async def ran(heading: str, **names: Any) -> dict[str, Any]:
    """The names a section's code has made, when it has run to its end."""
    tree = compile(code(heading), heading, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(tree, names)
    if inspect.isawaitable(result):
        await result
    return names


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_langchain() -> None:
    names = await ran("LangChain", embeddings=DeterministicFakeEmbedding(size=32))
    found = names["retriever"].invoke("When was that?")
    assert [document.metadata for document in found] == [{"year": 1863}]
    names["store"].close()


async def test_llama_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("_embed_model", MockEmbedding(embed_dim=32)),
        ("_llm", MockLLM()),
        ("_node_parser", TokenTextSplitter()),
    ):
        monkeypatch.setattr(Settings, name, value)
    document = LlamaDocument(text="Four score", metadata={"year": 1863})
    names = await ran("LlamaIndex", documents=[document])
    assert len(names["index"].as_retriever().retrieve("When?")) == 1
    names["store"].close()
    said = ChatMessage("My cat is Plato.", additional_kwargs={"session_id": "ann"})
    await names["block"].aput([said], from_short_term_memory=True)
    assert "Plato" in await names["block"].aget([ChatMessage("My cat?")], session_id="ann")
    names["memories"].close()


async def test_on_cloudflare(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = DeterministicFakeEmbedding(size=384)
    documents = [Document("Four score", metadata={"year": 1863})]
    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        names = await ran("On Cloudflare", embeddings=embeddings, documents=documents)
        with names["store"] as store:
            assert len(store.similarity_search("q", filter={"year": {"$lt": 1900}})) == 1


async def test_async() -> None:
    embeddings = DeterministicFakeEmbedding(size=32)

    def local(*args: Any, **kwargs: Any) -> VectorizeVectorStore:
        return VectorizeVectorStore(*args, path=":memory:", **kwargs)

    documents = [Document(f"text {n}") for n in range(80)]
    await ran("Async", VectorizeVectorStore=local, embeddings=embeddings, documents=documents)


async def test_the_core_alone() -> None:
    rows = np.random.default_rng(0).standard_normal((600, 32))
    names = await ran("The REST core alone", rows=rows)
    assert len(names["points"].query(rows[0], top_k=100, return_metadata="all")) == 100
    names["client"].close()
