"""What of a filter can be pushed to the service: an OR of ANDs of constraints. Pure.

What is pushed matches at least what the expression matches. NOT, ``$ne``, null, ``$exists``,
patterns, lists and functions are not pushed: a metadata index does not know what is missing from
it, and what it holds of a list is not documented.

A constraint is on what a metadata index holds of a value: a float64, a boolean, or the first 64
bytes of a string. It matches at least what the test it was made from matches, whatever the service
does with values of another type, arrays, missing values and long strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from vectorize_core import jsontext
from vectorize_core.filters.ast import NOTHING, And, Expression, Not, Or, Test, Where
from vectorize_core.models import IndexType

Value: TypeAlias = str | int | float | bool
RANGES: Final = ("$gt", "$gte", "$lt", "$lte")
EXACT_BYTES: Final = 60
"""A string this short is never cut, nor is it what is left of a cut one: that has 61 to 64."""
EXACT_INTEGERS: Final = 2**53
_LAST_CODE_POINT: Final = 0xD7FF
"""Below it, code points, UTF-8 bytes and UTF-16 units have the same order."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range."""

    value: Value
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """One of ``values``, or a range.

    ``precise``: it matches no more than the test does, except values that are not of the index's
    type, which no constraint excludes for certain.
    """

    kind: IndexType
    values: frozenset[Value] | None = None
    low: Bound | None = None
    high: Bound | None = None
    precise: bool = True

    @property
    def possible(self) -> bool:
        """Whether any value can satisfy it."""
        if self.values is not None:
            return bool(self.values)
        return (
            self.low is None
            or self.high is None
            or _key(self.low.value) < _key(self.high.value)
            or (self.low.value == self.high.value and self.low.inclusive and self.high.inclusive)
        )

    def admits(self, value: Value) -> bool:
        """Whether a value of its kind satisfies it."""
        if self.values is not None:
            return value in self.values
        key = _key(value)
        if self.low is not None:
            low = _key(self.low.value)
            if key < low or (key == low and not self.low.inclusive):
                return False
        if self.high is not None:
            high = _key(self.high.value)
            if key > high or (key == high and not self.high.inclusive):
                return False
        return True

    def hull(self) -> Constraint:
        """The range from the smallest value to the largest; booleans stay as they are."""
        if not self.values or self.kind == "boolean":
            return self
        least, most = min(self.values, key=_key), max(self.values, key=_key)
        return Constraint(self.kind, None, Bound(least, True), Bound(most, True), False)

    def native(self) -> Value | Mapping[str, Any]:
        """The constraint in the service's filter language."""
        if self.values is not None:
            if len(self.values) == 1:
                return next(iter(self.values))
            return {"$in": sorted(self.values, key=_key)}
        operators: dict[str, Value] = {}
        if self.low is not None:
            operators["$gte" if self.low.inclusive else "$gt"] = self.low.value
        if self.high is not None:
            operators["$lte" if self.high.inclusive else "$lt"] = self.high.value
        return operators


def _key(value: Value) -> Any:
    # Values of one kind can be compared, but their type does not express that.
    return value


def intersection(one: Constraint, other: Constraint) -> Constraint | None:
    """The constraint that satisfies both; None if nothing can."""
    if one.kind != other.kind:
        return None
    precise = one.precise and other.precise
    if one.values is None and other.values is not None:
        one, other = other, one
    if one.values is not None:
        kept = frozenset(value for value in one.values if other.admits(value))
        return replace(one, values=kept, precise=precise) if kept else None
    low = _tighter(one.low, other.low, upper=False)
    high = _tighter(one.high, other.high, upper=True)
    merged = Constraint(one.kind, None, low, high, precise)
    return merged if merged.possible else None


def _tighter(one: Bound | None, other: Bound | None, *, upper: bool) -> Bound | None:
    if one is None or other is None:
        return one if other is None else other
    if one.value == other.value:
        return one if not one.inclusive else other
    one_is_less = _key(one.value) < _key(other.value)
    return one if one_is_less == upper else other


def kind_of(operand: Any) -> IndexType | None:
    """The type of metadata index that could hold an operand, None for null and lists."""
    if isinstance(operand, bool):
        return "boolean"
    if isinstance(operand, (int, float)):
        return "number"
    return "string" if isinstance(operand, str) else None


def constraint_of(test: Test) -> list[Constraint] | None:
    """Constraints of which every match satisfies at least one; None if nothing can be pushed.

    ``[]`` is for a test that nothing matches.
    """
    operands: tuple[Any, ...]
    if test.operator in RANGES:
        constraint = _range(test.operator, test.operand)
        return None if constraint is None else [constraint]
    if test.operator not in ("$eq", "$in"):
        return None
    operands = test.operand if test.operator == "$in" else (test.operand,)
    if not operands:
        return []
    kinds = {kind_of(operand) for operand in operands}
    kind = kinds.pop()
    if kind is None or kinds or any(map(jsontext.problem, map(_sendable, operands))):
        return None
    if kind == "number":
        return _numbers(operands)
    if kind == "boolean":
        return [Constraint(kind, frozenset(operands))]
    return _strings(operands)


def span(constraints: Iterable[Constraint]) -> Constraint | None:
    """One range over all of them; None if it would be unbounded or they differ in kind."""
    found = [c.hull() if c.values is not None else c for c in constraints]
    if len({c.kind for c in found}) != 1 or found[0].kind == "boolean":
        return None
    lows, highs = [c.low for c in found], [c.high for c in found]
    low = None if None in lows else min((b for b in lows if b), key=lambda b: _key(b.value))
    high = None if None in highs else max((b for b in highs if b), key=lambda b: _key(b.value))
    if low is None and high is None:
        return None
    return Constraint(
        found[0].kind,
        None,
        None if low is None else Bound(low.value, True),
        None if high is None else Bound(high.value, True),
        False,
    )


def _sendable(operand: Any) -> Any:
    return float(0) if isinstance(operand, (int, float)) else operand


def _numbers(operands: tuple[Any, ...]) -> list[Constraint] | None:
    try:
        # Rounded to float64, as the service does.
        values = frozenset(map(_rounded, operands))
    except OverflowError:
        return None
    precise = all(abs(value) < EXACT_INTEGERS for value in operands)
    return [Constraint("number", values, precise=precise)]


def _rounded(value: float) -> int | float:
    return value if abs(value) < EXACT_INTEGERS else float(value)


def _strings(operands: tuple[str, ...]) -> list[Constraint]:
    short = frozenset(text for text in operands if jsontext.utf8_size(text) <= EXACT_BYTES)
    found = [Constraint("string", short)] if short else []
    found += (
        Constraint("string", None, Bound(prefix, True), _after_prefix(prefix), precise=False)
        for prefix in sorted({_prefix(text) for text in operands if text not in short})
    )
    return found


def _range(operator: str, operand: Any) -> Constraint | None:
    kind = kind_of(operand)
    inclusive = operator in ("$gte", "$lte")
    upper = operator in ("$lt", "$lte")
    if kind == "number":
        try:
            value = _rounded(operand)
        except OverflowError:
            return None
        # Beyond 2^53 unequal integers may be the same float64.
        precise = abs(operand) < EXACT_INTEGERS
        bound: Bound | None = Bound(value, inclusive or not precise)
    elif kind == "string" and not jsontext.has_lone_surrogate(operand):
        precise = jsontext.utf8_size(operand) <= EXACT_BYTES
        if precise:
            bound = Bound(operand, inclusive)
        else:
            prefix = _prefix(operand)
            bound = _after_prefix(prefix) if upper else Bound(prefix, True)
    else:
        return None
    if bound is None:
        return None
    low, high = (None, bound) if upper else (bound, None)
    return Constraint(kind, None, low, high, precise)


def _prefix(text: str) -> str:
    return text.encode()[:EXACT_BYTES].decode(errors="ignore")


def _after_prefix(prefix: str) -> Bound | None:
    """The bound above all strings that begin with ``prefix``; None if there is none."""
    while prefix and ord(prefix[-1]) >= _LAST_CODE_POINT:
        prefix = prefix[:-1]
    return Bound(prefix[:-1] + chr(ord(prefix[-1]) + 1), False) if prefix else None


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
        found = constraint_of(test)
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
            spanned = span(found)
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
        merged = added if known is None else intersection(known, added)
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
