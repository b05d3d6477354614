"""Records of ours as they are stored: completed, or under another id, without being made anew."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from vectorize_core import jsontext
from vectorize_core.api.validation import check_metadata
from vectorize_core.errors import OversizedError, UnreadableRecordError
from vectorize_core.layout import nested, value_codec
from vectorize_core.layout.names import BUCKET, DEFAULT_TEXT_KEY, EXTRA, OWN, REF
from vectorize_core.layout.record import (
    NOTHING_MORE,
    VERSION,
    bucket,
    decode,
    read_extra,
    ref_value,
    show,
    text_key_of,
    text_or_none,
    unshow,
)
from vectorize_core.models import Vector

_STOCK_NODE, _SOURCE = "_node_content", "1"
"""LlamaIndex's own names: of a node in its stock layout, and of the relationship to the source."""


def completed(vector: Vector, indexed: Collection[str]) -> Vector:
    """A record of ours with what the layout has where there is a metadata index, and it lacks.

    Any other vector is returned as it is, and so is one that would be too large.
    """
    stored = dict(vector.metadata) if vector.metadata is not None else {}
    with suppress(UnreadableRecordError, OversizedError):
        extra = read_extra(vector.id, stored.get(EXTRA))
        if extra is None:
            return vector
        wanted: dict[str, Any] = {BUCKET: bucket(vector.id), OWN: True}
        if REF not in stored and ("n" in extra or _STOCK_NODE in stored):
            wanted[REF] = ref_value(
                _source(stored, extra) or text_or_none(extra.get("id")) or vector.id
            )
        metadata = stored | {name: value for name, value in wanted.items() if name in indexed}
        if "s" in extra or any("." in name for name in indexed):
            unshow(metadata, extra)
            own = decode(vector.id, stored).metadata
            show(metadata, extra, own, indexed, text_key_of(extra))
            metadata[EXTRA] = jsontext.dumps(extra).decode()
        if metadata != stored:
            check_metadata(vector.id, metadata)
            return Vector(vector.id, vector.values, vector.namespace, metadata)
    return vector


def readdressed(
    vector: Vector, vector_id: str, *, text_key: str = DEFAULT_TEXT_KEY, **names: str | None
) -> Vector:
    """The same record as it stands under another id.

    ``names`` are members of ``_vs`` that change: ``id``, what its tenant calls it, and ``x``, what
    its text outside is called; None for one that goes. All else stays as it is.
    """
    stored = dict(vector.metadata) if vector.metadata is not None else {}
    extra = read_extra(vector.id, stored.get(EXTRA), any_version=True)
    if extra is None:
        # A foreign vector, which becomes one of ours if it has to hold a name.
        extra = {"v": VERSION} if text_key == DEFAULT_TEXT_KEY else {"v": VERSION, "t": text_key}
        names = {name: value for name, value in names.items() if value is not None}
    if any(extra.get(name) != value for name, value in names.items()):
        extra |= names
        extra = {name: value for name, value in extra.items() if value is not None}
        stored[EXTRA] = jsontext.dumps(extra).decode()
    if BUCKET in stored:
        stored[BUCKET] = bucket(vector_id)
    metadata = stored if vector.metadata is not None or stored else None
    return Vector(vector_id, vector.values, vector.namespace, metadata)


def unshown(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same metadata in an index without metadata indexes on paths with dots."""
    raw = metadata.get(EXTRA)
    if not (isinstance(raw, str) and '"s":' in raw):
        return metadata
    stored, extra = dict(metadata), read_extra("", raw, any_version=True)
    if extra is not None:
        unshow(stored, extra)
        stored[EXTRA] = jsontext.dumps(extra).decode()
    return stored


def hides(metadata: Mapping[str, Any] | None, path: str) -> bool:
    """Whether a record of ours has a value under an indexed path that it does not show there.

    It was written before that was indexed; `completed` shows it.
    """
    stored = metadata if metadata is not None else {}
    if "." not in path or stored.get(EXTRA, NOTHING_MORE) == NOTHING_MORE:
        return False
    record = decode("", stored, any_version=True)
    extra = read_extra("", stored[EXTRA], any_version=True)
    text_key = text_key_of(extra) if extra is not None else DEFAULT_TEXT_KEY
    return bool(nested.to_show(record.metadata, stored, [path], text_key))


def _source(stored: Mapping[str, Any], extra: Mapping[str, Any]) -> str | None:
    """The id of the source document that a node names, if it names one."""
    if _STOCK_NODE in stored:
        named = text_or_none(stored.get("ref_doc_id"))
        return named if named != "None" else None
    node = value_codec.untagged(extra["n"])
    related = node.get("relationships") if isinstance(node, dict) else None
    source = related.get(_SOURCE) if isinstance(related, dict) else None
    return text_or_none(source.get("id")) if isinstance(source, dict) else None
