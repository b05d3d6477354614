"""Expressions in the dict form, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from vectorize_core.filters.ast import And, Expression, Not, Or, Test, Where


def describe(expression: Expression) -> str:
    """The dict form as Python writes it; a function appears as ``{'$where': its description}``."""
    return repr(unparse(expression))


def unparse(expression: Expression) -> dict[str, Any]:
    """The dict form; `parse` reads it back with the same meaning, unless it has a `Where`."""
    match expression:
        case Test(path, operator, operand):
            if operator == "$eq" and not isinstance(operand, tuple):
                return {path: operand}
            return {path: {operator: _listed(operand)}}
        case And(parts):
            forms = [unparse(part) for part in parts]
            merged = _merged(forms)
            return merged if merged is not None else {"$and": forms}
        case Or(parts):
            return {"$or": [unparse(part) for part in parts]}
        case Not(part):
            return {"$not": unparse(part)}
        case Where(_, description):
            return {"$where": description}
    assert_never(expression)


def _merged(forms: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """``forms`` merged into one object; None if two of them collide in a key."""
    merged: dict[str, Any] = {}
    for form in forms:
        for name, value in form.items():
            known = merged.setdefault(name, value)
            if known is value:
                continue
            if name.startswith("$") or not _joinable(known, value):
                return None
            merged[name] = {**known, **value}
    return merged


def _joinable(one: Any, other: Any) -> bool:
    both = isinstance(one, dict) and isinstance(other, dict)
    return both and one.keys().isdisjoint(other)


def _listed(operand: Any) -> Any:
    return [_listed(item) for item in operand] if isinstance(operand, tuple) else operand
