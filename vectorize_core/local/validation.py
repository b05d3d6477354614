"""Validation of calls, before the service changes anything.

Each function returns its input in the form that the service uses, or raises a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np

from vectorize_core import jsontext, limits
from vectorize_core.behavior import Behavior
from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import native
from vectorize_core.local import faults
from vectorize_core.local.batch import STORED, Batch
from vectorize_core.models import (
    INDEX_TYPES,
    METRICS,
    PRESETS,
    RETURN_METADATA,
    IndexConfig,
    IndexType,
    MetadataIndex,
    Preset,
    ReturnMetadata,
    Values,
    Vector,
    are_finite,
    as_values,
    packed,
)

_ENCODED_AT_ONCE: Final = 500
"""Vectors whose metadata is encoded at once."""
_NO_VALUES: Final = np.empty(0, STORED)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, eq=False)
class QueryRequest:
    """A valid query, as far as that can be told without its index."""

    vector: Values | None
    vector_id: str | None
    top_k: int
    return_values: bool
    return_metadata: ReturnMetadata
    conditions: tuple[native.Condition, ...]
    namespace: str | None


def index_name(name: str) -> str:
    """The name of a new index. It is not known which characters Cloudflare allows."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise faults.refused(f"an index name is made of letters, digits, '-' and '_'; got {name!r}")
    if len(name) > limits.MAX_INDEX_NAME_BYTES:
        raise faults.refused(
            f"index name too long; max is {limits.MAX_INDEX_NAME_BYTES} bytes, "
            f"got {len(name)} bytes"
        )
    return name


def index_config(config: IndexConfig | Preset) -> IndexConfig:
    """The configuration of a new index, also if a preset is given."""
    if isinstance(config, str):
        if config not in PRESETS:
            raise faults.refused(f"unknown preset {config!r}")
        return IndexConfig(*PRESETS[config])
    if not isinstance(config, IndexConfig):
        raise faults.no_config()
    if config.metric not in METRICS:
        raise faults.refused(f"unknown metric {config.metric!r}")
    if not _is_int_within(config.dimensions, None, None):
        raise faults.unparsable_body("dimensions", "expected an integer")
    if not _is_int_within(config.dimensions, limits.MIN_DIMENSIONS, limits.MAX_DIMENSIONS):
        raise faults.dimensions_out_of_range()
    return config


def description(text: str) -> str:
    """The description of a new index."""
    return _text("description", text)


def batch(verb: str, vectors: Sequence[Vector], behavior: Behavior) -> Batch:
    """The vectors of an insert or upsert, validated but for their dimensions."""
    if len(vectors) > limits.MAX_VECTORS_PER_WRITE:
        raise faults.refused(
            f"too many vectors in payload; max count is {limits.MAX_VECTORS_PER_WRITE}, "
            f"got {len(vectors)}"
        )
    values = _joined(vectors)
    finite = values is not None and are_finite(values)
    metadata = None
    # One alone is checked faster by itself.
    if len(vectors) > 1 and finite and _have_plain_names(vectors):
        metadata = _flat_metadata(vectors)
    if metadata is None:
        # Perhaps something is wrong with one, which is said of the first.
        metadata = [
            _metadata_of(verb, line, vector, behavior, finite=finite)
            for line, vector in enumerate(vectors)
        ]
    if values is None:
        values = np.concatenate([as_values(vector.values) for vector in vectors], dtype=STORED)
    ids, namespaces = [vector.id for vector in vectors], [vector.namespace for vector in vectors]
    return Batch(ids, namespaces, metadata, values)


def dimensions(vectors: Sequence[Vector], expected: int) -> None:
    """Refuse vectors that do not have the dimensions of their index."""
    for vector in vectors:
        if len(vector.values) != expected:
            raise faults.vector_dimensions(vector.id, expected, len(vector.values))


def ids(given: Sequence[str], most: int) -> list[str]:
    """The ids of a get (at most 20) or a delete (at most 100)."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise faults.unparsable_body("ids", "expected a list of strings")
    if len(given) > most:
        raise faults.too_many_ids(most, len(given))
    return [_short_id(_text("ids", vector_id)) for vector_id in given]


def page_size(count: int) -> int:
    """How many ids a page of a listing holds."""
    if not _is_int_within(count, 1, limits.MAX_LIST_COUNT):
        raise faults.refused(f"count must be in range: [1, {limits.MAX_LIST_COUNT}], got {count!r}")
    return count


def metadata_index(property_name: str, index_type: IndexType) -> MetadataIndex:
    """A metadata index to be created."""
    name = _text("propertyName", property_name)
    if not name or '"' in name or name.startswith("$") or len(name) > limits.MAX_METADATA_KEY_CHARS:
        raise faults.refused(
            "a property name must not be empty, hold a double quote, start with '$' or be longer "
            f"than {limits.MAX_METADATA_KEY_CHARS} characters; got {name[:40]!r}"
        )
    if index_type not in INDEX_TYPES:
        raise faults.unparsable_body("indexType", f"expected one of {', '.join(INDEX_TYPES)}")
    return MetadataIndex(name, index_type)


def property_name(name: str) -> str:
    """The property of a metadata index to be deleted."""
    return _text("propertyName", name)


def query(
    *,
    vector: Values | None,
    vector_id: str | None,
    top_k: int,
    return_values: bool,
    return_metadata: ReturnMetadata,
    filter: Mapping[str, Any] | None,
    namespace: str | None,
) -> QueryRequest:
    """A query, validated but for the dimensions of its vector."""
    if (vector is None) == (vector_id is None):
        raise faults.unparsable_body("vector", "expected either vector or vectorId")
    if not isinstance(return_values, bool):
        raise faults.unparsable_body("returnValues", "expected a boolean")
    if isinstance(return_metadata, bool):
        raise faults.boolean_for_metadata()
    if return_metadata not in RETURN_METADATA:
        raise faults.unparsable_body("returnMetadata", "expected one of none, indexed, all")
    return QueryRequest(
        None if vector is None else _query_values(vector),
        None if vector_id is None else _short_id(_text("vectorId", vector_id)),
        _top_k(top_k, with_payload=return_values or return_metadata == "all"),
        return_values,
        return_metadata,
        conditions(filter),
        None if namespace is None else _short_namespace(_text("namespace", namespace)),
    )


def _joined(vectors: Sequence[Vector]) -> Values | None:
    """The values of all vectors; None if any was assigned others than `Vector` makes."""
    given = [vector.values for vector in vectors]
    if len(given) == 1:
        values = packed(given[0])
        return None if values is None else np.array(values, STORED)
    try:
        return np.concatenate([_NO_VALUES, *given], dtype=STORED, casting="equiv")
    except (TypeError, ValueError):
        return None


def _have_plain_names(vectors: Sequence[Vector]) -> bool:
    """Whether all ids and namespaces are short ASCII texts, as nearly always: nothing is wrong."""
    ids = [vector.id for vector in vectors]
    namespaces = [vector.namespace for vector in vectors if vector.namespace is not None]
    return (
        all(ids)
        and _are_plain(ids, limits.MAX_ID_BYTES)
        and _are_plain(namespaces, limits.MAX_NAMESPACE_BYTES)
    )


def _are_plain(texts: list[str], longest: int) -> bool:
    return (
        set(map(type, texts)) <= {str}
        and max(map(len, texts), default=0) <= longest
        and "".join(texts).isascii()
    )


def _flat_metadata(vectors: Sequence[Vector]) -> list[str | None] | None:
    """The metadata as JSON of vectors that have none, or flat dicts; else None.

    None also where anything may be wrong with one.
    """
    if not {type(vector.metadata) for vector in vectors} <= {dict, type(None)}:
        return None
    given = [vector.metadata for vector in vectors if vector.metadata]
    texts: list[str] = []
    for start in range(0, len(given), _ENCODED_AT_ONCE):
        some = given[start : start + _ENCODED_AT_ONCE]
        encoded = jsontext.exact_each(some)
        if encoded is None or max(map(len, encoded)) > limits.MAX_METADATA_BYTES:
            return None
        if not all(map(_is_key, set(chain.from_iterable(some)))):
            return None
        texts += map(bytes.decode, encoded)
    if len(texts) == len(vectors):
        return [*texts]
    left = iter(texts)
    return [next(left) if vector.metadata else None for vector in vectors]


def _metadata_of(
    verb: str, line: int, vector: Vector, behavior: Behavior, *, finite: bool
) -> str | None:
    """The metadata as JSON of a vector that is valid."""
    vector_id, namespace = vector.id, vector.namespace
    # An ASCII text, as nearly always, is never wrong.
    unnamed = namespace is None
    for field, text in (("id", vector_id), ("namespace", "" if unnamed else namespace)):
        if not (type(text) is str and text.isascii()):
            found = jsontext.problem(text) if isinstance(text, str) else "no string"
            if found:
                raise faults.unparsable_vectors(verb, line, f"the {field} is {found}")
    if not finite and (found := _values_problem(vector)):
        raise faults.unparsable_vectors(verb, line, f"the values {found}")
    if not vector_id:
        raise faults.refused(f"the id of vector {line} is empty")
    _short_id(vector_id)
    if namespace is not None:
        _short_namespace(namespace)
    if vector.metadata is None:
        return None
    metadata = _metadata(verb, line, vector, behavior)
    return None if metadata == "{}" else metadata


def _values_problem(vector: Vector) -> str | None:
    try:
        finite = are_finite(as_values(vector.values))
    except (TypeError, ValueError):
        return "are no list of numbers"
    return None if finite else "hold NaN or infinity, which JSON cannot express"


def _metadata(verb: str, line: int, vector: Vector, behavior: Behavior) -> str:
    given: Any = vector.metadata
    text = jsontext.exact(given)
    if text is None:
        is_object = type(given) is dict or isinstance(given, Mapping)
        found = jsontext.problem(given) if is_object else "something else than a mapping"
        if found:
            raise faults.unparsable_vectors(
                verb, line, f"the metadata of id {vector.id!r} is or has {found}"
            )
        text = jsontext.dumps(given)
    _check_keys(vector.id, given, behavior)
    if len(text) > limits.MAX_METADATA_BYTES:
        raise faults.oversized_metadata(vector.id, len(text))
    return text.decode()


def _check_keys(vector_id: str, metadata: Mapping[str, Any], behavior: Behavior) -> None:
    for key, value in metadata.items():
        if not _is_key(key):
            raise faults.refused(
                f'invalid metadata for vector id="{vector_id}": the key {key!r} must not be empty, '
                "hold a dot or a double quote, or start with '$'"
            )
        # The lookup comes first, because `isinstance` is slow with an abstract class.
        nested = type(value) not in jsontext.SCALARS and isinstance(value, Mapping)
        if nested and behavior.nested_keys == "checked":
            _check_keys(vector_id, value, behavior)


@lru_cache(1_024)
def _is_key(key: str) -> bool:
    """Whether metadata may have this key. Cached, because most records have the same keys."""
    return not (not key or "." in key or '"' in key or key.startswith("$"))


def _query_values(vector: Values) -> Values:
    try:
        values = as_values(vector)
    except (TypeError, ValueError):
        raise faults.unparsable_body("vector", "expected a list of numbers") from None
    if not are_finite(values):
        raise faults.unparsable_body("vector", "expected finite numbers")
    return values


def _top_k(top_k: int, *, with_payload: bool) -> int:
    if not _is_int_within(top_k, 1, None):
        raise faults.refused(f"top K must be an integer from 1 on, got {top_k!r}")
    if with_payload and top_k > limits.MAX_TOP_K_WITH_PAYLOAD:
        raise faults.top_k_with_payload(top_k)
    if top_k > limits.MAX_TOP_K:
        raise faults.refused(f"max top K is {limits.MAX_TOP_K}, but got {top_k}")
    return top_k


def conditions(expression: Mapping[str, Any] | None) -> tuple[native.Condition, ...]:
    """The conditions of a filter."""
    if expression is None:
        return ()
    try:
        return native.parse(expression)
    except InvalidFilterError as error:
        raise faults.refused(f"invalid filter: {error}") from None


def _text(field: str, text: str) -> str:
    if not isinstance(text, str) or jsontext.has_lone_surrogate(text):
        raise faults.unparsable_body(field, "expected a string")
    return text


def _short_id(vector_id: str) -> str:
    size = len(vector_id) if vector_id.isascii() else jsontext.utf8_size(vector_id)
    if size > limits.MAX_ID_BYTES:
        raise faults.id_too_long(size)
    return vector_id


def _short_namespace(namespace: str) -> str:
    size = jsontext.utf8_size(namespace)
    if size > limits.MAX_NAMESPACE_BYTES:
        raise faults.refused(
            f"namespace too long; max is {limits.MAX_NAMESPACE_BYTES} bytes, got {size} bytes"
        )
    return namespace


def _is_int_within(value: object, least: int | None, most: int | None) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return (least is None or least <= value) and (most is None or value <= most)
