"""What a metadata index holds of a value, and which vectors a filter's condition matches.

https://developers.cloudflare.com/vectorize/reference/metadata-filtering/ . A `Column` gives each
vector a code into a list of distinct entries, so that a condition is tested once per entry.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import json, limits
from vectorize_core.filters import native
from vectorize_core.local.behavior import Behavior
from vectorize_core.models import IndexType

Scalar = str | float | bool
Entry = tuple[Scalar, ...]
"""What an index holds for one vector: one value, or an array's elements, or nothing at all."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}
# Python orders strings by code point, which is the order of their UTF-8 bytes.
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One metadata index: ``codes[row]`` is a position in ``entries``, -1 for "not indexed"."""

    index_type: IndexType
    codes: NDArray[np.int32]
    entries: tuple[Entry, ...]


def build(index_type: IndexType, size: int, rows: Iterable[Entry]) -> Column:
    """A column of ``size`` rows; an empty entry is a row that is not in the index."""
    codes = np.full(size, -1, dtype=np.int32)
    known: dict[Entry, int] = {}
    for row, entry in enumerate(rows):
        if entry:
            codes[row] = known.setdefault(entry, len(known))
    return Column(index_type, codes, tuple(known))


def unindexed(size: int) -> Column:
    """The column of a property without a metadata index, where nothing is to be found."""
    return build("string", size, ())


def lookup(metadata: Mapping[str, Any], property_name: str) -> Any:
    """The value of a property, dots leading into nested objects; None where there is none."""
    value: Any = metadata
    for key in property_name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def entry(value: Any, index_type: IndexType, behavior: Behavior) -> Entry:
    """What an index of this type holds for ``value``; null and objects are never indexed."""
    items = [value]
    if isinstance(value, list):
        items = value if behavior.arrays == "elements" else []
    typed = (_typed(item, index_type, behavior) for item in items)
    return tuple(cut(item) if isinstance(item, str) else item for item in typed if item is not None)


def cut(text: str) -> str:
    """The longest prefix of ``text`` that an index holds: 64 bytes, whole characters."""
    return text.encode()[: limits.MAX_INDEXED_BYTES].decode(errors="ignore")


def matches(column: Column, condition: native.Condition, behavior: Behavior) -> NDArray[np.bool_]:
    """For each vector whether it meets ``condition``."""
    test, missing = _test(condition, column.index_type, behavior)
    # The missing rows' answer goes last, where code -1 finds it.
    table = np.array([*map(test, column.entries), missing], dtype=np.bool_)
    return table[column.codes]


def _test(
    condition: native.Condition, index_type: IndexType, behavior: Behavior
) -> tuple[Callable[[Entry], bool], bool]:
    if condition.operator in _COMPARISONS:
        compare = _COMPARISONS[condition.operator]
        bound = _operand(condition.operand, index_type, behavior)
        return lambda entry: bound is not None and any(compare(v, bound) for v in entry), False
    several = condition.operator in native.MEMBERSHIP
    operands = condition.operand if several else [condition.operand]
    wanted = {_operand(item, index_type, behavior) for item in operands}
    if condition.operator in ("$eq", "$in"):
        null_matches = None in operands and behavior.eq_null == "missing"
        return lambda entry: not wanted.isdisjoint(entry), null_matches
    return wanted.isdisjoint, behavior.negation_matches_missing


def _operand(value: Any, index_type: IndexType, behavior: Behavior) -> Scalar | None:
    typed = _typed(value, index_type, behavior)
    return cut(typed) if isinstance(typed, str) and behavior.truncate_filter_values else typed


def _typed(value: Any, index_type: IndexType, behavior: Behavior) -> Scalar | None:
    """``value`` as a value of the index's type, or None if it is not one."""
    if isinstance(value, bool):
        kind: IndexType = "boolean"
    elif isinstance(value, (int, float)):
        kind = "number"
    elif isinstance(value, str):
        kind = "string"
    else:
        return None
    if kind == index_type:
        return float(value) if kind == "number" else value
    return _coerced(value, index_type) if behavior.coerce_types else None


def _coerced(value: Any, index_type: IndexType) -> Scalar | None:
    if index_type == "string":
        return json.dumps(value).decode()
    if not isinstance(value, str):
        return None
    if index_type == "boolean":
        return _BOOLEANS.get(value)
    number = float(value) if _NUMBER.fullmatch(value) else math.inf
    return number if math.isfinite(number) else None
