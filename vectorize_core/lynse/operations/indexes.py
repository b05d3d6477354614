"""The index of a collection, and those of its named vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api.operations import Kind
from vectorize_core.lynse import answers, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.operations.base import Done, OnCollection


@dataclass(frozen=True, slots=True)
class BuildIndex(Done):
    """Build the index by which a collection is searched; its name says the metric, too."""

    index_mode: str = "FLAT-IP"
    n_clusters: int | None = None
    path: ClassVar[str] = "/build_index"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(**checks.index_mode(self.index_mode, self.n_clusters))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"index_mode": self.index_mode, "n_clusters": self.n_clusters}


@dataclass(frozen=True, slots=True)
class RemoveIndex(Done):
    """Search by inner product again, without an index."""

    path: ClassVar[str] = "/remove_index"
    kind: ClassVar[Kind] = "write"


@dataclass(frozen=True, slots=True)
class IndexMode(OnCollection[str | None]):
    """The name of the index, None where none was built."""

    path: ClassVar[str] = "/index_mode"

    def read(self, result: Any) -> str | None:
        return answers.optional_text(result.get("index_mode"), "index_mode")


@dataclass(frozen=True, slots=True)
class BuildVectorFieldIndex(Done):
    """Build the index of a named vector."""

    field_name: str
    index_mode: str = "FLAT-IP"
    n_clusters: int | None = None
    path: ClassVar[str] = "/build_vector_field_index"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(
            field_name=checks.field_name(self.field_name),
            **checks.index_mode(self.index_mode, self.n_clusters),
        )

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {
            "field_name": self.field_name,
            "index_mode": self.index_mode,
            "n_clusters": self.n_clusters,
        }


@dataclass(frozen=True, slots=True)
class RemoveVectorFieldIndex(Done):
    """Search a named vector without an index again."""

    field_name: str
    path: ClassVar[str] = "/remove_vector_field_index"
    kind: ClassVar[Kind] = "write"

    def _check(self) -> None:
        self._settle(field_name=checks.field_name(self.field_name))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"field_name": self.field_name}
