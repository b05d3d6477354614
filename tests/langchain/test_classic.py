"""LangChain's own classes over the store, and the keywords that they pass on to it."""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.example_selectors import (
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)
from langchain_core.retrievers import BaseRetriever
from langchain_core.stores import InMemoryStore
from langchain_core.structured_query import Comparator, Comparison, StructuredQuery
from langchain_core.vectorstores import VectorStore

from langchain_vectorize import VectorizeTranslator, VectorizeVectorStore
from tests.stores import Call, Embedder, Make, both_ways
from vectorize_core import VectorizeClient

NOW = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - as the retriever's own times are
DOCUMENTS = [Document(text, metadata={"n": number}) for number, text in enumerate("abc")]
classic = pytest.mark.skipif(
    importlib.util.find_spec("langchain_classic") is None, reason="langchain-classic is missing"
)


class Remembering(BaseRetriever):
    """Of the shape of ``TimeWeightedVectorStoreRetriever``: it passes all its keywords on."""

    vectorstore: VectorStore

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        return self.vectorstore.add_documents(self._timed(documents, **kwargs), **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        return await self.vectorstore.aadd_documents(self._timed(documents, **kwargs), **kwargs)

    def _timed(self, documents: list[Document], **kwargs: Any) -> list[Document]:
        timed = deepcopy(documents)
        for document in timed:
            document.metadata["created_at"] = kwargs["current_time"]
        return timed

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        found = self.vectorstore.similarity_search_with_relevance_scores(query, k=100)
        return [document for document, _ in found]


@both_ways
async def test_the_time_that_a_retriever_passes_on_is_ignored(
    store: VectorizeVectorStore, call: Call
) -> None:
    retriever = Remembering(vectorstore=store)
    ids = await call(retriever, "add_documents", DOCUMENTS, current_time=NOW)
    assert [d.metadata["created_at"] for d in store.get_by_ids(ids)] == [NOW] * 3
    assert (await call(retriever, "invoke", "b"))[0].page_content == "b"
    more = {"current_time": None, "ids": ["1"], "batch_size": 1}
    assert await call(store, "add_documents", DOCUMENTS[:1], **more) == ["1"]


@both_ways
async def test_a_typo_is_an_error_all_the_same(store: VectorizeVectorStore, call: Call) -> None:
    with pytest.raises(TypeError, match=r"'curent_time'; did you mean 'current_time'\?"):
        await call(store, "add_documents", DOCUMENTS, curent_time=NOW)
    with pytest.raises(TypeError, match="unexpected keyword argument 'now'"):
        await call(store, "add_documents", DOCUMENTS, now=NOW)
    with pytest.raises(TypeError, match="unexpected keyword argument 'current_time'"):
        await call(store, "add_texts", ["a"], current_time=NOW)


@classic
@both_ways
async def test_a_time_weighted_retriever(store: VectorizeVectorStore, call: Call) -> None:
    from langchain_classic.retrievers import TimeWeightedVectorStoreRetriever

    retriever = TimeWeightedVectorStoreRetriever(vectorstore=store, k=1, decay_rate=0.0)
    ids = await call(retriever, "add_documents", DOCUMENTS, current_time=NOW)
    stored = store.get_by_ids(ids)
    assert [document.metadata["created_at"] for document in stored] == [NOW] * 3
    assert [document.page_content for document in await call(retriever, "invoke", "b")] == ["b"]


@classic
@both_ways
async def test_a_parent_document_retriever(store: VectorizeVectorStore, call: Call) -> None:
    from langchain_classic.retrievers import ParentDocumentRetriever
    from langchain_text_splitters import CharacterTextSplitter

    retriever = ParentDocumentRetriever(
        vectorstore=store,
        docstore=InMemoryStore(),
        child_splitter=CharacterTextSplitter(separator=" ", chunk_size=1, chunk_overlap=0),
        search_kwargs={"k": 1},
    )
    await call(retriever, "add_documents", [Document("a b"), Document("c d")], batch_size=2)
    assert store.count() == 4
    for search_type in ("similarity", "mmr", "similarity_score_threshold"):
        retriever.search_type = search_type
        found = await call(retriever, "invoke", "c")
        assert [document.page_content for document in found] == ["c d"]


@classic
@both_ways
async def test_a_self_query_retriever(make: Make, call: Call) -> None:
    from langchain_classic.retrievers import SelfQueryRetriever
    from langchain_core.runnables import RunnableLambda

    store = make(metadata_indexes={"n": "number", "author.name": "string"})
    store.add_documents(DOCUMENTS)
    store.add_texts(["c"], [{"author": {"name": "Ada"}, "n": 0}])
    for search_type, attribute, value, expected in (
        ("similarity", "n", 1, "b"),
        ("mmr", "n", 1, "b"),
        ("similarity", "author.name", "Ada", "c"),
        ("mmr", "author.name", "Ada", "c"),
    ):
        comparison = Comparison(Comparator.GTE, attribute, value)
        query = StructuredQuery(query="a", filter=comparison, limit=1)
        retriever = SelfQueryRetriever(
            vectorstore=store,
            query_constructor=RunnableLambda(lambda _, query=query: query),
            structured_query_translator=VectorizeTranslator(),
            search_type=search_type,
            use_original_query=True,
            search_kwargs={"max_requests": 9},
        )
        found = await call(retriever, "invoke", "b")
        assert [document.page_content for document in found] == [expected]


@both_ways
@pytest.mark.parametrize(
    "kind", [SemanticSimilarityExampleSelector, MaxMarginalRelevanceExampleSelector]
)
async def test_example_selectors(client: VectorizeClient, call: Call, kind: Any) -> None:
    examples = [{"word": word, "opposite": f"not {word}"} for word in ("tall", "fast", "happy")]
    where: dict[str, Any] = {"index_name": "docs", "client": client, "create_index": True}
    given = {"k": 1, "input_keys": ["word"], **where}
    selector = await call(
        kind, "from_examples", examples, Embedder(), VectorizeVectorStore, **given
    )
    added = {"word": "slow", "opposite": "not slow"}
    await call(selector, "add_example", added)
    selector.vectorstore_kwargs = {"max_requests": 9}
    for example in (*examples, added):
        assert await call(selector, "select_examples", {"word": example["word"]}) == [example]
