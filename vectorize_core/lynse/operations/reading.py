"""Reading records by id, by condition, and from both ends of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vectorize_core.api import validation
from vectorize_core.lynse import answers, binary, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.models import BinaryRows, Id, Rows
from vectorize_core.lynse.operations.base import OnCollection, OverBytes
from vectorize_core.lynse.wire import Form


def _check_restriction(op: Any) -> None:
    filter_ids = None if op.filter_ids is None else checks.ids(op.filter_ids, "filter_ids")
    condition = checks.where(op.where)
    checks.one_restriction(condition, filter_ids)
    object.__setattr__(op, "where", condition)
    object.__setattr__(op, "filter_ids", filter_ids)


@dataclass(frozen=True, slots=True)
class Query(OnCollection[Rows]):
    """Ids and metadata of the records that meet a condition, or have these ids; else of all."""

    where: str | None = None
    filter_ids: Sequence[Id] | None = None
    return_ids_only: bool = False
    path: ClassVar[str] = "/query"

    def _check(self) -> None:
        _check_restriction(self)
        self._settle(return_ids_only=validation.flag("return_ids_only", self.return_ids_only))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_query(self.where, self.filter_ids)
        dialect.check_ids(self.filter_ids or ())
        return {
            "where": self.where,
            "filter_ids": self.filter_ids,
            "return_ids_only": self.return_ids_only or None,
        }

    def read(self, result: Any) -> Rows:
        if self.return_ids_only:
            return Rows(answers.read_ids(result.get("result"), "result"))
        return answers.read_fields(result.get("result"), "result")


@dataclass(frozen=True, slots=True)
class QueryVectors(OnCollection[Rows]):
    """`Query` with vectors."""

    where: str | None = None
    filter_ids: Sequence[Id] | None = None
    path: ClassVar[str] = "/query_vectors"

    def _check(self) -> None:
        _check_restriction(self)

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_query(self.where, self.filter_ids)
        dialect.check_ids(self.filter_ids or ())
        return {"where": self.where, "filter_ids": self.filter_ids}

    def read(self, result: Any) -> Rows:
        return answers.read_rows(result.get("result"), "result")


@dataclass(frozen=True, slots=True)
class _End(OnCollection[Rows]):
    n: int = 5

    def _check(self) -> None:
        self._settle(n=checks.hits(self.n, "n"))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"n": self.n}

    def read(self, result: Any) -> Rows:
        place = self.path.removeprefix("/")
        return answers.read_rows(result.get(place), place)


@dataclass(frozen=True, slots=True)
class Head(_End):
    """The records that were added first."""

    path: ClassVar[str] = "/head"


@dataclass(frozen=True, slots=True)
class Tail(_End):
    """The records that were added last."""

    path: ClassVar[str] = "/tail"


@dataclass(frozen=True, slots=True)
class _BinaryEnd(OverBytes[BinaryRows]):
    n: int = 5
    method: ClassVar[str] = "GET"
    form: ClassVar[Form] = "bytes"

    def _check(self) -> None:
        self._settle(n=checks.hits(self.n, "n"))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        return {"n": self.n}

    def read(self, result: Any) -> BinaryRows:
        return binary.read_rows(result, self.n)


@dataclass(frozen=True, slots=True)
class HeadBinary(_BinaryEnd):
    """`Head` over the binary protocol."""

    path: ClassVar[str] = "/head_binary"


@dataclass(frozen=True, slots=True)
class TailBinary(_BinaryEnd):
    """`Tail` over the binary protocol."""

    path: ClassVar[str] = "/tail_binary"


@dataclass(frozen=True, slots=True)
class ReadByOnlyId(OnCollection[Rows]):
    """Records by their ids; since 0.4 one that does not exist is an error."""

    id: Id | Sequence[Id]
    path: ClassVar[str] = "/read_by_only_id"

    def _check(self) -> None:
        is_one = validation.id_text(self.id) is not None
        self._settle(id=checks.an_id(self.id) if is_one else checks.ids(self.id, "id"))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids(self.id if isinstance(self.id, tuple) else (self.id,))
        return {"id": self.id}

    def read(self, result: Any) -> Rows:
        return answers.read_rows(result.get("item"), "item")


@dataclass(frozen=True, slots=True)
class IsIdExists(OnCollection[bool]):
    """Whether a record exists, be it soft-deleted."""

    id: Id
    path: ClassVar[str] = "/is_id_exists"

    def _check(self) -> None:
        self._settle(id=checks.an_id(self.id))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids((self.id,))
        return {"id": self.id}

    def read(self, result: Any) -> bool:
        return answers.read_flag(result, "is_id_exists")
