"""LangChain's own suite for retrievers, over the store in four places and by every search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings

BEHAVIOR = Behavior(process_delay=0.02, propagate_delay=0.02)


Place = dict[str, Any]


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Place]:
    yield {"path": ":memory:"}


@asynccontextmanager
async def in_a_directory(folder: Path) -> AsyncIterator[Place]:
    yield {"path": folder / "data"}


@asynccontextmanager
async def delayed(folder: Path) -> AsyncIterator[Place]:
    with VectorizeClient.local(behavior=BEHAVIOR) as client:
        yield {"client": client}


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[Place]:
    with BackgroundServer(Settings(behavior=BEHAVIOR)) as server:
        client = VectorizeClient("account", base_url=server.base_url)
        yield {"client": client}
        await client.connection.aclose()


PLACES = [in_memory, in_a_directory, delayed, over_http]
SEARCHES: dict[str, dict[str, Any]] = {
    "similarity": {},
    "similarity_score_threshold": {"score_threshold": 0.1},
    "mmr": {"fetch_k": 10, "lambda_mult": 0.3},
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("search_type", SEARCHES)
class TestRetrievers(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    async def _over_a_filled_store(
        self, place: Any, search_type: str, tmp_path: Path
    ) -> AsyncIterator[None]:
        options: dict[str, Any] = {"index_name": "docs", "create_index": True, "wait": True}
        async with place(tmp_path) as where:
            embedding = DeterministicFakeEmbedding(size=32)
            async with VectorizeVectorStore(embedding, **where, **options) as store:
                await store.aadd_texts([f"text {n}" for n in range(10)])
                self._store, self._search_type = store, search_type
                yield

    @property
    def retriever_constructor(self) -> Any:
        def retriever(k: int = 4) -> BaseRetriever:
            return self._store.as_retriever(
                search_type=self._search_type,
                search_kwargs={"k": k, **SEARCHES[self._search_type]},
            )

        return retriever

    @property
    def retriever_query_example(self) -> str:
        return "text 3"
