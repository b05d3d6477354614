"""A wrong argument is an error in the words of LlamaIndex's users, before anything is sent."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import MODEL, equal_to, text_node
from tests.stores import Call, Make, Recorder, both_ways, vector
from vectorize_core import IndexNotFoundError, VectorizeClient, VectorizeError

OP, MMR = FilterOperator, VectorStoreQueryMode.MMR
ONE = MetadataFilter(key="n", value=1)
NAN = float("nan")


def asked(**options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(**{"query_embedding": vector("a"), "similarity_top_k": 2, **options})


def leaf(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


def embedded(embedding: Any) -> TextNode:
    return TextNode.model_construct(
        id_="bad", text="t", metadata={}, relationships={}, embedding=embedding
    )


Case = tuple[str, tuple[Any, ...], dict[str, Any], str]
"""A method, its arguments, and what the error says."""
NUMBERS: list[Case] = [
    ("query", (asked(similarity_top_k=wrong),), {}, "similarity_top_k is .*; got")
    for wrong in ("5", None, 2.5, True, -1, [2], NAN)
]
EMBEDDINGS: list[Case] = [
    ("query", (asked(query_embedding=wrong),), {}, f"query_embedding {says}")
    for wrong, says in (
        ("hello", "is a list of numbers; got 'hello'"),
        (["a"] * 32, "is a list of numbers"),
        ([NAN] * 32, "has a value that is NaN or infinite"),
        ([vector("a")], "is a list of numbers"),
        (5, "is a list of numbers"),
        ({}, "is a list of numbers"),
    )
]
EMBEDDINGS += [
    ("query", (asked(query_embedding=[1.0]),), {}, "has 1 dimensions, the index 'docs' has 32"),
    ("query", (asked(query_embedding=[], node_ids=["a"]),), {}, "has 0 dimensions"),
    ("add", ([embedded(None)],), {}, r"'bad' has no embedding; embed it first.*nodes\[0\]"),
    ("add", ([embedded(["a"] * 32)],), {}, "'bad' is a list of numbers"),
    ("add", ([embedded([1.0])],), {}, "'bad' has 1 dimensions"),
    ("add", ([embedded([NAN] * 32)],), {}, "'bad' has a value that is not a finite"),
]
QUERIES: list[Case] = [
    *(
        ("query", (wrong,), {}, r"query is a VectorStoreQuery; got .*as_retriever\(\)")
        for wrong in ("hello", None, vector("a"), QueryBundle("hello"), {"query_str": "hello"})
    ),
    ("query", (asked(query_embedding=None),), {}, "neither an embedding nor filters"),
    ("query", (asked(mode="nearest"),), {}, "mode is .*'hybrid'; got 'nearest'"),
    ("query", (asked(mode=None),), {}, "mode is .*'hybrid'; got None"),
    ("query", (asked(mode=MMR, query_embedding=None),), {}, "mode='mmr' needs an embedding"),
    *(
        ("query", (asked(mode=mode, **{name: 5}),), {}, f"{name}: only a query with mode='{takes}'")
        for name, takes, modes in (
            ("alpha", "hybrid", ("default", "sparse")),
            ("hybrid_top_k", "hybrid", ("mmr", "text_search")),
            ("sparse_top_k", "text_search' or 'sparse' or 'hybrid", ("default",)),
        )
        for mode in modes
    ),
    ("query", (asked(),), {"fusion": "rrf"}, "fusion: only a query with mode='hybrid'"),
    *(
        ("query", (asked(**{"mode": "hybrid", "query_str": "a", **wrong}),), {}, says)
        for wrong, says in (
            ({"query_str": None}, "query_str is a string; got None. With mode='hybrid' it holds"),
            ({"query_embedding": None}, "mode='hybrid' needs an embedding; query_embedding is"),
            ({"alpha": 1.5}, "alpha is a number from 0"),
            ({"alpha": "0.5"}, "alpha is a number from 0"),
            ({"hybrid_top_k": -1}, "hybrid_top_k is not negative"),
            ({"sparse_top_k": "5"}, "sparse_top_k is a whole number"),
        )
    ),
    *(
        ("query", (asked(mode="hybrid", query_str="a", alpha=0.5),), {"fusion": fusion}, says)
        for fusion, says in (("best", "fusion is 'relative' or 'rrf'"), ("rrf", "has none"))
    ),
    ("query", (asked(mode="sparse", query_str=5),), {}, "query_str is a string; got 5"),
    ("query", (asked(mode="sparse", query_str="a"),), {}, "text_index=True if it is embedded"),
    ("query", (asked(mode="hybrid", query_str="a"),), {}, "text_index=D1TextIndex"),
    ("explain_text", (5,), {}, "query_str is a string; got 5"),
    ("explain_text", ("a",), {}, "text_index=True if it is embedded"),
    *(("get_nodes", (), {name: -1}, f"{name} is not negative") for name in ("limit", "offset")),
    ("get_nodes", (), {"offset": "5"}, "offset is a whole number; got '5'"),
    ("update_metadata", ("a", {"n": 1}), {}, "node_ids is a list of ids; got 'a'"),
    ("update_metadata", (["a"], "n"), {}, "metadata is an iterable of dicts"),
    ("update_metadata", (["a"], [{}, {}]), {}, "1 ids, but the metadata of 2"),
    ("update_metadata", (["a"],), {}, "an update takes metadata, or keys to remove"),
    ("update_metadata", (["a"],), {"remove": "n"}, "remove is an iterable of keys; got one string"),
    ("update_metadata", (["a"], {}), {"replace": 1}, "replace is True or False; got 1"),
    ("update_metadata", (["a"], {}), {"wait": "soon"}, "wait is False, True"),
    ("create_metadata_index", ("year", "text"), {}, "types are"),
    ("create_metadata_index", (5, "string"), {}, "5"),
    ("create_metadata_index", ("n", "string"), {}, "'number', not 'string'"),
    ("create_metadata_index", ("a", "string"), {"wait_timeout": -1}, "wait_timeout is a number"),
    ("compare", ({"a": "hash"},), {}, r"docstore is a BaseDocumentStore; got {'a': 'hash'}"),
    ("compare", (SimpleDocumentStore(),), {"repair": "yes"}, "'all', is True or False; got 'yes'"),
    ("compare", (SimpleDocumentStore(),), {"max_requests": "5"}, "max_requests is a whole number"),
    ("reindex_texts", (), {}, "text_index=True if it is embedded"),
    ("reindex_texts", (), {"show_progress": "yes"}, "show_progress is True or False"),
    ("query", (asked(mmr_threshold=0.5),), {}, "mmr_threshold: only a query with mode='mmr'"),
    ("query", (asked(),), {"mmr_prefetch_k": 5}, "mmr_prefetch_k: only a query with mode='mmr'"),
    *(
        ("query", (asked(mode=MMR, mmr_threshold=wrong),), {}, "mmr_threshold is a number from 0")
        for wrong in ("0.5", 2, -1, NAN, True)
    ),
    *(
        ("query", (asked(mode=MMR),), {"mmr_prefetch_factor": wrong}, "mmr_prefetch_factor is a")
        for wrong in ("2", NAN, float("inf"), -1)
    ),
    ("query", (asked(mode=MMR),), {"mmr_prefetch_k": "5"}, "mmr_prefetch_k is a whole number"),
    ("query", (asked(),), {"strict_node_ids": "yes"}, "strict_node_ids is True or False"),
    ("query", (asked(),), {"include_embeddings": "yes"}, "include_embeddings is True or False"),
    *(
        ("query", (asked(),), {"similarity_cutoff": wrong}, "similarity_cutoff is a number; got")
        for wrong in ("0.5", True, NAN, [0.5])
    ),
    (
        "query",
        (asked(query_embedding=None, filters=equal_to("n", 1)),),
        {"similarity_cutoff": 0.5},
        "similarity_cutoff: a query without an embedding",
    ),
    (
        "query",
        (asked(mode="hybrid", query_str="a"),),
        {"similarity_cutoff": 0.5},
        "similarity_cutoff: only a query with mode='default' or 'mmr'",
    ),
    ("query", (asked(),), {"max_requests": "5"}, "max_requests is a whole number"),
]
IDS: list[Case] = [
    ("query", (asked(node_ids="a"),), {}, r"node_ids is a list of ids; got 'a'"),
    ("query", (asked(doc_ids="a"),), {}, r"doc_ids is a list of ids; got 'a'"),
    ("query", (asked(doc_ids=[None]),), {}, r"doc_ids\[0\] is None"),
    ("get_nodes", ("a",), {}, "node_ids is a list of ids; got 'a'"),
    ("get_nodes", (equal_to("n", 1),), {}, "node_ids is a list.*give filters="),
    ("get_nodes", (5,), {}, "node_ids is a list of ids"),
    ("delete_nodes", ("a",), {}, "node_ids is a list of ids; got 'a'"),
    ("delete_nodes", ([None],), {}, r"node_ids\[0\] is None"),
    ("delete_nodes", ([text_node("a")],), {}, r"node_ids\[0\] is TextNode"),
    ("delete", (None,), {}, "ref_doc_id is None"),
    ("delete", (["doc"],), {}, r"ref_doc_id is \['doc'\]"),
    ("delete_many", ("doc",), {}, "ref_doc_ids is a list of ids; got 'doc'"),
    ("delete_many", (None,), {}, "ref_doc_ids is a list of ids; got None"),
    # A node is iterable, over its fields.
    *(
        (method, (text_node("a"),), {}, r"_ids is a list of ids; got TextNode\(.*\(TextNode\)$")
        for method in ("get_nodes", "delete_nodes", "delete_many")
    ),
    ("query", (asked(node_ids=text_node("a")),), {}, "node_ids is a list of ids; got TextNode"),
    ("get_nodes", (True,), {}, "node_ids is a list of ids; got True$"),
    ("get_nodes", ("x" * 1_000,), {}, r"got 'x{20,30}\.\.\.x{20,30}'\. Use"),
    ("delete_nodes", (["a"],), {"vectorize_filter": {"n": 1}}, "combined with node_ids"),
    ("add", ([text_node("x" * 65)],), {}, "takes 65 bytes.*shorter id.*sha256"),
]
FILTERS: list[Case] = [
    *(
        case
        for wrong, says in (
            ([ONE], r"got \[MetadataFilter.*Write MetadataFilters\(filters="),
            (ONE, r"got MetadataFilter.*Write MetadataFilters\(filters="),
            ("n > 1", "got 'n > 1'"),
            (5, "got 5"),
        )
        for case in (
            ("query", (asked(filters=wrong),), {}, f"filters is a MetadataFilters; {says}"),
            ("get_nodes", (None, wrong), {}, f"filters is a MetadataFilters; {says}"),
            ("delete_nodes", (None, wrong), {}, f"filters is a MetadataFilters; {says}"),
            ("count", (wrong,), {}, f"filters is a MetadataFilters; {says}"),
            ("explain_filter", (wrong,), {}, f"filters is a MetadataFilters; {says}"),
        )
    ),
    ("get_nodes", (None, leaf("n", OP.GT, ["a"])), {}, "'>' on 'n' takes a string, a number"),
    ("get_nodes", (None, leaf("n", OP.IN, 5)), {}, "'in' on 'n' takes a list"),
    ("get_nodes", (None, leaf("n", OP.ANY, "x")), {}, "'any' on 'n' takes a list"),
    ("get_nodes", (None, leaf("n", OP.TEXT_MATCH, 5)), {}, "'text_match' on 'n' takes a string"),
    ("get_nodes", (None, leaf("n", OP.EQ, NAN)), {}, "'==' on 'n'.*nan"),
    ("get_nodes", (None, leaf("n", OP.EQ, "1")), {}, "cannot look up == '1'"),
    ("get_nodes", (None, leaf("", OP.EQ, 1)), {}, "name of a property"),
    ("get_nodes", (None, leaf("new", OP.EQ, 1)), {}, r"store\.create_metadata_index"),
    ("get_nodes", (None, equal_to("n", 1)), {"unindexed": "all"}, "unindexed is 'error' or"),
    (
        "get_nodes",
        (None, equal_to("n", 1)),
        {"vectorize_filter": {"n": 1}},
        "give filters= or vectorize_filter=",
    ),
    ("explain_filter", (equal_to("n", 1), "5"), {}, "similarity_top_k is a whole number"),
]
CASES = [*NUMBERS, *EMBEDDINGS, *QUERIES, *IDS, *FILTERS]
NOT_OURS = re.compile(r"LangChain|key_encoder|client\.index\(|\bF\(|\$\w|filter=(?<!filters=)")
"""What users of LlamaIndex do not know."""


@pytest.fixture
def filled(make: Make) -> VectorizeVectorStore:
    store: VectorizeVectorStore = make(metadata_indexes={"n": "number"}, text_index=None)
    store.add([text_node("a", "doc", n=1), text_node("b", n=2)])
    # What an index is like is known then.
    assert len(store.query(asked(filters=equal_to("n", 1))).nodes or ()) == 1
    return store


@both_ways
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3][:40]}")
@pytest.mark.covering(1)
async def test_a_wrong_argument_is_named(
    filled: VectorizeVectorStore, sent: Recorder, call: Call, case: Case
) -> None:
    method, args, options, message = case
    sent.ops.clear()
    with pytest.raises(VectorizeError, match=message) as caught:
        await call(filled, method, *args, **options)
    assert [op for op in sent.ops if op.kind != "read"] == []
    assert not NOT_OURS.search(str(caught.value).replace("vectorize_filter=", ""))
    words = re.findall(r"\w\w+", str(caught.value))
    assert not [one for one, other in pairwise(words) if one == other]


@both_ways
async def test_what_plainly_means_a_number_is_one(filled: VectorizeVectorStore, call: Call) -> None:
    for number in (np.int64(1), 1.0, np.float32(1)):
        given = asked(similarity_top_k=number, query_embedding=np.array(vector("a")))
        before = vars(given).copy()
        assert (await call(filled, "query", given)).ids == ["a"]
        assert vars(given) == before
        mmr = asked(similarity_top_k=number, mode="mmr", mmr_threshold=np.float64(0.5))
        assert (await call(filled, "query", mmr, mmr_prefetch_factor=number)).ids == ["a"]
        restricted = asked(similarity_top_k=number, node_ids=("b", 5))
        assert (await call(filled, "query", restricted)).ids == ["b"]


@both_ways
async def test_a_retriever_is_told_in_its_words(
    filled: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    index = VectorStoreIndex.from_vector_store(filled, MODEL)
    sent.ops.clear()
    for retriever, text, message in (
        (index.as_retriever(), "", "text is empty"),
        (index.as_retriever(similarity_top_k="5"), "q", "similarity_top_k is a whole number"),
        (index.as_retriever(filters=[ONE]), "q", r"Write MetadataFilters\(filters="),
        (index.as_retriever(vector_store_query_mode="mmr", alpha=0.5), "q", "alpha: only a query"),
    ):
        with pytest.raises(VectorizeError, match=message):
            await call(retriever, "retrieve", text)
    assert sent.ops == []
    (found,) = await call(index.as_retriever(filters=equal_to("n", 1)), "retrieve", "")
    assert found.node.node_id == "a"


@both_ways
async def test_keywords_are_looked_for_where_users_know_them(
    filled: VectorizeVectorStore, call: Call
) -> None:
    for method, args, wrong, hint in (
        ("query", (asked(),), {"k": 3}, r"VectorStoreQuery\(\) takes 'similarity_top_k'"),
        ("query", (asked(),), {"filters": None}, r"VectorStoreQuery\(\) takes that"),
        ("count", (), {"limit": 3}, r"get_nodes\(\) takes that"),
        ("delete_nodes", (), {"include_embeddings": True}, r"get_nodes\(\) takes that"),
    ):
        name = r"VectorizeVectorStore\.a?" + method
        with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected .*; {hint}"):
            await call(filled, method, *args, **wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"node_layout": "small"}, "node_layout is 'compact' or 'stock'; got 'small'"),
        ({"node_layout": np.ones(2)}, "node_layout is .compact. or .stock."),
        ({"unindexed": np.ones(2)}, "unindexed is .error. or .scan."),
        ({"limits": np.ones(2)}, "limits is .cloudflare. or None"),
        ({"show_progress": "yes"}, "show_progress is True or False; got 'yes'"),
        ({"unindexed": "all"}, "unindexed is 'error' or 'scan'; got 'all'"),
        ({"text_index": "words"}, "text_index is True, a D1TextIndex, .* got 'words'"),
        ({"text_index": {"table": "t"}}, "text_index is True, a D1TextIndex, .* got {'table'"),
        ({"texts": 5}, "texts= is a TextStore or a LlamaIndex BaseKVStore"),
        ({"metadata_indexes": ["a"]}, "metadata_indexes is a dict"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(VectorizeError, match=message):
        VectorizeVectorStore("docs", path=":memory:", **given)


@both_ways
async def test_an_index_that_is_missing_is_told_once(client: VectorizeClient, call: Call) -> None:
    store = VectorizeVectorStore("nope", client=client)
    where = re.escape(str(client.connection.address))
    said = rf"'nope': .*\({where}\).* name; create_index=True lets the store"
    for method, args in (("query", (asked(),)), ("add", ([text_node("a")],)), ("count", ())):
        with pytest.raises(IndexNotFoundError, match=said) as caught:
            await call(store, method, *args)
        assert "client.create_index" not in str(caught.value)
