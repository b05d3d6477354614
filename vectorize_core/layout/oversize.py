"""What takes the room of a record that is too large, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from vectorize_core import jsontext, limits
from vectorize_core.errors import At, OversizedError, key_in_words
from vectorize_core.layout.value_codec import untagged

_TEXT: Final = "the text"
_NODE: Final = "the node's own fields"
_STOCK: Final = "the node in LlamaIndex's own layout"
_SPLIT: Final = (
    "Split the text into smaller chunks, or keep it elsewhere: a store's texts= takes texts of any "
    "length"
)
_SHOWN: Final = 4
_SHARE: Final = 4
"""A text smaller than this part of what is too much is not what makes a record too large."""


class Part(NamedTuple):
    """A part of a record, and the bytes that it takes as compact JSON."""

    name: str
    size: int


def oversized(at: At, metadata: Mapping[str, Any], text_key: str) -> OversizedError:
    """The error for metadata that `layout.encode` made and that is too large."""
    size, most = len(jsontext.dumps(metadata)), limits.MAX_METADATA_BYTES
    parts = _parts(metadata, text_key)
    listed = ", ".join(f"{part.name} {part.size}" for part in parts[:_SHOWN])
    return OversizedError(
        f"{at}: the metadata takes {size} bytes as compact JSON, text included; Vectorize allows "
        f"{most}. Of these take: {listed}. {_advice(parts, size - most)}"
    )


def _advice(parts: list[Part], excess: int) -> str:
    """About the largest parts, as many as would have to go."""
    names: list[str] = []
    left = excess
    for part in parts:
        if left <= 0:
            break
        if part.name != _TEXT or part.size * _SHARE >= excess:
            names.append(part.name)
            left -= part.size
    values = [part for part in parts if part.name not in (_TEXT, _NODE, _STOCK)]
    keys = [part.name for part in values if part.name in names]
    advice = [_SPLIT] if _TEXT in names else []
    if len(keys) > _SHOWN:
        advice.append(
            f"The {len(values)} values of the metadata take {sum(part.size for part in values)}: "
            "leave some out, or keep only a key to them here"
        )
    elif keys:
        kept = "them" if len(keys) > 1 else "it"
        advice.append(f"Shorten {' and '.join(keys)}, or keep only a key to {kept} here")
    if _STOCK in names:
        advice.append(
            "node_layout='stock' writes metadata twice, node_layout='compact' once. Write the node "
            "by that, or with less metadata and relationships"
        )
    if _NODE in names:
        advice.append(f"Leave out what is large of {_NODE}, such as its relationships' metadata")
    return ". ".join(advice)


def _as_text(value: Any) -> str:
    """JSON as it stands in ``_vs``, which is a string: with its quotation marks escaped."""
    return jsontext.dumps(value).decode()


def _parts(metadata: Mapping[str, Any], text_key: str) -> list[Part]:
    """The parts of a record, the largest first."""
    sizes: dict[str, int] = {}

    def add(name: str, value: Any) -> None:
        sizes[name] = sizes.get(name, 0) + len(jsontext.dumps(value))

    for key, value in metadata.items():
        if key == "_vs":
            extra = jsontext.loads(value)
            for member in extra.get("m", ()):
                add(f"metadata{key_in_words(untagged(member[0]))}", _as_text(member))
            for name, kind in extra.get("y", {}).items():
                add(f"metadata{key_in_words(name)}", _as_text({name: kind}))
            if "n" in extra:
                add(_NODE, _as_text(extra["n"]))
        elif not key.startswith("_vs"):
            own = {text_key: _TEXT, "_node_content": _STOCK}
            add(own.get(key, f"metadata{key_in_words(key)}"), value)
    return sorted((Part(*one) for one in sizes.items()), key=lambda part: -part.size)
