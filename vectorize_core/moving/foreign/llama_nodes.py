"""LlamaIndex's nodes as its other stores keep them: as JSON beside, or among, the metadata.

They become records in the compact layout (docs/layout.md), which the LlamaIndex store reads as
equal nodes, and the LangChain store as documents with the node's text and metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from vectorize_core.errors import InvalidVectorError
from vectorize_core.layout import DEFAULT_TEXT_KEY, Record
from vectorize_core.layout.record import pack_relationships, read_order

CONTENT: Final = "_node_content"
"""The key in metadata of all of a node as JSON."""
_CLASS: Final = "_node_type"
_SOURCE: Final = "1"
_OF_STORES: Final = {CONTENT, _CLASS, "document_id", "doc_id", "ref_doc_id"}
"""What its stores add to a node's metadata."""
_HELD: Final = {"id_", "embedding", "metadata", "relationships", "text", "class_name", "hash"}
"""What the record itself holds of a node."""
_DEFAULTS: Final[Mapping[str, Any]] = {
    "metadata_template": "{key}: {value}",
    "metadata_seperator": "\n",
    "metadata_separator": "\n",
    "text_template": "{metadata_str}\n\n{content}",
    "mimetype": "text/plain",
}
"""Left out, as everything empty is, since it is LlamaIndex's own default: to save room."""


def of_metadata(record_id: str, text: str | None, metadata: dict[str, Any]) -> Record:
    """The record of what a store kept; if a node's JSON is in there, the node's.

    Its text is used where ``text`` is empty or None.
    """
    content = metadata.get(CONTENT)
    if not isinstance(content, str):
        return Record(record_id, text, metadata)
    try:
        node = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _unreadable(record_id, f"no JSON ({error.msg})") from None
    if not isinstance(node, dict):
        raise _unreadable(record_id, "no JSON object")
    if not isinstance(node.get("metadata"), dict):
        node["metadata"] = {k: v for k, v in metadata.items() if k not in _OF_STORES}
    return of_node(record_id, text, node, metadata.get(_CLASS))


def of_node(
    record_id: str, text: str | None, content: Mapping[str, Any], kind: object = None
) -> Record:
    """The record of a node's JSON; ``kind`` is the name of its class, if that is known."""
    metadata = _object(content.get("metadata"))
    kind = kind if isinstance(kind, str) and kind else content.get("class_name")
    node: dict[str, Any] = {"class": kind if isinstance(kind, str) else "TextNode"}
    try:
        relationships = pack_relationships(_sound(content.get("relationships")), metadata)
    except RecursionError:
        raise _unreadable(record_id, "nested too deep") from None
    if relationships:
        node["relationships"] = relationships
    fields = _fields(content)
    if fields:
        node["fields"] = fields
    if read_order(metadata, DEFAULT_TEXT_KEY) != list(metadata):
        node["order"] = list(metadata)
    node_id = content.get("id_")
    record_id = node_id if isinstance(node_id, str) and node_id else record_id
    source = relationships.get(_SOURCE)
    ref = source["id"] if isinstance(source, dict) else record_id
    return Record(record_id, _text(text, content), metadata, node, ref)


def _text(text: str | None, content: Mapping[str, Any]) -> str | None:
    """The first text that is not empty; else an empty one, or None."""
    resource = _object(content.get("text_resource"))
    given = (text, content.get("text"), resource.get("text"))
    texts = [one for one in given if isinstance(one, str)]
    return max(texts, key=bool, default=None)


def _fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a node's JSON says that the record does not, and that is no default."""
    fields = {
        key: value
        for key, value in content.items()
        if key not in _HELD and value not in (None, [], {}) and value != _DEFAULTS.get(key)
    }
    resource = _object(fields.pop("text_resource", None))
    about = {key: value for key, value in resource.items() if key != "text" and value is not None}
    return {**fields, "text_resource": about} if about else fields


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sound(related: Any) -> dict[str, Any]:
    """The relationships that name a node."""

    def names(one: Any) -> bool:
        return isinstance(one, dict) and isinstance(one.get("node_id"), str)

    found = _object(related).items()
    some = {k: [*filter(names, v)] if isinstance(v, list) else v for k, v in found}
    return {k: v for k, v in some.items() if isinstance(v, list) or names(v)}


def _unreadable(record_id: str, why: str) -> InvalidVectorError:
    return InvalidVectorError(
        f"record {record_id!r}: {CONTENT} in its metadata, LlamaIndex's JSON of a node, is {why}"
    )
