"""What the operations of LynseDB share: their dialects, and whose database they are about."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from vectorize_core.api import wire
from vectorize_core.api.operations import Op
from vectorize_core.api.wire import Request
from vectorize_core.lynse import checks
from vectorize_core.lynse.dialect import NEWEST, Dialect
from vectorize_core.lynse.wire import Form

T = TypeVar("T")
BYTES = "application/octet-stream"


class LynseOp(Op[T]):
    """One call of a LynseDB, whose answer is a ``T``; ``path`` is the page's.

    Kinds are about time: what may take many minutes is "control". Only what may be carried out
    twice is repeatable.
    """

    __slots__ = ()
    path: ClassVar[str]
    form: ClassVar[Form] = "params"

    def request(self) -> Request:
        """The request in the newest dialect."""
        return self.request_for(NEWEST)

    @abstractmethod
    def request_for(self, dialect: Dialect) -> Request:
        """The request as a server takes it; raises `UnsupportedCallError`."""

    @abstractmethod
    def read(self, result: Any) -> T:
        """The answer, out of the ``params`` of the envelope, a document, or bytes."""

    def _settle(self, **values: Any) -> None:
        """Put checked values in the place of those that were given."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


class Get(LynseOp[T]):
    """A call without a body."""

    __slots__ = ()

    def request_for(self, dialect: Dialect) -> Request:
        """The request as a server takes it."""
        return Request("GET", self.path, area="")


class Post(LynseOp[T]):
    """A call with a body in JSON."""

    __slots__ = ()

    def request_for(self, dialect: Dialect) -> Request:
        """The request as a server takes it."""
        body = {**self.place, **self.body(dialect)}
        sent = wire.json_body({key: value for key, value in body.items() if value is not None})
        path = dialect.path(self.path)
        return Request("POST", path, content_type=wire.JSON, body=sent, area="")

    @property
    @abstractmethod
    def place(self) -> Mapping[str, str]:
        """The database, and the collection."""

    def body(self, dialect: Dialect) -> Mapping[str, Any]:
        """All else; what is None is left out."""
        return {}


@dataclass(frozen=True, slots=True)
class OnDatabase(Post[T]):
    """A call about a database."""

    database: str

    def __post_init__(self) -> None:
        self._settle(database=checks.name(self.database, "database"))

    @property
    def target(self) -> str | None:
        """The name of the database."""
        return self.database

    @property
    def place(self) -> Mapping[str, str]:
        """The database."""
        return {"database_name": self.database}


@dataclass(frozen=True, slots=True)
class OnCollection(Post[T]):
    """A call about a collection."""

    database: str
    collection: str

    def __post_init__(self) -> None:
        self._settle(
            database=checks.name(self.database, "database"),
            collection=checks.name(self.collection, "collection"),
        )
        self._check()

    def _check(self) -> None:
        """Refuse what a server would misread, and settle the rest."""

    @property
    def target(self) -> str | None:
        """The name of the collection."""
        return self.collection

    @property
    def place(self) -> Mapping[str, str]:
        """The database and the collection."""
        return {"database_name": self.database, "collection_name": self.collection}


class Done(OnCollection[None]):
    """A call whose answer says no more than that it was carried out."""

    __slots__ = ()

    def read(self, result: Any) -> None:
        """Nothing."""
        return


class OverBytes(OnCollection[T]):
    """A call with what it is about in the URL, and vectors as float32 in the body."""

    __slots__ = ()

    def request_for(self, dialect: Dialect) -> Request:
        """The request as a server takes it."""
        params = {**self.place, **self.body(dialect)}
        return Request(
            self.method,
            dialect.path(self.path),
            {key: _in_url(value) for key, value in params.items() if value is not None},
            content_type=BYTES if self.method == "POST" else None,
            body=self.content(),
            area="",
        )

    method: ClassVar[str] = "POST"

    def content(self) -> tuple[bytes, ...]:
        """The bytes of the body."""
        return ()


def _in_url(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
