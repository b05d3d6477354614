"""The values that a metadata index holds, and which vectors match a filter's condition.

https://developers.cloudflare.com/vectorize/reference/metadata-filtering/ . `Postings` have
their values in order, so that a condition is looked up and not tested on each vector.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import jsontext, limits
from vectorize_core.behavior import Behavior
from vectorize_core.filters import native
from vectorize_core.models import IndexType

Metadata = Mapping[str, Any]
Scalar = str | float | bool
Entry = tuple[Scalar, ...]
"""What a metadata index holds of a vector: a value, the elements of an array, or nothing."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The distinct values in order, and the rows that have each.

    ``rows[starts[i]:starts[i + 1]]`` have ``values[i]``; ``indexed`` tells which rows have any.
    """

    index_type: IndexType
    values: list[Scalar]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    indexed: NDArray[np.bool_]


def build(index_type: IndexType, size: int, entries: Iterable[Entry]) -> Postings:
    """The postings of ``size`` rows; an empty entry is a row that is not in the index."""
    known: dict[Scalar, int] = {}
    codes, rows = array("i"), array("i")
    for row, entry in enumerate(entries):
        for value in entry:
            codes.append(known.setdefault(value, len(known)))
            rows.append(row)
    # Python orders strings by code points, which is the order of their UTF-8 bytes.
    values = sorted(known)
    ranks = np.empty(len(known), np.int32)
    ranks[[known[value] for value in values]] = np.arange(len(known))
    ranked = ranks[np.array(codes, np.int32)]
    order = np.argsort(ranked, kind="stable")
    found = np.array(rows, np.int32)[order]
    indexed = np.zeros(size, np.bool_)
    indexed[found] = True
    starts = np.searchsorted(ranked[order], np.arange(len(known) + 1))
    return Postings(index_type, values, starts, found, indexed)


def merged(one: Postings, two: Postings) -> Postings:
    """The postings of the rows of ``one`` and then those of ``two``."""
    values = sorted({*one.values, *two.values})
    rank = {value: i for i, value in enumerate(values)}
    ranked = np.concatenate([_ranks(one, rank), _ranks(two, rank)])
    order = np.argsort(ranked, kind="stable")
    rows = np.concatenate([one.rows, two.rows + np.int32(len(one.indexed))])[order]
    starts = np.searchsorted(ranked[order], np.arange(len(values) + 1))
    indexed = np.concatenate([one.indexed, two.indexed])
    return Postings(one.index_type, values, starts, rows, indexed)


def _ranks(column: Postings, rank: Mapping[Scalar, int]) -> NDArray[np.int32]:
    ranks = np.fromiter((rank[value] for value in column.values), np.int32, len(column.values))
    return np.repeat(ranks, np.diff(column.starts))


def unindexed(size: int) -> Postings:
    """The postings of a property without a metadata index: empty."""
    return build("string", size, ())


def lookup(metadata: Metadata, property_name: str) -> Any:
    """The value of a property, None if there is none. Dots lead into nested objects."""
    if "." not in property_name:
        return metadata.get(property_name)
    value: Any = metadata
    for key in property_name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def entry(value: Any, index_type: IndexType, behavior: Behavior) -> Entry:
    """What an index of this type holds of ``value``; null and objects are never indexed."""
    if isinstance(value, list):
        items = value if behavior.arrays == "elements" else []
        flat = (item for item in items if not isinstance(item, list))
        return tuple(chain.from_iterable(entry(item, index_type, behavior) for item in flat))
    typed = _typed(value, index_type, behavior)
    return () if typed is None else (cut(typed) if isinstance(typed, str) else typed,)


def cut(text: str) -> str:
    """The part of ``text`` that is indexed: whole characters, at most 64 bytes."""
    return text.encode()[: limits.MAX_INDEXED_BYTES].decode(errors="ignore")


def matches(column: Postings, condition: native.Condition, behavior: Behavior) -> NDArray[np.bool_]:
    """For each row whether it meets ``condition``."""
    several = condition.operator in native.MEMBERSHIP
    given = condition.operand if several else [condition.operand]
    operands = {typed_operand(item, column.index_type, behavior) for item in given} - {None}
    found = np.zeros(len(column.indexed), np.bool_)
    for operand in operands:
        first, end = _span(column.values, condition.operator, operand)
        found[column.rows[column.starts[first] : column.starts[end]]] = True
    if condition.operator in ("$ne", "$nin"):
        return ~found if behavior.negation_matches_missing else ~found & column.indexed
    if condition.operator in ("$eq", "$in") and None in given and behavior.eq_null == "missing":
        return found | ~column.indexed
    return found


def equal(column: Postings, value: Scalar) -> NDArray[np.bool_]:
    """For each row whether it has exactly ``value``."""
    found = np.zeros(len(column.indexed), np.bool_)
    first, end = _span(column.values, "$eq", value)
    found[column.rows[column.starts[first] : column.starts[end]]] = True
    return found


def _span(values: list[Any], operator: str, operand: Any) -> tuple[int, int]:
    """The range of ``values``, which are in order, that an operator matches."""
    before, after = bisect_left(values, operand), bisect_right(values, operand)
    match operator:
        case "$gt":
            return after, len(values)
        case "$gte":
            return before, len(values)
        case "$lt":
            return 0, before
        case "$lte":
            return 0, after
    return before, after


def typed_operand(value: Any, index_type: IndexType, behavior: Behavior) -> Scalar | None:
    """What a condition on an index of this type compares with; None if nothing is like that."""
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
        return jsontext.dumps(value).decode()
    if not isinstance(value, str):
        return None
    if index_type == "boolean":
        return _BOOLEANS.get(value)
    number = float(value) if _NUMBER.fullmatch(value) else math.inf
    return number if math.isfinite(number) else None
