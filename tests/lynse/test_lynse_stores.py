"""Both stores on a LynseDB server: LangChain's own suite, on a view too, and LlamaIndex' calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery

from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.nightly import NIGHTLY
from vectorize_core.lynse import LynseClient


class Suite(VectorStoreIntegrationTests):
    __test__ = False

    @staticmethod
    def get_embeddings() -> Embeddings:
        return DeterministicFakeEmbedding(size=32)


class TestOnAServer(Suite):
    __test__ = True

    @pytest.fixture
    def vectorstore(self, lynse: LynseClient) -> VectorizeVectorStore:
        return VectorizeVectorStore(
            self.get_embeddings(), index_name="docs", client=lynse, create_index=True
        )


class TestATenantOnAServer(Suite):
    """A view of one namespace, in an index that is another tenant's too; writes are waited for."""

    __test__ = NIGHTLY

    @pytest.fixture
    def vectorstore(self, lynse: LynseClient) -> Iterator[VectorizeVectorStore]:
        place: Any = {"index_name": "docs", "client": lynse, "create_index": True}
        store = VectorizeVectorStore(self.get_embeddings(), wait="visible", **place)
        store.with_namespace("other").add_texts(["foo", "bar"], ids=["1", "2"])
        yield store.with_namespace("tenant")
        assert store.count(namespace="other") == 2


async def test_llama_index_writes_finds_and_deletes(lynse: LynseClient) -> None:
    store = LlamaIndexStore(
        index_name="docs",
        client=lynse,
        create_index=True,
        metadata_indexes={"parity": "string"},
    )
    embedder = DeterministicFakeEmbedding(size=32)
    nodes = [
        TextNode(
            id_=f"n{n}",
            text=f"text {n}",
            metadata={"parity": "odd" if n % 2 else "even"},
            embedding=embedder.embed_query(f"text {n}"),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc{n // 5}")},
        )
        for n in range(10)
    ]
    await store.async_add(nodes)
    even = MetadataFilters(filters=[MetadataFilter(key="parity", value="even")])
    asked = VectorStoreQuery(
        query_embedding=embedder.embed_query("text 4"), similarity_top_k=3, filters=even
    )
    found = store.query(asked)
    assert found.ids is not None
    assert found.ids[0] == "n4"
    assert {int(one[1:]) % 2 for one in found.ids} == {0}
    await store.adelete("doc0")
    assert sorted(node.node_id for node in store.get_nodes()) == [f"n{n}" for n in range(5, 10)]
    store.delete_nodes(["n5"])
    assert len(await store.aget_nodes()) == 4
