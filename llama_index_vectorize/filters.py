"""LlamaIndex metadata filters as filters of Vectorize, where the two mean the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from vectorize_core import json
from vectorize_core.errors import InvalidFilterError

_OPERATORS = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
}
_EXACT_BYTES = 60


def to_native(filters: MetadataFilters | None) -> dict[str, Any] | None:
    """The filter of Vectorize that means the same, None for no restriction.

    `InvalidFilterError` naming the operator where there is none: OR, NOT, and operators that
    Vectorize lacks.
    """
    if filters is None:
        return None
    native: dict[str, Any] = {}
    for one in _flat(filters):
        operator, operand = _condition(one)
        native.setdefault(one.key, {})
        if operator in native[one.key]:
            raise InvalidFilterError(
                f"two filters with {one.operator.value!r} on {one.key!r}; Vectorize takes one"
            )
        native[one.key][operator] = operand
    return native or None


def _flat(filters: MetadataFilters) -> Iterator[MetadataFilter]:
    alone = len(filters.filters) <= 1
    condition = filters.condition
    if condition == FilterCondition.NOT and filters.filters:
        raise InvalidFilterError("the condition 'not' has no equivalent in a filter of Vectorize")
    if condition == FilterCondition.OR and not alone:
        raise InvalidFilterError(
            "the condition 'or' has no equivalent in a filter of Vectorize; for one property, use "
            "the operator 'in'"
        )
    for one in filters.filters:
        if isinstance(one, MetadataFilters):
            yield from _flat(one)
        else:
            yield one


def _condition(one: MetadataFilter) -> tuple[str, Any]:
    operator = _OPERATORS.get(one.operator)
    if operator is None:
        raise InvalidFilterError(
            f"the operator {one.operator.value!r} (on {one.key!r}) has no equivalent in a filter "
            f"of Vectorize; it has {', '.join(known.value for known in _OPERATORS)}"
        )
    if one.value is None:
        raise InvalidFilterError(
            f"{one.operator.value!r} on {one.key!r} compares with None, which Vectorize does not "
            "index"
        )
    if operator in ("$in", "$nin") and not isinstance(one.value, list):
        raise InvalidFilterError(f"{one.operator.value!r} on {one.key!r} takes a list")
    for value in one.value if isinstance(one.value, list) else [one.value]:
        if isinstance(value, str) and json.utf8_size(value) > _EXACT_BYTES:
            raise InvalidFilterError(
                f"{one.operator.value!r} on {one.key!r} compares with a text of more than "
                f"{_EXACT_BYTES} bytes; Vectorize compares the first 64 bytes only"
            )
    return operator, one.value
