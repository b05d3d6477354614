"""LangChain's own suite for vector stores, its async half, through a Worker's binding."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from tests.workers.bindings import D1Binding, VectorizeBinding
from vectorize_core import D1TextIndex, VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings


class Suite(VectorStoreIntegrationTests):
    __test__ = False
    settings = Settings()

    @property
    def has_sync(self) -> bool:
        return False

    @staticmethod
    def get_embeddings() -> Embeddings:
        # Vectorize has at least 32 dimensions; the suite's own are 6.
        return DeterministicFakeEmbedding(size=32)

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[BackgroundServer]:
        with BackgroundServer(cls.settings) as server:
            yield server

    @pytest.fixture
    def text_index(self, server: BackgroundServer) -> Any:
        return None

    @pytest.fixture
    async def vectorstore(
        self, server: BackgroundServer, text_index: Any
    ) -> AsyncIterator[VectorizeVectorStore]:
        # An index of its own for each test.
        index = uuid.uuid4().hex
        with VectorizeClient(base_url=server.base_url) as client:
            client.create_index(index, dimensions=32, metric="cosine")
        root = server.base_url.removesuffix("/client/v4")
        async with VectorizeVectorStore(
            self.get_embeddings(),
            index_name=index,
            binding=VectorizeBinding(root, index),
            wait="visible",
            text_index=text_index,
        ) as store:
            yield store
            if text_index is not None:
                async for document in store.aiter_documents():
                    found = await store.asimilarity_search(
                        document.page_content, 100, retrieval_mode="text"
                    )
                    assert document.id in {one.id for one in found}


class TestThroughABinding(Suite):
    __test__ = True


class TestDelayed(Suite):
    """Writes are seen some time later, as on Cloudflare, and words are kept in D1."""

    __test__ = True
    settings = Settings(behavior=Behavior(process_delay=0.02, propagate_delay=0.02))

    @pytest.fixture
    def text_index(self, server: BackgroundServer) -> Any:
        return D1TextIndex.from_binding(D1Binding(server.base_url, uuid.uuid4().hex))
