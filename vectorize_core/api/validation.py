"""Refuses what the service would refuse, before anything is embedded or sent.

Pure functions; every message names the record and what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import filterfalse
from typing import Any, Final

import numpy as np

from vectorize_core import jsontext, limits
from vectorize_core.errors import InvalidInputError, InvalidVectorError, OversizedError
from vectorize_core.models import Vector


def check_index_name(name: Any) -> None:
    """An index name is a non-empty string of at most 64 bytes of UTF-8."""
    rule = "an index name is a non-empty string"
    _check_name(name, "index name", limits.MAX_INDEX_NAME_BYTES, InvalidInputError, rule)


def check_id(vector_id: Any) -> None:
    """An id is a non-empty string of at most 64 bytes of UTF-8."""
    rule = "an id is a non-empty string"
    _check_name(vector_id, "id", limits.MAX_ID_BYTES, InvalidVectorError, rule, _SHORTER_ID)


def check_namespace(namespace: Any) -> None:
    """A namespace is None, or a non-empty string of at most 64 bytes of UTF-8."""
    if namespace is not None:
        rule = "a namespace is a non-empty string or None"
        _check_name(namespace, "namespace", limits.MAX_NAMESPACE_BYTES, InvalidInputError, rule)


_SHORTER_ID: Final = (
    ". Use a shorter id, such as a hash of it (LangChain's index(): key_encoder='sha256')"
)


def _check_name(
    name: Any, kind: str, most: int, error: type[InvalidInputError], rule: str, fix: str = ""
) -> None:
    if not isinstance(name, str) or not name:
        raise error(f"{rule}; got {name!r}")
    if len(name) <= most and name.isascii():
        return
    if jsontext.has_lone_surrogate(name):
        raise error(f"the {kind} {name!r} has a lone surrogate: not valid Unicode")
    size = jsontext.utf8_size(name)
    if size > most:
        raise error(f"the {kind} {name!r} takes {size} bytes; Vectorize allows {most}{fix}")


def check_id_list(ids: Sequence[Any]) -> None:
    """A list of ids: one id alone would be read as a list of its letters."""
    if isinstance(ids, (str, bytes)):
        raise InvalidInputError(f"ids is a list of ids; got {ids!r}. Use [{ids!r}]")


def check_ids(ids: Sequence[Any]) -> None:
    """A list of ids that vectors can have."""
    check_id_list(ids)
    for vector_id in ids:
        check_id(vector_id)


def possible_id(vector_id: Any) -> bool:
    """Whether a vector can have this id; asking for one that cannot is not worth a request."""
    try:
        check_id(vector_id)
    except InvalidVectorError:
        return False
    return True


def check_metadata(vector_id: str, metadata: Mapping[str, Any] | None) -> int:
    """Metadata is of JSON values, at most 10,240 bytes; returns its size as compact JSON."""
    if metadata is None:
        return 0
    if not isinstance(metadata, Mapping):
        raise InvalidVectorError(
            f"vector {vector_id!r}: metadata is a mapping or None; got {type(metadata).__name__}"
        )
    content = jsontext.exact(metadata)
    found = jsontext.problem(metadata) if content is None else None
    if found:
        raise InvalidVectorError(f"vector {vector_id!r}: the metadata holds {found}")
    flat = content is not None
    bad_key = next(filterfalse(storable_key, metadata), None) if flat else _bad_key(metadata)
    if bad_key is not None:
        raise InvalidVectorError(
            f"vector {vector_id!r}: the metadata key {bad_key!r} cannot be stored: a key must "
            "not be empty, start with '$', contain '.' or '\"', "
            f"or be longer than {limits.MAX_METADATA_KEY_CHARS} characters"
        )
    return _check_size(vector_id, content if content is not None else jsontext.dumps(metadata))


def check_encoded(vector_id: str, metadata: dict[str, Any]) -> int:
    """As `check_metadata`, for what `layout.encode` made, of which only the text can be wrong."""
    try:
        return _check_size(vector_id, jsontext.dumps(metadata))
    except TypeError:
        return check_metadata(vector_id, metadata)


def _check_size(vector_id: str, content: bytes) -> int:
    size = len(content)
    if size > limits.MAX_METADATA_BYTES:
        raise OversizedError(
            f"vector {vector_id!r}: the metadata takes {size} bytes as compact JSON, text "
            f"included; Vectorize allows {limits.MAX_METADATA_BYTES}. Split the text into smaller "
            "chunks, or keep large values elsewhere: a store's texts= takes texts of any length"
        )
    return size


@lru_cache(maxsize=4_096)
def storable_key(key: str) -> bool:
    """Whether the service takes ``key`` as a metadata key."""
    return bool(key) and not (
        key.startswith("$") or "." in key or '"' in key or len(key) > limits.MAX_METADATA_KEY_CHARS
    )


def _bad_key(value: Any) -> str | None:
    """A key, at any depth, that cannot be stored; all keys are strings."""
    if isinstance(value, Mapping):
        for key in filterfalse(storable_key, value):
            return str(key)
        value = value.values()
    for item in value:
        if type(item) not in jsontext.SCALARS:
            bad = _bad_key(item)
            if bad is not None:
                return bad
    return None


def check_record(vector_id: Any, namespace: str | None, metadata: Mapping[str, Any] | None) -> int:
    """Checks all of a record but its values; returns the size of its metadata as compact JSON."""
    check_id(vector_id)
    check_namespace(namespace)
    return check_metadata(vector_id, metadata)


def check_finite(vectors: Sequence[Vector]) -> None:
    """Values are finite, also as float32."""
    # Checking all of them together first takes a tenth of the time.
    if vectors and not np.isfinite(np.concatenate([v.values for v in vectors])).all():
        bad = next(vector for vector in vectors if not np.isfinite(vector.values).all())
        raise InvalidVectorError(
            f"vector {bad.id!r} has a value that is not a finite float32 number (NaN or "
            "infinite); check the embedding model's answer for this record"
        )


def check_dimensions(name: str, expected: int, got: int, *, index: str) -> None:
    """A vector has as many dimensions as its index; the error calls it ``name``."""
    if expected != got:
        raise InvalidVectorError(
            f"{name} has {got} dimensions, the index {index!r} has {expected}. Use the embedding "
            "model the index was made for, or create an index for this one"
        )


def check_values(vectors: Sequence[Vector], dimensions: int, *, index: str) -> None:
    """Values are finite, and as many as the index has dimensions."""
    check_finite(vectors)
    for vector in vectors:
        got = len(vector.values)
        check_dimensions(f"vector {vector.id!r}", dimensions, got, index=index)
