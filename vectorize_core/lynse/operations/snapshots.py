"""Copies of a collection in the file system of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api import validation
from vectorize_core.api.operations import Kind
from vectorize_core.lynse import checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.operations.base import Done


@dataclass(frozen=True, slots=True)
class SnapshotCollection(Done):
    """Copy a collection to a new directory; its path is one of the server's."""

    snapshot_path: str
    path: ClassVar[str] = "/snapshot_collection"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(snapshot_path=_path("snapshot_path", self.snapshot_path))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"snapshot_path": self.snapshot_path}


@dataclass(frozen=True, slots=True)
class RestoreCollection(Done):
    """Make a collection of a snapshot."""

    snapshot_path: str
    overwrite: bool = False
    path: ClassVar[str] = "/restore_collection"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(
            snapshot_path=_path("snapshot_path", self.snapshot_path),
            overwrite=validation.flag("overwrite", self.overwrite),
        )

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"snapshot_path": self.snapshot_path, "overwrite": self.overwrite or None}


@dataclass(frozen=True, slots=True)
class ExportCollection(Done):
    """Write a collection to a new directory: metadata as JSON lines, vectors as float32."""

    export_path: str
    path: ClassVar[str] = "/export_collection"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(export_path=_path("export_path", self.export_path))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"export_path": self.export_path}


@dataclass(frozen=True, slots=True)
class ImportCollection(Done):
    """Make a collection of what was exported."""

    export_path: str
    overwrite: bool = False
    path: ClassVar[str] = "/import_collection"
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(
            export_path=_path("export_path", self.export_path),
            overwrite=validation.flag("overwrite", self.overwrite),
        )

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"export_path": self.export_path, "overwrite": self.overwrite or None}


def _path(name: str, given: Any) -> str:
    # Of the server's system, which may not be this one: a pathlib.Path would be of this one.
    return checks.text(name, given, ". The server may run on another system")
