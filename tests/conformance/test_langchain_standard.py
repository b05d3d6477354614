"""LangChain's own suite for vector stores, whole, over an embedded Vectorize, in four places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from vectorize_core import VectorizeClient
from vectorize_core.local import Behavior


class Suite(VectorStoreIntegrationTests):
    __test__ = False

    @staticmethod
    def get_embeddings() -> Embeddings:
        # Vectorize has at least 32 dimensions; the suite's own are 6.
        return DeterministicFakeEmbedding(size=32)


class TestInMemory(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(self.get_embeddings(), index_name="docs") as store:
            yield store


class TestInADirectory(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorizeVectorStore]:
        embedding = self.get_embeddings()
        with VectorizeVectorStore(embedding, index_name="docs", path=tmp_path / "data") as store:
            yield store


class TestDelayed(Suite):
    """Writes are seen some time later, as on Cloudflare, so each waits."""

    __test__ = True

    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorizeVectorStore]:
        behavior = Behavior(process_delay=0.02, propagate_delay=0.02)
        with VectorizeClient.local(behavior=behavior) as client:
            yield VectorizeVectorStore(
                self.get_embeddings(),
                index_name="docs",
                client=client,
                create_index=True,
                wait="visible",
            )


class TestATenant(Suite):
    """A view of one namespace, in an index that is another tenant's too."""

    __test__ = True

    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(self.get_embeddings(), index_name="docs") as store:
            store.with_namespace("other").add_texts(["foo", "bar"], ids=["1", "2"])
            yield store.with_namespace("tenant")
            assert store.count(namespace="other") == 2
