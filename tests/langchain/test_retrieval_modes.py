"""How a search finds documents, said to the store, to a call or to a retriever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Make, Recorder, both_ways, vector
from vectorize_core import ConfigurationError, InvalidInputError, SqliteTextIndex

TEXTS = ["ERR_4711: the disk is full", "What to do without room", "a disk", "apple pie"]
NEAR = [
    ("similarity_search", {"query": "disk"}),
    ("similarity_search_with_score", {"query": "disk"}),
    ("similarity_search_with_relevance_scores", {"query": "disk"}),
    ("similarity_search_by_vector", {"embedding": vector("disk")}),
    ("similarity_search_with_score_by_vector", {"embedding": vector("disk")}),
    ("similarity_search_by_id", {"id": "2"}),
    ("max_marginal_relevance_search", {"query": "disk"}),
    ("max_marginal_relevance_search_by_vector", {"embedding": vector("disk")}),
    ("max_marginal_relevance_search_with_score", {"query": "disk"}),
    ("max_marginal_relevance_search_with_score_by_vector", {"embedding": vector("disk")}),
    ("search", {"query": "disk", "search_type": "mmr"}),
]
WHY = {
    "marginal": r"marginal relevance \(mmr\) compares embeddings",
    "by_vector": "an embedding has no words",
    "by_id": "a search by id is for what is near",
    "relevance": "relevance, which score_threshold= is of, is that of nearness",
}


@pytest.fixture
def words() -> Iterator[SqliteTextIndex]:
    words = SqliteTextIndex()
    yield words
    words.close()


@pytest.fixture
def store(make: Make, words: SqliteTextIndex) -> VectorizeVectorStore:
    store: VectorizeVectorStore = make(text_index=words)
    store.add_texts(TEXTS, ids=["0", "1", "2", "3"])
    return store


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@both_ways
async def test_a_search_by_words_embeds_nothing(
    store: VectorizeVectorStore, embedder: Embedder, call: Call
) -> None:
    options: dict[str, Any] = {"retrieval_mode": "text"}
    assert set(ids(await call(store, "similarity_search", "disk", **options))) == {"0", "2"}
    for document, score in await call(store, "similarity_search_with_score", "4711", **options):
        assert document.id == "0"
        assert score > 0
    assert ids(await call(store, "search", "pie", "similarity", k=1, **options)) == ["3"]
    retriever = store.as_retriever(search_kwargs=options)
    assert ids(await call(retriever, "invoke", "pie")) == ["3"]
    assert embedder.queries == []


@both_ways
@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
async def test_what_is_found_in_any_way_comes_with_its_embedding(
    store: VectorizeVectorStore, call: Call, mode: str
) -> None:
    found = await call(store, "similarity_search_with_vectors", "disk", 2, retrieval_mode=mode)
    assert [d for d, _ in found] == store.similarity_search("disk", 2, retrieval_mode=mode)
    for document, values in found:
        assert values.tolist() == pytest.approx(vector(document.page_content), abs=1e-6)


@both_ways
@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_a_threshold_is_one_of_nearness(
    store: VectorizeVectorStore, embedder: Embedder, call: Call, mode: str
) -> None:
    given: dict[str, Any] = {"score_threshold": 0.5, "retrieval_mode": mode}
    with pytest.raises(
        InvalidInputError, match=r"of nearness.*'dense'.*leave score_threshold= out"
    ):
        await call(store, "similarity_search", "disk", **given)
    with pytest.raises(InvalidInputError, match=r"leave score_threshold= out$"):
        store.as_retriever(search_kwargs=given)
    assert embedder.queries == []


@both_ways
async def test_the_scores_of_both_are_the_fused_ones(
    store: VectorizeVectorStore, call: Call
) -> None:
    async def scores(**options: Any) -> dict[str, float]:
        method, options = "similarity_search_with_score", {"retrieval_mode": "hybrid", **options}
        found = await call(store, method, "apple", 4, **options)
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
        return {document.id: score for document, score in found}

    near = await scores(alpha=1.0)
    assert (max(near.values()), min(near.values())) == (1.0, 0.0)
    assert await scores(alpha=0) == {"0": 0.0, "1": 0.0, "2": 0.0, "3": 1.0}
    assert await scores() == pytest.approx(
        {i: 0.6 * score + 0.4 * (i == "3") for i, score in near.items()}
    )
    assert await scores(alpha=np.float32(0.5)) == await scores(alpha=0.5)
    order = sorted(near, key=lambda i: -near[i])
    assert await scores(fusion="rrf") == pytest.approx(
        {i: 1 / (61 + order.index(i)) + (i == "3") / 61 for i in order}
    )


@both_ways
async def test_what_a_store_was_told_holds_unless_a_call_says_otherwise(
    store: VectorizeVectorStore, make: Make, words: SqliteTextIndex, call: Call
) -> None:
    async def found(one: VectorizeVectorStore, **options: Any) -> Any:
        return await call(one, "similarity_search_with_score", "disk", **options)

    told = make(text_index=words, retrieval_mode="hybrid", alpha=0.1, fusion="rrf")
    hybrid: dict[str, Any] = {"retrieval_mode": "hybrid", "fusion": "rrf"}
    assert await found(told) == await found(store, **hybrid)
    relative = await found(told, fusion="relative")
    assert relative == await found(store, retrieval_mode="hybrid", alpha=0.1)
    for mode in ("dense", "text"):
        assert await found(told, retrieval_mode=mode) == await found(store, retrieval_mode=mode)
    assert await found(told, retrieval_mode=None, alpha=None, fusion=None) == await found(told)
    retriever = told.as_retriever(search_kwargs={"k": 1, "retrieval_mode": "text"})
    assert ids(await call(retriever, "invoke", "4711")) == ["0"]
    retriever = told.as_retriever(search_kwargs={"fusion": "relative", "alpha": 0.0})
    assert (await call(retriever, "invoke", "pie"))[0].id == "3"


@both_ways
@pytest.mark.parametrize("mode", ["text", "hybrid"])
@pytest.mark.parametrize(("method", "given"), NEAR[2:], ids=[method for method, _ in NEAR[2:]])
async def test_what_is_by_nearness_alone_says_why(
    make: Make,
    words: SqliteTextIndex,
    store: VectorizeVectorStore,
    sent: Recorder,
    embedder: Embedder,
    call: Call,
    mode: Any,
    method: str,
    given: dict[str, Any],
) -> None:
    told = make(text_index=words, retrieval_mode=mode)
    why = next((said for part, said in WHY.items() if part in method), WHY["marginal"])
    sent.ops.clear()
    said = f"{why}.*retrieval_mode is '{mode}'.*Pass retrieval_mode='dense'"
    for one, options in ((told, {}), (store, {"retrieval_mode": mode})):
        with pytest.raises(InvalidInputError, match=said):
            await call(one, method, **given, **options)
    assert (sent.ops, embedder.queries) == ([], [])
    dense = await call(told, method, **given, retrieval_mode="dense")
    assert dense == await call(store, method, **given)


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_a_retriever_by_nearness_alone_says_why_when_it_is_made(
    make: Make, words: SqliteTextIndex, store: VectorizeVectorStore, mode: Any
) -> None:
    told = make(text_index=words, retrieval_mode=mode)
    threshold: Any = {"score_threshold": 0.5}
    how: Any = {"retrieval_mode": mode}
    for search_type, kwargs, part in (
        ("mmr", {}, "marginal"),
        ("similarity_score_threshold", threshold, "relevance"),
    ):
        chosen: Any = {"search_type": search_type}
        with pytest.raises(InvalidInputError, match=WHY[part]):
            told.as_retriever(**chosen, search_kwargs=kwargs)
        with pytest.raises(InvalidInputError, match=WHY[part]):
            store.as_retriever(**chosen, search_kwargs={**kwargs, **how})
        told.as_retriever(**chosen, search_kwargs={**kwargs, "retrieval_mode": "dense"})


def test_without_a_text_index_there_is_one_mode(make: Make, sent: Recorder) -> None:
    said = r"retrieval_mode='hybrid' needs a text index: .* text_index=True if it is embedded"
    with pytest.raises(ConfigurationError, match=said):
        make(retrieval_mode="hybrid")
    with pytest.raises(ConfigurationError, match=said):
        make().as_retriever(search_kwargs={"retrieval_mode": "hybrid"})
    with pytest.raises(ConfigurationError, match=said):
        make().similarity_search("a", retrieval_mode="hybrid")
    assert sent.ops == []


def test_a_weight_is_for_what_has_weights(store: VectorizeVectorStore) -> None:
    hybrid: Any = {"retrieval_mode": "hybrid"}
    with pytest.raises(InvalidInputError, match="fusion='rrf' has none"):
        store.similarity_search("a", **hybrid, alpha=0.2, fusion="rrf")
    with pytest.raises(InvalidInputError, match=r"alpha= is of a hybrid search.*is 'text'"):
        store.similarity_search("a", retrieval_mode="text", alpha=0.2)
    with pytest.raises(InvalidInputError, match=r"fusion= is of a hybrid search.*is 'dense'"):
        store.as_retriever(search_kwargs={"fusion": "rrf"})


@both_ways
async def test_searches_by_nearness_stay_as_they_are_to_the_bit(
    store: VectorizeVectorStore, embedder: Embedder, call: Call
) -> None:
    with VectorizeVectorStore.local(embedder, index_name="docs") as plain:
        plain.add_texts(TEXTS, ids=["0", "1", "2", "3"])
        for method, given in NEAR:
            found = await call(store, method, **given)
            assert found == await call(plain, method, **given)
            assert found
