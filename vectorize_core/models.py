"""The plain values that go into and come out of an index.

Python names for what https://developers.cloudflare.com/api/resources/vectorize/ describes:
``topK`` is ``top_k``, ``vectorCount`` is ``vector_count``.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from numbers import Number
from typing import Any, Literal, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectorize_core.errors import At, InvalidVectorError, in_words, shown

Metric = Literal["cosine", "euclidean", "dot-product"]
IndexType = Literal["string", "number", "boolean"]
ReturnMetadata = Literal["none", "indexed", "all"]
UnparsableBehavior = Literal["error", "discard"]
Preset = Literal[
    "@cf/baai/bge-small-en-v1.5",
    "@cf/baai/bge-base-en-v1.5",
    "@cf/baai/bge-large-en-v1.5",
    "openai/text-embedding-ada-002",
    "cohere/embed-multilingual-v2.0",
]
Id: TypeAlias = str | int | np.integer[Any] | UUID
"""What is taken for an id: a string, or what stands for its ``str()``."""
Metadata = Mapping[str, Any]
Filter = Mapping[str, Any]
Values = NDArray[np.float32]
ValueRows: TypeAlias = Values | Sequence[Values]
"""Those of several vectors: the rows of one array, or several arrays."""
_FLOAT32 = np.dtype(np.float32)

METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot-product")
RETURN_METADATA: tuple[ReturnMetadata, ...] = ("none", "indexed", "all")
INDEX_TYPES: tuple[IndexType, ...] = ("string", "number", "boolean")
PRESETS: Mapping[Preset, tuple[int, Metric]] = {
    "@cf/baai/bge-small-en-v1.5": (384, "cosine"),
    "@cf/baai/bge-base-en-v1.5": (768, "cosine"),
    "@cf/baai/bge-large-en-v1.5": (1024, "cosine"),
    "openai/text-embedding-ada-002": (1536, "cosine"),
    "cohere/embed-multilingual-v2.0": (768, "cosine"),
}


def as_values(values: ArrayLike, name: object = "a vector") -> Values:
    """``values`` as a contiguous one-dimensional array of float32, as the service keeps them.

    `InvalidVectorError`, calling them ``name``, if they are not a list of numbers.
    """
    found = packed(values)
    if found is not None:
        return found
    try:
        array = np.asarray(values)
        if array.ndim == 1 and _holds_numbers(array):
            # A value too large for float32 becomes infinite, which `api.validation` refuses.
            with np.errstate(over="ignore"):
                return np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidVectorError(f"{_not_numbers(values, name)}: {in_words(error)}") from error
    shape = f", an array of shape {array.shape}" if array.ndim > 1 else ""
    raise InvalidVectorError(f"{_not_numbers(values, name)}{shape}")


def packed(values: ArrayLike) -> Values | None:
    """`as_values` of what it nearly always gets: an array of float32, or a list of floats.

    None for anything else.
    """
    if type(values) is np.ndarray and values.dtype == _FLOAT32 and values.ndim == 1:
        return values if values.flags.c_contiguous else np.ascontiguousarray(values)
    if isinstance(values, list):
        # Most embedding models return lists; this takes a third of the time that NumPy takes.
        try:
            return np.frombuffer(bytearray(_floats(len(values)).pack(*values)), dtype=np.float32)
        except (struct.error, OverflowError, TypeError):
            pass
    return None


def packed_rows(rows: Sequence[ArrayLike | None]) -> Values | None:
    """`packed` of each of ``rows``, as rows of one array, where all are lists of one length.

    None where they are not, or where one is no list of floats.
    """
    lists = [row for row in rows if isinstance(row, list)]
    length = len(lists[0]) if lists else 0
    if length == 0 or len(lists) < len(rows) or set(map(len, lists)) != {length}:
        return None
    pack = _floats(length).pack
    try:
        joined = bytearray().join([pack(*row) for row in lists])
    except (struct.error, OverflowError, TypeError):
        return None
    return np.frombuffer(joined, dtype=np.float32).reshape(-1, length)


def are_finite(values: Values) -> bool:
    """Whether no value is NaN or infinite."""
    # Counting takes half as long as `all`, and other threads do not come in between.
    return bool(np.count_nonzero(np.isfinite(values)) == values.size)


def _holds_numbers(array: NDArray[Any]) -> bool:
    """Whether NumPy would not read numbers out of text, or NaN out of None."""
    if array.dtype.kind == "O":
        return all(isinstance(value, Number) for value in array)
    return array.dtype.kind in "fiub"


def _not_numbers(values: Any, name: object) -> str:
    found = f"{name} is a list of numbers; got {shown(values)}"
    if isinstance(values, list):
        wrong = ((at, value) for at, value in enumerate(values) if not isinstance(value, Number))
        at, value = next(wrong, (0, 0.0))
        if not isinstance(value, Number):
            found += f" with {shown(value)} at position {at}"
    return found


@lru_cache(maxsize=64)
def _floats(count: int) -> struct.Struct:
    return struct.Struct(f"{count}f")


# Neither this nor a `Match` is frozen: to make one would take three times as long.
@dataclass(slots=True, eq=False, init=False)
class Vector:
    """One record of an index.

    ``values`` is any sequence of numbers, and is held as float32, the precision of the service.
    An array of float32 is held as it is, without a copy: it must not change until it is written.
    ``namespace=None`` is the index's unnamed namespace.
    """

    id: str
    values: Values
    namespace: str | None = None
    metadata: Metadata | None = None

    def __init__(
        self,
        id: str,
        values: ArrayLike,
        namespace: str | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        found = packed(values)
        self.id = id
        self.values = as_values(values, At(id)) if found is None else found
        self.namespace = namespace
        self.metadata = metadata

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector):
            return NotImplemented
        return (
            (self.id, self.namespace) == (other.id, other.namespace)
            and (self.metadata or {}) == (other.metadata or {})
            and np.array_equal(self.values, other.values)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True, eq=False)
class Match:
    """One hit of a query.

    ``score`` is the service's own: cosine similarity (larger is better), Euclidean distance or
    negative dot product (smaller is better). ``values`` and ``metadata`` are None unless asked for.
    """

    id: str
    score: float
    values: Values | None = None
    metadata: Metadata | None = None
    namespace: str | None = None


def as_match(vector: Vector, score: float) -> Match:
    """A vector that was read, as the match of a search that gave it a score."""
    return Match(vector.id, score, vector.values, vector.metadata, vector.namespace)


def as_vector(match: Match) -> Vector:
    """The vector that a match is of, where its values and metadata were asked for."""
    assert match.values is not None
    return Vector(match.id, match.values, match.namespace, match.metadata)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The matches of a query, best first."""

    count: int
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What is fixed when an index is created."""

    dimensions: int
    metric: Metric = "cosine"


@dataclass(frozen=True, slots=True)
class IndexDetails:
    """The name and the configuration of an index; ``description`` is ``""`` if it has none."""

    name: str
    config: IndexConfig
    description: str = ""
    created_on: datetime | None = None
    modified_on: datetime | None = None


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """How many vectors an index holds, and the last mutation it has processed."""

    dimensions: int
    vector_count: int
    processed_up_to_datetime: datetime | None = None
    processed_up_to_mutation: str | None = None


@dataclass(frozen=True, slots=True)
class MetadataIndex:
    """A metadata property that filters can use; of strings the first 64 bytes count."""

    property_name: str
    index_type: IndexType


@dataclass(frozen=True, slots=True)
class Mutation:
    """The receipt of a write, which is durable now and visible some time later."""

    mutation_id: str | None


@dataclass(frozen=True, slots=True)
class IdPage:
    """One page of the ids of an index, out of a snapshot taken at the first page."""

    ids: tuple[str, ...]
    total_count: int
    next_cursor: str | None = None
    cursor_expires: datetime | None = None
