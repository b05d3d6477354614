"""Compact JSON as the service measures it, of values that JSON can express.

orjson alone changes data silently: it writes NaN as null, and datetimes as text. So `problem`
checks a value first, and `dumps` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

import orjson

STRICT = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_EXACT_INTEGERS = 2**53
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
SCALARS = {str, int, float, bool, type(None)}
_DEEPEST = 100
"""Levels of nesting; orjson stops at 254, Python at 1,000 calls."""

_INEXPRESSIBLE = ", which JSON cannot express"

loads = orjson.loads


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON of a value that `problem` finds nothing wrong with."""
    return orjson.dumps(value, default=as_dict, option=STRICT)


def dumps_sorted(value: Any) -> bytes:
    """`dumps` of what is the same in whichever order the keys of its dicts stand."""
    return orjson.dumps(value, default=as_dict, option=STRICT | orjson.OPT_SORT_KEYS)


def as_dict(value: Any) -> dict[Any, Any]:
    """A mapping of any kind, for orjson, which knows only dicts."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: a value of type {type(value).__name__}")


def utf8_size(text: str) -> int:
    """How many bytes ``text`` takes as UTF-8; a lone surrogate counts as three."""
    return len(text.encode("utf-8", "surrogatepass"))


def plain(text: str) -> str:
    """``text`` as a plain ``str``, which that of NumPy or Jinja is not."""
    # Not str(text), which such a class may define as it likes.
    return text if type(text) is str else str.__str__(text)


def has_lone_surrogate(text: str) -> bool:
    """Whether UTF-8, and so JSON on the wire, cannot encode ``text``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def problem(value: Any, path: str = "", depth: int = 0) -> str | None:
    """Why ``value`` cannot be sent as JSON, naming the place inside it, or None if it can."""
    if depth == 0 and exact(value) is not None:
        return None
    if depth > _DEEPEST:
        return f"a value that is nested too deep (more than {_DEEPEST} levels)"
    if type(value) is list:
        return _first(problem(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value))
    if isinstance(value, Mapping):
        return _first(_member_problem(key, item, path, depth) for key, item in value.items())
    what, why = _scalar_problem(value)
    return f"{what}{_at(path)}{why}" if what else None


def rounded(value: Any, path: str = "") -> str | None:
    """The first integer inside ``value`` that JavaScript would change, and its place; None if none.

    It has only floats, and writes one with as few digits as tell it from all others.
    """
    kind = type(value)
    if kind is int and abs(value) > _EXACT_INTEGERS and Decimal(repr(float(value))) != value:
        return f"the integer {value}{_at(path)}"
    if kind is list:
        return _first(rounded(item, f"{path}[{i}]") for i, item in enumerate(value))
    if isinstance(value, Mapping):
        members = value.items()
        return _first(rounded(item, f"{path}.{key}" if path else key) for key, item in members)
    return None


def exact(value: Any) -> bytes | None:
    """`dumps` of ``value`` if it is a flat dict that JSON can express, else None.

    Most metadata is like that, and this takes a ninth of the time of checking each value.
    """
    if type(value) is not dict:
        return None
    kinds = set(map(type, value.values()))
    if not kinds <= SCALARS:
        return None
    if float in kinds and not all(map(math.isfinite, filter(_is_float, value.values()))):
        return None
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def exact_each(values: list[Any]) -> list[bytes] | None:
    """`exact` of each value, in a third of the time; None if any is empty or None, or may be.

    None also where a text ends as a dict does between others, which would take longer to tell.
    """
    if not values:
        return []
    if set(map(type, values)) != {dict} or not all(values):
        return None
    kinds = set(map(type, chain.from_iterable(map(dict.values, values))))
    if not kinds <= SCALARS:
        return None
    if float in kinds and not all(
        math.isfinite(item) for value in values for item in value.values() if type(item) is float
    ):
        return None
    try:
        text = orjson.dumps(values)
    except TypeError:
        return None
    # Inside a text the quote would be escaped. So this is between two dicts, or at a text's end.
    parts = text[3:-2].split(b'},{"')
    return [b'{"%b}' % part for part in parts] if len(parts) == len(values) else None


def _is_float(value: Any) -> bool:
    return type(value) is float


def _scalar_problem(value: Any) -> tuple[str, str]:
    """What is wrong, and why; two empty strings if nothing is."""
    kind = type(value)
    if kind is str and has_lone_surrogate(value):
        return "text with a lone surrogate", ", which is not valid Unicode"
    if kind is int and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        return "an integer beyond 64 bits", ""
    if kind is float and not math.isfinite(value):
        return repr(value), _INEXPRESSIBLE
    if value is None or kind in (str, int, float, bool):
        return "", ""
    return f"a value of type {kind.__name__}", _INEXPRESSIBLE


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _member_problem(key: Any, item: Any, path: str, depth: int) -> str | None:
    if type(key) is not str:
        return f"a key of type {type(key).__name__}{_at(path)}; JSON keys are strings"
    if has_lone_surrogate(key):
        return f"a key with a lone surrogate{_at(path)}"
    return problem(item, f"{path}.{key}" if path else key, depth + 1)


def _first(findings: Any) -> str | None:
    return next((finding for finding in findings if finding), None)
