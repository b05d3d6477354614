"""A plan's branches as SQL over what a text index keeps of a record's metadata. Pure.

The rule: *what the service finds by one of the branches, whatever it does where that is not
documented, the SQL finds too.* It may find more: what it finds is evaluated afterwards. So what is
in doubt matches: a value of another type, a list, a property that was not indexed when its record
was written, a name or a number of values that is better not put into SQL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from vectorize_core import jsontext, layout
from vectorize_core.filters import native
from vectorize_core.filters.plan import Plan
from vectorize_core.filters.push import EXACT_INTEGERS, kind_of
from vectorize_core.layout.nested import indexed_part, lookup, put, within
from vectorize_core.models import Filter, IndexType

MAX_PARAMETERS: Final = 60
"""D1 takes a hundred with a statement, some of which are not the filter's."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_ :/@+#-]+")
_NOT_LOOKED_UP: Final = frozenset({layout.BUCKET, layout.OWN})
_COMPARED: Final[Mapping[str, str]] = {
    "$eq": "=",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
}
_TYPES: Final[Mapping[IndexType, str]] = {
    "string": "'text'",
    "number": "'integer', 'real'",
    "boolean": "'true', 'false'",
}
_LISTED: Final = "(SELECT value FROM json_each(?))"
_NUMBER: Final = "CAST(? AS REAL)"
_LARGEST: Final = 1e307
_NUL: Final = r"instr(m, '\u0000')"
"""Whether the JSON has an escaped NUL, where some versions of SQLite end a string."""


class Condition(NamedTuple):
    """An SQL expression over the column ``m``, and its parameters in order.

    These are texts, also where numbers are meant: D1's interface documents no others.
    """

    sql: str
    parameters: tuple[str, ...] = ()


def looked_up(metadata: Mapping[str, Any], indexed: Collection[str]) -> dict[str, Any]:
    """What a row keeps, in ``m``, of a vector's metadata: all that a `Condition` asks for.

    A property that is missing is None, so that it differs from one that was not indexed yet. What
    is under a path with dots stands inside an object, as there.
    """
    kept: dict[str, Any] = {}
    for path in _paths(tuple(indexed)):
        put(kept, path, _kept(lookup(metadata, path)))
    return kept


@lru_cache(maxsize=64)
def _paths(indexed: tuple[str, ...]) -> list[str]:
    return [p for p in sorted(indexed) if p not in _NOT_LOOKED_UP and not within(p, indexed)]


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        # So that it compares as there.
        return indexed_part(value)
    if isinstance(value, list):
        return []
    return None if isinstance(value, dict) else value


def condition(plan: Plan) -> Condition | None:
    """What rows must meet to be a match of ``plan``, which is complete; None if all may be."""
    found = [_branch(branch) for branch in plan.branches]
    parameters = tuple(value for one in found for value in one.parameters)
    if len(parameters) > MAX_PARAMETERS or any(not one.sql for one in found):
        return None
    return Condition(f"({' OR '.join(one.sql for one in found)})" if found else "0", parameters)


def _branch(branch: Filter) -> Condition:
    """The conditions of a branch; an empty one if there is nothing that SQL could tell."""
    tests: dict[str, list[native.Condition]] = {}
    for test in native.parse(branch):
        tests.setdefault(test.property_name, []).append(test)
    found = [one for name, some in tests.items() if (one := _property(name, some)) is not None]
    sql = " AND ".join(one.sql for one in found)
    return Condition(
        f"({sql})" if sql else "", tuple(value for one in found for value in one.parameters)
    )


def _property(name: str, tests: Sequence[native.Condition]) -> Condition | None:
    operands = [operand for test in tests for operand in _operands(test)]
    kinds = set(map(kind_of, operands))
    kind = kinds.pop() if len(kinds) == 1 else None
    known = all(test.operator in _COMPARED or test.operator == "$in" for test in tests)
    if kind is None or not known or not _PLAIN_NAME.fullmatch(name.replace(".", "")):
        return None
    if kind == "number" and max(map(abs, operands)) > _LARGEST:
        return None
    path = f"""'$."{'"."'.join(name.split("."))}"'"""
    found = [_test(f"json_extract(m, {path})", kind, test) for test in tests]
    holds = " AND ".join(one.sql for one in found)
    if kind == "string":
        holds = f"{_NUL} OR ({holds})"
    found_type = f"json_type(m, {path})"
    return Condition(
        f"CASE WHEN {found_type} IN ({_TYPES[kind]}) THEN {holds} "
        f"ELSE {found_type} IS NOT 'null' END",
        tuple(value for one in found for value in one.parameters),
    )


def _operands(test: native.Condition) -> Sequence[Any]:
    return test.operand if test.operator in native.MEMBERSHIP else [test.operand]


def _test(value: str, kind: IndexType, test: native.Condition) -> Condition:
    operands = _operands(test)
    if kind == "string":
        if test.operator == "$in":
            listed = jsontext.dumps(list(operands)).decode()
            return Condition(f"{value} IN {_LISTED}", (listed,))
        return Condition(f"{value} {_COMPARED[test.operator]} ?", (test.operand,))
    if kind == "boolean":
        allowed = ", ".join(sorted({str(int(operand)) for operand in operands}))
        return Condition(f"{value} IN ({allowed})")
    if test.operator in native.LOWER:
        return Condition(f"{value} >= {_NUMBER}", (_moved(test.operand, -1),))
    if test.operator in native.UPPER:
        return Condition(f"{value} <= {_NUMBER}", (_moved(test.operand, 1),))
    return _among(value, operands)


def _among(value: str, numbers: Sequence[float]) -> Condition:
    """Whether a value is one of some: of integers exactly, else within the range of the others."""
    whole = [int(n) for n in numbers if abs(n) < EXACT_INTEGERS and n == int(n)]
    others = [n for n in numbers if not (abs(n) < EXACT_INTEGERS and n == int(n))]
    parts: list[Condition] = []
    if whole:
        listed = jsontext.dumps(whole).decode()
        parts.append(Condition(f"{value} IN {_LISTED}", (listed,)))
    if others:
        ends = _moved(min(others), -1), _moved(max(others), 1)
        parts.append(Condition(f"{value} BETWEEN {_NUMBER} AND {_NUMBER}", ends))
    return Condition(
        f"({' OR '.join(part.sql for part in parts)})",
        tuple(end for part in parts for end in part.parameters),
    )


def _moved(number: float, towards: int) -> str:
    """A bound moved outwards: SQLite need not read a decimal number to the last bit."""
    return repr(float(number) + towards * (abs(number) * 2.0**-48 + 2.0**-1060))
