"""What a server is, and its databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api.operations import Kind
from vectorize_core.lynse import answers
from vectorize_core.lynse.dialect import Dialect, read_openapi
from vectorize_core.lynse.operations.base import Get, OnDatabase
from vectorize_core.lynse.wire import Form


@dataclass(frozen=True, slots=True)
class OpenApi(Get[Dialect]):
    """Which paths a server has."""

    path: ClassVar[str] = "/openapi.json"
    form: ClassVar[Form] = "json"

    def read(self, result: Any) -> Dialect:
        return read_openapi(result)


@dataclass(frozen=True, slots=True)
class ClusterInfo(Get[Mapping[str, Any]]):
    """What a coordinator knows of its shards."""

    path: ClassVar[str] = "/cluster_info"

    def read(self, result: Any) -> Mapping[str, Any]:
        return answers.an_object(result, "params")


@dataclass(frozen=True, slots=True)
class ListDatabases(Get[tuple[str, ...]]):
    """The names of all databases."""

    path: ClassVar[str] = "/list_databases"

    def read(self, result: Any) -> tuple[str, ...]:
        return answers.read_names(result, "databases")


@dataclass(frozen=True, slots=True)
class CreateDatabase(OnDatabase[None]):
    """Make a database; an existing one stays, unless it is to be dropped first."""

    drop_if_exists: bool = False
    path: ClassVar[str] = "/create_database"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"drop_if_exists": True if self.drop_if_exists else None}

    def read(self, result: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class DropDatabase(OnDatabase[None]):
    """Delete a database with all its collections; one that does not exist is no error."""

    path: ClassVar[str] = "/drop_database"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def read(self, result: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class DatabaseExists(OnDatabase[bool]):
    """Whether there is such a database."""

    path: ClassVar[str] = "/database_exists"

    def read(self, result: Any) -> bool:
        return answers.read_flag(result, "exists")


@dataclass(frozen=True, slots=True)
class ShowCollections(OnDatabase[tuple[str, ...]]):
    """The names of the collections of a database."""

    path: ClassVar[str] = "/show_collections"

    def read(self, result: Any) -> tuple[str, ...]:
        return answers.read_names(result, "collections")
