"""Making, describing and closing collections, and making what was written to them last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api import validation
from vectorize_core.api.operations import Kind
from vectorize_core.lynse import answers, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.models import CollectionConfig, CollectionStats
from vectorize_core.lynse.operations.base import Done, OnCollection


@dataclass(frozen=True, slots=True)
class RequiredCollection(Done):
    """Make a collection, or open the one there is, which keeps its number of dimensions."""

    dim: int | None = None
    drop_if_exists: bool = False
    description: str | None = None
    path: ClassVar[str] = "/required_collection"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        if self.dim is not None:
            self._settle(dim=validation.whole_number("dim", self.dim, least=1))
        self._settle(drop_if_exists=validation.flag("drop_if_exists", self.drop_if_exists))
        if self.description is not None:
            self._settle(description=checks.text("description", self.description))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {
            "dim": self.dim,
            "drop_if_exists": self.drop_if_exists or None,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True)
class DropCollection(Done):
    """Delete a collection with all it holds; one that does not exist is no error."""

    path: ClassVar[str] = "/drop_collection"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class IsCollectionExists(OnCollection[bool]):
    """Whether there is such a collection: the one call that makes none by looking."""

    path: ClassVar[str] = "/is_collection_exists"

    def read(self, result: Any) -> bool:
        return answers.read_flag(result, "exists")


@dataclass(frozen=True, slots=True)
class CollectionShape(OnCollection[tuple[int, int]]):
    """How many vectors a collection has, soft-deleted ones too, and of how many dimensions."""

    path: ClassVar[str] = "/collection_shape"

    def read(self, result: Any) -> tuple[int, int]:
        return answers.read_shape(result)


@dataclass(frozen=True, slots=True)
class Stats(OnCollection[CollectionStats]):
    """How many vectors a collection has, and its index."""

    path: ClassVar[str] = "/stats"

    def read(self, result: Any) -> CollectionStats:
        return answers.read_stats(result)


@dataclass(frozen=True, slots=True)
class GetCollectionConfig(OnCollection[CollectionConfig]):
    """How a collection was made."""

    path: ClassVar[str] = "/get_collection_config"

    def read(self, result: Any) -> CollectionConfig:
        return answers.read_config(result)


@dataclass(frozen=True, slots=True)
class UpdateDescription(Done):
    """Describe a collection anew."""

    description: str
    path: ClassVar[str] = "/update_description"
    kind: ClassVar[Kind] = "write"

    def _check(self) -> None:
        self._settle(description=checks.text("description", self.description))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"description": self.description}


@dataclass(frozen=True, slots=True)
class CloseCollection(Done):
    """Write to disk what is in memory, and let go of the collection until it is used again."""

    path: ClassVar[str] = "/close_collection"
    kind: ClassVar[Kind] = "control"


@dataclass(frozen=True, slots=True)
class Commit(Done):
    """Move what was written last from its log into the collection."""

    path: ClassVar[str] = "/commit"
    kind: ClassVar[Kind] = "control"


@dataclass(frozen=True, slots=True)
class Flush(Done):
    """Write to disk what is in memory, and keep the log."""

    path: ClassVar[str] = "/flush"
    kind: ClassVar[Kind] = "control"


@dataclass(frozen=True, slots=True)
class Checkpoint(Done):
    """Write to disk what is in memory, and empty the log."""

    path: ClassVar[str] = "/checkpoint"
    kind: ClassVar[Kind] = "control"


@dataclass(frozen=True, slots=True)
class ListFields(OnCollection[tuple[str, ...]]):
    """The keys of the metadata of a collection."""

    path: ClassVar[str] = "/list_fields"

    def read(self, result: Any) -> tuple[str, ...]:
        return answers.read_names(result, "fields")


@dataclass(frozen=True, slots=True)
class MaxId(OnCollection[int | None]):
    """The largest number of a row, before 0.4 the largest id; None in an empty collection."""

    path: ClassVar[str] = "/max_id"

    def read(self, result: Any) -> int | None:
        return answers.read_max_id(result)


@dataclass(frozen=True, slots=True)
class Compact(OnCollection[int]):
    """Remove soft-deleted records for good; the answer is their number."""

    path: ClassVar[str] = "/compact"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def read(self, result: Any) -> int:
        return answers.whole(result.get("vectors_removed"), "vectors_removed")
