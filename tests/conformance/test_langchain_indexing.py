"""LangChain's indexing API over the store, a tenant's view, and LangChain's own store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_vectorize import VectorizeVectorStore
from tests.conformance.indexing import Indexer, IndexingSuite, documents
from vectorize_core import VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer

EMBEDDING = DeterministicFakeEmbedding(size=32)


class TestLangChainsOwnStore(IndexingSuite):
    """Shows that the suite asks for nothing of ours."""

    @pytest.fixture
    def store(self) -> InMemoryVectorStore:
        return InMemoryVectorStore(EMBEDDING)


class Ours(IndexingSuite):
    # Of 36 and 64 bytes; the others' keys are of 128.
    encoders = ("sha1", "sha256")


class TestInMemory(Ours):
    @pytest.fixture
    def store(self) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(EMBEDDING, index_name="docs") as store:
            yield store


class TestInADirectory(Ours):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore(EMBEDDING, index_name="docs", path=tmp_path / "data") as store:
            yield store


class TestDelayed(Ours):
    """Writes are seen some time later, as on Cloudflare, so each waits."""

    @pytest.fixture
    def store(self) -> Iterator[VectorizeVectorStore]:
        behavior = Behavior(process_delay=0.01, propagate_delay=0.01)
        with VectorizeClient.local(behavior=behavior) as client:
            yield VectorizeVectorStore(
                EMBEDDING, index_name="docs", client=client, create_index=True, wait=True
            )


class TestOverHttp(Ours):
    @pytest.fixture
    async def store(self) -> AsyncIterator[VectorizeVectorStore]:
        with BackgroundServer() as server:
            client = VectorizeClient("account", base_url=server.base_url)
            yield VectorizeVectorStore(
                EMBEDDING, index_name="docs", client=client, create_index=True
            )
            await client.connection.aclose()


class TestATenant(IndexingSuite):
    """With another tenant in the same index, who has indexed the same letters."""

    @pytest.fixture
    def store(self) -> Iterator[VectorizeVectorStore]:
        with VectorizeVectorStore.local(EMBEDDING, index_name="docs") as store:
            store.with_namespace("other").add_documents(documents("abcdx"))
            yield store.with_namespace("tenant")
            assert store.count(namespace="other") == 5


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
