"""Nodes of every class come back as they were; what cannot be stored is refused beforehand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import StorageContext
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import embedded
from tests.stores import (
    ODD_METADATA,
    Call,
    Make,
    Recorder,
    both_ways,
    shape,
    vector,
)
from vectorize_core import (
    InvalidVectorError,
    MissingTextError,
    NotPersistedWarning,
    Vector,
    VectorizeClient,
)

FILE = {"file_name": "a.md", "page": 3}
SOURCE = RelatedNodeInfo(
    node_id="doc-1", node_type=ObjectType.DOCUMENT, metadata=dict(FILE), hash="abc"
)
RELATIONSHIPS = {
    NodeRelationship.SOURCE: SOURCE,
    NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id="n-0", metadata={"other": [None]}),
    NodeRelationship.CHILD: [RelatedNodeInfo(node_id="n-2"), RelatedNodeInfo(node_id="n-3")],
}
NODES: dict[str, BaseNode] = {
    "bare": TextNode(id_="n", text="text"),
    "empty text": TextNode(id_="n", text=""),
    "chunk": TextNode(
        id_="n",
        text="text",
        metadata=dict(FILE),
        relationships=RELATIONSHIPS,
        start_char_idx=5,
        end_char_idx=9,
        excluded_llm_metadata_keys=["page"],
        excluded_embed_metadata_keys=["page", "file_name"],
        text_template="{content} {metadata_str}",
        metadata_template="{key} is {value}",
        metadata_separator="; ",
        mimetype="text/markdown",
    ),
    "odd metadata": TextNode(id_="n", text="text", metadata=copy.deepcopy(ODD_METADATA)),
    "Node": Node(
        id_="n",
        text_resource=MediaResource(text="text", mimetype="text/markdown"),
        image_resource=MediaResource(path="a.png"),
        metadata=dict(FILE),
        relationships=RELATIONSHIPS,
    ),
    "Node without text": Node(id_="n", image_resource=MediaResource(url="http://a.b/c.png")),
    "Document": Document(id_="n", text="text", metadata=dict(FILE), relationships=RELATIONSHIPS),
    "IndexNode": IndexNode(id_="n", text="text", index_id="other", metadata=dict(FILE)),
    "IndexNode of a node": IndexNode(
        id_="n", text="text", index_id="other", obj=TextNode(id_="inner", text="inner")
    ),
    "ImageNode": ImageNode(
        id_="n",
        text="caption",
        image_path="a.png",
        image_mimetype="image/png",
        image_url="http://a.b/c.png",
        relationships=RELATIONSHIPS,
    ),
}


def fields(node: BaseNode) -> dict[str, Any]:
    return {name: value for name, value in node.to_dict().items() if name != "embedding"}


def nearest(text: str, k: int = 1, **options: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=vector(text), similarity_top_k=k, **options)


@both_ways
@pytest.mark.parametrize("text_key", ["text", "body"])
@pytest.mark.parametrize("name", NODES)
@pytest.mark.covering(2)
async def test_a_node_comes_back_as_it_was(
    make: Make, call: Call, name: str, text_key: str
) -> None:
    store, node = make(text_key=text_key), embedded(NODES[name])
    before = copy.deepcopy(node)
    assert await call(store, "add", [node]) == ["n"]
    assert (node, node.embedding) == (before, before.embedding)
    (got,) = await call(store, "get_nodes", ["n"])
    (found,) = (await call(store, "query", nearest("n"))).nodes
    for back in (got, found):
        assert type(back) is type(NODES[name])
        assert fields(back) == fields(NODES[name])
        assert shape(back.metadata) == shape(NODES[name].metadata)
        assert back.ref_doc_id == NODES[name].ref_doc_id
        assert back.get_content() == NODES[name].get_content()


def test_text_and_metadata_are_stored_once(
    store: VectorizeVectorStore, client: VectorizeClient
) -> None:
    text, metadata = "unmistakable text", {"key": "unmistakable value"}
    source = RelatedNodeInfo(node_id="d", metadata=metadata)
    links = {NodeRelationship.SOURCE: source, NodeRelationship.NEXT: source}
    store.add([embedded(TextNode(id_="n", text=text, metadata=metadata, relationships=links))])
    (stored,) = client.index("docs").get(["n"])
    assert json.dumps(stored.metadata).count(text) == 1
    assert json.dumps(stored.metadata).count("unmistakable value") == 1
    assert (stored.metadata or {})["key"] == "unmistakable value"


@both_ways
@pytest.mark.parametrize("name", ["bare", "chunk", "IndexNode", "ImageNode"])
@pytest.mark.covering(2)
async def test_the_stock_layout_of_llama_index_is_read(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call, name: str
) -> None:
    node = NODES[name]
    client.create_index("docs", dimensions=32)
    metadata = node_to_metadata_dict(node, remove_text=True, text_field="text")
    metadata["text"] = node.get_content()
    client.index("docs").upsert([Vector("n", vector("n"), metadata=metadata)])
    (got,) = await call(store, "get_nodes", ["n"])
    assert type(got) is type(node)
    assert fields(got) == fields(node)


@both_ways
async def test_a_class_of_ones_own_comes_back_as_a_text_node(
    store: VectorizeVectorStore, call: Call
) -> None:
    class Chapter(TextNode):
        number: int = 0

        @classmethod
        def class_name(cls) -> str:
            return "Chapter"

    await call(store, "add", [embedded(Chapter(id_="n", text="text", metadata=FILE, number=4))])
    (got,) = await call(store, "get_nodes", ["n"])
    assert (type(got), got.text, got.metadata) == (TextNode, "text", FILE)


@both_ways
async def test_a_foreign_vector_without_text_lists_its_keys(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert([Vector("n", vector("n"), metadata={"title": "t"})])
    for method, argument in (("get_nodes", ["n"]), ("query", nearest("n"))):
        with pytest.raises(MissingTextError, match=r"'n'.*\['title'\].*text_key="):
            await call(store, method, argument)


# Adding


@both_ways
async def test_a_node_without_embedding_is_refused_by_name(
    make: Make, sent: Recorder, call: Call
) -> None:
    nodes = [embedded(TextNode(id_="a", text="a")), TextNode(id_="b", text="b")]
    for options in ({"dry_run": True}, {}):
        with pytest.raises(InvalidVectorError, match=r"'b' has no embedding; embed it first"):
            await call(make(batch_size=1), "add", nodes, **options)
    assert sent.changes == []


@both_ways
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([float("nan")] * 32, "'bad'.*not a finite"),
        ([1e39] * 32, "'bad'.*not a finite"),
        ([1.0] * 33, "'bad'.* 33 dimensions"),
        ([], "'bad'.* 0 dimensions"),
    ],
)
@pytest.mark.covering(1)
async def test_a_bad_embedding_is_refused_before_anything_is_sent(
    make: Make, sent: Recorder, call: Call, exists: bool, values: Any, message: str
) -> None:
    store = make(batch_size=1)
    if exists:
        store.add([embedded(TextNode(id_="old", text="t"))])
    sent.ops.clear()
    nodes = [embedded(TextNode(id_="a", text="t")), TextNode(id_="bad", text="t", embedding=values)]
    with pytest.raises(InvalidVectorError, match=message):
        await call(store, "add", nodes)
    assert sent.changes == []


# The class


def test_the_class_is_a_vector_store_that_llama_index_can_name() -> None:
    assert issubclass(VectorizeVectorStore, BasePydanticVectorStore)
    assert VectorizeVectorStore.class_name() == "VectorizeVectorStore"


def test_its_settings_are_fields(make: Make, client: VectorizeClient) -> None:
    store = make(namespace="a", metadata_indexes={"year": "number"}, wait="processed")
    settings = store.to_dict()
    assert settings["class_name"] == "VectorizeVectorStore"
    assert settings["index_name"] == "docs"
    assert (settings["namespace"], settings["wait"]) == ("a", "processed")
    assert settings["metadata_indexes"] == {"year": "number"}
    assert (settings["stores_text"], settings["is_embedding_query"]) == (True, True)
    again = VectorizeVectorStore(
        client=client,
        create_index=True,
        **{name: settings[name] for name in ("index_name", "namespace", "wait")},
    )
    assert again.to_dict()["namespace"] == "a"


@both_ways
async def test_the_index_underneath_is_the_client(store: VectorizeVectorStore, call: Call) -> None:
    await call(store, "add", [embedded(TextNode(id_="n", text="t"))])
    assert list(store.index.list_ids()) == ["n"]
    assert [i async for i in store.index.to_async().list_ids()] == ["n"]


def test_persisting_says_that_vectors_in_memory_are_not_kept(
    store: VectorizeVectorStore, tmp_path: Path, client: VectorizeClient
) -> None:
    in_memory = [VectorizeVectorStore.local("docs"), *([store] if store.path else [])]
    for one in in_memory:
        with pytest.warns(NotPersistedWarning, match="'docs' are not .*in memory") as caught:
            StorageContext.from_defaults(vector_store=one).persist(tmp_path / "context")
        assert len(caught) == 1
    # Elsewhere there is nothing to say.
    kept = [VectorizeVectorStore("docs", path=tmp_path), *([] if store.path else [store])]
    for one in kept:
        one.persist("anywhere")
    assert not Path("anywhere").exists()
