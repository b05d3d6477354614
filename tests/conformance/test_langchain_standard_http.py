"""LangChain's own suite for vector stores, whole, over HTTP against the local server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_vectorize import VectorizeVectorStore
from tests.conformance.words import NoWords, WordsInD1, check_words
from tests.nightly import NIGHTLY
from vectorize_core import RetryPolicy, VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings


class Suite(NoWords, VectorStoreIntegrationTests):
    __test__ = False
    settings = Settings()

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
    async def vectorstore(
        self, server: BackgroundServer, text_index: Any
    ) -> AsyncIterator[VectorizeVectorStore]:
        # An account of its own for each test.
        # And nothing arrives late: this server is done with a request before it breaks off.
        retry = RetryPolicy(request_lifetime=0)
        client = VectorizeClient(uuid.uuid4().hex, base_url=server.base_url, retry=retry)
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
        await client.connection.aclose()


class TestOverHttp(Suite):
    __test__ = True


class TestOverHttpDelayed(Suite):
    """Writes are seen some time later, as on Cloudflare."""

    __test__ = True
    settings = Settings(behavior=Behavior(process_delay=0.02, propagate_delay=0.02))


class TestOverHttpWithFaults(Suite):
    """Some answers are lost after their requests were carried out; the store tries again."""

    __test__ = True
    settings = Settings(
        faults=[
            {"match": call, "nth": nth, "reset": True, "act": True}
            for call in ("/upsert", "/query", "/get_by_ids", "/delete_by_ids")
            for nth in (1, 7)
        ]
    )


class TestOverHttpWithWords(WordsInD1, TestOverHttp):
    pass


class TestOverHttpDelayedWithWords(WordsInD1, TestOverHttpDelayed):
    __test__ = NIGHTLY


class TestOverHttpWithFaultsWithWords(WordsInD1, TestOverHttpWithFaults):
    __test__ = NIGHTLY
