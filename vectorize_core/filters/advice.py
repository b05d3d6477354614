"""What to do about a filter that no metadata index can look up, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from vectorize_core import layout
from vectorize_core.filters.ast import Test, Where
from vectorize_core.filters.push import kind_of
from vectorize_core.models import IndexType
from vectorize_core.wording import Wording

_NEAR = 0.75
_PREFIX = "metadata."


@dataclass(frozen=True, slots=True)
class Advice:
    """For filters on the index of that name, with these metadata indexes.

    ``hidden`` tells why a property does not stand in a vector's metadata under its own path.
    """

    index_name: str
    indexed: Mapping[str, IndexType]
    hidden: Callable[[str, Collection[str]], str]
    wording: Wording

    def on(self, test: Test) -> str:
        """Why a test cannot be looked up, and what to do."""
        path = test.path
        if path in self.wording.elsewhere and path not in self.indexed:
            return self.wording.elsewhere[path]
        meant = nearest_property(path, self.indexed)
        hidden = self.hidden(path, self.indexed)
        if hidden and not (meant and path.startswith(_PREFIX)):
            return f"{hidden}; {self._or_scan}"
        if looks_into(test):
            return (
                f"no metadata index looks into lists or texts, as a filter on {path!r} asks: a "
                "list is in none. Keep a property for each item, such as "
                f"{{'{path}_x': True}}, each with a metadata index of type 'boolean'; "
                f"{self._or_scan}"
            )
        if path in self.indexed:
            kind = self.indexed[path]
            operator = self.wording.operators.get(test.operator, test.operator)
            return (
                f"the metadata index on {path!r} holds values of type {kind}, so it cannot look up "
                f"{operator} {test.operand!r}. Compare with a {kind}, {self._or_scan}"
            )
        if meant is not None:
            # Nobody should index a mistyped name, nor read everything to find nothing.
            return self.without_index(path)
        return f"{self.without_index(path, kind_asked(test))}. {self._or_scan.capitalize()}"

    def without_index(self, path: str, kind: IndexType | None = None) -> str:
        """What to do where a property has no metadata index: one of this type, if it is known."""
        missing = f"the index {self.index_name!r} has no metadata index on {path!r}"
        meant = nearest_property(path, self.indexed)
        if meant is not None:
            return (
                f"{missing}; did you mean {meant!r}? If it is a property of its own, "
                "docs/filters.md says how to filter on it. Indexed are: "
                f"{self._users_properties}"
            )
        if path in layout.METADATA_INDEXES:
            return (
                f"{missing}: indexes that a store makes have it, and those made with "
                "record_layout=True. To have it, "
                f"{self._to_index(path, layout.METADATA_INDEXES[path])}"
            )
        others = "" if kind else " (or 'number', 'boolean')"
        only = ": it covers only what is written from then on" if self.wording.late_indexes else ""
        kind = kind or "string"
        return (
            f"{missing}, so the service would find nothing. Name it in "
            f"metadata_indexes={{{path!r}: {kind!r}}}{others} when the index is created; "
            f"or {self._to_index(path, kind)}{only}. Indexed are: {self._users_properties}"
        )

    @property
    def _users_properties(self) -> str:
        users = (name for name in self.indexed if name not in layout.METADATA_INDEXES)
        return ", ".join(sorted(users)) or "none"

    @property
    def _or_scan(self) -> str:
        return or_scan(self.indexed, declared=self.wording.declared)

    def _to_index(self, path: str, index_type: IndexType) -> str:
        return self.wording.to_index(self.index_name, repr(path), repr(index_type))


def or_scan(indexed: Collection[str], *, declared: bool) -> str:
    """That all records may be read instead; a binding lists none, so it takes its buckets."""
    where = ", over REST," if declared and layout.BUCKET not in indexed else ""
    return f"or{where} allow reading all records with unindexed='scan'"


def nearest_property(path: str, known: Iterable[str]) -> str | None:
    """The one of the users' ``known`` properties that a mistyped name means, if any is near."""
    users = {name.lower(): name for name in known if not name.startswith(layout.EXTRA)}
    # Other stores write metadata.year, and Django year__gt.
    bare = path.lower().removeprefix(_PREFIX).partition("__")[0]
    near = get_close_matches(bare, users, n=1, cutoff=_NEAR)
    return users[near[0]] if near else None


def kind_asked(test: Test) -> IndexType | None:
    """The type of the values that a test compares with, None if they do not tell."""
    if test.operator == "$exists":
        return None
    kinds = {kind_of(one) for one in _operands(test)}
    return kinds.pop() if len(kinds) == 1 else None


def _operands(test: Test) -> tuple[Any, ...]:
    return test.operand if test.operator in ("$in", "$nin") else (test.operand,)


def looks_into(test: Test | Where) -> bool:
    """Whether a test is about the items of a list, or a list as a whole, if not empty."""
    if isinstance(test, Where):
        return False
    return test.operator == "$contains" or any(
        isinstance(one, tuple) and one for one in _operands(test)
    )
