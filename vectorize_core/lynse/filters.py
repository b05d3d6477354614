"""Filters as SQL over an index's own columns, in the form that LynseDB's faster parser reads right.

Comparisons joined by AND, without parentheses, at most one of them IN. Whatever has two goes to the
other parser, which a parenthesis at the beginning chooses. Values are letters and digits, so
nothing that a user gives is read as SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from vectorize_core.filters import native
from vectorize_core.local import matching
from vectorize_core.lynse.header import Header
from vectorize_core.lynse.rows import BEHAVIOR, key
from vectorize_core.models import MetadataIndex

_COMPARISONS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
ALL_ROWS: Final = "doc >= 'x'"
ALL_ROWS_BY_SQL: Final = f"({ALL_ROWS})"
"""The same for the other parser, which has a table of its own."""


def of_documents(ids: Iterable[str]) -> str:
    """All rows of these vectors."""
    return _in("doc", [key(vector_id) for vector_id in ids])


def of_query(
    conditions: Sequence[native.Condition], namespace: str | None, header: Header
) -> list[str] | None:
    """What the vectors meet that a query may find; None if there can be none."""
    leaves = []
    if namespace is not None:
        leaves.append(f"ns = '{key(namespace)}'")
    columns = {index.property_name: (name, index) for name, index in header.live()}
    for condition in conditions:
        known = columns.get(condition.property_name)
        found = _unindexed(condition) if known is None else _leaves(condition, *known)
        if found is None:
            return None
        leaves += found
    return leaves


def joined(leaves: Sequence[str]) -> str | None:
    """Comparisons as one condition; None is none."""
    text = " AND ".join(leaves)
    return (f"({text})" if text.count(" IN (") > 1 else text) or None


def either(conditions: Sequence[str | None], ids: Sequence[str] | None) -> str | None:
    """What meets one of several conditions, among the vectors with ``ids`` unless None."""
    found = [f"({one})" for one in conditions if one is not None]
    among = [] if ids is None else [of_documents(ids)]
    if len(found) < len(conditions):
        # One of them has none.
        return among[0] if among else None
    if not among and len(found) == 1:
        return conditions[0]
    one_of = " OR ".join(found)
    return " AND ".join([f"({one_of})", *among])


def _unindexed(condition: native.Condition) -> list[str] | None:
    """A property without a metadata index: nothing is in that, so all match or none."""
    column = matching.unindexed(1)
    return [] if matching.matches(column, condition, BEHAVIOR)[0] else None


def _leaves(condition: native.Condition, name: str, index: MetadataIndex) -> list[str] | None:
    operator, several = condition.operator, condition.operator in native.MEMBERSHIP
    given = condition.operand if several else [condition.operand]
    found = {matching.typed_operand(item, index.index_type, BEHAVIOR) for item in given} - {None}
    keys = sorted(map(key, found))
    if operator in ("$ne", "$nin"):
        return [f"{name} != '{one}'" for one in keys]
    if not keys:
        return None
    if operator in ("$eq", "$in"):
        return [_in(name, keys)]
    # What is missing comes before all else.
    compared = f"{name} {_COMPARISONS[operator]} '{keys[0]}'"
    return [f"{name} >= 'x'", compared] if operator in native.UPPER else [compared]


def _in(name: str, keys: Sequence[str]) -> str:
    if len(keys) == 1:
        return f"{name} = '{keys[0]}'"
    listed = ", ".join([f"'{one}'" for one in keys])
    return f"{name} IN ({listed})"
