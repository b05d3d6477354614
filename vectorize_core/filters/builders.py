"""Filters as Python expressions: ``(F("year") >= 1960) & ~F("genre").isin(["news", "sport"])``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

from vectorize_core.filters.ast import Expression
from vectorize_core.filters.parse import build_between, build_test


class F:
    """A property of the metadata; comparing it makes a filter.

    ``F("author.name")`` is the property of that name, else ``name`` inside ``author``. Every
    method raises `InvalidFilterError` for a value that no stored value can be compared with.
    """

    __slots__ = ("path",)
    __hash__ = None  # type: ignore[assignment]  # as in every class whose == is not an equality

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"F({self.path!r})"

    # object declares that comparing returns a bool; here it makes a filter.
    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return build_test(self.path, "$eq", value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return build_test(self.path, "$ne", value)

    def __gt__(self, value: Any) -> Expression:
        return build_test(self.path, "$gt", value)

    def __ge__(self, value: Any) -> Expression:
        return build_test(self.path, "$gte", value)

    def __lt__(self, value: Any) -> Expression:
        return build_test(self.path, "$lt", value)

    def __le__(self, value: Any) -> Expression:
        return build_test(self.path, "$lte", value)

    def between(self, lower: Any, upper: Any) -> Expression:
        """From ``lower`` to ``upper``, both included."""
        return build_between(self.path, (lower, upper))

    def isin(self, values: Collection[Any]) -> Expression:
        """Equal to one of ``values``."""
        return build_test(self.path, "$in", values)

    def notin(self, values: Collection[Any]) -> Expression:
        """Equal to none of ``values``; also where the property is missing."""
        return build_test(self.path, "$nin", values)

    def contains(self, value: Any) -> Expression:
        """A list that has the item ``value``, or a string that has the part ``value``."""
        return build_test(self.path, "$contains", value)

    def like(self, pattern: str) -> Expression:
        r"""A string that fits: ``%`` is any text, ``_`` any character, ``\`` makes them literal."""
        return build_test(self.path, "$like", pattern)

    def ilike(self, pattern: str) -> Expression:
        """As `like`, ignoring case: both sides are compared in lower case."""
        return build_test(self.path, "$ilike", pattern)

    def exists(self, present: bool = True) -> Expression:
        """Present and not None; with False, missing or None."""
        return build_test(self.path, "$exists", present)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not a filter yet: compare it, or ask {self!r}.exists()")

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(
            f"'in' gives a bool in Python, not a filter: write {self!r}.contains({value!r})"
        )
