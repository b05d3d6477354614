"""The 14 calls of the Vectorize v2 API as values.

An operation knows its HTTP request and how to read its answer, and does no I/O. The same value is
carried out over HTTP and by the embedded Vectorize.
https://developers.cloudflare.com/api/resources/vectorize/subresources/indexes/
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import quote

from vectorize_core import limits
from vectorize_core.api import answers, wire
from vectorize_core.api.wire import Request
from vectorize_core.errors import InvalidInputError
from vectorize_core.models import (
    Filter,
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    IndexType,
    MetadataIndex,
    Mutation,
    Preset,
    QueryResult,
    ReturnMetadata,
    UnparsableBehavior,
    Values,
    Vector,
)

T = TypeVar("T")
Kind = Literal["read", "write", "control"]


class Op(ABC, Generic[T]):
    """One call of the API, whose answer is a ``T``.

    ``repeatable``: carrying it out twice has the same effect as once. Creating and deleting
    indexes has not: `repeat_settled` repeats those after looking at the state.
    """

    __slots__ = ()
    kind: ClassVar[Kind] = "read"
    repeatable: ClassVar[bool] = True

    @abstractmethod
    def request(self) -> Request:
        """The HTTP request."""

    @abstractmethod
    def read(self, result: Any) -> T:
        """The answer, out of the ``result`` of the envelope."""

    @property
    def target(self) -> str | None:
        """The name of its index."""
        return getattr(self, "index", None) or getattr(self, "name", None)

    def __str__(self) -> str:
        kind, target = type(self).__name__, self.target
        return f"{kind}({target})" if target else kind


def _path(index: str, *more: str) -> str:
    # A dot segment would be resolved away and address something else.
    if index in ("", ".", ".."):
        raise InvalidInputError(f"{index!r} cannot be the name of an index")
    return "/" + "/".join((quote(index, safe=""), *more))


def _post(path: str, body: dict[str, Any]) -> Request:
    return Request("POST", path, content_type=wire.JSON, body=wire.json_body(body))


class _Mutating(Op[Mutation]):
    __slots__ = ()

    def read(self, result: Any) -> Mutation:
        return answers.read_mutation(result)


@dataclass(frozen=True, slots=True)
class CreateIndex(Op[IndexDetails]):
    """Create an index with a configuration, or with the preset of an embedding model."""

    name: str
    config: IndexConfig | Preset
    description: str = ""
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def request(self) -> Request:
        config: dict[str, Any]
        if isinstance(self.config, IndexConfig):
            config = {"dimensions": self.config.dimensions, "metric": self.config.metric}
        else:
            config = {"preset": self.config}
        body: dict[str, Any] = {"name": self.name, "config": config}
        if self.description:
            body["description"] = self.description
        return _post("", body)

    def read(self, result: Any) -> IndexDetails:
        config = self.config if isinstance(self.config, IndexConfig) else None
        return answers.read_index(result, name=self.name, config=config)


@dataclass(frozen=True, slots=True)
class ListIndexes(Op[tuple[IndexDetails, ...]]):
    """All indexes of the account."""

    def request(self) -> Request:
        return Request("GET", "")

    def read(self, result: Any) -> tuple[IndexDetails, ...]:
        return answers.read_indexes(result)


@dataclass(frozen=True, slots=True)
class GetIndex(Op[IndexDetails]):
    """The configuration of one index."""

    index: str

    def request(self) -> Request:
        return Request("GET", _path(self.index))

    def read(self, result: Any) -> IndexDetails:
        return answers.read_index(result, name=self.index)


@dataclass(frozen=True, slots=True)
class DeleteIndex(Op[None]):
    """Delete an index with all its vectors."""

    index: str
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def request(self) -> Request:
        return Request("DELETE", _path(self.index))

    def read(self, result: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class GetInfo(Op[IndexInfo]):
    """How many vectors an index holds, and the last mutation it has processed."""

    index: str

    def request(self) -> Request:
        return Request("GET", _path(self.index, "info"))

    def read(self, result: Any) -> IndexInfo:
        return answers.read_info(result)


@dataclass(frozen=True, slots=True)
class _Write(_Mutating):
    index: str
    vectors: tuple[Vector, ...]
    unparsable_behavior: UnparsableBehavior | None = None
    kind: ClassVar[Kind] = "write"
    verb: ClassVar[str]

    def request(self) -> Request:
        behavior = self.unparsable_behavior
        return Request(
            "POST",
            _path(self.index, self.verb),
            params={} if behavior is None else {"unparsable-behavior": behavior},
            content_type=wire.NDJSON,
            body=wire.NdjsonBody(self.vectors),
        )


@dataclass(frozen=True, slots=True)
class Insert(_Write):
    """Add vectors; one whose id exists already is ignored."""

    verb: ClassVar[str] = "insert"


@dataclass(frozen=True, slots=True)
class Upsert(_Write):
    """Add vectors; one whose id exists already replaces the old one whole."""

    verb: ClassVar[str] = "upsert"


@dataclass(frozen=True, slots=True)
class Query(Op[QueryResult]):
    """The vectors nearest to a vector, or to the stored vector of an id."""

    index: str
    vector: Values | None = None
    vector_id: str | None = None
    top_k: int = limits.DEFAULT_TOP_K
    return_values: bool = False
    return_metadata: ReturnMetadata = "none"
    filter: Filter | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        if (self.vector is None) == (self.vector_id is None):
            raise InvalidInputError("a query takes a vector or a vector_id, one of them")

    @property
    def options(self) -> dict[str, Any]:
        """All but what is searched near to."""
        options: dict[str, Any] = {
            "topK": self.top_k,
            "returnValues": self.return_values,
            "returnMetadata": self.return_metadata,
        }
        if self.filter is not None:
            options["filter"] = self.filter
        if self.namespace is not None:
            options["namespace"] = self.namespace
        return options

    def request(self) -> Request:
        body = self.options
        if self.vector is not None:
            body["vector"] = self.vector
        else:
            body["vectorId"] = self.vector_id
        return _post(_path(self.index, "query"), body)

    def read(self, result: Any) -> QueryResult:
        return answers.read_query(
            result,
            top_k=self.top_k,
            namespace=self.namespace,
            dimensions=None if self.vector is None else len(self.vector),
            return_values=self.return_values,
        )


@dataclass(frozen=True, slots=True)
class GetByIds(Op[tuple[Vector, ...]]):
    """The vectors with these ids; ids that do not exist are left out of the answer."""

    index: str
    ids: tuple[str, ...]

    def request(self) -> Request:
        return _post(_path(self.index, "get_by_ids"), {"ids": self.ids})

    def read(self, result: Any) -> tuple[Vector, ...]:
        return answers.read_vectors(result, self.ids)


@dataclass(frozen=True, slots=True)
class DeleteByIds(_Mutating):
    """Delete the vectors with these ids; ids that do not exist are no error."""

    index: str
    ids: tuple[str, ...]
    kind: ClassVar[Kind] = "write"

    def request(self) -> Request:
        return _post(_path(self.index, "delete_by_ids"), {"ids": self.ids})


@dataclass(frozen=True, slots=True)
class ListVectors(Op[IdPage]):
    """One page of the ids of an index; ``cursor`` is the ``next_cursor`` of the page before."""

    index: str
    count: int = limits.DEFAULT_LIST_COUNT
    cursor: str | None = None

    def request(self) -> Request:
        params = {"count": str(self.count)}
        if self.cursor is not None:
            params["cursor"] = self.cursor
        return Request("GET", _path(self.index, "list"), params)

    def read(self, result: Any) -> IdPage:
        return answers.read_id_page(result, self.count)


@dataclass(frozen=True, slots=True)
class CreateMetadataIndex(_Mutating):
    """Make a metadata property filterable, for the vectors written once the index is live."""

    index: str
    property_name: str
    index_type: IndexType
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def request(self) -> Request:
        return _post(
            _path(self.index, "metadata_index", "create"),
            {"propertyName": self.property_name, "indexType": self.index_type},
        )


@dataclass(frozen=True, slots=True)
class ListMetadataIndexes(Op[tuple[MetadataIndex, ...]]):
    """The properties that filters can use."""

    index: str

    def request(self) -> Request:
        return Request("GET", _path(self.index, "metadata_index", "list"))

    def read(self, result: Any) -> tuple[MetadataIndex, ...]:
        return answers.read_metadata_indexes(result)


@dataclass(frozen=True, slots=True)
class DeleteMetadataIndex(_Mutating):
    """Make a metadata property unfilterable again."""

    index: str
    property_name: str
    kind: ClassVar[Kind] = "control"
    repeatable: ClassVar[bool] = False

    def request(self) -> Request:
        return _post(
            _path(self.index, "metadata_index", "delete"), {"propertyName": self.property_name}
        )
