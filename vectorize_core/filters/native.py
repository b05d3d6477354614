"""The service's own filter language: an AND of eight operators over metadata properties.

https://developers.cloudflare.com/vectorize/reference/metadata-filtering/ . `parse` is the only
grammar of it: the stores use it to refuse what the service would refuse, the embedded Vectorize to
answer as the service does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vectorize_core import jsontext, limits
from vectorize_core.errors import InvalidFilterError

EQUALITY: Final = ("$eq", "$ne")
MEMBERSHIP: Final = ("$in", "$nin")
LOWER: Final = ("$gt", "$gte")
UPPER: Final = ("$lt", "$lte")
OPERATORS: Final = (*EQUALITY, *MEMBERSHIP, *LOWER, *UPPER)


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one property; a filter holds when all its conditions do."""

    property_name: str
    operator: str
    operand: Any


def parse(expression: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The conditions of a filter, or `InvalidFilterError` naming the property and the operator.

    ``{"year": 1999}`` is ``{"year": {"$eq": 1999}}``; ``{}`` has no conditions. A dot in a
    property name looks into nested metadata.
    """
    if not isinstance(expression, Mapping):
        raise InvalidFilterError(
            "a filter is a mapping such as {'year': {'$gte': 1960}}; "
            f"got {type(expression).__name__}"
        )
    conditions = tuple(
        condition for name, test in expression.items() for condition in _conditions(name, test)
    )
    problem = jsontext.problem(expression)
    if problem:
        raise InvalidFilterError(f"the filter has {problem}")
    size = len(jsontext.dumps(_plain(expression)))
    if size >= limits.MAX_FILTER_BYTES:
        raise InvalidFilterError(
            f"the filter takes {size} bytes as compact JSON; "
            f"it must stay below {limits.MAX_FILTER_BYTES}"
        )
    return conditions


def _conditions(name: Any, test: Any) -> list[Condition]:
    _check_name(name)
    if not isinstance(test, Mapping):
        _check_scalar(name, "$eq", test)
        return [Condition(name, "$eq", test)]
    if not test:
        raise InvalidFilterError(f"the filter on {name!r} is empty; give it an operator or a value")
    for operator, operand in test.items():
        _check_operand(name, operator, operand)
    bounds = [op for op in test if op in LOWER], [op for op in test if op in UPPER]
    if len(test) > 1 and not (len(test) == 2 and len(bounds[0]) == len(bounds[1]) == 1):
        raise InvalidFilterError(
            f"the filter on {name!r} combines {', '.join(map(str, test))}; Vectorize allows one "
            "operator per property, or one lower bound ($gt, $gte) with one upper ($lt, $lte)"
        )
    return [Condition(name, operator, operand) for operator, operand in test.items()]


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise InvalidFilterError(f"a property name is a string; got {name!r}")
    if name.startswith("$"):
        raise InvalidFilterError(
            f"{name!r} cannot join conditions: a Vectorize filter is an AND of conditions on "
            "properties"
        )
    if not name or '"' in name or len(name) > limits.MAX_METADATA_KEY_CHARS:
        raise InvalidFilterError(
            f"{name[:40]!r} cannot be a property name: it must not be empty, hold a double quote "
            f"or be longer than {limits.MAX_METADATA_KEY_CHARS} characters"
        )


def _check_operand(name: str, operator: Any, operand: Any) -> None:
    if operator in EQUALITY:
        _check_scalar(name, operator, operand)
    elif operator in MEMBERSHIP:
        if isinstance(operand, (str, bytes)) or not isinstance(operand, Sequence):
            raise InvalidFilterError(
                f"{operator} on {name!r} takes a list of values; got {type(operand).__name__}"
            )
        for item in operand:
            _check_scalar(name, operator, item)
    elif operator in (*LOWER, *UPPER):
        if isinstance(operand, bool) or not isinstance(operand, (str, int, float)):
            raise InvalidFilterError(
                f"{operator} on {name!r} takes a number or a string; got {type(operand).__name__}"
            )
    else:
        raise InvalidFilterError(
            f"{operator!r} on {name!r} is not an operator of Vectorize; "
            f"the operators are {', '.join(OPERATORS)}"
        )


def _check_scalar(name: str, operator: str, operand: Any) -> None:
    if operand is not None and not isinstance(operand, (str, int, float, bool)):
        raise InvalidFilterError(
            f"{operator} on {name!r} takes a string, a number, a boolean or null; "
            f"got {type(operand).__name__}"
        )


def _plain(expression: Mapping[str, Any]) -> dict[str, Any]:
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in expression.items()}
