"""The dict form of filters, such as ``{"year": {"$gte": 1960}, "$not": {"genre": "news"}}``.

docs/filters.md describes it. The members of an object are joined by AND, and so are the operators
of one property. ``{}`` and ``{"$and": []}`` match everything, ``{"$or": []}`` nothing. What each
operator accepts is checked here too, by `build_test`, for whoever makes tests.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, cast
from uuid import UUID

from vectorize_core import jsontext
from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import patterns
from vectorize_core.filters.ast import OPERATORS, And, Expression, Not, Operator, Or, Test, joined
from vectorize_core.layout import value_codec
from vectorize_core.layout.nearest import simplified

_JOINING: Final = ("$and", "$or", "$nor", "$not")
_TESTING: Final = (*OPERATORS, "$between", "$not")
_SYNONYMS: Final = {
    "=": "$eq",
    "==": "$eq",
    "!=": "$ne",
    "<>": "$ne",
    "equal": "$eq",
    "equals": "$eq",
    "neq": "$ne",
    "not_equal": "$ne",
    "not_equals": "$ne",
    "not_eq": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "greater_than": "$gt",
    "less_than": "$lt",
    "ge": "$gte",
    "le": "$lte",
    "isin": "$in",
    "not_in": "$nin",
    "notin": "$nin",
    "includes": "$contains",
    "&&": "$and",
    "||": "$or",
    "!": "$not",
}
_DEEPEST: Final = 100
_SHOWN: Final = (datetime, date, time, timedelta, UUID)
_AS_THEY_ARE: Final = {*jsontext.SCALARS, dict}
_SCALARS: Final = "a string, a number, a boolean, None, a date, a time, a UUID or an enum of those"


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
            f"expression such as F('year') >= 1960; got {type(given).__name__}",
            place=place,
        )
    if depth > _DEEPEST:
        raise InvalidFilterError(f"the filter is nested deeper than {_DEEPEST} levels", place=place)
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
                f"{place} needs a property; write {{'name': {{{name!r}: ...}}}}", place=place
            )
        raise _unknown(place, name, _JOINING)
    return _property(name, value, place, depth)


def _filters(given: Any, place: str, depth: int) -> list[Expression]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise _refusal(place, "a list of filters", given)
    return [_filter(part, f"{place}[{i}]", depth) for i, part in enumerate(given)]


def _property(path: str, given: Any, place: str, depth: int) -> Expression:
    """The tests of one property: a value to be equal to, or operators."""
    if isinstance(_plain(given), (list, tuple, set, frozenset)):
        meant = _meant(path, _JOINING)
        raise InvalidFilterError(
            f"{place} got a {type(given).__name__}: "
            + (f"did you mean {meant}? Or " if meant else "")
            + "write {'$in': [...]} for one of several values, {'$eq': [...]} for a list equal to "
            "this one",
            place=place,
        )
    if not isinstance(given, Mapping):
        return build_test(path, "$eq", given, place=place)
    if not given:
        raise InvalidFilterError(f"{place} is empty; give it a value or an operator", place=place)
    if depth > _DEEPEST:
        raise InvalidFilterError(f"the filter is nested deeper than {_DEEPEST} levels", place=place)
    return joined(
        And,
        (
            _test(path, name, operand, _within(place, name), depth)
            for name, operand in given.items()
        ),
    )


def _test(path: str, operator: Any, operand: Any, place: str, depth: int) -> Expression:
    if operator == "$between":
        return build_between(path, operand, place=place)
    if operator == "$not":
        return Not(_property(path, operand, place, depth + 1))
    if operator in OPERATORS:
        return build_test(path, cast("Operator", operator), operand, place=place)
    if operator in _JOINING:
        raise InvalidFilterError(
            f"{place}: {operator} joins filters; write {{{operator!r}: [{{{path!r}: ...}}, ...]}}",
            place=place,
        )
    if isinstance(operator, str) and operator.startswith("$"):
        raise _unknown(place, operator, _TESTING)
    meant = _meant(operator, (*_TESTING, *_JOINING)) or _meant(path, _JOINING)
    hint = f"did you mean {meant}? Operators begin with $. Or " if meant else ""
    raise InvalidFilterError(
        f"{place}: {hint}write a nested property as a path: {f'{path}.{operator}'!r}", place=place
    )


def _meant(name: Any, operators: Sequence[str]) -> str | None:
    """The operator that a name stands for, in other languages or without its $."""
    if not isinstance(name, str):
        return None
    bare = name.strip().lower().strip("$_")
    meant = _SYNONYMS.get(bare.replace(" ", "_"), f"${bare}")
    return meant if meant in operators else None


def _unknown(place: str, operator: str, known: Sequence[str]) -> InvalidFilterError:
    meant = _meant(operator, known)
    nearest = [meant] if meant else get_close_matches(operator.lower(), known, n=1, cutoff=0.7)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return InvalidFilterError(f"{place}: {operator} is not an operator; {hint}", place=place)


def _within(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def build_test(path: Any, operator: Operator, operand: Any, *, place: str | None = None) -> Test:
    """The test of one property; `InvalidFilterError` for an operand that makes no sense.

    ``place`` is the operand's place in the filter, for the error: ``$or[1].year.$gte``.
    """
    if not isinstance(path, str) or not path or path.startswith("$"):
        raise InvalidFilterError(
            "the name of a property is a non-empty string that does not begin with '$'; "
            f"got {path!r}",
            place=place,
        )
    if jsontext.has_lone_surrogate(path):
        raise InvalidFilterError(
            f"the name of a property {path!r} is not valid Unicode", place=place
        )
    place = place if place is not None else f"{path}.{operator}"
    try:
        return Test(jsontext.plain(path), operator, _operand(operator, operand, place))
    except RecursionError:
        raise InvalidFilterError(
            f"{place}: the value is nested too deep, or contains itself", place=place
        ) from None


def build_between(path: Any, bounds: Any, *, place: str | None = None) -> Expression:
    """The test for a range from the first bound to the second, both included."""
    place = place if place is not None else f"{path}.$between"
    pair = _plain(bounds)
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise _refusal(place, "a list of two bounds", bounds)
    lower, upper = pair
    return joined(
        And,
        (
            build_test(path, "$gte", lower, place=f"{place}[0]"),
            build_test(path, "$lte", upper, place=f"{place}[1]"),
        ),
    )


def each(operand: Any, place: str) -> Iterable[Any]:
    """The items of a collection of alternatives; a string is refused."""
    if isinstance(operand, (str, bytes, Mapping)) or not isinstance(operand, Collection):
        raise _refusal(place, "a list of values", operand)
    return operand


def _operand(operator: Operator, operand: Any, place: str) -> Any:
    match operator:
        case "$in" | "$nin":
            items = enumerate(each(operand, place))
            return tuple(_value(item, f"{place}[{i}]") for i, item in items)
        case "$exists":
            present = _plain(operand)
            if not isinstance(present, bool):
                raise _refusal(place, "True or False", operand)
            return present
        case "$like" | "$ilike":
            return _pattern(operand, place)
        case "$gt" | "$gte" | "$lt" | "$lte":
            bound = _value(operand, place)
            if type(bound) not in (str, int, float):
                raise _refusal(place, "a string, a number, a date or a time", operand)
            return bound
        case _:
            return _value(operand, place)


def _pattern(operand: Any, place: str) -> str:
    pattern = _value(operand, place)
    if type(pattern) is not str:
        raise _refusal(place, "a pattern, which is a string", operand)
    if not patterns.is_pattern(pattern):
        raise InvalidFilterError(
            f"{place}: the pattern {pattern!r} ends with a backslash, which makes the next "
            "character literal; double it to mean a backslash",
            place=place,
        )
    return pattern


def _plain(given: Any) -> Any:
    """What stands for a value where it is stored; most are as they are."""
    return given if type(given) in _AS_THEY_ARE else simplified(given)


def _value(given: Any, place: str) -> Any:
    value = _plain(given)
    kind = type(value)
    if kind in (list, tuple):
        return tuple(_value(item, f"{place}[{i}]") for i, item in enumerate(value))
    if value is None or kind is bool:
        return value
    if kind is str:
        if jsontext.has_lone_surrogate(value):
            raise InvalidFilterError(
                f"{place}: the text {value!r} is not valid Unicode", place=place
            )
        return value
    if kind in (int, float):
        if not (math.isfinite(value) if kind is float else abs(value) < value_codec.SHOWN_BELOW):
            raise InvalidFilterError(
                f"{place}: no stored value can be compared with {_digits(value)}", place=place
            )
        return value
    if kind in _SHOWN:
        return value_codec.split(value)[0]
    if isinstance(value, Enum):
        shown = value_codec.split(value)[0]
        if shown is not value_codec.NOTHING:
            return _value(shown, place)
    if kind is Decimal:
        raise InvalidFilterError(
            f"{place}: a Decimal is stored as text, where '10' comes before '9' and '1.50' is not "
            "'1.5'. Compare with str(value) if you mean the text; to compare numbers, store floats",
            place=place,
        )
    raise _refusal(place, _SCALARS, given)


def _digits(value: float) -> str:
    try:
        return str(value)[:40]
    except ValueError:
        return "an integer of thousands of digits"


def _refusal(place: str, wanted: str, got: object) -> InvalidFilterError:
    return InvalidFilterError(f"{place} takes {wanted}; got {type(got).__name__}", place=place)
