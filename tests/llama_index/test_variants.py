"""The store's methods by inspection: both faces alike, and no keyword swallowed."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import text_node
from tests.stores import Make, async_name, vector

OWN = {
    name
    for kind in VectorizeVectorStore.__mro__
    if kind.__module__.startswith("llama_index_vectorize")
    for name, value in vars(kind).items()
    if not name.startswith(("_", "model_"))
    and (inspect.isfunction(value) or isinstance(value, classmethod))
}
TWINS = {async_name(name): name for name in sorted(OWN) if async_name(name) in OWN}
# What is given to the arguments without a default.
GIVEN: dict[str, Any] = {
    "nodes": [text_node("a")],
    "query": VectorStoreQuery(query_embedding=vector("a")),
    "ref_doc_id": "doc",
    "ref_doc_ids": ["doc"],
    "filters": None,
    "index_name": "docs",
    "namespace": "a",
    "data": {"index_name": "docs", "path": ":memory:"},
}


def arguments(method: Any) -> list[Any]:
    named = inspect.signature(method).parameters.values()
    return [
        GIVEN[p.name]
        for p in named
        if p.default is p.empty and p.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


@pytest.mark.parametrize("name", sorted(OWN))
async def test_no_method_swallows_a_keyword(make: Make, name: str) -> None:
    method = getattr(make(), name)

    async def called() -> None:
        coming = method(*arguments(method), not_an_option=1)
        if inspect.isawaitable(coming):
            await coming

    with pytest.raises(TypeError, match="unexpected keyword argument 'not_an_option'"):
        await called()


@pytest.mark.parametrize(("awaited", "plain"), TWINS.items())
def test_both_faces_take_the_same_arguments(awaited: str, plain: str) -> None:
    def shape(name: str) -> list[Any]:
        named = inspect.signature(getattr(VectorizeVectorStore, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in named]

    assert shape(awaited) == shape(plain)


def test_every_method_that_works_on_the_index_has_both_faces() -> None:
    of_one = OWN - TWINS.keys() - set(TWINS.values())
    made_of = {"class_name", "from_dict", "from_params", "local", "with_namespace"}
    assert of_one - made_of == {"await_writes", "wait_for_writes"}


def test_every_method_of_the_base_class_is_the_stores_own() -> None:
    base = {
        name
        for name, value in vars(BasePydanticVectorStore).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    # There is nothing to persist that is not persisted already.
    assert base - OWN == {"persist"}
    # Each can be called as the base class says.
    for name in base & OWN:
        ours = inspect.signature(getattr(VectorizeVectorStore, name)).parameters
        theirs = inspect.signature(getattr(BasePydanticVectorStore, name)).parameters.values()
        assert all(p.name in ours or p.kind == p.VAR_KEYWORD for p in theirs)


@pytest.mark.parametrize(
    ("method", "args", "wrong", "nearest"),
    [
        ("add", ([],), "waits", "wait"),
        ("query", (GIVEN["query"],), "name_space", "namespace"),
        ("query", (GIVEN["query"],), "mmr_treshold", "mmr_threshold"),
        ("get_nodes", (["a"],), "max_request", "max_requests"),
        ("delete_nodes", (["a"],), "wait_timout", "wait_timeout"),
        ("delete", ("doc",), "verfy", "verify"),
    ],
)
def test_a_wrong_keyword_names_the_nearest(
    make: Make, method: str, args: Any, wrong: str, nearest: str
) -> None:
    with pytest.raises(TypeError, match=f"'{wrong}'; did you mean '{nearest}'"):
        getattr(make(), method)(*args, **{wrong: 1})


@pytest.mark.parametrize(
    ("method", "wrong", "hint"),
    [
        ("query", "top_k", r"VectorStoreQuery\(\) takes 'similarity_top_k'"),
        ("aquery", "where", r"VectorStoreQuery\(\) takes 'filters'"),
        ("get_nodes", "where", "did you mean 'filters'"),
        ("from_params", "index_nam", "did you mean 'index_name'"),
        ("local", "collection_name", "did you mean 'index_name'"),
        ("local", "dimension", r"create_index\(\) takes 'dimensions'"),
        ("from_params", "persist_dir", "did you mean 'path'"),
        ("from_dict", "binding", "there is no Workers binding"),
        ("from_params", "d1_database_id", "texts=D1Texts"),
    ],
)
async def test_a_word_of_another_library_names_the_right_word(
    make: Make, method: str, wrong: str, hint: str
) -> None:
    called = getattr(make(), method)
    with pytest.raises(TypeError, match=f"'{wrong}'; .*{hint}"):
        await called(*arguments(called), **{wrong: 1})
