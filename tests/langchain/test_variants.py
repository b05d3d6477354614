"""The store's methods by inspection: both faces alike, and no keyword swallowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Embedder, vector
from vectorize_core import VectorizeClient

PUBLIC = [
    name
    for name in dir(VectorizeVectorStore)
    if not name.startswith("_") and callable(getattr(VectorizeVectorStore, name))
]
TWINS = {f"a{name}": name for name in PUBLIC if f"a{name}" in PUBLIC}
# What the arguments without a default are called, and a value for each.
GIVEN: dict[str, Any] = {
    "documents": [Document("a", id="1")],
    "embedding": vector("a"),
    "embeddings": [vector("a")],
    "filter": None,
    "id": "1",
    "ids": ["1"],
    "index_name": "docs",
    "metadata": {},
    "namespace": "a",
    "query": "a",
    "search_type": "similarity",
    "texts": ["a"],
}


@pytest.fixture
def filled(client: VectorizeClient) -> VectorizeVectorStore:
    store = VectorizeVectorStore(Embedder(), index_name="docs", client=client, create_index=True)
    store.add_texts(["a"], ids=["1"])
    return store


def arguments(method: Callable[..., Any]) -> list[Any]:
    """A value for every argument that has no default."""
    given = dict(GIVEN)
    if inspect.isclass(getattr(method, "__self__", None)):
        given["embedding"] = Embedder()
    named = inspect.signature(method).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [given[p.name] for p in named if p.default is p.empty and p.kind in plain]


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.covering(2)
async def test_no_method_swallows_a_keyword(filled: VectorizeVectorStore, name: str) -> None:
    method = getattr(filled, name)
    given = arguments(method)

    async def called() -> None:
        coming = method(*given, not_an_option=1)
        if inspect.isawaitable(coming):
            await coming

    with pytest.raises(TypeError, match="unexpected keyword argument 'not_an_option'"):
        await called()


@pytest.mark.parametrize("name", PUBLIC)
async def test_every_method_works_with_no_more_than_it_must_be_given(
    client: VectorizeClient, filled: VectorizeVectorStore, name: str
) -> None:
    if name.startswith(("from", "afrom", "local")) or name.endswith("delete"):
        return  # These must be told where, or what.
    method = getattr(filled, name)
    coming = method(*arguments(method))
    if inspect.isawaitable(coming):
        await coming
    elif inspect.isasyncgen(coming):
        assert len([item async for item in coming]) == 1


def test_what_is_no_option_of_a_retriever_is_an_error_that_says_whose_it_is(
    filled: VectorizeVectorStore,
) -> None:
    for option in ("k", "filter", "score_threshold", "fetch_k", "namespace"):
        with pytest.raises(TypeError, match=rf"'{option}'; search_kwargs=\{{...\}} takes that"):
            filled.as_retriever(**{option: 1})
    with pytest.raises(TypeError, match="did you mean 'search_type'"):
        filled.as_retriever(searchtype="mmr")
    retriever = filled.as_retriever(search_kwargs={"k": 1}, tags=["t"], name="mine")
    assert (retriever.name, retriever.search_kwargs) == ("mine", {"k": 1})
    assert "t" in (retriever.tags or [])


@pytest.mark.parametrize(("awaited", "plain"), TWINS.items())
def test_both_faces_take_the_same_arguments(awaited: str, plain: str) -> None:
    def shape(name: str) -> list[Any]:
        named = inspect.signature(getattr(VectorizeVectorStore, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in named]

    assert shape(awaited) == shape(plain)


def test_every_method_that_works_on_the_index_has_both_faces() -> None:
    of_one = set(PUBLIC) - TWINS.keys() - set(TWINS.values())
    assert of_one == {
        "as_retriever",
        "await_writes",
        "from_existing_index",
        "local",
        "wait",
        "with_namespace",
    }


def test_every_method_of_the_base_class_that_does_something_is_the_stores_own() -> None:
    # `search` and `asearch` only choose a method.
    base = {n for n in dir(VectorStore) if not n.startswith("_") and n in PUBLIC}
    inherited = {n for n in base if getattr(VectorizeVectorStore, n) is getattr(VectorStore, n)}
    assert inherited == {"search", "asearch"}


def test_ids_to_get_are_given_by_position() -> None:
    for name in ("get_by_ids", "aget_by_ids"):
        ids = inspect.signature(getattr(VectorizeVectorStore, name)).parameters["ids"]
        assert ids.kind is ids.POSITIONAL_ONLY
