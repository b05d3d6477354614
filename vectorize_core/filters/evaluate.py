"""What a filter means: the reference that everything else agrees with.

A record's metadata is what the user stored and gets back. *Missing* below is a property that is
absent or None, or a path that leads through something that is not an object.

    operator                    missing                          present
    $eq x, $in [x]              if x is None                     equal to x
    $ne x, $nin [x]             unless x is None                 not equal to x
    $gt $gte $lt $lte $between  never                            of the operand's kind, and in order
    $exists true / false        never / always                   always / never
    $like $ilike $contains      never                            see below

So ``$ne`` is NOT ``$eq``, ``$nin`` is NOT ``$in``, and ``$exists: false`` is ``$eq: null``. Kinds
never mix: True is not 1, "1" is not 1. Integers and floats compare by value, exactly; strings by
code point, which is the order of their UTF-8, at full length. Lists are equal item by item; an
object equals nothing. ``$like`` and ``$ilike`` match whole strings. ``$contains`` finds an item in
a list or set, or a string in a string. A value of another kind does not match; it is no error.

Values are compared in the form that the layout shows the service (docs/layout.md): a date as ISO
8601 text, an enum as its value and so on. So a condition means the same here as to the service. A
value that is not shown at all equals nothing and is in no range, but it exists.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, assert_never

from vectorize_core import layout
from vectorize_core.filters import patterns
from vectorize_core.filters.ast import And, Expression, Not, Or, Test, Where
from vectorize_core.layout import Record, value_codec
from vectorize_core.layout.nearest import UnstorableError, simplified
from vectorize_core.layout.nested import lookup

Kind: TypeAlias = Literal["null", "boolean", "number", "text", "list", "set", "other"]
Seen: TypeAlias = tuple[Kind, Any]
"""A kind and a form; values are equal to a filter if these are. Hashable."""


def seen(value: Any) -> Seen:
    """``value``, of metadata or an operand, as filters compare it. Never raises."""
    kind = type(value)
    if kind is str:
        return "text", value
    if kind is bool:
        return "boolean", value
    if value is None:
        return "null", None
    if kind is int and abs(value) < value_codec.SHOWN_BELOW:
        return "number", value
    if kind is float and math.isfinite(value):
        return "number", value
    if kind is list or kind is tuple:
        try:
            return "list", tuple(map(seen, value))
        except RecursionError:
            return "other", object()
    if kind is set or kind is frozenset:
        return "set", frozenset(map(seen, value))
    shown = _shown(value)
    return seen(shown) if shown is not value else ("other", object())


def _shown(value: Any) -> Any:
    """The shown form of a value that is not plain; the value itself if it has none."""
    simple = simplified(value)
    if simple is not value or type(value) in (int, float) or isinstance(value, Mapping):
        return simple
    try:
        shown, _, _ = value_codec.split(value)
    except (UnstorableError, RecursionError):
        return value
    return shown if shown is not value_codec.NOTHING else value


Matcher: TypeAlias = Callable[[Record], bool]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def evaluate(expression: Expression, given: Mapping[str, Any] | Record) -> bool:
    """Whether a record matches. To a `Where`, metadata alone is a record without id and text."""
    record = given if isinstance(given, Record) else Record("", None, dict(given))
    return matcher(expression)(record)


def matcher(expression: Expression) -> Matcher:
    """`evaluate` for many records: the expression as one function of a record."""
    match expression:
        case Test(layout.REF, _, _):
            holds = _holds(expression)
            return lambda record: holds(seen(_ref(record)))
        case Test(path, _, _):
            holds = _holds(expression)
            if "." not in path:
                return lambda record: holds(seen(record.metadata.get(path)))
            return lambda record: holds(seen(lookup(record.metadata, path)))
        case And(parts):
            every = [matcher(part) for part in parts]
            return lambda record: all(matches(record) for matches in every)
        case Or(parts):
            some = [matcher(part) for part in parts]
            return lambda record: any(matches(record) for matches in some)
        case Not(part):
            matches = matcher(part)
            return lambda record: not matches(record)
        case Where(predicate):
            return lambda record: bool(predicate(record))
    assert_never(expression)


def _ref(record: Record) -> Any:
    """A record's source document, as its vector says; raw metadata have it among them."""
    return record.read_ref if record.read_ref is not None else record.metadata.get(layout.REF)


def _holds(test: Test) -> Callable[[Seen], bool]:
    match test.operator:
        case "$eq":
            wanted = seen(test.operand)
            return lambda value: value == wanted
        case "$ne":
            unwanted = seen(test.operand)
            return lambda value: value != unwanted
        case "$in":
            allowed = frozenset(map(seen, test.operand))
            return lambda value: value in allowed
        case "$nin":
            excluded = frozenset(map(seen, test.operand))
            return lambda value: value not in excluded
        case "$gt" | "$gte" | "$lt" | "$lte":
            kind, bound = seen(test.operand)
            compare = _COMPARISONS[test.operator]
            return lambda value: value[0] == kind and compare(value[1], bound)
        case "$exists":
            return lambda value: (value[0] != "null") is test.operand
        case "$like" | "$ilike":
            fits = patterns.matcher(test.operand, lower=test.operator == "$ilike")
            return lambda value: value[0] == "text" and fits(value[1])
        case "$contains":
            return _contains(test.operand)
    assert_never(test.operator)


def _contains(operand: Any) -> Callable[[Seen], bool]:
    item = kind, part = seen(operand)

    def holds(value: Seen) -> bool:
        match value:
            case "list" | "set", items:
                return item in items
            case "text", text:
                return kind == "text" and part in text
        return False

    return holds
