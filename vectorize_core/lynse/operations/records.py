"""Writing and deleting records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectorize_core.api import validation
from vectorize_core.api.operations import Kind
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.lynse import answers, checks
from vectorize_core.lynse.dialect import Dialect
from vectorize_core.lynse.models import Fields, Id, Item
from vectorize_core.lynse.operations.base import Done, OnCollection, OverBytes


@dataclass(frozen=True, slots=True)
class _Write(OnCollection[tuple[Id, ...]]):
    """Records: their ids, vectors of one length, and metadata of each, or none."""

    ids: Sequence[Id]
    vectors: Any
    fields: Sequence[Fields | None] | None = None
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        ids, vectors = checks.ids(self.ids), checks.vectors(self.vectors)
        checks.different(ids)
        checks.same_length(len(vectors), len(ids), "vectors")
        fields = None
        if self.fields is not None:
            fields = checks.fields(validation.several("fields", self.fields))
            checks.same_length(len(fields), len(ids), "fields")
        self._settle(ids=ids, vectors=vectors, fields=fields)

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids(self.ids)
        if dialect.takes_rows:
            return {"ids": self.ids, "vectors": self.vectors, "fields": self.fields}
        return {"items": self._items()}

    def _items(self) -> list[dict[str, Any]]:
        fields = self.fields if self.fields is not None else [{}] * len(self.ids)
        rows = zip(self.ids, self.vectors, fields, strict=True)
        return [{"id": one, "vector": vector, "field": field} for one, vector, field in rows]

    def read(self, result: Any) -> tuple[Id, ...]:
        return answers.read_written(result, tuple(self.ids))


@dataclass(frozen=True, slots=True)
class BulkAddItems(_Write):
    """Add records; since 0.4 an id that exists is refused, and then none is added."""

    path: ClassVar[str] = "/bulk_add_items"


def bulk_add(database: str, collection: str, items: Iterable[Item]) -> BulkAddItems:
    """The call that adds these items."""
    given = [*validation.several("items", items, of="Item", alone=(Item,))]
    for at, one in enumerate(given):
        if not isinstance(one, Item):
            raise InvalidInputError(f"items[{at}] is an Item; got {shown(one)}")
    ids, vectors = [one.id for one in given], [one.vector for one in given]
    return BulkAddItems(database, collection, ids, vectors, [one.field for one in given])


@dataclass(frozen=True, slots=True)
class AddItem(_Write):
    """Add one record."""

    path: ClassVar[str] = "/add_item"

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        body = _Write.body(self, dialect)
        return body if dialect.takes_rows else {"item": body["items"][0]}


@dataclass(frozen=True, slots=True)
class UpsertItems(_Write):
    """Add records, or replace those of the same ids."""

    path: ClassVar[str] = "/upsert_items"


@dataclass(frozen=True, slots=True)
class BulkAddBinary(OverBytes[int]):
    """Add vectors without ids and metadata; the answer is how many."""

    vectors: Any
    path: ClassVar[str] = "/bulk_add_binary"
    kind: ClassVar[Kind] = "write"
    repeatable: ClassVar[bool] = False

    def _check(self) -> None:
        self._settle(vectors=checks.vectors(self.vectors))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        count, dim = self.vectors.shape
        return {"dim": dim, "n_vectors": count}

    def content(self) -> tuple[bytes, ...]:
        return (in_order(self.vectors),)

    def read(self, result: Any) -> int:
        return answers.whole(result.get("n_vectors"), "n_vectors")


def in_order(vectors: ArrayLike) -> bytes:
    """Float32 as the binary protocol has it: little-endian."""
    array: NDArray[np.float32] = np.asarray(vectors, dtype="<f4")
    return array.tobytes()


@dataclass(frozen=True, slots=True)
class _OfIds(Done):
    ids: Sequence[Id]
    kind: ClassVar[Kind] = "write"

    def _check(self) -> None:
        self._settle(ids=checks.ids(self.ids))

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        dialect.check_ids(self.ids)
        return {"ids": self.ids}


@dataclass(frozen=True, slots=True)
class DeleteItems(_OfIds):
    """Soft-delete records: searches find them no more; ids that do not exist are no error."""

    path: ClassVar[str] = "/delete_items"


@dataclass(frozen=True, slots=True)
class RestoreItems(_OfIds):
    """Take back the deletion of records, unless they were removed for good meanwhile."""

    path: ClassVar[str] = "/restore_items"


@dataclass(frozen=True, slots=True)
class ListDeletedIds(OnCollection[tuple[Id, ...]]):
    """The ids of the soft-deleted records."""

    path: ClassVar[str] = "/list_deleted_ids"

    def read(self, result: Any) -> tuple[Id, ...]:
        return answers.read_ids(result.get("ids"), "ids")
