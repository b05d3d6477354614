"""What of a filter can be pushed to the service: an OR of ANDs of constraints. Pure.

What is pushed matches at least what the expression matches. NOT, ``$ne``, null, ``$exists``,
patterns, lists and functions are not pushed: a metadata index does not know what is missing from
it, and what it holds of a list is not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from vectorize_core.filters import constraint
from vectorize_core.filters.ast import NOTHING, And, Expression, Not, Or, Test, Where
from vectorize_core.filters.constraint import Constraint

Conjunction: TypeAlias = Mapping[str, Constraint]
"""Property name to constraint; ``{}`` is everything."""
Pushable: TypeAlias = Callable[[Test, Constraint], bool]

MAX_CONJUNCTIONS: Final = 64
_OPPOSITES: Final[Mapping[str, str]] = {"$ne": "$eq", "$nin": "$in"}
_EVERYTHING: Final[tuple[Conjunction, ...]] = ({},)


@dataclass(slots=True)
class Push:
    """Divides an expression. ``pushable`` tells whether this index can look up a test.

    ``unindexed`` collects the tests that lack a metadata index, ``unpushable`` those that no index
    can look up. ``widened``: what is pushed may match more than the expression does.
    """

    pushable: Pushable
    unindexed: list[Test] = field(default_factory=list)
    unpushable: list[Test | Where] = field(default_factory=list)
    widened: bool = False
    too_many: bool = False

    def conjunctions(self, expression: Expression) -> tuple[Conjunction, ...]:
        """Conjunctions of which every match satisfies one; none if nothing can match."""
        return self._of(positive(expression))

    def _of(self, expression: Expression) -> tuple[Conjunction, ...]:
        if isinstance(expression, Test):
            return self._test(expression)
        if isinstance(expression, And):
            return self._and(expression)
        if isinstance(expression, Or):
            return self._or(expression)
        self.unpushable += leaves(expression)
        self.widened = True
        return _EVERYTHING

    def _test(self, test: Test) -> tuple[Conjunction, ...]:
        found = constraint.of(test)
        if found is None:
            # ``$nin ()`` needs nothing to be looked up.
            trivial = test.operator == "$nin" and not test.operand
            if not trivial:
                self.unpushable.append(test)
                self.widened = True
            return _EVERYTHING
        if not all(self.pushable(test, one) for one in found):
            self.unindexed.append(test)
            self.widened = True
            return _EVERYTHING
        if len(found) > MAX_CONJUNCTIONS:
            spanned = constraint.span(found)
            found = [] if spanned is None else [spanned]
            if not found:
                return self._give_up()
        self.widened |= not all(one.precise for one in found)
        return tuple({test.path: one} for one in found)

    def _and(self, expression: And) -> tuple[Conjunction, ...]:
        result = _EVERYTHING
        # The parts with few branches first, so that those that make too many are left out.
        for part in sorted(map(self._of, expression.parts), key=len):
            merged = [
                joined
                for one in result
                for other in part
                if (joined := _join(one, other)) is not None
            ]
            if len(merged) > MAX_CONJUNCTIONS:
                self.widened = self.too_many = True
            else:
                result = tuple(merged)
        return result

    def _or(self, expression: Or) -> tuple[Conjunction, ...]:
        found = _merge_values([one for part in expression.parts for one in self._of(part)])
        if any(not one for one in found):
            return _EVERYTHING
        if len(found) > MAX_CONJUNCTIONS:
            return self._give_up()
        return tuple(found)

    def _give_up(self) -> tuple[Conjunction, ...]:
        self.widened = self.too_many = True
        return _EVERYTHING


def positive(expression: Expression) -> Expression:
    """The same filter with NOT moved inwards, as far as that removes it."""
    if isinstance(expression, (And, Or)):
        return type(expression)(tuple(map(positive, expression.parts)))
    if isinstance(expression, Not):
        return _negated(expression.part)
    return expression


def _negated(expression: Expression) -> Expression:
    if isinstance(expression, Not):
        return positive(expression.part)
    if isinstance(expression, (And, Or)):
        opposite = Or if isinstance(expression, And) else And
        return opposite(tuple(map(_negated, expression.parts)))
    if isinstance(expression, Test) and expression.operator in _OPPOSITES:
        return Test(expression.path, _OPPOSITES[expression.operator], expression.operand)  # type: ignore[arg-type]
    return Not(expression)


def leaves(expression: Expression) -> list[Test | Where]:
    """All tests and functions of an expression."""
    if isinstance(expression, (Test, Where)):
        return [expression]
    parts = (expression.part,) if isinstance(expression, Not) else expression.parts
    return [leaf for part in parts for leaf in leaves(part)]


def is_impossible(expression: Expression) -> bool:
    """Whether nothing can match, whatever the metadata."""
    return expression == NOTHING or not Push(lambda *_: True).conjunctions(expression)


def _join(one: Conjunction, other: Conjunction) -> Conjunction | None:
    result = dict(one)
    for path, added in other.items():
        known = result.get(path)
        merged = added if known is None else constraint.intersection(known, added)
        if merged is None:
            return None
        result[path] = merged
    return result


def _merge_values(conjunctions: Iterable[Conjunction]) -> list[Conjunction]:
    """Equalities on one property become one membership; duplicates are dropped."""
    members: dict[tuple[str, str], list[Constraint]] = {}
    others: dict[object, Conjunction] = {}
    for one in conjunctions:
        path, first = next(iter(one.items()), ("", None))
        if len(one) == 1 and first is not None and first.values is not None:
            members.setdefault((path, first.kind), []).append(first)
        else:
            others.setdefault(frozenset(one.items()), one)
    merged: list[Conjunction] = []
    for (path, _), found in members.items():
        values = frozenset(value for one in found for value in one.values or ())
        precise = all(one.precise for one in found)
        merged.append({path: replace(found[0], values=values, precise=precise)})
    return merged + list(others.values())
