"""What each operator accepts, and the form of its operand in a `Test`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from vectorize_core import jsontext
from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import patterns
from vectorize_core.filters.ast import And, Expression, Operator, Test, joined
from vectorize_core.layout import value_codec

_SHOWN: Final = (datetime, date, time, timedelta, UUID)
_SCALARS: Final = "a string, a number, a boolean, None, a date, a time, a UUID or an enum of those"


def build_test(path: Any, operator: Operator, operand: Any, *, place: str | None = None) -> Test:
    """The test of one property; `InvalidFilterError` for an operand that makes no sense.

    ``place`` is the operand's place in the filter, for the error: ``$or[1].year.$gte``.
    """
    if not isinstance(path, str) or not path or path.startswith("$"):
        raise InvalidFilterError(
            "the name of a property is a non-empty string that does not begin with '$'; "
            f"got {path!r}"
        )
    if jsontext.has_lone_surrogate(path):
        raise InvalidFilterError(f"the name of a property {path!r} is not valid Unicode")
    place = place if place is not None else f"{path}.{operator}"
    return Test(path, operator, _operand(operator, operand, place))


def build_between(path: Any, bounds: Any, *, place: str | None = None) -> Expression:
    """The test for a range from the first bound to the second, both included."""
    place = place if place is not None else f"{path}.$between"
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise _refusal(place, "a list of two bounds", bounds)
    lower, upper = bounds
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
            if not isinstance(operand, bool):
                raise _refusal(place, "True or False", operand)
            return operand
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
            "character literal; double it to mean a backslash"
        )
    return pattern


def _value(given: Any, place: str) -> Any:
    value = value_codec.simplified(given)
    kind = type(value)
    if kind in (list, tuple):
        return tuple(_value(item, f"{place}[{i}]") for i, item in enumerate(value))
    if value is None or kind is bool:
        return value
    if kind is str:
        if jsontext.has_lone_surrogate(value):
            raise InvalidFilterError(f"{place}: the text {value!r} is not valid Unicode")
        return value
    if kind in (int, float):
        if not (math.isfinite(value) if kind is float else abs(value) < value_codec.SHOWN_BELOW):
            raise InvalidFilterError(
                f"{place}: no stored value can be compared with {str(value)[:40]}"
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
            "'1.5'. Compare with str(value) if you mean the text; to compare numbers, store floats"
        )
    raise _refusal(place, _SCALARS, given)


def _refusal(place: str, wanted: str, got: object) -> InvalidFilterError:
    return InvalidFilterError(f"{place} takes {wanted}; got {type(got).__name__}")
