"""LlamaIndex nodes as records, and back. Pure.

A record holds a node's text and metadata once. What else a node has stands in the record's
``node``: its class, its relationships, and the fields that differ from their defaults. Of the
stock layout (``_node_content``) only reading is supported.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from functools import cache
from typing import Any

from llama_index.core.bridge.pydantic import AnyUrl
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    Node,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node

from vectorize_core.errors import InvalidVectorError
from vectorize_core.flows.source import Records
from vectorize_core.ingest import Item
from vectorize_core.layout import Record, text_of

_CLASSES: dict[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (TextNode, Node, Document, IndexNode, ImageNode)
}
_HELD_BY_THE_RECORD = {"id_", "embedding", "metadata", "relationships", "text", "class_name"}
_SAME_METADATA = True


def to_items(nodes: Records[BaseNode]) -> Records[Item]:
    """The items of embedded nodes; a list if that is what the nodes are in."""
    if isinstance(nodes, AsyncIterable):
        return (to_item(node) async for node in nodes)
    items = map(to_item, nodes)
    return list(items) if isinstance(nodes, Sequence) else items


def to_item(node: BaseNode) -> Item:
    """The item of an embedded node."""
    if node.embedding is None:
        raise InvalidVectorError(
            f"node {node.node_id!r} has no embedding; embed it first, as VectorStoreIndex and an "
            "IngestionPipeline with an embedding model do"
        )
    fields = node.to_dict()
    text = fields.get("text")
    resource = fields.get("text_resource")
    if isinstance(resource, dict):
        text = resource.pop("text", None)
    structure: dict[str, Any] = {"class": node.class_name()}
    relationships = _pack_relationships(fields["relationships"], fields["metadata"])
    if relationships:
        structure["relationships"] = relationships
    changed = {
        name: _packed(value)
        for name, value in fields.items()
        if name not in _HELD_BY_THE_RECORD and value != _default(type(node), name)
    }
    if changed:
        structure["fields"] = changed
    record = Record(node.node_id, text, dict(node.metadata), structure, node.ref_doc_id)
    return Item(record, node.embedding)


def to_node(record: Record) -> BaseNode:
    """The node of a record; any record with a text is a `TextNode` at least."""
    if record.node is None:
        if "_node_content" in record.metadata:
            return metadata_dict_to_node(record.metadata, text=record.text)
        return TextNode(id_=record.id, text=text_of(record), metadata=record.metadata)
    kind = _CLASSES.get(record.node["class"], TextNode)
    fields: dict[str, Any] = dict(record.node.get("fields", {}))
    if "text_resource" in kind.model_fields:
        if record.text is not None:
            fields["text_resource"] = {**fields.get("text_resource", {}), "text": record.text}
    elif record.text is not None:
        fields["text"] = record.text
    relationships = _unpack_relationships(record.node.get("relationships", {}), record.metadata)
    return kind.from_dict(
        {
            **fields,
            "id_": record.id,
            "metadata": record.metadata,
            "relationships": relationships,
            "class_name": kind.class_name(),
        }
    )


@cache
def _default(kind: type[BaseNode], name: str) -> Any:
    field = kind.model_fields.get(name)
    return field.get_default(call_default_factory=True) if field is not None else None


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _packed(item) for key, item in value.items() if item is not None}
    # The url of a media resource; as a string it is read back the same.
    return str(value) if isinstance(value, AnyUrl) else value


def _pack_relationships(relationships: dict[str, Any], metadata: Any) -> dict[str, Any]:
    def pack(related: dict[str, Any]) -> dict[str, Any]:
        packed: dict[str, Any] = {"id": related["node_id"]}
        if related.get("node_type") is not None:
            packed["type"] = related["node_type"]
        if related.get("hash") is not None:
            packed["hash"] = related["hash"]
        if related.get("metadata"):
            # Chunks usually repeat their document's metadata, once for each neighbour.
            same = related["metadata"] == metadata
            packed["metadata"] = _SAME_METADATA if same else related["metadata"]
        return packed

    return {
        str(getattr(kind, "value", kind)): [pack(one) for one in related]
        if isinstance(related, list)
        else pack(related)
        for kind, related in relationships.items()
    }


def _unpack_relationships(packed: dict[str, Any], metadata: Any) -> dict[str, Any]:
    def unpack(one: dict[str, Any]) -> RelatedNodeInfo:
        related = one.get("metadata", {})
        return RelatedNodeInfo(
            node_id=one["id"],
            node_type=one.get("type"),
            hash=one.get("hash"),
            metadata=dict(metadata) if related is _SAME_METADATA else related,
        )

    return {
        kind: [unpack(one) for one in related] if isinstance(related, list) else unpack(related)
        for kind, related in packed.items()
    }
