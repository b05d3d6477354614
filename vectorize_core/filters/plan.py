"""How a filter is answered: what the service is asked, and what is left to evaluate. Pure.

The rule of pushing: *a record that the expression matches also matches one of the branches,
whatever the service does where it is not documented.* The residual then drops what the branches
match beyond the expression. docs/filters.md describes what is pushed and what that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from vectorize_core import jsontext, layout, limits
from vectorize_core.api import validation
from vectorize_core.errors import UnindexedPropertyError
from vectorize_core.filters import push
from vectorize_core.filters.advice import Advice, looks_into
from vectorize_core.filters.ast import EVERYTHING, Expression, Test, Where
from vectorize_core.filters.push import Conjunction, Constraint, Push
from vectorize_core.layout.nested import why_hidden
from vectorize_core.models import Filter, IndexType
from vectorize_core.wording import DEFAULT, Wording

Unindexed: TypeAlias = Literal["error", "scan"]
Hidden: TypeAlias = Callable[[str, Collection[str]], str]
"""Why the service cannot see a property, where others are indexed too; empty if it can."""

_ROOM: Final = 64
"""Bytes of a filter that stay free, to restrict a branch to a partition."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the service is asked for a filter, and what is then evaluated here."""

    expression: Expression
    branches: tuple[Filter, ...]
    """Every match satisfies one of them: none if nothing can match, ``{}`` for all records."""
    residual: Expression | None = None
    """What is left to evaluate; None if the branches are the whole filter."""
    precise: bool = True
    """The residual drops only values of another type than their index's."""
    readable: Mapping[str, IndexType] | None = None
    """The residual's properties, if all come with ``return_metadata="indexed"``."""
    unpushed: tuple[Test | Where, ...] = ()
    """The tests that no branch contains."""
    too_many: bool = False
    """Some tests would have made too many branches."""
    within: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The values of properties that every branch is restricted to."""
    complete: bool = True
    """False for a filter in the service's own language: only the service can evaluate it."""

    @property
    def impossible(self) -> bool:
        """Whether nothing can match."""
        return not self.branches

    @property
    def everything(self) -> bool:
        """Whether all records match."""
        return self.branches == ({},) and self.residual is None

    @property
    def looked_up(self) -> frozenset[str]:
        """The properties that the service looks up in their metadata indexes."""
        return frozenset(name for branch in self.branches for name in branch)

    @property
    def restricts(self) -> bool:
        """Whether the service is asked for less than everything."""
        return {} not in self.branches


ALL: Final = Plan(EVERYTHING, ({},))


def check_unindexed(given: Unindexed) -> None:
    """One of the two; `InvalidInputError` otherwise."""
    validation.one_of("unindexed", given, ("error", "scan"))


def in_vectors(path: str, indexed: Collection[str]) -> str:
    """`Hidden` for metadata as it is: nothing is.

    Partitions replace a branch's constraint on the bucket by their own; the residual sees to it.
    """
    return ""


def in_records(text_key: str, *, refs: bool = False) -> Hidden:
    """`Hidden` for records of our layout, which keeps some of their keys inside ``_vs``.

    ``refs``: filters may ask for the `layout.REF` of records, which is not of their metadata.
    """

    def hidden(path: str, indexed: Collection[str]) -> str:
        if refs and path == layout.REF:
            return ""
        taken = path in (text_key, layout.DEFAULT_TEXT_KEY) or path.startswith(layout.EXTRA)
        return why_hidden(path, indexed, text_key) if taken or "." in path else ""

    return hidden


def plan(
    expression: Expression,
    indexed: Mapping[str, IndexType],
    *,
    hidden: Hidden = in_vectors,
    within: Mapping[str, Collection[str]] | None = None,
    unindexed: Unindexed = "error",
    index_name: str = "",
    wording: Wording = DEFAULT,
) -> Plan:
    """The plan for an expression on an index with these metadata indexes.

    ``within`` restricts properties that only this library writes to some short values, exactly.

    `UnindexedPropertyError` for a test that a metadata index could look up if there was one; and
    for any other test if that leaves nothing to ask the service. With ``unindexed="scan"`` these
    are evaluated on the answers instead.
    """
    check_unindexed(unindexed)
    if push.is_impossible(expression):
        return Plan(expression, ())

    advice = Advice(index_name, indexed, hidden, wording)

    def pushable(test: Test, one: Constraint) -> bool:
        return _can_look_up(test.path, advice) and indexed[test.path] == one.kind

    pusher = Push(pushable)
    within = within if within is not None else {}
    only = _only(within, advice)
    if not all(one.values for one in only.values()):
        return Plan(expression, ())
    conjunctions = tuple({**one, **only} for one in pusher.conjunctions(expression))
    if unindexed == "error":
        _check_indexed(pusher, advice, reads_all={} in conjunctions)
    branches, whole = _rendered(conjunctions)
    if branches is None:
        branches, pusher.too_many = ({},), True
    return Plan(
        expression,
        branches,
        residual=None if expression == EVERYTHING else expression,
        precise=whole and not pusher.widened,
        readable=_readable(expression, advice),
        unpushed=(*pusher.unindexed, *pusher.unpushable),
        too_many=pusher.too_many,
        within=within,
    )


def _can_look_up(path: str, advice: Advice) -> bool:
    """Whether a metadata index holds a property."""
    return path in advice.indexed and not advice.hidden(path, advice.indexed)


def _only(within: Mapping[str, Collection[str]], advice: Advice) -> Conjunction:
    """The constraints that ``within`` adds to every branch."""
    for name in within:
        if advice.indexed.get(name) != "string":
            raise UnindexedPropertyError(advice.without_index(name), place=name)
    return {name: Constraint("string", frozenset(given)) for name, given in within.items()}


def _readable(expression: Expression, advice: Advice) -> Mapping[str, IndexType] | None:
    """The properties of an expression; None if one does not come with the indexed metadata."""
    paths = set[str]()
    for leaf in push.leaves(expression):
        if isinstance(leaf, Where) or "." in leaf.path or not _can_look_up(leaf.path, advice):
            return None
        paths.add(leaf.path)
    return {path: advice.indexed[path] for path in paths}


def native(filter: Filter | None) -> Plan:
    """The plan that passes a filter in the service's own language on as it is."""
    if not filter:
        return ALL
    return Plan(EVERYTHING, (filter,), complete=False)


def _rendered(conjunctions: tuple[Conjunction, ...]) -> tuple[tuple[Filter, ...] | None, bool]:
    """Native filters, None if there would be too many; and whether nothing was widened for that."""
    branches: list[Filter] = []
    for one in conjunctions:
        branches += _filters(one)
    if len(branches) <= push.MAX_CONJUNCTIONS:
        return tuple(branches), True
    branches = []
    for one in conjunctions:
        branches += _filters({name: each.hull() for name, each in one.items()})
    fits = len(branches) <= push.MAX_CONJUNCTIONS
    return (tuple(branches) if fits else None), False


def _filters(conjunction: Conjunction) -> list[Filter]:
    """A conjunction as filters that are short enough: its longest list of values is divided."""
    native = {name: one.native() for name, one in conjunction.items()}
    if _size(native) <= limits.MAX_FILTER_BYTES - _ROOM:
        return [native]
    longest = max(conjunction, key=lambda name: _size(native[name]))
    values = conjunction[longest].values
    if values is None or len(values) < 2:
        # Nothing to divide: the test is left out, so more is matched.
        return _filters({name: one for name, one in conjunction.items() if name != longest})
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
    half = len(ordered) // 2
    return [
        native
        for part in (ordered[:half], ordered[half:])
        for native in _filters(
            {**conjunction, longest: replace(conjunction[longest], values=frozenset(part))}
        )
    ]


def _size(native: Any) -> int:
    return len(jsontext.dumps(native))


def _check_indexed(pusher: Push, advice: Advice, *, reads_all: bool) -> None:
    for test in pusher.unindexed:
        raise UnindexedPropertyError(advice.on(test), place=test.path)
    # Of the tests on a list, the one for its items says so.
    leaves = sorted(pusher.unpushable, key=looks_into, reverse=True) if reads_all else ()
    for leaf in leaves:
        if isinstance(leaf, Where):
            raise UnindexedPropertyError(
                f"{leaf.description} cannot be looked up in an index, so all records may have "
                "to be read. Combine it by AND with a test on an indexed property, or allow the "
                "reading with unindexed='scan'"
            )
        if not _can_look_up(leaf.path, advice):
            raise UnindexedPropertyError(advice.on(leaf), place=leaf.path)
