"""The dict form of filters, such as ``{"year": {"$gte": 1960}, "$not": {"genre": "news"}}``.

docs/filters.md describes it. The members of an object are joined by AND, and so are the operators
of one property. ``{}`` and ``{"$and": []}`` match everything, ``{"$or": []}`` nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, cast

from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import operands
from vectorize_core.filters.ast import OPERATORS, And, Expression, Not, Operator, Or, joined

_JOINING: Final = ("$and", "$or", "$nor", "$not")
_TESTING: Final = (*OPERATORS, "$between", "$not")
_DEEPEST: Final = 100


def parse(given: Mapping[str, Any] | Expression) -> Expression:
    """The expression of the dict form; an expression, here or inside, stays as it is.

    `InvalidFilterError` names the place in the filter, such as ``$or[1].year.$gte``.
    """
    return _filter(given, "", 0)


def _filter(given: Any, place: str, depth: int) -> Expression:
    if isinstance(given, Expression):
        return given
    if not isinstance(given, Mapping):
        raise InvalidFilterError(
            f"{place or 'a filter'} takes a mapping such as {{'year': {{'$gte': 1960}}}}, or an "
            f"expression such as F('year') >= 1960; got {type(given).__name__}"
        )
    if depth > _DEEPEST:
        raise InvalidFilterError(f"the filter is nested deeper than {_DEEPEST} levels")
    return joined(
        And,
        (_member(name, value, _within(place, name), depth + 1) for name, value in given.items()),
    )


def _member(name: Any, value: Any, place: str, depth: int) -> Expression:
    match name:
        case "$and":
            return joined(And, _filters(value, place, depth))
        case "$or":
            return joined(Or, _filters(value, place, depth))
        case "$nor":
            return Not(joined(Or, _filters(value, place, depth)))
        case "$not":
            return Not(_filter(value, place, depth))
    if isinstance(name, str) and name.startswith("$"):
        if name in _TESTING:
            raise InvalidFilterError(
                f"{place} needs a property; write {{'name': {{{name!r}: ...}}}}"
            )
        raise _unknown(place, name, _JOINING)
    return _property(name, value, place, depth)


def _filters(given: Any, place: str, depth: int) -> list[Expression]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise InvalidFilterError(f"{place} takes a list of filters; got {type(given).__name__}")
    return [_filter(part, f"{place}[{i}]", depth) for i, part in enumerate(given)]


def _property(path: str, given: Any, place: str, depth: int) -> Expression:
    """The tests of one property: a value to be equal to, or operators."""
    if isinstance(given, (list, tuple, set, frozenset)):
        raise InvalidFilterError(
            f"{place} got a {type(given).__name__}: write {{'$in': [...]}} for one of several "
            "values, {'$eq': [...]} for a list equal to this one"
        )
    if not isinstance(given, Mapping):
        return operands.build_test(path, "$eq", given, place=place)
    if not given:
        raise InvalidFilterError(f"{place} is empty; give it a value or an operator")
    if depth > _DEEPEST:
        raise InvalidFilterError(f"the filter is nested deeper than {_DEEPEST} levels")
    return joined(
        And,
        (
            _test(path, name, operand, _within(place, name), depth)
            for name, operand in given.items()
        ),
    )


def _test(path: str, operator: Any, operand: Any, place: str, depth: int) -> Expression:
    if operator == "$between":
        return operands.build_between(path, operand, place=place)
    if operator == "$not":
        return Not(_property(path, operand, place, depth + 1))
    if operator in OPERATORS:
        return operands.build_test(path, cast("Operator", operator), operand, place=place)
    if operator in _JOINING:
        raise InvalidFilterError(
            f"{place}: {operator} joins filters; write {{{operator!r}: [{{{path!r}: ...}}, ...]}}"
        )
    if isinstance(operator, str) and operator.startswith("$"):
        raise _unknown(place, operator, _TESTING)
    raise InvalidFilterError(
        f"{place}: write a nested property as a path: {f'{path}.{operator}'!r}"
    )


def _unknown(place: str, operator: str, known: Sequence[str]) -> InvalidFilterError:
    nearest = get_close_matches(operator, known, n=1, cutoff=0.7)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return InvalidFilterError(f"{place}: {operator} is not an operator; {hint}")


def _within(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)
