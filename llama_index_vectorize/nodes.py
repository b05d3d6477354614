"""LlamaIndex nodes as records, and back. Pure.

A record holds a node's text and metadata once. Its ``node`` holds the rest: the class of the node,
its relationships, and the fields that differ from their defaults. The stock layout of LlamaIndex
(``_node_content``) is always read, and written by stores with ``node_layout="stock"``.
A `MediaResource` comes back without its binary ``data``, which LlamaIndex does not serialize: give
it a path or a url.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection, Iterator
from functools import cache
from typing import Any

from llama_index.core.bridge.pydantic import AnyUrl
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from vectorize_core.api.validation import storable_key
from vectorize_core.errors import InvalidVectorError
from vectorize_core.layout import DEFAULT_TEXT_KEY, EXTRA, Record, text_of, value_codec
from vectorize_core.records.ingest import Item
from vectorize_core.writes.sources import Records

_CLASSES: dict[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (TextNode, Node, Document, IndexNode, ImageNode)
}
_HELD_BY_THE_RECORD = {"id_", "embedding", "metadata", "relationships", "text", "class_name"}
_HIDDEN_FROM_LLM = "excluded_llm_metadata_keys"
_HIDDEN_FROM_MODEL = "excluded_embed_metadata_keys"
_NO_LIST = object()
_SAME = True
"""Stands for what would be repeated: the node's metadata, or the list of `_HIDDEN_FROM_MODEL`."""
_STOCK, _STOCK_CLASS = "_node_content", "_node_type"


def to_items(
    nodes: Records[BaseNode], *, text_key: str = DEFAULT_TEXT_KEY, stock: bool = False
) -> Records[Item]:
    """The items of embedded nodes, each made when it is needed; of a collection, a collection."""

    def to_item(node: BaseNode) -> Item:
        if node.embedding is None:
            raise InvalidVectorError(
                f"node {node.node_id!r} has no embedding; embed it first, as VectorStoreIndex and "
                "an IngestionPipeline with an embedding model do"
            )
        return Item(to_stock_record(node) if stock else to_record(node, text_key), node.embedding)

    if isinstance(nodes, AsyncIterable):
        return (to_item(node) async for node in nodes)
    return _Items(nodes, to_item) if isinstance(nodes, Collection) else map(to_item, nodes)


class _Items:
    """The items of a collection of nodes, which have its length and can be read again."""

    def __init__(self, nodes: Collection[BaseNode], to_item: Callable[[BaseNode], Item]) -> None:
        self._nodes = nodes
        self._to_item = to_item

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Item]:
        return map(self._to_item, self._nodes)


def to_stock_record(node: BaseNode) -> Record:
    """A node in the stock layout of LlamaIndex's stores, but with only one copy of its text."""
    metadata = node_to_metadata_dict(node, remove_text=True)
    return Record(node.node_id, _text(node), metadata, ref=source_of(node))


def to_record(node: BaseNode, text_key: str = DEFAULT_TEXT_KEY) -> Record:
    """A node in the compact layout."""
    fields = node.to_dict()
    if isinstance(fields.get("text_resource"), dict):
        del fields["text_resource"]["text"]
    structure: dict[str, Any] = {"class": node.class_name()}
    relationships = _pack_relationships(fields["relationships"], fields["metadata"])
    if relationships:
        structure["relationships"] = relationships
    changed = {
        name: _packed(value)
        for name, value in fields.items()
        if name not in _HELD_BY_THE_RECORD and value != _default(type(node), name)
    }
    if changed.get(_HIDDEN_FROM_LLM) == changed.get(_HIDDEN_FROM_MODEL, _NO_LIST):
        changed[_HIDDEN_FROM_LLM] = _SAME
    if changed:
        structure["fields"] = changed
    if _read_order(node.metadata, text_key) != list(node.metadata):
        structure["order"] = list(node.metadata)
    return Record(node.node_id, _text(node), dict(node.metadata), structure, source_of(node))


def _text(node: BaseNode) -> str | None:
    """A node's text, which may be empty; None if it has none."""
    if isinstance(node, Node):
        return node.text_resource.text if node.text_resource is not None else None
    return node.get_content(metadata_mode=MetadataMode.NONE)


def source_of(node: BaseNode) -> str:
    """The id of a node's source document, or its own id: so pipelines take it for a document."""
    return node.ref_doc_id if node.ref_doc_id is not None else node.node_id


def to_node(record: Record) -> BaseNode:
    """The node of a record; a `TextNode` where another framework wrote the record."""
    if record.node is None:
        if _STOCK in record.metadata:
            return metadata_dict_to_node(record.metadata, text=record.text or None)
        return TextNode(id_=record.id, text=text_of(record), metadata=record.metadata)
    kind = class_of(record)
    metadata = record.metadata
    if "order" in record.node:
        metadata = {key: metadata[key] for key in record.node["order"] if key in metadata}
        metadata |= record.metadata
    fields: dict[str, Any] = dict(record.node.get("fields", {}))
    if fields.get(_HIDDEN_FROM_LLM) is _SAME:
        fields[_HIDDEN_FROM_LLM] = list(fields[_HIDDEN_FROM_MODEL])
    if "text_resource" in kind.model_fields:
        if record.text is not None:
            fields["text_resource"] = {**fields.get("text_resource", {}), "text": record.text}
    elif record.text is not None:
        fields["text"] = record.text
    relationships = _unpack_relationships(record.node.get("relationships", {}), metadata)
    return kind.from_dict(
        {
            **fields,
            "id_": record.id,
            "metadata": metadata,
            "relationships": relationships,
            "class_name": kind.class_name(),
        }
    )


def class_of(record: Record) -> type[BaseNode]:
    """The class of a record's node; a `TextNode` unless the record says otherwise."""
    if record.node is not None:
        return _CLASSES.get(record.node["class"], TextNode)
    return _CLASSES.get(record.metadata.get(_STOCK_CLASS, ""), TextNode)


def _read_order(metadata: dict[Any, Any], text_key: str) -> list[Any]:
    """The keys in the order in which a record is read: those not stored at top level come last.

    Prompts, embeddings and hashes of nodes depend on the order.
    """

    def place(key: Any, value: Any) -> int:
        if type(key) is not str or not storable_key(key) or key.startswith(EXTRA):
            return 2
        if key == text_key:
            return 2
        if value is None:
            return 1
        # Strings first: most values are.
        top = type(value) is str or value_codec.split(value)[0] is not value_codec.NOTHING
        return 0 if top else 2

    try:
        places = {key: place(key, value) for key, value in metadata.items()}
    except (value_codec.UnstorableError, RecursionError):
        return list(metadata)  # Writing it raises an error that names the record.
    return sorted(places, key=places.__getitem__)


@cache
def _default(kind: type[BaseNode], name: str) -> Any:
    field = kind.model_fields.get(name)
    return field.get_default(call_default_factory=True) if field is not None else None


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _packed(item) for key, item in value.items() if item is not None}
    # The url of a media resource is read back from a string.
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
            # Compared as texts, because 1 == True == 1.0, and because the order matters.
            same = repr(related["metadata"]) == repr(metadata)
            packed["metadata"] = _SAME if same else related["metadata"]
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
            metadata=dict(metadata) if related is _SAME else related,
        )

    return {
        kind: [unpack(one) for one in related] if isinstance(related, list) else unpack(related)
        for kind, related in packed.items()
    }
