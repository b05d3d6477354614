"""`Asked`: a request of the page, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from vectorize_core.errors import InvalidInputError

T = TypeVar("T")
_MOST: Final = 1_000_000_000
_KINDS: Final = {str: "a text", dict: "an object", list: "a list", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is in the path, in the query, and in the body of a request."""

    names: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> str:
        """The name of the index in the path."""
        name: str = self.names["index"]
        return name

    def text(self, name: str) -> str | None:
        """A parameter of the query; one that is empty is none."""
        return self.query.get(name) or None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number of the query."""
        given = self.query.get(name)
        if given is None:
            return default
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            raise InvalidInputError(f"{name} is a whole number; got {given[:40]!r}")
        return _within(name, int(given), least, most)

    def given(self, name: str, kind: type[T]) -> T | None:
        """A member of the body, of one kind; None if it is not there."""
        value = self.body.get(name)
        if value is not None and type(value) is not kind:
            raise InvalidInputError(f"{name} is {_KINDS[kind]}; got {type(value).__name__}")
        return value

    def needed(self, name: str, kind: type[T]) -> T:
        """The same of one that has to be there."""
        value = self.given(name, kind)
        if value is None:
            raise InvalidInputError(f"{name} is missing")
        return value

    def whole(self, name: str, default: int, least: int = 0, most: int = _MOST) -> int:
        """A whole number of the body."""
        value = self.body.get(name, default)
        if type(value) is not int:
            raise InvalidInputError(f"{name} is a whole number; got {type(value).__name__}")
        return _within(name, value, least, most)

    def confirm(self, value: str) -> None:
        """Refuse to delete what was not typed as well."""
        if self.body.get("confirm") != value:
            raise InvalidInputError(f"to delete it, confirm has to be {value!r}")


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidInputError(f"{name} is from {least} to {most}; got {value}")
    return value
