"""LangChain's indexing API over the store, a tenant's view, and LangChain's own store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_vectorize import VectorizeVectorStore
from tests.conformance.indexing import Indexer, IndexingSuite, documents
from tests.conformance.words import NoWords, WordsBeside, WordsInD1, check_words
from tests.nightly import NIGHTLY
from vectorize_core import VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer

EMBEDDING = DeterministicFakeEmbedding(size=32)


def over(client: VectorizeClient, text_index: Any, **options: Any) -> VectorizeVectorStore:
    options |= {"index_name": "docs", "create_index": True, "text_index": text_index}
    return VectorizeVectorStore(EMBEDDING, client=client, **options)


class TestLangChainsOwnStore(IndexingSuite):
    """Shows that the suite asks for nothing of ours."""

    @pytest.fixture
    def store(self) -> InMemoryVectorStore:
        return InMemoryVectorStore(EMBEDDING)


class Ours(NoWords, IndexingSuite):
    # Of 36 and 64 bytes; the others' keys are of 128.
    encoders: tuple[str, ...] = ("sha1", "sha256")


class TestInMemory(Ours):
    @pytest.fixture
    def store(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(
            EMBEDDING, index_name="docs", text_index=text_index
        ) as store:
            yield store
            check_words(store, text_index)


class TestInADirectory(Ours):
    @pytest.fixture
    def store(self, tmp_path: Path, text_index: Any) -> Iterator[VectorizeVectorStore]:
        place: Any = {"index_name": "docs", "path": tmp_path / "data", "text_index": text_index}
        with VectorizeVectorStore(EMBEDDING, **place) as store:
            yield store
            check_words(store, text_index)


class TestDelayed(Ours):
    """Writes are seen some time later, as on Cloudflare, so each waits."""

    @pytest.fixture
    def store(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        behavior = Behavior(process_delay=0.01, propagate_delay=0.01)
        with VectorizeClient.local(behavior=behavior) as client:
            store = over(client, text_index, wait=True)
            yield store
            check_words(store, text_index)


class TestOverHttp(Ours):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[BackgroundServer]:
        with BackgroundServer() as server:
            yield server

    @pytest.fixture
    async def store(
        self, server: BackgroundServer, text_index: Any
    ) -> AsyncIterator[VectorizeVectorStore]:
        # An account of its own for each test.
        client = VectorizeClient(uuid.uuid4().hex, base_url=server.base_url)
        store = over(client, text_index)
        yield store
        check_words(store, text_index)
        await client.connection.aclose()


class TestATenant(Ours):
    """With another tenant in the same index, who has indexed the same letters."""

    encoders = IndexingSuite.encoders

    @pytest.fixture
    def store(self, text_index: Any) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(
            EMBEDDING, index_name="docs", text_index=text_index
        ) as store:
            store.with_namespace("other").add_documents(documents("abcdx"))
            view = store.with_namespace("tenant")
            yield view
            check_words(view, text_index)
            assert store.count(namespace="other") == 5


class TestInMemoryWithWords(WordsBeside, TestInMemory):
    __test__ = NIGHTLY


class TestInADirectoryWithWords(WordsBeside, TestInADirectory):
    __test__ = NIGHTLY


class TestDelayedWithWords(WordsInD1, TestDelayed):
    __test__ = NIGHTLY


class TestOverHttpWithWords(WordsInD1, TestOverHttp):
    __test__ = NIGHTLY


class TestATenantWithWords(WordsBeside, TestATenant):
    __test__ = NIGHTLY


@pytest.mark.parametrize("awaited", [False, True], ids=["index", "aindex"])
@pytest.mark.parametrize("key_encoder", ["sha1", "sha256"])
@pytest.mark.filterwarnings("ignore:Using SHA-1")
async def test_two_tenants_may_index_the_same_documents(awaited: bool, key_encoder: str) -> None:
    with VectorizeVectorStore.local(EMBEDDING, index_name="docs") as store:
        one, other = (Indexer(store.with_namespace(n), awaited, n) for n in ("a", "b"))
        for indexer in (one, other):
            done = await indexer.run(documents("abc"), cleanup="full", key_encoder=key_encoder)
            assert done == (3, 0, 0, 0)
        assert one.manager.list_keys() == other.manager.list_keys()
        for indexer in (one, other):
            done = await indexer.run(documents("abc"), cleanup="full", key_encoder=key_encoder)
            assert done == (0, 0, 3, 0)
        assert (one.letters(), other.letters()) == ("abc", "abc")
        await one.run(documents("cd"), cleanup="full", key_encoder=key_encoder)
        assert (one.letters(), other.letters()) == ("cd", "abc")
        await other.run([], cleanup="full", key_encoder=key_encoder)
        assert (one.letters(), other.letters()) == ("cd", "")
        assert store.count() == 2
