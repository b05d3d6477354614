"""The code of docs/hybrid.md runs as it stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core import MockEmbedding

from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.documents import examples, run
from tests.stores import DIMENSIONS, Embedder, vector
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer

NAME = "ERR_STREAM_DESTROYED: a write after destroy()"
FIRST, CLOUDFLARE, LLAMA_INDEX, COST, OLDER = examples("hybrid.md").items()


async def test_the_code_for_langchain_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # As a model would, if a name says little to it: nearest to the text that has it.
    queries = dict.fromkeys(("ERR_STREAM_DESTROYED", "destroy"), vector(NAME))
    names: dict[str, Any] = {"embeddings": Embedder(queries)}

    found = await run(FIRST[1], FIRST[0], names)
    assert found[0].page_content == NAME
    names.pop("store").close()

    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        with VectorizeClient() as client:
            client.create_index("docs", dimensions=DIMENSIONS)
        await run(CLOUDFLARE[1], CLOUDFLARE[0], names)
        with names["store"] as store:
            store.add_texts([NAME, "How streams end"], wait="visible")
            assert store.similarity_search("destroy", k=1)[0].page_content == NAME
            await run(COST[1], COST[0], names)
            assert names["explained"].records["end"] == 1
            await run(OLDER[1], OLDER[0], names)
            assert store.similarity_search("destroy", k=1)[0].page_content == NAME


@pytest.mark.skipif(
    "text_index" not in LlamaIndexStore.model_fields,
    reason="LlamaIndex's store has no text_index= yet",
)
async def test_the_code_for_llama_index_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with VectorizeVectorStore(
        Embedder(), index_name="docs", path="./vectors", text_index=True
    ) as store:
        store.add_texts([NAME, "How streams end"])
    names: dict[str, Any] = {"embed_model": MockEmbedding(embed_dim=DIMENSIONS)}
    await run(LLAMA_INDEX[1], LLAMA_INDEX[0], names)
    assert names["nodes"][0].get_content() == NAME
    names.pop("store").close()
