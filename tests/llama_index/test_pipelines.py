"""LlamaIndex's own machinery over the store: indexes, pipelines, retrievers, query engines."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import Document, IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import LONG, MODEL, SPLITTER, documents, run_pipeline
from tests.stores import Call, Make, both_ways, vector
from vectorize_core import VectorizeClient

EMBEDDED = "n: 1\n\nshort text"
"""What LlamaIndex embeds of a text and its metadata."""


def ids(client: VectorizeClient) -> set[str]:
    return set(client.index("docs").list_ids())


@both_ways
async def test_an_index_of_documents_is_searched_with_filters(make: Make, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    made = VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=store))
    nodes = SPLITTER.get_nodes_from_documents(documents(LONG, "short text"))
    await call(made, "insert_nodes", nodes)
    opened = VectorStoreIndex.from_vector_store(store)
    for index in (made, opened):
        (best,) = await call(index.as_retriever(similarity_top_k=1), "retrieve", EMBEDDED)
        assert best.node.get_content() == "short text"
        assert best.node.ref_doc_id == "doc-1"
        assert best.score == pytest.approx(1.0)
        only = MetadataFilters(filters=[MetadataFilter(key="n", value=0)])
        retriever = index.as_retriever(similarity_top_k=3, filters=only)
        assert {n.node.ref_doc_id for n in await call(retriever, "retrieve", "q")} == {"doc-0"}
        answer = await call(index.as_query_engine(similarity_top_k=2), "query", "short text")
        assert len(answer.source_nodes) == 2


def test_an_index_is_made_of_documents(make: Make, client: VectorizeClient) -> None:
    context = StorageContext.from_defaults(vector_store=make())
    given = documents(*(f"text {i}" for i in range(30)))
    VectorStoreIndex.from_documents(given, storage_context=context, transformations=[SPLITTER])
    assert {node.ref_doc_id for node in make().get_nodes(sorted(ids(client)))} == {
        f"doc-{i}" for i in range(30)
    }


@both_ways
async def test_documents_are_inserted_refreshed_and_deleted(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call
) -> None:
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex([], storage_context=context, transformations=[SPLITTER])
    one, two = documents(LONG, "short")
    await call(index, "insert", one)
    await call(index, "insert", two)
    parts = len(ids(client)) - 1
    assert parts > 3
    await call(index, "delete_ref_doc", "doc-0", delete_from_docstore=True)
    (left,) = ids(client)
    assert [node.ref_doc_id for node in store.get_nodes([left])] == ["doc-1"]
    await call(index, "delete_nodes", [left])
    assert ids(client) == set()


@both_ways
async def test_options_of_the_store_pass_through_the_index(make: Make, call: Call) -> None:
    context = StorageContext.from_defaults(vector_store=make())
    index = VectorStoreIndex([], storage_context=context)
    await call(index, "insert_nodes", [TextNode(id_="a", text="a")], namespace="tenant")
    await call(index, "insert_nodes", [TextNode(id_="b", text="b")])
    for kwargs, expected in (({"namespace": "tenant"}, {"a"}), ({}, {"a", "b"})):
        retriever = index.as_retriever(similarity_top_k=5, vector_store_kwargs=kwargs)
        assert {n.node.node_id for n in await call(retriever, "retrieve", "q")} == expected


@both_ways
async def test_an_index_node_among_text_nodes_is_found(make: Make, call: Call) -> None:
    index = VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=make()))
    nodes: list[Any] = [TextNode(id_="t", text="t"), IndexNode(id_="i", text="i", index_id="x")]
    await call(index, "insert_nodes", nodes)
    opened = VectorStoreIndex.from_vector_store(index.vector_store)
    found = await call(opened.as_retriever(similarity_top_k=5), "retrieve", "t")
    assert {node.node.node_id for node in found} == {"t", "i"}


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot-product"])
def test_a_similarity_cutoff_keeps_the_nearest(make: Make, metric: Any) -> None:
    store = make(metric=metric)
    store.add([TextNode(id_=t, text=t, embedding=vector(t)) for t in "abcdefgh"])
    found = VectorStoreIndex.from_vector_store(store).as_retriever(similarity_top_k=8).retrieve("a")
    assert found[0].node.node_id == "a"
    cutoff = SimilarityPostprocessor(similarity_cutoff=found[2].score)
    assert cutoff.postprocess_nodes(found) == found[:3]


@both_ways
@pytest.mark.parametrize(
    "strategy", [DocstoreStrategy.UPSERTS, DocstoreStrategy.UPSERTS_AND_DELETE]
)
async def test_a_pipeline_keeps_the_store_as_its_documents_are(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, strategy: DocstoreStrategy
) -> None:
    pipeline = IngestionPipeline(
        transformations=[SPLITTER, MODEL],
        docstore=SimpleDocumentStore(),
        vector_store=store,
        docstore_strategy=strategy,
    )

    async def texts_after(*texts: str) -> dict[str, str]:
        await run_pipeline(call, pipeline, documents(*texts))
        nodes = store.get_nodes(sorted(ids(client)))
        return {str(node.ref_doc_id): node.get_content() for node in nodes}

    assert await texts_after("one", "two") == {"doc-0": "one", "doc-1": "two"}
    before = ids(client)
    assert await texts_after("one", "two") == {"doc-0": "one", "doc-1": "two"}
    assert ids(client) == before
    assert await texts_after("one", "changed") == {"doc-0": "one", "doc-1": "changed"}
    assert len(ids(client)) == 2
    expected = {"doc-0": "one"}
    if strategy == DocstoreStrategy.UPSERTS:
        expected["doc-1"] = "changed"
    assert await texts_after("one") == expected


@both_ways
async def test_a_pipeline_of_many_nodes_is_written_in_batches(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    many = [Document(id_=f"doc-{i}", text=f"text {i}") for i in range(650)]
    pipeline = IngestionPipeline(transformations=[MODEL], vector_store=make())
    await run_pipeline(call, pipeline, many)
    assert len(ids(client)) == 650
