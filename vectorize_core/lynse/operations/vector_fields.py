"""Named and sparse vectors, which records have beside their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api import validation
from vectorize_core.api.operations import Kind
from vectorize_core.lynse import answers, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.models import Id, SparseVector, VectorField
from vectorize_core.lynse.operations.base import OnCollection


@dataclass(frozen=True, slots=True)
class CreateVectorField(OnCollection[VectorField]):
    """Make a named vector; one that exists stays as it is."""

    field_name: str
    dimension: int
    metric: str = "ip"
    index_mode: str | None = None
    path: ClassVar[str] = "/create_vector_field"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        if self.index_mode is not None:
            self._settle(index_mode=checks.text("index_mode", self.index_mode))
        self._settle(
            metric=checks.text("metric", self.metric),
            field_name=checks.field_name(self.field_name),
            dimension=validation.whole_number("dimension", self.dimension, least=1),
        )

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        # The page calls it ``dimension``, which no server takes.
        return {
            "field_name": self.field_name,
            "dim": self.dimension,
            "metric": self.metric,
            "index_mode": self.index_mode,
        }

    def read(self, result: Any) -> VectorField:
        field = result.get("field")
        if field is None:
            # A coordinator does not say.
            return VectorField(
                self.field_name, self.dimension, self.metric, self.index_mode, "float32"
            )
        return answers.read_vector_field(field, "field")


@dataclass(frozen=True, slots=True)
class ListVectorFields(OnCollection[tuple[VectorField, ...]]):
    """The vectors that records of a collection may have."""

    path: ClassVar[str] = "/list_vector_fields"

    def read(self, result: Any) -> tuple[VectorField, ...]:
        found = answers.a_list(result.get("fields"), "fields")
        return tuple(
            [answers.read_vector_field(one, f"fields[{at}]") for at, one in enumerate(found)]
        )


@dataclass(frozen=True, slots=True)
class AddNamedVectors(OnCollection[None]):
    """Give records their named vectors; the records exist, and have none of that name yet."""

    field_name: str
    vectors: Any
    ids: Sequence[Id]
    path: ClassVar[str] = "/add_named_vectors"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        ids, vectors = checks.ids(self.ids), checks.vectors(self.vectors)
        checks.different(ids)
        checks.same_length(len(vectors), len(ids), "vectors")
        self._settle(field_name=checks.field_name(self.field_name), ids=ids, vectors=vectors)

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids(self.ids)
        return {"field_name": self.field_name, "vectors": self.vectors, "ids": self.ids}

    def read(self, result: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class AddSparseVectors(OnCollection[None]):
    """Give records their sparse vectors; the records exist."""

    vectors: Sequence[SparseVector]
    ids: Sequence[Id]
    path: ClassVar[str] = "/add_sparse_vectors"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        ids, vectors = checks.ids(self.ids), checks.sparse_vectors(self.vectors)
        checks.different(ids)
        checks.same_length(len(vectors), len(ids), "vectors")
        self._settle(ids=ids, vectors=vectors)

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids(self.ids)
        return {"vectors": [as_json(one) for one in self.vectors], "ids": self.ids}

    def read(self, result: Any) -> None:
        return None


def as_json(vector: SparseVector) -> dict[str, Any]:
    """A sparse vector as it is sent."""
    return {"indices": list(vector.indices), "values": list(vector.values)}
