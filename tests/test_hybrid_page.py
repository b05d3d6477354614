"""The code of docs/hybrid.md runs as it stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core import MockEmbedding

from langchain_vectorize import VectorizeVectorStore
from tests.documents import examples, run
from tests.stores import DIMENSIONS, Embedder, vector
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer

NAME = "ERR_STREAM_DESTROYED: a write after destroy()"
EMBEDDED, CLOUDFLARE, LLAMA_INDEX, COST, OLDER = examples("hybrid.md").items()


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def shown(example: tuple[str, str], names: dict[str, Any]) -> Any:
    """What the code of a section shows; ``names`` has what it makes."""
    heading, code = example
    return await run(code, heading, names)


async def embedded() -> None:
    embedder = Embedder({"ERR_STREAM_DESTROYED": vector(NAME)})
    names: dict[str, Any] = {"embeddings": embedder}
    await shown(EMBEDDED, names)
    found = await names["retriever"].ainvoke("ERR_STREAM_DESTROYED")
    assert found[0].page_content == NAME
    names["store"].close()


async def test_langchain_embedded_and_on_cloudflare(monkeypatch: pytest.MonkeyPatch) -> None:
    await embedded()
    names: dict[str, Any] = {"embeddings": Embedder(), "VectorizeVectorStore": VectorizeVectorStore}
    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        with VectorizeClient() as client:
            client.create_index("errors", dimensions=DIMENSIONS)
        await shown(CLOUDFLARE, names)
        with names["store"] as store:
            store.add_texts([NAME, "How streams end"], wait="visible")
            assert len(store.similarity_search("destroy")) == 2
            await shown(COST, names)
            assert names["explained"].records["end"] == 1
            await shown(OLDER, names)
            (found,) = store.similarity_search("destroy", retrieval_mode="text")
            assert found.page_content == NAME


async def test_llama_index_with_a_model_of_other_dimensions() -> None:
    await embedded()
    names: dict[str, Any] = {"embed_model": MockEmbedding(embed_dim=2 * DIMENSIONS)}
    await shown(LLAMA_INDEX, names)
    assert {node.get_content() for node in names["nodes"]} == {NAME, "How streams end"}
    names["store"].close()
