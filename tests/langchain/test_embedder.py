"""Embedding models that are no Embeddings of LangChain, but have the methods of one."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, both_ways


class Plain:
    """Has the two methods that a store asks for, and nothing else."""

    def __init__(self) -> None:
        model = DeterministicFakeEmbedding(size=32)
        self.embed_documents, self.embed_query = model.embed_documents, model.embed_query


@both_ways
async def test_a_model_may_have_the_plain_methods_only(call: Call) -> None:
    model: Any = Plain()
    with VectorizeVectorStore(model, index_name="docs", path=":memory:") as store:
        await call(store, "add_texts", ["one", "two"])
        assert [d.page_content for d in await call(store, "similarity_search", "two", 1)] == ["two"]
