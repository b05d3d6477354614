"""LangChain's own suite for vector stores, its async half, through a Worker's binding."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from tests.nightly import NIGHTLY
from tests.workers.bindings import D1Binding, VectorizeBinding
from tests.workers.bridge import Workerd, running
from vectorize_core import D1TextIndex, IndexNotFoundError, VectorizeClient
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
    def bound(self, server: BackgroundServer) -> Any:
        """The binding of an empty index."""
        index = uuid.uuid4().hex
        with VectorizeClient(base_url=server.base_url) as client:
            client.create_index(index, dimensions=32, metric="cosine")
        return VectorizeBinding(server.base_url.removesuffix("/client/v4"), index)

    @pytest.fixture
    async def vectorstore(self, bound: Any, text_index: Any) -> AsyncIterator[VectorizeVectorStore]:
        async with VectorizeVectorStore(
            self.get_embeddings(),
            index_name="docs",
            binding=bound,
            wait="visible",
            text_index=text_index,
        ) as store:
            yield store
            async for document in store.aiter_documents():
                text = document.page_content
                found = await store.asimilarity_search(text, 100, retrieval_mode="text")
                assert document.id in {one.id for one in found}


class TestThroughABinding(Suite):
    """With words in D1."""

    __test__ = True

    @pytest.fixture
    def text_index(self, server: BackgroundServer) -> Any:
        return D1TextIndex.from_binding(D1Binding(server.base_url, uuid.uuid4().hex))


class TestDelayed(TestThroughABinding):
    """Writes are seen some time later, as on Cloudflare."""

    __test__ = NIGHTLY
    settings = Settings(behavior=Behavior(process_delay=0.02, propagate_delay=0.02))


class TestThroughWorkerd(Suite):
    """The bindings are workerd's own."""

    __test__ = True

    @pytest.fixture(scope="class")
    @classmethod
    def workerd(
        cls, server: BackgroundServer, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Workerd]:
        with running(tmp_path_factory.mktemp("workerd"), server.base_url) as workerd:
            yield workerd

    @pytest.fixture
    def text_index(self, workerd: Workerd) -> Any:
        return D1TextIndex.from_binding(workerd.database, table=uuid.uuid4().hex)

    @pytest.fixture
    def bound(self, server: BackgroundServer, workerd: Workerd) -> Any:
        with VectorizeClient(base_url=server.base_url) as client:
            with suppress(IndexNotFoundError):
                client.delete_index("docs")
            client.create_index("docs", dimensions=32, metric="cosine")
        return workerd
