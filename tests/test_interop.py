"""One index for both stores, and for what LangChain.js, Mastra or a Worker wrote."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import (
    BaseNode,
    ImageDocument,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

import langchain_vectorize
import llama_index_vectorize
from tests.stores import ODD_METADATA, Call, Embedder, both_ways, shape, vector
from vectorize_core import MissingTextError, Vector, VectorizeClient

INDEXES = {"year": "number"}


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


class Both:
    """Both stores over one index."""

    def __init__(self, client: VectorizeClient, **options: Any) -> None:
        given = {"index_name": "docs", "client": client, "create_index": True, **options}
        self.chain = langchain_vectorize.VectorizeVectorStore(Embedder(), **given)
        self.llama = llama_index_vectorize.VectorizeVectorStore(**given)

    async def chain_records(self, call: Call, query: str) -> list[tuple[Any, ...]]:
        found = await call(self.chain, "similarity_search", query, k=10)
        ids = [document.id for document in found]
        assert await call(self.chain, "get_by_ids", ids) == found
        return [(d.id, d.page_content, shape(d.metadata)) for d in found]

    async def llama_records(self, call: Call, query: str) -> list[tuple[Any, ...]]:
        asked = VectorStoreQuery(query_embedding=vector(query), similarity_top_k=10)
        found = (await call(self.llama, "query", asked)).nodes
        assert await call(self.llama, "get_nodes", [node.node_id for node in found]) == found
        assert {type(node) for node in found} == {TextNode}
        return [(n.node_id, n.text, shape(n.metadata)) for n in found]


@both_ways
@pytest.mark.parametrize("keys", [("text", "text"), ("body", "body"), ("body", "text")])
async def test_what_langchain_wrote_is_read_by_llama_index_and_back(
    client: VectorizeClient, call: Call, keys: tuple[str, str]
) -> None:
    writing, reading = (Both(client, text_key=key, metadata_indexes=INDEXES) for key in keys)
    metadata = {**copy.deepcopy(ODD_METADATA), "year": 1999}
    link = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")}
    await call(writing.chain, "add_documents", [Document("one", id="a", metadata=metadata)])
    node = TextNode(
        id_="b", text="two", metadata=metadata, embedding=vector("two"), relationships=link
    )
    await call(writing.llama, "add", [node])
    expected = [("a", "one", shape(metadata)), ("b", "two", shape(metadata))]
    for both in (writing, reading):
        assert sorted(await both.chain_records(call, "one")) == expected
        assert sorted(await both.llama_records(call, "one")) == expected
    found = await call(reading.chain, "similarity_search", "q", filter={"year": 1999})
    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=1999)])
    got = await call(reading.llama, "get_nodes", None, filters)
    assert {d.id for d in found} == {n.node_id for n in got} == {"a", "b"}


@both_ways
async def test_nodes_of_any_class_are_read_by_langchain_too(
    client: VectorizeClient, call: Call
) -> None:
    both = Both(client)
    image = MediaResource(path="a.png")
    nodes: list[BaseNode] = [
        Node(id_="image", image_resource=image, embedding=vector("image")),
        ImageDocument(id_="photo", image_resource=image, embedding=vector("photo")),
        IndexNode(id_="index", text="an index", index_id="i", embedding=vector("index")),
    ]
    await call(both.llama, "add", nodes)
    found = await both.chain_records(call, "image")
    assert sorted((row[0], row[1]) for row in found) == [
        ("image", ""),
        ("index", "an index"),
        ("photo", ""),
    ]


@both_ways
async def test_metadata_of_langchain_with_keys_of_any_type_are_read(
    client: VectorizeClient, call: Call
) -> None:
    both = Both(client)
    document = Document.model_construct(id="a", page_content="t", metadata={1: "one", "b": 2})
    await call(both.chain, "add_documents", [document])
    assert await both.llama_records(call, "t") == [("a", "t", shape({"b": 2, "1": "one"}))]


@both_ways
async def test_each_store_replaces_and_deletes_what_the_other_wrote(
    client: VectorizeClient, call: Call
) -> None:
    both = Both(client)
    await call(both.chain, "add_texts", ["one", "two"], [{"old": 1}, {}], ids=["a", "b"])
    node = TextNode(id_="a", text="new", metadata={"new": 1}, embedding=vector("new"))
    await call(both.llama, "add", [node])
    assert await call(both.chain, "get_by_ids", ["a"]) == [
        Document("new", id="a", metadata={"new": 1})
    ]
    await call(both.chain, "delete", ["a"])
    await call(both.llama, "delete_nodes", ["b"])
    assert list(client.index("docs").list_ids()) == []


# As LangChain.js (text beside the metadata) and Mastra (the same) write, without `_vs`.
FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "LangChain.js": ({"text": "hello", "source": "x.md", "page": 3}, "text"),
    "LangChain.js, nested": (
        {"text": "hello", "loc": {"lines": {"from": 1, "to": 9}}, "tags": ["a", 1]},
        "text",
    ),
    "LangChain.js, textKey": ({"pageContent": "hello", "text": "a user's"}, "pageContent"),
    "Mastra": ({"text": "hello", "id": "c1", "sourceFile": "a.md", "ok": True}, "text"),
    "a Worker's, with a null": ({"text": "hello", "title": None}, "text"),
}


@both_ways
@pytest.mark.parametrize(("stored", "text_key"), FOREIGN.values(), ids=list(FOREIGN))
async def test_vectors_of_other_clients_are_read_by_both_stores(
    client: VectorizeClient, call: Call, stored: dict[str, Any], text_key: str
) -> None:
    client.create_index("docs", dimensions=32, record_layout=False)
    client.index("docs").upsert([Vector("v", vector("hello"), metadata=stored)])
    both = Both(client, text_key=text_key)
    rest = {key: value for key, value in stored.items() if key != text_key}
    expected = [("v", "hello", shape(rest))]
    assert await both.chain_records(call, "hello") == expected
    assert await both.llama_records(call, "hello") == expected


@both_ways
async def test_stores_leave_an_index_of_others_as_it_is(
    client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=32, record_layout=False)
    index = client.index("docs")
    index.upsert([Vector("v", vector("v"), metadata={"text": "theirs", "n": 1})])
    both = Both(client)
    await call(both.chain, "add_texts", ["ours"], [{"n": 2}], ids=["a"])
    assert index.list_metadata_indexes() == ()
    (stored,) = index.get(["a"])
    # What others read, and one key of ours.
    assert stored.metadata == {"text": "ours", "n": 2, "_vs": '{"v":1}'}
    texts = {"v": "theirs", "a": "ours"}
    assert {i: text for i, text, _ in await both.llama_records(call, "v")} == texts


@both_ways
@pytest.mark.parametrize("metadata", [{"title": "t", "body": "b"}, {"text": 5, "body": "b"}])
async def test_a_vector_without_text_is_an_error_that_lists_its_keys(
    client: VectorizeClient, call: Call, metadata: dict[str, Any]
) -> None:
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert([Vector("v", vector("v"), metadata=metadata)])
    both = Both(client)
    keys = repr(sorted(metadata)).strip("[]")
    for records in (both.chain_records, both.llama_records):
        with pytest.raises(MissingTextError, match=f"'v'.*{keys}.*text_key="):
            await records(call, "v")
    by_key = Both(client, text_key="body")
    assert [text for _, text, _ in await by_key.chain_records(call, "v")] == ["b"]
    assert [text for _, text, _ in await by_key.llama_records(call, "v")] == ["b"]
