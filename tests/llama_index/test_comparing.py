"""A store compared with a document store, and repaired."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    TokenTextSplitter,
    get_leaf_nodes,
)
from llama_index.core.schema import Document, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import LONG, MODEL, SPLITTER, run_pipeline, text_node
from tests.stores import Call, Make, both_ways
from vectorize_core import Comparison, InvalidInputError

HUNDRED = range(100)


def pipeline(store: VectorizeVectorStore, docstore: SimpleDocumentStore) -> IngestionPipeline:
    return IngestionPipeline(
        transformations=[SPLITTER, MODEL],
        vector_store=store,
        docstore=docstore,
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )


def named(kind: str) -> tuple[str, ...]:
    return tuple(sorted(f"{kind} {n}" for n in HUNDRED))


def document(name: str, text: str = "", **metadata: Any) -> Document:
    return Document(doc_id=name, text=text or f"text of {name}", metadata=metadata)


@both_ways
@pytest.mark.covering(1)
async def test_a_hundred_differences_of_each_kind_are_found_and_repaired(
    make: Make, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llama_index_vectorize.comparing._AT_ONCE", 64)
    store, docstore = make(), SimpleDocumentStore()
    work = pipeline(store, docstore)
    given = [document(f"{kind} {n}") for kind in ("same", "missing", "changed") for n in HUNDRED]
    given.append(document("same long", LONG))
    await run_pipeline(call, work, given)
    assert (await call(store, "compare", docstore)).same
    store.delete_many(named("missing"))
    # As by a pipeline with another document store.
    others = [document(f"{kind} {n}", "other") for kind in ("changed", "extra") for n in HUNDRED]
    store.delete_many(named("changed"))
    await run_pipeline(call, pipeline(store, SimpleDocumentStore()), others)
    expected = named("missing"), named("extra"), named("changed")
    for repaired in (False, True):
        found = await call(store, "compare", docstore, repair=repaired)
        assert found == Comparison(*expected, repaired)
    assert str(found) == "100 missing, 100 extra, 100 changed"
    assert (await call(store, "compare", docstore)).same
    assert await call(store, "count") == 100 + len(SPLITTER.split_text(LONG))
    await run_pipeline(call, work, given)
    assert (await call(store, "compare", docstore)).same
    texts = {node.get_content() for node in await call(store, "get_nodes")}
    assert {f"text of {name}" for name in (*named("missing"), *named("changed"))} <= texts
    assert "other" not in texts


@both_ways
async def test_a_document_of_two_versions_has_changed(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    await run_pipeline(call, pipeline(store, docstore), [document("a", LONG)])
    both = [document("a", LONG, version=2)]
    await run_pipeline(call, pipeline(store, SimpleDocumentStore()), both)
    assert await call(store, "compare", docstore) == Comparison(changed=("a",))


@both_ways
async def test_documents_that_are_nodes_are_compared_by_their_own_hashes(
    make: Make, call: Call
) -> None:
    store, docstore = make(), SimpleDocumentStore()
    work = IngestionPipeline(transformations=[MODEL], vector_store=store, docstore=docstore)
    twins = [document("twin 1", "the same"), document("twin 2", "the same")]
    given = [document(f"{n}", when=None, n=n) for n in range(3)]
    await run_pipeline(call, work, [*given, *twins])
    assert (await call(store, "compare", docstore)).same
    store.add([text_node("2", n=2)])
    store.delete_nodes(["1"])
    assert await call(store, "compare", docstore) == Comparison(("1",), (), ("2",))


@both_ways
@pytest.mark.parametrize("kept", [1, 2])
async def test_a_document_that_has_lost_nodes_is_incomplete(
    make: Make, call: Call, kept: int
) -> None:
    store, docstore = make(), SimpleDocumentStore()
    work, given = pipeline(store, docstore), [document(name, f"{name} {LONG}") for name in "ab"]
    await run_pipeline(call, work, given)
    nodes = store.get_nodes(filters={"ref_doc_id": "a"})
    store.delete_nodes([node.node_id for node in nodes[kept:]])
    found = Comparison(incomplete=("a",))
    assert await call(store, "compare", docstore) == found
    assert (found.same, str(found)) == (False, "0 missing, 0 extra, 0 changed, 1 incomplete")
    # Nobody knows whether they were dropped on purpose.
    assert (await call(store, "compare", docstore, repair=True)).incomplete == ("a",)
    await run_pipeline(call, work, given)
    assert store.count() == kept + len(nodes)
    await call(store, "compare", docstore, repair="all")
    await run_pipeline(call, work, given)
    assert store.count() == 2 * len(nodes)
    assert (await call(store, "compare", docstore)).same


@both_ways
async def test_neighbours_of_one_level_make_a_document_whole(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    given = document("a", LONG * 3)
    docstore.add_documents([given])
    sizes = [64, 24]
    parsers: dict[str, Any] = {
        f"{size}": TokenTextSplitter(chunk_size=size, chunk_overlap=0, tokenizer=str.split)
        for size in sizes
    }
    levels = HierarchicalNodeParser.from_defaults(
        node_parser_ids=[*parsers], node_parser_map=parsers
    )
    # A pipeline, and a parser whose upper levels stay in a store of documents.
    nodes = get_leaf_nodes(levels.get_nodes_from_documents([given]))
    for node in nodes:
        node.embedding = MODEL.get_text_embedding(node.get_content())
    store.add(nodes)
    two = IngestionPipeline(
        transformations=[
            TokenTextSplitter(chunk_size=64, chunk_overlap=0, tokenizer=str.split),
            SPLITTER,
            MODEL,
        ],
        vector_store=store,
        docstore=docstore,
    )
    await run_pipeline(call, two, [document("b", LONG * 3)])
    assert (await call(store, "compare", docstore)).same


@both_ways
async def test_a_document_store_that_has_nodes_is_compared_by_these(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    context = StorageContext.from_defaults(vector_store=store, docstore=docstore)
    given = [document(name, f"{name} {LONG}") for name in "abcd"]
    index: Any = VectorStoreIndex.from_documents(
        given, storage_context=context, store_nodes_override=True, transformations=[SPLITTER]
    )
    assert (await call(store, "compare", docstore)).same
    nodes = {name: store.get_nodes(filters={"ref_doc_id": name}) for name in "abcd"}
    store.delete_nodes([nodes["a"][0].node_id])
    store.delete("b")
    stranger = TextNode(text="another", relationships=nodes["c"][0].relationships)
    stranger.embedding = MODEL.get_text_embedding("another")
    store.add([stranger])
    found = Comparison(("b",), (), ("a", "c"))
    assert await call(store, "compare", docstore) == found
    await call(store, "compare", docstore, repair=True)
    # Nothing is deleted there before it is written again.
    assert {node.node_id for some in nodes.values() for node in some} == set(docstore.docs)
    assert (await call(store, "compare", docstore)).same
    assert index.refresh_ref_docs(given) == [True, True, True, False]
    assert {node.node_id for node in store.get_nodes()} == set(docstore.docs)
    assert (await call(store, "compare", docstore)).same


@both_ways
async def test_each_of_nodes_that_are_alike_is_compared(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    nodes = [text_node(name, "d") for name in "abc"]
    for node in nodes:
        node.set_content("the same")
    docstore.add_documents(nodes)
    store.add(nodes)
    assert (await call(store, "compare", docstore)).same
    for name in "abc":
        await call(store, "update_metadata", [name], {"more": 1})
        assert await call(store, "compare", docstore) == Comparison(changed=("d",))
        store.add(nodes)


@both_ways
async def test_a_document_whose_text_is_gone_has_changed(make: Make, call: Call) -> None:
    texts = SimpleKVStore()
    store, docstore = make(texts=texts), SimpleDocumentStore()
    pipeline = IngestionPipeline(transformations=[MODEL], vector_store=store, docstore=docstore)
    await run_pipeline(call, pipeline, [document(name, f"{name} {LONG * 40}") for name in "ab"])
    assert (await call(store, "compare", docstore)).same
    for name, kept in texts.get_all("vectorize_texts").items():
        if kept["text"].startswith("a "):
            texts.delete(name, "vectorize_texts")
    assert await call(store, "compare", docstore) == Comparison(changed=("a",))


@both_ways
async def test_a_view_compares_its_own(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    mine, theirs = store.with_namespace("a"), store.with_namespace("b")
    await run_pipeline(call, pipeline(mine, docstore), [document("doc")])
    await run_pipeline(call, pipeline(theirs, SimpleDocumentStore()), [document("doc", "other")])
    theirs.add([text_node("their own")])
    assert (await call(mine, "compare", docstore)).same
    assert await call(theirs, "compare", docstore) == Comparison((), ("their own",), ("doc",))
    assert (await call(store, "compare", docstore, namespace="a")).same
    mine.add([text_node("x")])
    assert await call(mine, "compare", docstore, repair=True) == Comparison(
        (), ("x",), (), repaired=True
    )
    assert (mine.count(), theirs.count()) == (1, 2)


@both_ways
async def test_an_empty_document_store_deletes_nothing(make: Make, call: Call) -> None:
    store, docstore = make(), SimpleDocumentStore()
    assert (await call(store, "compare", docstore, repair=True)).same
    store.add([text_node("x")])
    with pytest.raises(InvalidInputError, match="would delete every node; clear"):
        await call(store, "compare", docstore, repair=True)
    assert store.count() == 1
    assert await call(store, "compare", docstore) == Comparison(extra=("x",))
