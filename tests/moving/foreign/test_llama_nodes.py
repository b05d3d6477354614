"""Nodes in the stock layout of LlamaIndex, as records in ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import (
    BaseNode,
    Document,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llama_index_vectorize.nodes import to_node, to_record
from tests.moving.foreign.records import nodes
from tests.nightly import examples
from vectorize_core import layout
from vectorize_core.errors import InvalidVectorError
from vectorize_core.moving.foreign.llama_nodes import of_metadata


def others() -> list[BaseNode]:
    child = RelatedNodeInfo(node_id="child", metadata={"a": 1})
    return [
        TextNode(
            id_="odd",
            text="text",
            metadata={
                "z": None,
                "a.b": {"c": [1, 2]},
                "text": "not the text",
                "big": 2**60,
                "a": 1,
            },
            relationships={NodeRelationship.CHILD: [child, child]},
        ),
        TextNode(id_="empty", text=""),
        Node(
            id_="media",
            text_resource=MediaResource(text="text"),
            image_resource=MediaResource(url="https://example.com/a.png"),
        ),
        Document(id_="document", text="text", metadata={"a": 1}),
    ]


@pytest.mark.parametrize("node", [*nodes(), *others()], ids=lambda node: node.node_id)
@pytest.mark.parametrize("remove_text", [True, False])
def test_an_equal_node_is_read(node: BaseNode, remove_text: bool) -> None:
    metadata = node_to_metadata_dict(node, remove_text=remove_text)
    text = node.get_content() if remove_text else None
    record = of_metadata("another", text, metadata)
    node = node.model_copy(update={"embedding": None})
    assert record.id == node.node_id
    assert record.ref == to_record(node).ref
    read = to_node(layout.decode(record.id, layout.encode(record)))
    assert type(read) is type(node)
    assert read == node
    assert list(read.metadata) == list(node.metadata)


def test_metadata_without_a_node_stays() -> None:
    metadata = {"a": 1, "_node_type": "TextNode", "ref_doc_id": "b"}
    assert of_metadata("a", "text", metadata) == layout.Record("a", "text", metadata)
    # Of versions that kept only ids in the JSON.
    metadata |= {"_node_content": '{"id_": "n", "metadata": null}'}
    record = of_metadata("a", "text", metadata)
    assert (record.id, record.metadata, record.ref) == ("n", {"a": 1}, "n")


@pytest.mark.parametrize("content", ["{", "[1]", "null"])
def test_a_node_that_is_no_json_is_an_error(content: str) -> None:
    with pytest.raises(InvalidVectorError, match="record 'a': _node_content in its metadata"):
        of_metadata("a", "text", {"_node_content": content})


def test_a_node_that_is_nested_too_deep_is_an_error() -> None:
    deep = "[" * 1_000 + "]" * 1_000
    related = f'{{"1": {{"node_id": "a", "metadata": {{"a": {deep}}}}}}}'
    content = f'{{"metadata": {{"a": {deep}}}, "relationships": {related}}}'
    # How deep Python itself compares, before the layout looks, differs between its versions.
    with pytest.raises(InvalidVectorError, match=r"record 'a': .* is nested too deep"):
        layout.encode(of_metadata("a", "text", {"_node_content": content}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)
NAMES = st.sampled_from(
    ["id_", "metadata", "relationships", "text", "text_resource", "class_name", "mimetype", "x"]
)
RELATED = st.dictionaries(
    st.sampled_from(["1", "2", "5", "x"]),
    st.dictionaries(st.sampled_from(["node_id", "node_type", "hash", "metadata"]), JSON) | JSON,
)


@examples(25)
@given(st.dictionaries(NAMES, JSON | RELATED), JSON)
def test_any_json_becomes_a_node(content: dict[str, Any], kind: Any) -> None:
    record = of_metadata("a", None, {"_node_content": json.dumps(content), "_node_type": kind})
    read = to_node(layout.decode(record.id, layout.encode(record)))
    assert read.node_id == record.id
    assert read.metadata == record.metadata
