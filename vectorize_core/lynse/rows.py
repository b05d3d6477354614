"""How a vector is a row of a collection, and which of several rows counts.

A row is called ``<id>#<version>``. An even version is a vector, an odd one a grave: that the vector
was deleted. Of a vector the newest version counts, whatever else is there. So nothing is replaced
in place, which a server does not survive, and deletions that a crash takes back stay deletions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from vectorize_core import jsontext
from vectorize_core.behavior import Behavior
from vectorize_core.errors import IndexDamagedError
from vectorize_core.local import matching
from vectorize_core.lynse.header import Header
from vectorize_core.lynse.models import Id, Item
from vectorize_core.models import Metadata, MetadataIndex, Values, Vector

MISSING: Final = "-"
"""In a column of what a record has nothing of. All else begins with ``x``, which comes later."""
BEHAVIOR: Final = Behavior()
"""What filters mean, where the service's pages leave it open: as in the embedded Vectorize."""


def row_id(vector_id: str, version: int) -> str:
    """What the row of a version is called."""
    return f"{vector_id}#{version}"


def split(given: Id) -> tuple[str, int]:
    """The id and the version of a row; `IndexDamagedError` for what this library did not write."""
    vector_id, mark, version = given.rpartition("#") if isinstance(given, str) else ("", "", "")
    if not (mark and version.isascii() and version.isdecimal()):
        raise IndexDamagedError(
            f"the collection has a row {given!r}, which is none of an index: it was written to by "
            "other means than an Index or a store"
        )
    return vector_id, int(version)


def newest(ids: Iterable[Id]) -> dict[str, int]:
    """The newest version of each vector among rows."""
    found: dict[str, int] = {}
    for vector_id, version in map(split, ids):
        found[vector_id] = max(version, found.get(vector_id, version))
    return found


def is_superseded(row: Id, newest: Mapping[str, int]) -> bool:
    """Whether a newer row of its vector is there."""
    vector_id, version = split(row)
    return version < newest[vector_id]


def next_version(latest: int | None) -> int:
    """The version of a vector that is written after this one."""
    return 0 if latest is None else latest + 2 - latest % 2


def key(value: str | float | None) -> str:
    """A text, number or boolean as a column has it, in whose order it stands; None is missing.

    Made of letters and digits only: LynseDB takes texts such as ``[1]`` for JSON, and SQL quotes.
    """
    if value is None:
        return MISSING
    if isinstance(value, str):
        # A question may have lone surrogates, which no record has.
        return "x" + value.encode(errors="surrogatepass").hex()
    # Positive numbers come behind negative ones, whose order is the other way round. -0.0 is 0.
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))
    return f"x{bits ^ (2**64 - 1 if bits >> 63 else 2**63):016x}"


def vector_item(vector: Vector, version: int, header: Header) -> Item:
    """The row of a vector."""
    metadata = vector.metadata or {}
    text = metadata.get(header.text_key)
    rest = metadata
    if isinstance(text, str):
        rest = {name: value for name, value in metadata.items() if name != header.text_key}
    field = {
        **_columns(metadata, header),
        "doc": key(vector.id),
        "ns": key(vector.namespace),
        "meta": "J" + jsontext.dumps(rest).decode() if vector.metadata is not None else "J",
        "text": f".{text}" if isinstance(text, str) else MISSING,
    }
    return Item(row_id(vector.id, version), vector.values, field)


def grave_item(vector_id: str, version: int, header: Header) -> Item:
    """The row that says that a vector was deleted."""
    values = np.zeros(header.config.dimensions, np.float32)
    field = {
        **_columns({}, header),
        "doc": key(vector_id),
        "ns": MISSING,
        "meta": "J",
        "text": MISSING,
    }
    return Item(row_id(vector_id, version), values, field)


def _columns(metadata: Metadata, header: Header) -> dict[str, str]:
    """What the metadata indexes hold of a record; a column without one stays empty."""
    columns = {f"p{at}": MISSING for at in range(len(header.columns))}
    for name, index in header.live():
        found = _entry(metadata, index)
        columns[name] = key(found[0] if found else None)
    return columns


def _entry(metadata: Metadata, index: MetadataIndex) -> matching.Entry:
    value = matching.lookup(metadata, index.property_name)
    return matching.entry(value, index.index_type, BEHAVIOR)


def has_columns(row: Id, field: Mapping[str, Any], header: Header) -> bool:
    """Whether a row is as a client of this header writes it; may raise `IndexDamagedError`."""
    vector_id, version = split(row)
    if version % 2:
        wanted = grave_item(vector_id, version, header).field
    else:
        nothing = np.empty(0, np.float32)
        wanted = vector_item(vector_of(vector_id, nothing, field, header), version, header).field
    return wanted == {name: value for name, value in field.items() if value is not None}


def vector_of(vector_id: str, values: Values, field: Mapping[str, Any], header: Header) -> Vector:
    """The vector that a row holds."""
    return Vector(vector_id, values, namespace_of(field), metadata_of(field, header))


def namespace_of(field: Mapping[str, Any]) -> str | None:
    """The namespace of a row."""
    found: Any = field.get("ns")
    try:
        return None if found == MISSING else bytes.fromhex(found[1:]).decode()
    except (ValueError, TypeError):
        raise _unreadable("ns", found) from None


def metadata_of(field: Mapping[str, Any], header: Header) -> Metadata | None:
    """The metadata of a row, with its text."""
    found: Any = field.get("meta")
    words: Any = field.get("text")
    if type(words) is not str or words[:1] not in (MISSING, "."):
        raise _unreadable("text", words)
    try:
        text = found[1:] if found[0] == "J" else None
        metadata = jsontext.loads(text) if text else None
    except (ValueError, TypeError, LookupError):
        raise _unreadable("meta", found) from None
    if text is None or not (metadata is None or type(metadata) is dict):
        raise _unreadable("meta", found)
    if words != MISSING:
        return {**(metadata or {}), header.text_key: words[1:]}
    return metadata


def text_of(field: Mapping[str, Any]) -> str | None:
    """The text of a row; None if it has none."""
    found = field.get("text")
    return found[1:] if isinstance(found, str) and found != MISSING else None


def _unreadable(column: str, found: Any) -> IndexDamagedError:
    return IndexDamagedError(
        f"the server has lost what a record has in the column {column!r}: it is {found!r:.60}. "
        "Restore a snapshot, or delete the index and write it again"
    )


def indexed_part(metadata: Metadata | None, header: Header) -> Metadata | None:
    """What the metadata indexes hold of a record's metadata."""
    if metadata is None:
        return None
    part: dict[str, Any] = {}
    for _, index in header.live():
        if _entry(metadata, index):
            *path, last = index.property_name.split(".")
            place = part
            for step in path:
                place = place.setdefault(step, {})
            value = matching.lookup(metadata, index.property_name)
            place[last] = matching.cut(value) if isinstance(value, str) else value
    return part
