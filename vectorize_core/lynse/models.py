"""The plain values that go into a collection and come out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Id = str | int
"""What a record is called. ``7`` and ``"7"`` are different ids; before 0.4 all are numbers."""
Fields = Mapping[str, Any]
"""The metadata of a record."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Weights at ``indices``, which are whole numbers below 2**32; all others are 0."""

    indices: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Item:
    """One record to write: an id, its vector, and its metadata."""

    id: Id
    vector: ArrayLike
    field: Fields | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What a search found, best first.

    ``scores`` are as the server computes them: the dot product of IP, the *squared* distance of
    L2, ``1 - cosine`` of COS, and the relevance of searches by words, sparse vectors and both. NaN
    is one that JSON cannot express. ``fields`` is empty unless ``return_fields`` was asked for.
    ``profile`` is what `LynseCollection.search_profile` tells of the work.
    """

    ids: tuple[Id, ...]
    scores: NDArray[np.float64]
    fields: tuple[Fields, ...] = ()
    profile: Fields | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryHits:
    """What a search found over the binary protocol, best first.

    ``rows`` are the server's own numbers of rows. Before 0.4 these are the ids. From then on they
    are in the order of insertion, and nothing tells which ids they belong to.
    """

    rows: NDArray[np.uint64]
    scores: NDArray[np.float32]
    fields: tuple[Fields, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Records in the order of the answer, soft-deleted ones too.

    ``vectors`` is an array of shape ``(len(ids), dim)``, or None where no vectors were asked for.
    ``fields`` is empty where only ids were.
    """

    ids: tuple[Id, ...]
    fields: tuple[Fields, ...] = ()
    vectors: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryRows:
    """Records over the binary protocol; ``rows`` as in `BinaryHits`."""

    rows: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    fields: tuple[Fields, ...]


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """How many vectors a collection has; ``n_vectors`` counts soft-deleted ones too.

    ``max_id`` is the largest number of a row, None in an empty collection.
    """

    n_vectors: int
    n_live: int
    n_tombstoned: int
    dimension: int
    index_mode: str | None
    max_id: int | None


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """How a collection was made."""

    dim: int
    dtypes: str
    chunk_size: int
    description: str | None


@dataclass(frozen=True, slots=True)
class VectorField:
    """A named vector that each record may have; "default" is the one it is added with."""

    name: str
    dimension: int
    metric: str
    index_mode: str | None
    dtypes: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Which LynseDB answers; ``version`` is None for the coordinator of a cluster."""

    version: str | None
    is_coordinator: bool
