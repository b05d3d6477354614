"""The code of docs/hybrid.md runs as it stands there."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import MockEmbedding

from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.documents import examples, run
from tests.stores import DIMENSIONS, Embedder
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer

NAME = "ERR_STREAM_DESTROYED: a write after destroy()"
FIRST, CLOUDFLARE, LLAMA_INDEX, COST, OLDER = examples("hybrid.md").items()


@pytest.mark.skipif(
    any(
        "text_index" not in inspect.signature(store.__init__).parameters
        for store in (VectorizeVectorStore, LlamaIndexStore)
    ),
    reason="not both stores have text_index= yet",
)
async def test_the_page_s_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"embeddings": Embedder()}
    names["embed_model"] = MockEmbedding(embed_dim=DIMENSIONS)

    async def shown(example: tuple[str, str]) -> Any:
        heading, code = example
        return await run(code, heading, names)

    found = await shown(FIRST)
    assert found[0].page_content == NAME
    names.pop("store").close()

    await shown(LLAMA_INDEX)
    assert names["nodes"][0].get_content() == NAME
    names.pop("store").close()

    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        with VectorizeClient() as client:
            client.create_index("docs", dimensions=DIMENSIONS)
        await shown(CLOUDFLARE)
        with names["store"] as store:
            store.add_texts([NAME, "How streams end"], wait="visible")
            assert store.similarity_search("destroy", k=1)[0].page_content == NAME
            await shown(COST)
            assert names["explained"].records["end"] == 1
            await shown(OLDER)
            assert store.similarity_search("destroy", k=1)[0].page_content == NAME
