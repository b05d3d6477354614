"""Wrong arguments, to every method: a named error, and nothing embedded or sent before it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Recorder, async_name, both_ways, recorded, vector
from tests.wrong import (
    FILTER,
    FIND,
    NAMESPACE,
    PRECISION,
    SOME_IDS,
    TIMEOUT,
    UNINDEXED,
    VECTOR,
    WAITS,
    WRITE,
    Wrong,
    count,
    embedding,
    flag,
    needed,
    number,
    several,
    text,
)
from vectorize_core import ConfigurationError, InvalidInputError, VectorizeClient
from vectorize_core.api.operations import Query

DOCUMENT = Document("a", id="1")
BARE: Any = Document.model_construct


ADD = {**WRITE, "namespace": NAMESPACE}
FUSION: Wrong = {
    "a text": ("best", "fusion is 'relative' or 'rrf'; got 'best'"),
    "a list": (["rrf"], "fusion is 'relative' or 'rrf'; got .*list"),
}
HOW = {
    "retrieval_mode": {
        "a text": ("sparse", "retrieval_mode is 'dense', 'text' or 'hybrid'; got 'sparse'"),
        "a number": (1, "retrieval_mode is 'dense', 'text' or 'hybrid'; got 1"),
    },
    "alpha": {**number("alpha"), "of no hybrid": (0.5, "alpha= is of a hybrid search, .*'dense'")},
    "fusion": {**FUSION, "of no hybrid": ("rrf", "fusion= is of a hybrid search, .*'dense'")},
}
SCORE: Wrong = {
    repr(wrong): (wrong, "score_threshold is a number; got")
    for wrong in ("0.5", True, math.nan, [1])
}
WITH_RELEVANCE = {"k": count("k"), "filter": FILTER, **FIND, **HOW}
SEARCH = {**WITH_RELEVANCE, "score_threshold": SCORE}
DIVERSE = {"fetch_k": count("fetch_k"), "lambda_mult": number("lambda_mult")}
METADATAS = {
    **several("metadatas", "dicts"),
    "too many": ([{}, {}], "1 texts, .*2 metadatas.*: give as many of each"),
    "too few": ([], "1 texts, .*0 metadatas.*: give as many of each"),
    "a text inside": (["x"], r"metadatas\[0\] is a dict; got 'x' \(str\)"),
    "a number inside": ([5], r"metadatas\[0\] is a dict; got 5 \(int\)"),
    "pairs inside": ([[("a", 1)]], r"metadatas\[0\] is a dict; got .*\(list\)"),
}
IDS = {
    **several("ids", "ids"),
    "too many": (["1", "2"], "1 .*, 2 ids: give as many of each"),
    "too few": ([], "1 .*, 0 ids: give as many of each"),
}
TEXTS = {
    **needed("texts", "texts"),
    "a None inside": ([None], r"texts\[0\] is a string; got None"),
    "a number inside": ([5], r"texts\[0\] is a string; got 5 \(int\)"),
    "a Document inside": ([DOCUMENT], r"texts\[0\] is a string; got Doc.*add_documents\(\)"),
    "a Document": (DOCUMENT, "texts is an iterable of texts; got Document.*Put it into a list"),
}
DOCUMENTS = {
    **needed("documents", "Documents"),
    "a Document": (DOCUMENT, "documents is an iterable of Documents; got Doc.* Put it into a list"),
    "a text inside": (["a"], r"documents\[0\] is a Document; got 'a' \(str\).*add_texts\(\)"),
    "a None inside": ([None], r"documents\[0\] is a Document; got None"),
    "a dict inside": ([{"page_content": "a"}], r"documents\[0\] is a Document; got .*\(dict\)"),
    "a list inside": ([[DOCUMENT]], r"documents\[0\] is a Document; got .*\(list\)"),
    "no text": (
        [BARE(page_content=None, metadata={}, id="1")],
        r"documents\[0\].page_content is a string; got None",
    ),
    "metadata that is none": (
        [BARE(page_content="a", metadata=5, id="1")],
        r"documents\[0\].metadata is a dict; got 5",
    ),
}
EMBEDDINGS = {
    **needed("embeddings", "embeddings"),
    "a None inside": ([None], r"embeddings\[0\] is a list of numbers; got None.*add_texts\(\)"),
    "a text inside": (["a"], r"embedding of record '.*' is a list of numbers; got 'a' \(str\)"),
    "a number inside": ([5.0], "embedding of record '.*' is a list of numbers; got 5.0"),
    "NaN inside": ([[math.nan] * 32], "'1'.*NaN or infinite"),
    "a ragged one": ([[[1.0], [1.0, 2.0]]], "embedding of record .* inhomogeneous"),
    "too many": ([VECTOR, VECTOR], "1 texts, 2 embeddings"),
    "one alone": (VECTOR, "1 texts, 32 embeddings"),
}
METADATA = {
    "None": (None, "metadata is an iterable of dicts, or one dict for all; got None"),
    "a text": ("x", "metadata is an iterable of dicts, or one dict for all; got one string"),
    "a number": (5, "metadata is an iterable of dicts, or one dict for all; got 5"),
    "None inside": ([None], r"metadata\[0\] is a dict; got None"),
    "a text inside": (["x"], r"metadata\[0\] is a dict; got 'x' \(str\)"),
    "too many": ([{}, {}], "1 ids, but the metadata of 2 records"),
}
# By method, a call that is right, and what is wrong for each of its arguments.
RIGHT: dict[str, dict[str, Any]] = {
    "add_texts": {"texts": ["a"], "ids": ["1"]},
    "add_documents": {"documents": [DOCUMENT], "ids": ["1"]},
    "update_documents": {"documents": [DOCUMENT]},
    "add_embeddings": {"texts": ["a"], "embeddings": [VECTOR], "ids": ["1"]},
    "update_metadata": {"ids": ["1"], "metadata": {}},
    "create_metadata_index": {"property_name": "a", "index_type": "string"},
    "reindex_metadata": {},
    "reindex_texts": {},
    "compare": {"record_manager": InMemoryRecordManager("docs")},
    "get": {},
    "delete": {"ids": ["1"]},
    "get_by_ids": {"ids": ["1"]},
    "similarity_search": {"query": "a"},
    "similarity_search_with_score": {"query": "a"},
    "similarity_search_with_relevance_scores": {"query": "a"},
    "similarity_search_by_vector": {"embedding": VECTOR},
    "similarity_search_with_score_by_vector": {"embedding": VECTOR},
    "similarity_search_by_id": {"id": "1"},
    "similarity_search_with_vectors": {"query": "a"},
    "max_marginal_relevance_search": {"query": "a"},
    "max_marginal_relevance_search_by_vector": {"embedding": VECTOR},
    "max_marginal_relevance_search_with_score": {"query": "a"},
    "max_marginal_relevance_search_with_score_by_vector": {"embedding": VECTOR},
    "search": {"query": "a", "search_type": "similarity"},
    "iter_documents": {},
    "iter_ids": {},
    "count": {},
    "explain_filter": {"filter": None},
    "explain_text": {"query": "a"},
    "wait": {},
    "await_writes": {},
    "with_namespace": {},
}
NO_QUERY_TEXT = {
    **text("query"),
    "a Document": (DOCUMENT, r"query is a string; got Document.*\(Document\)"),
    "an embedding": (VECTOR, "query is a string; got .*by_vector take an embedding"),
}
NO_KEYWORD = {"reset", "drop"}
"""Methods without arguments."""
BY_TEXT = {"query": NO_QUERY_TEXT, **SEARCH}
BY_VECTOR = {"embedding": embedding("embedding"), **SEARCH}
WRONG: dict[str, dict[str, Wrong]] = {
    "add_texts": {"texts": TEXTS, "metadatas": METADATAS, "ids": IDS, **WRITE},
    "add_documents": {"documents": DOCUMENTS, "ids": IDS, **WRITE},
    "update_documents": {"documents": DOCUMENTS, "ids": IDS, **WRITE},
    "add_embeddings": {
        "texts": TEXTS,
        "embeddings": EMBEDDINGS,
        "metadatas": METADATAS,
        "ids": IDS,
        **ADD,
    },
    "update_metadata": {
        "ids": SOME_IDS,
        "metadata": METADATA,
        "remove": {
            **needed("remove", "keys"),
            "no key inside": ([["a"]], r"remove\[0\] is a key of metadata; got .*list"),
        },
        "replace": flag("replace"),
        **WAITS,
    },
    "create_metadata_index": {
        "property_name": {
            "None": (None, "property_name is a string; got None"),
            "a number": (5, "property_name is a string; got 5"),
            "a list": (["a"], "property_name is a string; got"),
            "empty": ("", "cannot be the name of a metadata property"),
        },
        "index_type": {
            "None": (None, "the metadata index on 'a' has the type None; types are"),
            "another": ("text", "the metadata index on 'a' has the type 'text'; types are"),
        },
        "wait_timeout": TIMEOUT,
    },
    "reindex_metadata": WAITS,
    "reindex_texts": {"show_progress": flag("show_progress")},
    "compare": {
        "record_manager": {
            "None": (None, "record_manager is a RecordManager; got None"),
            "ids": (["1"], r"record_manager is a RecordManager; got .*\(list\)"),
        },
        "key_encoder": {
            "a text": ("md5", "key_encoder is 'sha1', 'sha256', 'sha512' or 'blake2b'; got 'md5'"),
            "a list": (["sha1"], "key_encoder is 'sha1', .*; got .*list"),
        },
        "check_contents": flag("check_contents"),
        "repair": {
            **flag("repair"),
            "of nothing": (True, "lists no key, so a repair would delete"),
        },
        "namespace": NAMESPACE,
        "max_requests": FIND["max_requests"],
    },
    "get": {
        "ids": {name: case for name, case in SOME_IDS.items() if name != "None"},
        "filter": FILTER,
        "limit": {name: case for name, case in count("limit").items() if name != "None"},
        "offset": {name: case for name, case in count("offset").items() if name != "None"},
        "include": {
            **needed("include", "names"),
            "another": (["texts"], "include is 'documents', 'metadatas' or 'embeddings'; got 'tex"),
        },
        **FIND,
    },
    "delete": {
        "ids": {name: case for name, case in SOME_IDS.items() if name != "None"}
        | {"None": (None, "delete takes ids, or filter=, or delete_all=True")},
        "delete_all": flag("delete_all"),
        "verify": flag("verify"),
        **WAITS,
    },
    "get_by_ids": {"ids": SOME_IDS},
    "similarity_search": BY_TEXT,
    "similarity_search_with_score": BY_TEXT,
    "similarity_search_with_relevance_scores": {
        **BY_TEXT,
        "score_threshold": number("score_threshold"),
    },
    "similarity_search_by_vector": BY_VECTOR,
    "similarity_search_with_score_by_vector": BY_VECTOR,
    "similarity_search_by_id": SEARCH,
    "similarity_search_with_vectors": BY_TEXT,
    "max_marginal_relevance_search": {**BY_TEXT, **DIVERSE},
    "max_marginal_relevance_search_by_vector": {**BY_VECTOR, **DIVERSE},
    "max_marginal_relevance_search_with_score": {**BY_TEXT, **DIVERSE},
    "max_marginal_relevance_search_with_score_by_vector": {**BY_VECTOR, **DIVERSE},
    "search": {
        **BY_TEXT,
        "search_type": {
            "None": (None, "search_type is 'similarity', .* or 'mmr'; got None"),
            "a text": ("mmrr", "search_type is 'similarity', .* or 'mmr'; got 'mmrr'"),
            "a list": (["mmr"], "search_type is 'similarity', .* or 'mmr'; got .*list"),
            "a mode": ("hybrid", "'hybrid' is a retrieval_mode: .* retrieval_mode='hybrid'"),
        },
    },
    "iter_documents": {"filter": FILTER, **FIND},
    "iter_ids": {"filter": FILTER, **FIND},
    "count": {"filter": FILTER, "precision": PRECISION, **FIND},
    "explain_filter": {
        "filter": FILTER,
        "k": {name: case for name, case in count("k").items() if name != "None"},
        "unindexed": UNINDEXED,
    },
    "explain_text": {"query": NO_QUERY_TEXT},
    "wait": {"wait_timeout": TIMEOUT},
    "await_writes": {"wait_timeout": TIMEOUT},
    "with_namespace": {
        "namespace": {**NAMESPACE, "None": (None, "a tenant has a namespace of its own; got None")}
    },
}
CASES = [
    pytest.param(method, argument, value, said, id=f"{method}-{argument}-{name}")
    for method, of in WRONG.items()
    for argument, wrong in of.items()
    for name, (value, said) in wrong.items()
]
ONE_VARIANT = ("wait", "await_writes", "with_namespace")


async def done(call: Call, store: Any, method: str, **given: Any) -> Any:
    """What a call returns or yields; `get_by_ids` takes its ids by position alone."""
    args = [given.pop("ids")] if method == "get_by_ids" else []
    if method in ONE_VARIANT:
        found = getattr(store, method)(*args, **given)
        return await found if inspect.isawaitable(found) else found
    if not method.startswith("iter_"):
        return await call(store, method, *args, **given)
    if call.__name__ == "sync_call":
        return list(getattr(store, method)(**given))
    return [item async for item in getattr(store, async_name(method))(**given)]


def test_every_method_is_here() -> None:
    rooms = ("langchain_v", "vectorize_core")
    ours = [part for part in VectorizeVectorStore.__mro__ if part.__module__.startswith(rooms)]
    names = {name for part in ours for name in vars(part) if not name.startswith("_")}
    here = {*WRONG, *map(async_name, WRONG)}
    assert names - here - {*NO_KEYWORD, *map(async_name, NO_KEYWORD)} == {
        "aclose",
        "afrom_documents",
        "afrom_texts",
        "as_retriever",
        "client",
        "close",
        "embeddings",
        "from_documents",
        "from_existing_index",
        "from_texts",
        "index",
        "local",
    }


@pytest.fixture
def filled(store: VectorizeVectorStore, sent: Recorder, embedder: Embedder) -> VectorizeVectorStore:
    """A store with a document, and nothing recorded so far."""
    store.add_documents([DOCUMENT])
    sent.ops.clear()
    embedder.batches.clear()
    return store


@pytest.fixture(scope="module")
def untouched() -> Iterator[tuple[VectorizeVectorStore, Recorder, Embedder]]:
    """A store with a document, which nothing is to reach; and what would notice."""
    embedder = Embedder()
    with VectorizeClient.local() as client:
        sent = recorded(client)
        store = VectorizeVectorStore(embedder, index_name="docs", client=client, create_index=True)
        store.add_documents([DOCUMENT])
        yield store, sent, embedder


@pytest.mark.covering(2)
@both_ways
@pytest.mark.parametrize(("method", "argument", "value", "said"), CASES)
async def test_a_wrong_argument_is_named_before_anything_is_done(
    untouched: tuple[VectorizeVectorStore, Recorder, Embedder],
    call: Call,
    method: str,
    argument: str,
    value: Any,
    said: str,
) -> None:
    store, sent, embedder = untouched
    sent.ops.clear()
    embedder.batches.clear()
    embedder.queries.clear()
    given = {**RIGHT[method], argument: value}
    with pytest.raises(InvalidInputError, match=said):
        await done(call, store, method, **given)
    assert (embedder.batches, embedder.queries, sent.ops) == ([], [], [])


# What is plainly fine


WHOLE = [np.int64(2), np.uint8(2), 2.0, np.float32(2), np.array(2)]


@both_ways
@pytest.mark.parametrize("two", WHOLE, ids=lambda two: type(two).__name__)
async def test_a_whole_number_may_be_numpys_or_a_float(
    store: VectorizeVectorStore, call: Call, two: Any
) -> None:
    options = {"batch_size": two, "max_batch_bytes": 100_000 * float(two), "concurrency": two}
    added = [Document(name, id=name) for name in "abcde"]
    assert await call(store, "add_documents", added, **options) == [*"abcde"]
    for method, of in RIGHT.items():
        if "k" not in WRONG[method] or method == "explain_filter":
            continue
        given = {"id": "a"} if "id" in of else of
        more = {name: two for name in DIVERSE if name == "fetch_k" and name in WRONG[method]}
        found = await done(call, store, method, **given, k=two, max_requests=two, **more)
        assert len(found) == 2, method
    assert await call(store, "count", max_requests=two) == 5
    explained = await call(store, "explain_filter", None, two)
    assert str(explained) == str(await call(store, "explain_filter", None, 2))


@both_ways
async def test_a_threshold_or_a_weight_may_be_any_number(
    filled: VectorizeVectorStore, call: Call
) -> None:
    for value in (0, np.float32(0.5), np.int64(-1)):
        found = await call(filled, "similarity_search", "a", score_threshold=value)
        assert [document.id for document in found] == ["1"]
    for value in (0, 1, np.float32(0.5), np.int64(1)):
        chosen = await call(filled, "max_marginal_relevance_search", "a", lambda_mult=value)
        assert [document.id for document in chosen] == ["1"]
    for value in (0, np.float32(0.5), np.float64(0.999)):
        method = "similarity_search_with_relevance_scores"
        found = await call(filled, method, "a", score_threshold=value)
        assert [document.id for document, _ in found] == ["1"]


@both_ways
async def test_columns_may_be_any_collections(store: VectorizeVectorStore, call: Call) -> None:
    columns: list[Any] = [("a", "b"), {"a": 0, "b": 0}.keys(), np.array(["a", "b"], object)]
    for texts in columns:
        ids = await call(store, "add_texts", texts, [None, {"n": 1}], ids=["1", None])
        assert (ids[0], len(ids[1])) == ("1", 36)
        assert [d.metadata for d in store.get_by_ids(ids)] == [{}, {"n": 1}]
    with pytest.raises(InvalidInputError, match="2 texts, 1 ids: give as many of each"):
        await call(store, "add_texts", np.array(["a", "b"], object), ids=np.array(["1"], object))


# What an embedding model returns


class Returning(Embedder):
    """An embedding model that returns something else."""

    def __init__(self, documents: Any, query: Any) -> None:
        super().__init__()
        self.returned, self.of_query = documents, query

    def _documents(self, texts: list[str]) -> Any:
        return self.returned() if callable(self.returned) else self.returned

    def embed_query(self, text: str) -> Any:
        return self.of_query

    async def aembed_query(self, text: str) -> Any:
        return self.of_query


NO_EMBEDDINGS: Wrong = {
    "None": (None, "one for each of 2 texts; it returned None"),
    "a number": (5, r"one for each of 2 texts; it returned 5 \(int\)"),
    "a text": ("ab", r"one for each of 2 texts; it returned 'ab' \(str\)"),
    "a dict": ({"a": VECTOR, "b": VECTOR}, r"one for each of 2 texts; it returned .*\(dict\)"),
    "too few": ([VECTOR], "returned 1 vectors for 2 texts"),
    "too many": ([VECTOR] * 3, "returned 3 vectors for 2 texts"),
    "none": ([], "returned 0 vectors for 2 texts"),
    "too few from a generator": (lambda: iter([VECTOR]), "returned 1 vectors for 2 texts"),
    "None inside": ([VECTOR, None], "embedding of record '2' is a list of numbers; got None"),
    "texts": (["a", "b"], r"embedding of record '1' is a list of numbers; got 'a' \(str\)"),
    "texts inside": ([["a"] * 32] * 2, "record '1' is a list of numbers; .* at position 0"),
    "ragged": ([VECTOR, VECTOR[1:]], "'2' has 31 dimensions.* 32"),
    "nested": ([[VECTOR], [VECTOR]], r"embedding of record '1' .*shape \(1, 32\)"),
    "NaN": ([VECTOR, [math.nan] * 32], "'2' has a value that is not a finite .*NaN"),
    "no numbers": ([[], []], "dimensions"),
}
NO_QUERY: Wrong = {
    **embedding("the embedding of the query"),
    "too short": (VECTOR[1:], "31 dimensions, the index 'docs' has 32"),
    "no numbers": ([], "0 dimensions, the index 'docs' has 32"),
}


@pytest.mark.covering(2)
@both_ways
@pytest.mark.parametrize("method", ["add_texts", "add_documents", "update_documents"])
@pytest.mark.parametrize(("returned", "said"), NO_EMBEDDINGS.values(), ids=NO_EMBEDDINGS)
async def test_what_a_model_returns_for_documents_is_checked(
    client: VectorizeClient, sent: Recorder, call: Call, method: str, returned: Any, said: str
) -> None:
    model = Returning(returned, None)
    store = VectorizeVectorStore(model, index_name="docs", client=client, create_index=True)
    args: Any = {"texts": ["a", "b"], "ids": ["1", "2"]}
    if method != "add_texts":
        args = {"documents": [Document("a", id="1"), Document("b", id="2")]}
    with pytest.raises(InvalidInputError, match=said):
        await call(store, method, **args)
    assert sent.changes == []


@both_ways
@pytest.mark.parametrize(
    "method",
    [
        "similarity_search",
        "similarity_search_with_relevance_scores",
        "max_marginal_relevance_search",
    ],
)
@pytest.mark.parametrize(("returned", "said"), NO_QUERY.values(), ids=NO_QUERY)
async def test_what_a_model_returns_for_a_query_is_checked(
    filled: VectorizeVectorStore,
    client: VectorizeClient,
    sent: Recorder,
    call: Call,
    method: str,
    returned: Any,
    said: str,
) -> None:
    store = VectorizeVectorStore(Returning(None, returned), index_name="docs", client=client)
    with pytest.raises(InvalidInputError, match=said):
        await call(store, method, "a")
    assert not sent.of(Query)


def test_a_model_may_return_any_collection(client: VectorizeClient) -> None:
    for returned in (np.array([VECTOR]), (tuple(VECTOR),), iter([np.array(VECTOR)])):
        model = Returning(returned, np.array(VECTOR))
        store = VectorizeVectorStore(model, index_name="docs", client=client, create_index=True)
        store.add_texts(["a"], ids=["1"])
        assert [document.id for document in store.similarity_search("a")] == ["1"]


# Retrievers


RETRIEVERS: dict[str, tuple[dict[str, Any], str]] = {
    "search_type": (
        {"search_type": "mmrr"},
        "search_type is 'similarity', .* or 'mmr'; got 'mmrr'",
    ),
    "search_type None": (
        {"search_type": None},
        "search_type is 'similarity', .* or 'mmr'; got None",
    ),
    "search_kwargs": ({"search_kwargs": [("k", 4)]}, r"search_kwargs is a dict .*; got .*\(list\)"),
    "k": ({"search_kwargs": {"k": "4"}}, "k is a whole number; got '4'"),
    "fetch_k": ({"search_kwargs": {"fetch_k": -1}}, "fetch_k is not negative; got -1"),
    "lambda_mult": ({"search_kwargs": {"lambda_mult": "0.5"}}, "lambda_mult is a number from 0 to"),
    "retrieval_mode": (
        {"search_kwargs": {"retrieval_mode": "bm25"}},
        "retrieval_mode is 'dense', 'text' or 'hybrid'; got 'bm25'",
    ),
    "alpha": ({"search_kwargs": {"alpha": 2}}, "alpha is a number from 0 to 1; got 2"),
    "fusion": ({"search_kwargs": {"fusion": "best"}}, "fusion is 'relative' or 'rrf'; got 'best'"),
    "score": ({"search_kwargs": {"score_threshold": "1"}}, "score_threshold is a number; got '1'"),
    "threshold": (
        {
            "search_type": "similarity_score_threshold",
            "search_kwargs": {"score_threshold": "1"},
        },
        "score_threshold is a number from",
    ),
    "tags": ({"tags": 5}, "as_retriever: tags: .* a valid list; got 5"),
    "metadata": ({"metadata": ["a"]}, "as_retriever: metadata: .* a valid dict.*; got"),
    "name": ({"name": 5}, "as_retriever: name: .* a valid string; got 5"),
    "no threshold": (
        {"search_type": "similarity_score_threshold"},
        "search_type='similarity_score_threshold' takes a threshold: search_kwargs=",
    ),
}


@pytest.mark.parametrize(("options", "said"), RETRIEVERS.values(), ids=RETRIEVERS)
def test_a_retriever_is_not_made_of_wrong_arguments(
    store: VectorizeVectorStore, options: Any, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        store.as_retriever(**options)


@both_ways
async def test_a_retriever_takes_numbers_of_any_kind_and_names_what_is_wrong(
    filled: VectorizeVectorStore, embedder: Embedder, sent: Recorder, call: Call
) -> None:
    chosen: list[dict[str, Any]] = [
        {"search_kwargs": {"k": np.int64(1)}},
        {"search_type": "mmr", "search_kwargs": {"k": 1.0, "fetch_k": np.int64(9)}},
        {"search_type": "similarity_score_threshold", "search_kwargs": {"score_threshold": 0}},
        {
            "search_type": "similarity_score_threshold",
            "search_kwargs": {"score_threshold": np.float32(0.9)},
        },
    ]
    for options in chosen:
        retriever = filled.as_retriever(**options)
        assert [document.id for document in await call(retriever, "invoke", "a")] == ["1"]
        embedder.queries.clear()
        sent.ops.clear()
        for query in (None, 5, {"query": "a"}, ["a"]):
            with pytest.raises(InvalidInputError, match="query is a string; got"):
                await call(retriever, "invoke", query)
        with pytest.raises(InvalidInputError, match="k is a whole number; got '4'"):
            await call(retriever, "invoke", "a", k="4")
        assert (embedder.queries, sent.ops) == ([], [])


# Constructors


OF_STORES: dict[str, tuple[dict[str, Any], str]] = {
    "embedding": ({"embedding": None}, "embedding is an Embeddings of LangChain, .*; got None"),
    "a name": ({"embedding": "openai"}, r"embedding is an Embeddings .*; got 'openai' \(str\)"),
    "a class": ({"embedding": Embedder}, r"embedding is an Embeddings .*; got .*Embedder"),
    "a function": ({"embedding": vector}, r"embedding is an Embeddings .*\(function\)"),
    "batch_size": ({"batch_size": "5"}, r"batch_size is a whole number; got '5' \(str\)"),
    "wait": ({"wait": "soon"}, "wait is False, True, .*; got 'soon'"),
    "wait_timeout": ({"wait_timeout": "5"}, "wait_timeout is a number that is not negative"),
    "namespace": ({"namespace": 5.0}, "a namespace is a non-empty string or None; got 5"),
    "text_key": ({"text_key": 5}, "text_key=5"),
    "on_oversize": ({"on_oversize": 5}, "on_oversize is 'error' or 'cut'; got 5"),
    "on_missing_text": ({"on_missing_text": 5}, "on_missing_text is 'error' or 'empty'; got 5"),
    "create_index": ({"create_index": "no"}, "create_index is True or False; got 'no'"),
    "metric": ({"metric": ["cosine"]}, r"\['cosine'\] is not a metric"),
    "metadata_indexes": (
        {"metadata_indexes": ["year"]},
        r"metadata_indexes is a dict .*; got \['year'\] \(list\)",
    ),
    "retrieval_mode": (
        {"retrieval_mode": None},
        "retrieval_mode is 'dense', 'text' or 'hybrid'; got None",
    ),
    "alpha": ({"alpha": "0.5"}, "alpha is a number from 0 to 1; got '0.5'"),
    "fusion": ({"fusion": "best"}, "fusion is 'relative' or 'rrf'; got 'best'"),
    "relevance_score_fn": (
        {"relevance_score_fn": 0.5},
        "relevance_score_fn is a function of a score; got 0.5",
    ),
    "index_name": ({"index_name": 5}, "an index name is a non-empty string; got 5"),
}


@pytest.mark.parametrize(("options", "said"), OF_STORES.values(), ids=OF_STORES)
def test_a_store_is_not_made_of_wrong_arguments(options: Any, said: str) -> None:
    given: Any = {"embedding": Embedder(), "index_name": "docs", "path": ":memory:", **options}
    with pytest.raises(InvalidInputError, match=said):
        VectorizeVectorStore(**given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"client": "docs"}, r"client is VectorizeClient or AsyncVectorizeClient; got 'docs'"),
        ({"index": "docs"}, "index is Index or AsyncIndex; got 'docs'"),
        (
            {"path": ":memory:", "texts": "docs"},
            "texts= is a TextStore or a LangChain BaseStore; got str",
        ),
    ],
)
def test_a_store_is_not_made_of_another_kind_of_object(options: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        VectorizeVectorStore(Embedder(), index_name="docs", **options)


@both_ways
@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("from_texts", None, "texts is an iterable of texts; got None"),
        ("from_texts", "a", "texts is an iterable of texts; got one string"),
        ("from_texts", [DOCUMENT], r"texts\[0\] is a string; got Document"),
        ("from_documents", None, "documents is an iterable of Documents; got None"),
        ("from_documents", DOCUMENT, "documents is an iterable of Documents; got Document"),
        ("from_documents", ["a"], r"documents\[0\] is a Document; got 'a'"),
    ],
)
async def test_a_store_is_not_filled_with_wrong_arguments(
    client: VectorizeClient, sent: Recorder, call: Call, method: str, given: Any, said: str
) -> None:
    model = Embedder()
    options: Any = {"index_name": "docs", "client": client, "create_index": True}
    with pytest.raises(InvalidInputError, match=said):
        await call(VectorizeVectorStore, method, given, model, **options)
    assert (model.batches, sent.changes) == ([], [])
