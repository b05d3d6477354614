"""LangChain's own suite for retrievers, over the store in four places and by every search."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_vectorize import SearchKwargs, SearchType, VectorizeVectorStore
from vectorize_core import D1TextIndex, VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings

BEHAVIOR = Behavior(process_delay=0.02, propagate_delay=0.02)


Place = dict[str, Any]


@asynccontextmanager
async def in_memory(folder: Path, base_url: str) -> AsyncIterator[Place]:
    yield {"path": ":memory:", "text_index": True}


@asynccontextmanager
async def in_a_directory(folder: Path, base_url: str) -> AsyncIterator[Place]:
    yield {"path": folder / "data", "text_index": True}


@asynccontextmanager
async def delayed(folder: Path, base_url: str) -> AsyncIterator[Place]:
    with VectorizeClient.local(behavior=BEHAVIOR) as client:
        yield {"client": client, "text_index": D1TextIndex("words")}


@asynccontextmanager
async def over_http(folder: Path, base_url: str) -> AsyncIterator[Place]:
    # An account of its own for each test.
    client = VectorizeClient(uuid.uuid4().hex, base_url=base_url)
    yield {"client": client, "text_index": D1TextIndex("words")}
    await client.connection.aclose()


PLACES = [in_memory, in_a_directory, delayed, over_http]
NEAR: dict[str, tuple[SearchType, SearchKwargs]] = {
    "similarity": ("similarity", {}),
    "threshold": ("similarity_score_threshold", {"score_threshold": 0.1}),
    "mmr": ("mmr", {"fetch_k": 10, "lambda_mult": 0.3}),
}
"""Each with a type of search and what its retriever is told."""
BY_WORDS: dict[str, tuple[SearchType, SearchKwargs]] = {
    "text": ("similarity", {"retrieval_mode": "text"}),
    "hybrid": ("similarity", {"retrieval_mode": "hybrid"}),
}
every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(Settings(behavior=BEHAVIOR)) as server:
        yield server


class Suite(RetrieversIntegrationTests):
    __test__ = False

    @pytest.fixture(autouse=True)
    async def _over_a_filled_store(
        self,
        place: Any,
        search: tuple[SearchType, SearchKwargs],
        server: BackgroundServer,
        tmp_path: Path,
    ) -> AsyncIterator[None]:
        options: dict[str, Any] = {"index_name": "docs", "create_index": True, "wait": True}
        async with place(tmp_path, server.base_url) as where:
            if "retrieval_mode" not in search[1]:
                del where["text_index"]
            embedding = DeterministicFakeEmbedding(size=32)
            async with VectorizeVectorStore(embedding, **where, **options) as store:
                await store.aadd_texts([f"text {n}" for n in range(10)])
                self._store, self._search = store, search
                yield

    @property
    def retriever_constructor(self) -> Any:
        def retriever(k: int = 4) -> BaseRetriever:
            search_type, kwargs = self._search
            return self._store.as_retriever(
                search_type=search_type, search_kwargs={**kwargs, "k": k}
            )

        return retriever

    @property
    def retriever_query_example(self) -> str:
        return "text 3"


@every_place
@pytest.mark.parametrize("search", NEAR.values(), ids=NEAR)
class TestRetrievers(Suite):
    __test__ = True


@every_place
@pytest.mark.parametrize("search", BY_WORDS.values(), ids=BY_WORDS)
@pytest.mark.covering(1)
class TestRetrieversByWords(Suite):
    __test__ = True
