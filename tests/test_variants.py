"""Both stores by inspection: sync and async variants alike, and no keyword swallowed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager
from langchain_core.vectorstores import VectorStore
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.llama_index.helpers import text_node
from tests.stores import Call, Embedder, async_name, both_ways, sync_call, vector
from vectorize_core import D1TextIndex, VectorizeClient


def own_methods(kind: Kind) -> list[str]:
    """Public ones, but those of pydantic and of LlamaIndex' base classes."""
    if kind is LANGCHAIN:
        names = [name for name in dir(kind.store) if not name.startswith("_")]
        return [name for name in names if callable(getattr(kind.store, name))]
    return sorted(
        name
        for parent in kind.store.__mro__
        if parent.__module__.startswith(("llama_index_vectorize", "vectorize_core"))
        for name, value in vars(parent).items()
        if not name.startswith(("_", "model_"))
        and (inspect.isfunction(value) or isinstance(value, classmethod))
    )


OWN = {kind: own_methods(kind) for kind in (LANGCHAIN, LLAMA_INDEX)}
EVERY_METHOD = [(kind, name) for kind, names in OWN.items() for name in names]
PAIRS = [(kind, name) for kind, name in EVERY_METHOD if async_name(name) in OWN[kind]]
BASES: dict[Kind, type] = {LANGCHAIN: VectorStore, LLAMA_INDEX: BasePydanticVectorStore}
QUERY = VectorStoreQuery(query_embedding=vector("a"))
# What the arguments without a default are called, and a value for each.
GIVEN: dict[str, Any] = {
    "data": {"index_name": "docs", "path": ":memory:"},
    "docstore": SimpleDocumentStore(),
    "documents": [Document("a", id="1")],
    "embedding": vector("a"),
    "embeddings": [vector("a")],
    "filter": None,
    "filters": None,
    "id": "1",
    "ids": ["1"],
    "index_name": "docs",
    "index_type": "string",
    "metadata": {},
    "namespace": "a",
    "node_ids": ["1"],
    "nodes": [text_node("a")],
    "query_str": "a",
    "persist_path": "anywhere",
    "property_name": "a",
    "record_manager": InMemoryRecordManager("docs"),
    "ref_doc_id": "doc",
    "ref_doc_ids": ["doc"],
    "search_type": "similarity",
    "texts": ["a"],
}
QUERIES: dict[Kind, Any] = {LANGCHAIN: "a", LLAMA_INDEX: QUERY}


def called(kind: Kind, name: str) -> str:
    return f"{kind.name}-{name}"


def ids(cases: list[tuple[Kind, str]]) -> list[str]:
    return [called(*case) for case in cases]


@pytest.fixture
async def store(kind: Kind, client: VectorizeClient) -> Any:
    made = kind.over(client, text_index=D1TextIndex("words"))
    await kind.add(sync_call, made, "1")
    return made


def arguments(kind: Kind, method: Callable[..., Any]) -> list[Any]:
    """A value for every argument that has no default."""
    given = {**GIVEN, "query": QUERIES[kind]}
    if inspect.isclass(getattr(method, "__self__", None)):
        given["embedding"] = Embedder()
    named = inspect.signature(method).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [given[p.name] for p in named if p.default is p.empty and p.kind in plain]


@pytest.mark.parametrize(("kind", "name"), EVERY_METHOD, ids=ids(EVERY_METHOD))
async def test_no_method_swallows_a_keyword(kind: Kind, client: VectorizeClient, name: str) -> None:
    method = getattr(kind.over(client, text_index=D1TextIndex("words")), name)
    given = arguments(kind, method)

    async def call() -> None:
        coming = method(*given, not_an_option=1)
        if inspect.isawaitable(coming):
            await coming

    with pytest.raises(TypeError, match="unexpected keyword argument 'not_an_option'"):
        await call()


@both_stores
async def test_every_method_says_what_takes_a_word_that_no_method_does(
    kind: Kind, store: Any
) -> None:
    of_queries = {"as_retriever", "query", "aquery"}  # their words are others
    for name in {*OWN[kind]} - of_queries:
        with pytest.raises(TypeError, match=rf"\.{name}\(\) .*create_index\(\) takes that$"):
            await getattr(store, name)(dimensions=3)


@both_stores
def test_a_docstring_names_the_options_of_what_reads_or_deletes(kind: Kind) -> None:
    unnamed = []
    for name in {name for of, name in PAIRS if of is kind}:
        method = inspect.unwrap(getattr(kind.store, name))
        hint = get_args(get_type_hints(method).get("options"))
        options = inspect.get_annotations(hint[0]) if hint else {}
        if {"verify", "max_requests"} & {*options} and "retrieval_mode" not in options:
            said = inspect.getdoc(method) or ""
            unnamed += [(name, one) for one in options if not re.search(rf"``{one}\b", said)]
    assert not unnamed


@pytest.mark.filterwarnings("ignore::vectorize_core.NotPersistedWarning")
@pytest.mark.parametrize(("kind", "name"), EVERY_METHOD, ids=ids(EVERY_METHOD))
async def test_every_method_works_with_what_it_must_be_given(
    kind: Kind, store: Any, name: str
) -> None:
    method = getattr(store, name)
    told_where = inspect.isclass(getattr(method, "__self__", None))
    told_what = name.endswith(("_nodes", "update_metadata"))
    if told_where or told_what or (kind is LANGCHAIN and name.endswith("delete")):
        return  # These must be told where, or what.
    coming = method(*arguments(kind, method))
    if inspect.isawaitable(coming):
        await coming
    elif inspect.isasyncgen(coming):
        assert len([item async for item in coming]) == 1


@pytest.mark.parametrize(("kind", "name"), PAIRS, ids=ids(PAIRS))
def test_both_variants_take_the_same_arguments(kind: Kind, name: str) -> None:
    def shape(name: str) -> list[Any]:
        named = inspect.signature(getattr(kind.store, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in named]

    assert shape(async_name(name)) == shape(name)


WITHOUT_TWIN = {
    LANGCHAIN: {"as_retriever", "await_writes", "from_existing_index", "wait"},
    LLAMA_INDEX: {
        *("await_writes", "wait_for_writes", "persist"),
        *("class_name", "from_dict", "from_params"),
    },
}


@both_stores
def test_what_works_on_the_index_has_both_variants(kind: Kind) -> None:
    paired = {name for of, name in PAIRS if of is kind}
    without = {*OWN[kind]} - paired - {async_name(name) for name in paired}
    assert without == WITHOUT_TWIN[kind] | {"local", "with_namespace"}


@both_stores
def test_methods_of_the_base_class_are_the_stores_own(kind: Kind) -> None:
    base = {
        name
        for name, value in inspect.getmembers(BASES[kind], callable)
        if not name.startswith("_") and (kind is LANGCHAIN or name in vars(BASES[kind]))
    }
    inherited = {n for n in base if getattr(kind.store, n) is getattr(BASES[kind], n)}
    assert inherited == set()


def test_methods_of_llama_index_take_what_it_gives() -> None:
    for name in {*OWN[LLAMA_INDEX]} & {*vars(BasePydanticVectorStore)}:
        ours = inspect.signature(getattr(LLAMA_INDEX.store, name)).parameters
        theirs = inspect.signature(getattr(BasePydanticVectorStore, name)).parameters.values()
        assert all(p.name in ours or p.kind == p.VAR_KEYWORD for p in theirs)


def test_ids_to_get_are_given_by_position() -> None:
    for name in ("get_by_ids", "aget_by_ids"):
        given = inspect.signature(getattr(LANGCHAIN.store, name)).parameters["ids"]
        assert given.kind is given.POSITIONAL_ONLY


WRONG_KEYWORDS = [
    (LANGCHAIN, "add_texts", (["a"],), "batchsize", "batch_size"),
    (LANGCHAIN, "add_texts", (["a"],), "metadata", "metadatas"),
    (LANGCHAIN, "add_documents", ([],), "name_space", "namespace"),
    (LANGCHAIN, "delete", (["a"],), "wait_time", "wait_timeout"),
    (LANGCHAIN, "delete", (), "deleteall", "delete_all"),
    (LANGCHAIN, "similarity_search", ("q",), "filters", "filter"),
    (LANGCHAIN, "similarity_search", ("q",), "md_filter", "filter"),
    (LANGCHAIN, "similarity_search_with_score", ("q",), "namspace", "namespace"),
    (LANGCHAIN, "similarity_search_with_relevance_scores", ("q",), "filtr", "filter"),
    (LANGCHAIN, "similarity_search_by_vector", ([1.0],), "vectorise_filter", "vectorize_filter"),
    (LANGCHAIN, "max_marginal_relevance_search", ("q",), "lambda_mul", "lambda_mult"),
    (LANGCHAIN, "max_marginal_relevance_search_by_vector", ([1.0],), "fetchk", "fetch_k"),
    (LANGCHAIN, "from_texts", (["a"], Embedder()), "indexname", "index_name"),
    (LANGCHAIN, "from_documents", ([], Embedder()), "api_tokn", "api_token"),
    (LLAMA_INDEX, "add", ([],), "batchsize", "batch_size"),
    (LLAMA_INDEX, "delete", ("a",), "wait_time", "wait_timeout"),
    (LLAMA_INDEX, "delete_nodes", (["a"],), "filter", "filters"),
    (LLAMA_INDEX, "query", (QUERY,), "name_space", "namespace"),
    (LLAMA_INDEX, "query", (QUERY,), "vectorizefilter", "vectorize_filter"),
    (LLAMA_INDEX, "query", (QUERY,), "mmr_treshold", "mmr_threshold"),
    (LLAMA_INDEX, "get_nodes", (["a"],), "max_request", "max_requests"),
    (LLAMA_INDEX, "delete", ("doc",), "verfy", "verify"),
    (LLAMA_INDEX, "add", ([],), "waits", "wait"),
    (LLAMA_INDEX, "delete_nodes", (["a"],), "wait_timout", "wait_timeout"),
]


@both_ways
@pytest.mark.parametrize(("kind", "method", "args", "wrong", "right"), WRONG_KEYWORDS)
async def test_an_unknown_keyword_names_the_nearest(
    kind: Kind,
    client: VectorizeClient,
    call: Call,
    method: str,
    args: Any,
    wrong: str,
    right: str,
) -> None:
    store = kind.over(client)
    message = f"unexpected keyword argument '{wrong}'; did you mean '{right}'"
    with pytest.raises(TypeError, match=message):
        await call(store, method, *args, **{wrong: 1})


@pytest.mark.parametrize("kind", [LANGCHAIN])
async def test_an_option_that_is_no_retrievers_says_whose_it_is(kind: Kind, store: Any) -> None:
    for option in ("k", "filter", "score_threshold", "fetch_k", "namespace"):
        with pytest.raises(TypeError, match=rf"'{option}'; search_kwargs=\{{...\}} takes that"):
            store.as_retriever(**{option: 1})
    with pytest.raises(TypeError, match="did you mean 'search_type'"):
        store.as_retriever(searchtype="mmr")
    retriever = store.as_retriever(search_kwargs={"k": 1}, tags=["t"], name="mine")
    assert (retriever.name, retriever.search_kwargs) == ("mine", {"k": 1})
    assert "t" in (retriever.tags or [])


@pytest.mark.parametrize("kind", [LLAMA_INDEX])
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
        ("from_dict", "d1_binding", "texts=D1Texts.from_binding"),
        ("from_params", "d1_database_id", "texts=D1Texts"),
    ],
)
async def test_a_word_of_another_library_names_the_right_word(
    kind: Kind, store: Any, method: str, wrong: str, hint: str
) -> None:
    called = getattr(store, method)
    with pytest.raises(TypeError, match=f"'{wrong}'; .*{hint}"):
        await called(*arguments(kind, called), **{wrong: 1})
