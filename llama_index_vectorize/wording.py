"""What errors call things for users of LlamaIndex."""

from __future__ import annotations

from inspect import getmembers
from typing import Final

from llama_index_vectorize.filters import OPERATORS, SOURCE_KEYS
from llama_index_vectorize.nodes import CLASSES
from vectorize_core.wording import Wording

_ID = "{name!r} is no property of the metadata: give ids of nodes as node_ids="
_ARGUMENT = (
    "{name!r} is in no metadata index. That of a node is given as {argument}; a property of that "
    "name in its metadata can be filtered by once it has a metadata index"
)
_STOCK = (
    "{name!r} is in no metadata index: nodes have it only where they are written with "
    "node_layout='stock'. Put what is to be filtered by into their metadata, or allow reading all "
    "nodes with unindexed='scan'"
)
_FIELD = (
    "{name!r} is a field of nodes, not a property of their metadata, and stored inside _vs, where "
    "the service cannot look it up. To filter by it, put it into the metadata under a name with a "
    "metadata index"
)
_FIELDS = {
    name
    for kind in CLASSES.values()
    for name in (*kind.model_fields, *dict(getmembers(kind, lambda one: isinstance(one, property))))
    if not name.startswith("__")
} - {"text", "id_", *SOURCE_KEYS}
_TEMPLATES = {
    **dict.fromkeys(("class_name", *_FIELDS), _FIELD),
    **dict.fromkeys(("id_", "node_id"), _ID),
    **dict.fromkeys(("_node_content", "_node_type"), _STOCK),
    "id": _ARGUMENT.replace("{argument}", "node_ids="),
    "namespace": _ARGUMENT.replace("{argument}", "namespace="),
}

WORDING: Final = Wording(
    index="store.index",
    maker="store",
    wait="wait_for_writes()",
    filter="filters=",
    operators={ours: theirs.value for theirs, ours in OPERATORS.items()},
    elsewhere={name: template.format(name=name) for name, template in _TEMPLATES.items()},
)
