"""LangChain's own suite for vector stores, whole, over an embedded Vectorize, in four places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from tests.conformance.words import NoWords, WordsBeside, WordsInD1, check_words
from tests.nightly import NIGHTLY
from vectorize_core import VectorizeClient
from vectorize_core.local import Behavior


class Suite(NoWords, VectorStoreIntegrationTests):
    __test__ = False

    @staticmethod
    def get_embeddings() -> Embeddings:
        # Vectorize has at least 32 dimensions; the suite's own are 6.
        return DeterministicFakeEmbedding(size=32)


class TestInMemory(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        embedding = self.get_embeddings()
        with VectorizeVectorStore.local(
            embedding, index_name="docs", text_index=text_index
        ) as store:
            yield store
            check_words(store, text_index)


class TestInADirectory(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self, tmp_path: Path, text_index: Any) -> Iterator[VectorizeVectorStore]:
        place: Any = {"index_name": "docs", "path": tmp_path / "data", "text_index": text_index}
        with VectorizeVectorStore(self.get_embeddings(), **place) as store:
            yield store
            check_words(store, text_index)


class TestDelayed(Suite):
    """Writes are seen some time later, as on Cloudflare, so each waits."""

    __test__ = True

    @pytest.fixture
    def vectorstore(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        behavior = Behavior(process_delay=0.02, propagate_delay=0.02)
        with VectorizeClient.local(behavior=behavior) as client:
            store = VectorizeVectorStore(
                self.get_embeddings(),
                index_name="docs",
                client=client,
                create_index=True,
                wait="visible",
                text_index=text_index,
            )
            yield store
            check_words(store, text_index)


class TestATenant(Suite):
    """A view of one namespace, in an index that is another tenant's too."""

    __test__ = True

    @pytest.fixture
    def vectorstore(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        embedding = self.get_embeddings()
        with VectorizeVectorStore.local(
            embedding, index_name="docs", text_index=text_index
        ) as store:
            store.with_namespace("other").add_texts(["foo", "bar"], ids=["1", "2"])
            view = store.with_namespace("tenant")
            yield view
            check_words(view, text_index)
            assert store.count(namespace="other") == 2


class TestInMemoryWithWords(WordsBeside, TestInMemory):
    pass


class TestInADirectoryWithWords(WordsBeside, TestInADirectory):
    __test__ = NIGHTLY


class TestDelayedWithWords(WordsInD1, TestDelayed):
    __test__ = NIGHTLY


class TestATenantWithWords(WordsBeside, TestATenant):
    __test__ = NIGHTLY
