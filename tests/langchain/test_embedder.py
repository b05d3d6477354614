"""Embedding models that are no Embeddings of LangChain, but have the methods of one."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_vectorize import VectorizeVectorStore
from tests.stores import DIMENSIONS, Call, Embedder, both_ways, recorded, vector
from vectorize_core import VectorizeClient
from vectorize_core.api.operations import Query, Upsert


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


class OneBuffer(Embedder):
    """Answers in memory that holds the next answer too, as one that runs on a graph of CUDA."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = np.zeros((100, DIMENSIONS), np.float32)

    def _documents(self, texts: list[str]) -> Any:
        answer = self.memory[: len(texts)]
        answer[:] = [vector(text) for text in texts]
        return answer

    def of(self, text: str) -> Any:
        self.memory[-1] = vector(text)
        return self.memory[-1]


@both_ways
async def test_a_model_may_answer_in_the_same_memory_again(
    client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    store = VectorizeVectorStore(OneBuffer(), client=client, index_name="docs", create_index=True)
    texts = [f"text {n}" for n in range(9)]
    await call(store, "add_texts", texts, ids=texts, batch_size=3)
    # Each may be on its way, or have to be sent again, when the model answers next.
    vectors = {each.id: each.values for op in sent.of(Upsert) for each in op.vectors}
    for text in texts:
        assert np.array_equal(vectors[text], np.array(vector(text), np.float32)), text


@both_ways
async def test_a_model_may_answer_queries_in_the_same_memory_again(
    client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    store = VectorizeVectorStore(OneBuffer(), client=client, index_name="docs", create_index=True)
    await call(store, "add_texts", ["text"])
    queries = ["one", "two", "three"]
    for query in queries:
        await call(store, "similarity_search", query)
    asked = [op.vector for op in sent.of(Query)]
    for query, values in zip(queries, asked, strict=True):
        assert np.array_equal(values, np.array(vector(query), np.float32)), query


class OneBufferAwaited(OneBuffer):
    """One that is awaited in the event loop."""

    async def aembed_documents(self, texts: list[str]) -> Any:
        return self._documents(texts)


async def test_a_model_may_answer_two_tasks_in_the_same_memory(client: VectorizeClient) -> None:
    sent = recorded(client)
    model = OneBufferAwaited()
    store = VectorizeVectorStore(model, client=client, index_name="docs", create_index=True)
    await store.aadd_texts(["first"])
    tasks = [[f"text {n} of {task}" for n in range(9)] for task in "ab"]
    await asyncio.gather(*(store.aadd_texts(texts, ids=texts) for texts in tasks))
    vectors = {each.id: each.values for op in sent.of(Upsert) for each in op.vectors}
    for text in [*tasks[0], *tasks[1]]:
        assert np.array_equal(vectors[text], np.array(vector(text), np.float32)), text
