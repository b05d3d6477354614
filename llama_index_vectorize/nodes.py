"""LlamaIndex nodes as records, and back. Pure.

A record holds a node's text and metadata once. Its ``node`` holds the rest: the class of the node,
its relationships, and the fields that differ from their defaults. The stock layout of LlamaIndex
(``_node_content``) is always read, and written by stores with ``node_layout="stock"``.

Whatever a vector says, it is read: what cannot be understood is left out, and at worst a `TextNode`
has the text and the metadata that are there.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

from llama_index.core.bridge.pydantic import AnyUrl, BaseModel, ValidationError
from llama_index.core.constants import DATA_KEY
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from vectorize_core import jsontext, limits
from vectorize_core.errors import InvalidVectorError, OversizedError, in_words
from vectorize_core.layout import DEFAULT_TEXT_KEY, Record, text_of
from vectorize_core.layout.nearest import UnstorableError, normal
from vectorize_core.layout.record import SAME, pack_relationships, read_order
from vectorize_core.models import Values

T = TypeVar("T", BaseNode, RelatedNodeInfo)
CLASSES: Final[Mapping[str, type[BaseNode]]] = {
    kind.class_name(): kind
    for kind in (TextNode, Node, Document, ImageDocument, IndexNode, ImageNode)
}
_SIGNS: Final[Mapping[str, type[BaseNode]]] = {"index_id": IndexNode, "image_path": ImageNode}
"""Fields that tell the class of a node where its name is not known."""
_HELD_BY_THE_RECORD = {"id_", "embedding", "metadata", "relationships", "text", "class_name"}
_HIDDEN_FROM_LLM = "excluded_llm_metadata_keys"
_HIDDEN_FROM_MODEL = "excluded_embed_metadata_keys"
_LEAVE_OBJ: Final = "Leave its obj out, and give it to VectorStoreIndex(objects=[...])"
_NO_LIST = object()
_NO_MEDIA: Final = {"metadata", "relationships", "embedding"}
_STOCK, _STOCK_CLASS = "_node_content", "_node_type"
_OF_STOCK: Final = (_STOCK_CLASS, "document_id", "doc_id", "ref_doc_id")
"""What the stock layout puts beside the metadata of a node, over what they say."""
_KINDS_OF_RELATIONSHIP: Final = {kind.value for kind in NodeRelationship}

_INTERRUPTED: Final = re.compile(r"Error calling function `[^`]*`: KeyboardInterrupt:? ?")
"""What Pydantic makes of Ctrl-C in a serializer; nothing else is left of it."""


# Writing


def to_stock_record(node: BaseNode) -> Record:
    """A node in the stock layout of LlamaIndex's stores, but with only one copy of its text."""
    ref = source_of(node)
    metadata = node_to_metadata_dict(_plain(node), remove_text=True)
    content = json.loads(metadata[_STOCK])
    text = node.text_resource if isinstance(node, Node) else None
    if text is not None and text.data is not None:
        # It was left out with its text, and without a text LlamaIndex reads no such resource.
        content["text_resource"] = {"text": ""}
    if _put_data(node, content):
        for name, value in content.items():
            _check_size(node, name, value)
        metadata[_STOCK] = json.dumps(content, ensure_ascii=False)
    return Record(node.node_id, _text(node), metadata, ref=ref)


def _plain(node: BaseNode) -> BaseNode:
    """A copy of a node with metadata of types that LlamaIndex writes, as arrays are not."""

    def plain(one: T) -> T:
        return one.model_copy(update={"metadata": normal(one.metadata)})

    relationships = {
        kind: [*map(plain, related)] if isinstance(related, list) else plain(related)
        for kind, related in node.relationships.items()
    }
    return plain(node).model_copy(update={"relationships": relationships})


def to_record(node: BaseNode, text_key: str = DEFAULT_TEXT_KEY) -> Record:
    """A node in the compact layout."""
    ref = source_of(node)
    kind = type(node)
    fields = node.to_dict(exclude={"embedding"})
    _put_data(node, fields)
    if isinstance(fields.get("text_resource"), dict):
        fields["text_resource"].pop("text", None)
    structure: dict[str, Any] = {"class": node.class_name()}
    if CLASSES.get(structure["class"]) is not kind:
        structure["type"] = f"{kind.__module__}:{kind.__qualname__}"
        bases = [name for name, one in CLASSES.items() if issubclass(kind, one)]
        if bases:
            structure["base"] = max(bases, key=lambda name: len(CLASSES[name].__mro__))
    relationships = pack_relationships(fields["relationships"], fields["metadata"])
    if relationships:
        structure["relationships"] = relationships
    changed = {
        name: _packed(value)
        for name, value in fields.items()
        if name not in _HELD_BY_THE_RECORD and not _is_default(kind, name, value)
    }
    for name, value in changed.items():
        _check_size(node, name, value)
    if changed.get(_HIDDEN_FROM_LLM) == changed.get(_HIDDEN_FROM_MODEL, _NO_LIST):
        changed[_HIDDEN_FROM_LLM] = SAME
    if changed:
        structure["fields"] = changed
    if read_order(node.metadata, text_key) != list(node.metadata):
        structure["order"] = list(node.metadata)
    return Record(node.node_id, _text(node), dict(node.metadata), structure, ref)


def edited(record: Record, change: Callable[[Mapping[Any, Any]], dict[Any, Any]]) -> Record:
    """A record whose node's metadata a change is made to, wherever its layout has them."""
    content = _stock_content(record)
    if content is None:
        return replace(record, metadata=change(record.metadata))
    metadata = change(content["metadata"])
    try:
        written = json.dumps({**content, "metadata": normal(metadata)}, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError, UnstorableError) as error:
        raise InvalidVectorError(
            f"node {record.id!r} cannot be stored: {in_words(error)}"
        ) from error
    own = {key: record.metadata[key] for key in _OF_STOCK if key in record.metadata}
    return replace(record, metadata={**metadata, **own, _STOCK: written})


def _stock_content(record: Record) -> dict[str, Any] | None:
    """What the stock layout says of a node, if that has its metadata in it."""
    if record.node is not None or _STOCK not in record.metadata:
        return None
    with suppress(Exception):
        content = json.loads(record.metadata[_STOCK])
        if isinstance(content["metadata"], dict):
            return dict(content)
    return None


@contextmanager
def named(node: BaseNode) -> Iterator[None]:
    """What is raised for a node that cannot be serialized, with the node's name."""
    try:
        yield
    except InvalidVectorError:
        raise
    except Exception as error:
        if _INTERRUPTED.fullmatch(str(error)):
            raise KeyboardInterrupt from None
        hint = ""
        if isinstance(node, IndexNode) and node.obj is not None:
            hint = f". {_LEAVE_OBJ}"
        raise InvalidVectorError(
            f"node {node.node_id!r} cannot be stored: {in_words(error)}{hint}"
        ) from error


def _put_data(value: Any, dumped: Any) -> bool:
    """Put the binary data of media into what was dumped of them, in base64; whether there are any.

    LlamaIndex itself leaves them out.
    """
    if isinstance(value, MediaResource):
        if value.data is None or not isinstance(dumped, dict):
            return False
        dumped["data"] = _base64(value.data)
        return True
    if isinstance(value, (list, tuple)) and isinstance(dumped, list):
        pairs: Iterable[tuple[Any, Any]] = zip(value, dumped, strict=False)
    elif isinstance(value, (BaseModel, dict)) and isinstance(dumped, dict):
        inner = value if isinstance(value, dict) else vars(value)
        within = dumped.get(DATA_KEY, dumped)  # Of a node inside of an IndexNode.
        names = (name for name in inner if name in within and name not in _NO_MEDIA)
        pairs = ((inner[name], within[name]) for name in names)
    else:
        return False
    return sum([_put_data(*pair) for pair in pairs]) > 0


def _base64(data: bytes) -> str:
    with suppress(binascii.Error):
        base64.b64decode(data, validate=True)
        return data.decode()
    return base64.b64encode(data).decode()


def _check_size(node: BaseNode, name: str, value: Any) -> None:
    """Anything but its text and metadata that alone is too large for a vector."""
    if isinstance(value, (str, dict, list)):
        try:
            size = len(value) if isinstance(value, str) else len(jsontext.dumps(value))
        except (TypeError, ValueError, RecursionError):
            return  # Writing it raises an error that names the record.
        if size > limits.MAX_METADATA_BYTES:
            if name == "obj":
                fix = _LEAVE_OBJ
            elif name == "image" or name.endswith("_resource"):
                fix = "Keep it elsewhere, and give the node its path or url"
            else:
                fix = "Leave it out of the node, and keep it elsewhere"
            raise OversizedError(
                f"node {node.node_id!r}: its {name} takes {size} bytes; all of a node but its "
                f"embedding has at most {limits.MAX_METADATA_BYTES}. {fix}"
            )


def _text(node: BaseNode) -> str | None:
    """A node's text, which may be empty; None if it has none."""
    if isinstance(node, Node):
        return node.text_resource.text if node.text_resource is not None else None
    return node.text if isinstance(node, TextNode) else node.get_content(MetadataMode.NONE)


def source_of(node: BaseNode) -> str:
    """The id of a node's source document, or its own id: so pipelines take it for a document."""
    source = node.relationships.get(NodeRelationship.SOURCE)
    if isinstance(source, list):
        raise InvalidVectorError(
            f"node {node.node_id!r}: a node has one source document; its relationships hold a list"
        )
    return source.node_id if source is not None else node.node_id


# Reading


def to_node(record: Record, values: Values | None = None) -> BaseNode:
    """The node of a record; a `TextNode` where another framework wrote the record.

    ``values`` are its embedding, unless None. Of a class that is not loaded it is a node of
    LlamaIndex's class that it derives from. Of what no class takes it is a `TextNode` with the
    text and the metadata that are there.
    """
    embedding = values.tolist() if values is not None else None
    found = _described(record)
    if found is not None:
        for kind in _possible_classes(found):
            node = _made(kind, {**found.values_for(kind), "embedding": embedding})
            if node is not None:
                return node
    is_foreign = record.node is None and _STOCK not in record.metadata
    text = text_of(record) if is_foreign else record.text
    metadata = _string_keys(record.metadata)
    return TextNode(id_=record.id, text=text or "", metadata=metadata, embedding=embedding)


def class_of(record: Record) -> type[BaseNode]:
    """The class of a record's node; a `TextNode` unless the record says otherwise."""
    found = _described(record)
    return next(_possible_classes(found)) if found is not None else TextNode


def recorded_source(record: Record) -> str | None:
    """`source_of` the node of a record; None where no node was written."""
    found = _described(record)
    if found is None:
        return None
    source = found.held["relationships"].get(NodeRelationship.SOURCE.value)
    return source.node_id if source is not None else record.id


class _Description(NamedTuple):
    """What a record says of its node: names of classes, the best first, and the fields."""

    names: tuple[Any, ...]
    fields: Mapping[Any, Any]
    text: str | None
    held: Mapping[str, Any]
    """What is the record's own, whatever ``fields`` say."""

    def values_for(self, kind: type[BaseNode]) -> dict[str, Any]:
        """What the constructor of a class is given."""
        known = _names(kind)
        values = {name: value for name, value in self.fields.items() if name in known}
        if "text_resource" in known:
            values.pop("text", None)
            resource = values.get("text_resource")
            about = resource if isinstance(resource, dict) else {}
            if about or self.text is not None:
                values["text_resource"] = {**about, "text": self.text}
        elif self.text is not None:
            values["text"] = self.text
        return {**values, **self.held}


def _described(record: Record) -> _Description | None:
    """What a record says of its node; None where it says nothing that can be understood."""
    with suppress(Exception):
        if record.node is not None:
            return _described_compact(record, record.node)
        if _STOCK in record.metadata:
            return _described_stock(record)
    return None


def _described_compact(record: Record, node: Mapping[str, Any]) -> _Description:
    metadata = record.metadata
    order = node.get("order")
    if isinstance(order, list):
        metadata = {key: metadata[key] for key in order if key in metadata}
        metadata |= record.metadata
    metadata = _string_keys(metadata)
    given = node.get("fields")
    fields = dict(given) if isinstance(given, Mapping) else {}
    if fields.get(_HIDDEN_FROM_LLM) is SAME:
        fields[_HIDDEN_FROM_LLM] = list(fields.get(_HIDDEN_FROM_MODEL, ()))
    names = tuple(node.get(key) for key in ("type", "base", "class"))
    held = {
        "id_": record.id,
        "metadata": metadata,
        "relationships": _unpack_relationships(node.get("relationships"), metadata, _SHORT),
    }
    return _Description(names, fields, record.text, held)


def _described_stock(record: Record) -> _Description:
    content = json.loads(record.metadata[_STOCK])
    resource = content.get("text_resource")
    inside = content.get("text") or (resource.get("text") if isinstance(resource, dict) else None)
    related = content.get("relationships")
    held: dict[str, Any] = {"relationships": _unpack_relationships(related, {}, _LONG)}
    if not isinstance(content.get("id_"), str):
        held["id_"] = record.id
    if not isinstance(content.get("metadata"), dict):
        held["metadata"] = _string_keys(record.metadata)
    names = (record.metadata.get(_STOCK_CLASS), content.get("class_name"))
    return _Description(names, content, record.text or inside or record.text, held)


def _possible_classes(found: _Description) -> Iterator[type[BaseNode]]:
    """Classes that a node may be of, the best first."""
    for name in found.names:
        if isinstance(name, str):
            kind = _loaded(name) if ":" in name else CLASSES.get(name)
            if kind is not None:
                yield kind
    yield from (sign for name, sign in _SIGNS.items() if name in found.fields)
    media = {name for name in _names(Node) if name.endswith("_resource")} - {"text_resource"}
    if any(isinstance(found.fields.get(name), dict) for name in media):
        yield Node
    yield TextNode


def _loaded(name: str) -> type[BaseNode] | None:
    """The class of that module and name, if it is loaded.

    Nothing is imported: what a vector says must not decide which code runs.
    """
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        # Not getattr, for which a lazy module would import something.
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) and issubclass(found, BaseNode) else None


def _made(kind: type[BaseNode], values: dict[str, Any]) -> BaseNode | None:
    """A node without those ``values`` that its class refuses; None if it cannot do without."""
    try:
        return kind.from_dict(values)
    except ValidationError as error:
        refused = [one["loc"] for one in error.errors()]
    except Exception:  # The constructor of a user's class may raise anything.
        return None
    with suppress(Exception):
        return kind.from_dict(_without(values, refused))
    return None


def _without(values: dict[str, Any], refused: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """``values`` without what stands at these places; of a media resource, only that part."""
    kept = dict(values)
    for name, *path in refused:
        part = kept.get(name)
        if path and isinstance(part, dict) and path[0] in values[name]:
            kept[name] = {key: value for key, value in part.items() if key != path[0]}
        else:
            kept.pop(name, None)
    return kept


@cache
def _names(kind: type[BaseNode]) -> frozenset[str]:
    """The fields of a class. Its constructor may take more, and read or fetch what that names."""
    aliases = {field.alias for field in kind.model_fields.values() if field.alias is not None}
    return frozenset({*kind.model_fields, *aliases})


def _string_keys(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """Metadata as nodes have them; LangChain's may have keys of other types."""
    return {key if isinstance(key, str) else str(key): value for key, value in metadata.items()}


@cache
def _default(kind: type[BaseNode], name: str) -> Any:
    field = kind.model_fields.get(name)
    with suppress(Exception):  # A default that is made of the other fields.
        return field.get_default(call_default_factory=True) if field is not None else None
    return _NO_LIST


def _is_default(kind: type[BaseNode], name: str, value: Any) -> bool:
    with suppress(Exception):  # Some values, such as arrays, cannot be compared.
        return bool(value == _default(kind, name))
    return False


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _packed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [*map(_packed, value)]
    # The url of a media resource is read back from a string.
    return str(value) if isinstance(value, AnyUrl) else value


_SHORT: Final = {"node_id": "id", "node_type": "type", "hash": "hash", "metadata": "metadata"}
_LONG: Final = {name: name for name in _SHORT}
"""The names that a relationship has in the compact and in the stock layout."""


def _unpack_relationships(
    packed: Any, metadata: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """The relationships that can be understood."""

    def unpack(one: Any) -> RelatedNodeInfo | None:
        if not isinstance(one, Mapping):
            return None
        given: dict[str, Any] = {name: one.get(short) for name, short in names.items()}
        related = given.pop("metadata")
        related = metadata if related is SAME else related
        related = _string_keys(related) if isinstance(related, Mapping) else {}
        for fields in (given, {"node_id": given["node_id"]}):
            with suppress(ValidationError):
                return RelatedNodeInfo(**fields, metadata=related)
        return None

    unpacked: dict[str, Any] = {}
    for kind, related in packed.items() if isinstance(packed, Mapping) else ():
        if kind not in _KINDS_OF_RELATIONSHIP:
            continue
        # A node has one source document, or none: `source_of`.
        if isinstance(related, list) and kind != NodeRelationship.SOURCE.value:
            unpacked[kind] = [found for one in related if (found := unpack(one)) is not None]
        elif (found := unpack(related)) is not None:
            unpacked[kind] = found
    return unpacked
