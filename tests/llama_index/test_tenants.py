"""Tenants of the LlamaIndex store: every query, and indexes over views."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import BaseNode, IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import equal_to, text_node
from tests.stores import Call, Make, async_name, both_ways, vector
from vectorize_core import InvalidInputError, SqliteTextIndex, layout

IDS = ["1", "2", "3"]
Views = tuple[VectorizeVectorStore, VectorizeVectorStore]


def node(node_id: str, whose: str) -> TextNode:
    made = text_node(node_id, "doc", kind="x", n=int(node_id))
    made.text = f"{whose} {node_id}"
    return made


@pytest.fixture
def store(make: Make) -> VectorizeVectorStore:
    indexed = {"kind": "string", "n": "number"}
    made: VectorizeVectorStore = make(metadata_indexes=indexed, text_index=SqliteTextIndex())
    return made


@pytest.fixture
def views(store: VectorizeVectorStore) -> Views:
    """Mine and theirs, with the same ids."""
    both = store.with_namespace("a"), store.with_namespace("b")
    for view, whose in zip(both, ("my", "their"), strict=True):
        assert view.add([node(node_id, whose) for node_id in IDS]) == IDS
    return both


def texts(nodes: Any) -> list[str]:
    return sorted(node.get_content() for node in nodes)


def asked(k: int = 9, **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=vector("2"), similarity_top_k=k, **options)


def all_of(whose: str) -> list[str]:
    return [f"{whose} {node_id}" for node_id in IDS]


@both_ways
async def test_every_query_finds_ones_own_nodes_by_ones_own_ids(views: Views, call: Call) -> None:
    for view, whose in zip(views, ("my", "their"), strict=True):
        for query in (
            asked(),
            asked(node_ids=IDS),
            asked(doc_ids=["doc"]),
            asked(filters=equal_to("kind", "x")),
            asked(mode=VectorStoreQueryMode.MMR),
            asked(mode=VectorStoreQueryMode.MMR, node_ids=IDS),
            asked(mode=VectorStoreQueryMode.TEXT_SEARCH, query_str=f"{whose} 1"),
            asked(mode=VectorStoreQueryMode.SPARSE, query_str=whose, node_ids=IDS),
            asked(mode=VectorStoreQueryMode.HYBRID, query_str="my their"),
            VectorStoreQuery(similarity_top_k=9, filters=equal_to("kind", "x")),
            VectorStoreQuery(similarity_top_k=9, node_ids=IDS),
        ):
            result = await call(view, "query", query)
            assert texts(result.nodes) == all_of(whose)
            assert sorted(result.ids) == [n.node_id for n in sorted(result.nodes, key=str)] == IDS
        (best,) = (await call(view, "query", asked(1))).ids
        assert best == "2"
        assert texts(await call(view, "get_nodes", IDS)) == all_of(whose)
        assert texts(await call(view, "get_nodes", None, equal_to("kind", "x"))) == all_of(whose)
        assert texts(view.iter_nodes()) == all_of(whose)
        assert texts([one async for one in view.aiter_nodes()]) == all_of(whose)
        assert sorted(view.iter_ids()) == sorted(one.node_id for one in view.iter_nodes())
        assert await call(view, "count") == 3
        theirs = "their" if whose == "my" else "my"
        by_words = asked(mode=VectorStoreQueryMode.TEXT_SEARCH, query_str=theirs)
        assert (await call(view, "query", by_words)).ids == []
        guessed = [layout.stored_id("b" if whose == "my" else "a", "3")]
        assert (await call(view, "query", asked(node_ids=guessed))).ids == []
        assert [n.ref_doc_id for n in view.iter_nodes()] == ["doc"] * 3


@both_ways
async def test_a_view_takes_no_namespace(
    store: VectorizeVectorStore, views: Views, call: Call
) -> None:
    mine, _ = views
    for method, args in (
        ("add", ([node("1", "my")],)),
        ("query", (asked(),)),
        ("query", (asked(node_ids=IDS),)),
        ("get_nodes", (IDS,)),
        ("get_nodes", (None, equal_to("n", 1))),
        ("delete", ("doc",)),
        ("delete_many", (["doc"],)),
        ("delete_nodes", (IDS,)),
        ("delete_nodes", (None, equal_to("n", 1))),
        ("count", ()),
        ("compare", (SimpleDocumentStore(),)),
    ):
        with pytest.raises(TypeError, match="bound to the namespace 'a'"):
            await call(mine, method, *args, namespace="b")
    with pytest.raises(TypeError, match="bound to the namespace 'a'"):
        list(mine.iter_nodes(namespace="b"))
    for method, args in (
        ("reindex_metadata", ()),
        ("reindex_texts", ()),
        ("explain_text", ("my",)),
        ("create_metadata_index", ("n", "number")),
        ("drop", ()),
    ):
        with pytest.raises(InvalidInputError, match="view is of"):
            await call(mine, method, *args)
    assert store.count() == 6


def test_every_method_with_nodes_is_tried_above() -> None:
    public = {name for name, _ in inspect.getmembers(VectorizeVectorStore, inspect.isfunction)}
    variants = {name for name in public if async_name(name) in public}
    assert variants == {
        *("add", "query", "get_nodes", "iter_nodes", "delete", "delete_many", "delete_nodes"),
        *("iter_ids", "count", "clear", "explain_filter", "reindex_metadata", "close"),
        *("explain_text", "reindex_texts", "compare", "create_metadata_index", "drop", "reset"),
        "update_metadata",
    }


@both_ways
async def test_an_index_over_a_view_knows_one_tenant(
    store: VectorizeVectorStore, views: Views, call: Call
) -> None:
    mine, theirs = views
    index = VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=mine))
    nodes: list[BaseNode] = [
        TextNode(id_="4", text="my 4"),
        IndexNode(id_="5", text="my 5", index_id="x"),
    ]
    await call(index, "insert_nodes", nodes)
    found = await call(index.as_retriever(similarity_top_k=9), "retrieve", "q")
    assert texts(one.node for one in found) == [f"my {i}" for i in range(1, 6)]
    await call(index, "delete_ref_doc", "doc")
    await call(index, "delete_nodes", ["4"])
    assert texts(mine.iter_nodes()) == ["my 5"]
    assert texts(theirs.iter_nodes()) == all_of("their")
    assert store.count() == 4


@both_ways
async def test_views_write_the_stock_layout_too(make: Make, call: Call) -> None:
    store = make(node_layout="stock", metadata_indexes={"kind": "string"})
    mine, theirs = store.with_namespace("a"), store.with_namespace("b")
    await call(mine, "add", [node("1", "my")])
    await call(theirs, "add", [node("1", "their")])
    (back,) = await call(mine, "get_nodes", ["1"])
    assert (back.node_id, back.get_content(), back.ref_doc_id) == ("1", "my 1", "doc")
    await call(mine, "delete", "doc")
    assert (texts(mine.iter_nodes()), texts(theirs.iter_nodes())) == ([], ["their 1"])
