"""Metadata values of any type as JSON, and back exactly as they were.

Two forms. *Shown*: what stands at top level of a vector's metadata, where filters and other
readers see it, with a hint of the type to restore. *Tagged*: a JSON value in which what JSON
lacks is ``{"$": [type, form]}``. docs/layout.md lists the types; adding one is allowed, changing
one is not.
"""

from __future__ import annotations

import base64
import enum
import math
import sys
from collections.abc import Callable, Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from types import ModuleType
from typing import Any, Final, NamedTuple
from uuid import UUID

from vectorize_core import jsontext
from vectorize_core.api.validation import storable_key
from vectorize_core.layout.nearest import UnstorableError, normal, unstorable

_LARGEST_EXACT: Final = 2**53
SHOWN_BELOW: Final = 2**1000
"""Integers from here on, which no float stands for, are not shown at top level."""
NOTHING: Final[Any] = object()
"""Nothing is shown at top level."""


class _Type(NamedTuple):
    """A type by its name in the layout; ``form`` is the JSON type of what it is shown as."""

    name: str
    type: type
    show: Callable[[Any], Any]
    form: Any
    restore: Callable[[Any], Any]


def _microseconds(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


def _in_order(value: Collection[Any]) -> list[Any]:
    """The items of a set, in an order that is the same in every process."""
    return sorted(value, key=repr)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _pairs(form: list[Any]) -> dict[Any, Any]:
    if not all(type(pair) is list for pair in form):
        raise ValueError("not a list of pairs")
    return dict(form)


_TYPES: Final = (
    _Type("datetime", datetime, datetime.isoformat, str, datetime.fromisoformat),
    _Type("date", date, date.isoformat, str, date.fromisoformat),
    _Type("time", time, time.isoformat, str, time.fromisoformat),
    _Type("timedelta", timedelta, _microseconds, int, lambda us: timedelta(microseconds=us)),
    _Type("uuid", UUID, str, str, UUID),
    _Type("decimal", Decimal, str, str, Decimal),
    _Type("bytes", bytes, _base64, str, partial(base64.b64decode, validate=True)),
    _Type("tuple", tuple, list, list, tuple),
    _Type("set", set, _in_order, list, set),
    _Type("frozenset", frozenset, _in_order, list, frozenset),
)
_ONLY_TAGGED: Final = (
    _Type("int", int, str, str, int),
    _Type("float", float, repr, str, float),
    _Type("dict", dict, list, list, _pairs),
)
_BY_TYPE: Final = {entry.type: entry for entry in _TYPES}
_HINTED: Final = {entry.name: entry for entry in _TYPES}
_TAGGED: Final = {entry.name: entry for entry in (*_TYPES, *_ONLY_TAGGED)}


def split(value: Any) -> tuple[Any, str | None, Any]:
    """What ``value`` is at top level, the type to restore it to, its exact form if that differs."""
    if is_plain(value):
        return value, None, None
    value = normal(value)
    if value is None:
        # The service may or may not keep a null; the hint says it for certain.
        return NOTHING, "none", None
    if is_plain(value):
        return value, None, None
    if isinstance(value, enum.Enum):
        hint, shown = f"enum:{_enum_name(type(value))}", normal(value.value)
        return (shown, hint, None) if is_plain(shown) else (NOTHING, None, _tagged(value))
    if type(value) is int and abs(value) < SHOWN_BELOW:
        # Approximately, as a metadata index sees it anyway.
        return float(value), None, _tagged(value)
    known = _BY_TYPE.get(type(value))
    if known is not None:
        shown = known.show(value)
        if is_plain(shown):
            return shown, known.name, None
    return NOTHING, None, _tagged(value)


def restore(hint: Any, shown: Any) -> Any:
    """The value that `split` showed as ``shown`` with this hint.

    What another client has put there stays as it is if it is no such value: `restore` never raises.
    """
    if not isinstance(hint, str):
        return shown
    if hint.startswith("enum:"):
        return _restore_enum(hint.removeprefix("enum:"), shown)
    return _restored(_HINTED.get(hint), shown, shown)


def _restored(kind: _Type | None, form: Any, raw: Any) -> Any:
    """The value of a type that has this form; ``raw`` if there is none."""
    if kind is None:
        return raw
    if kind.form is int and type(form) is float and form.is_integer():
        # Other clients, and perhaps the service, know floats only.
        form = int(form)
    if type(form) is not kind.form:
        return raw
    try:
        return kind.restore(form)
    except (ValueError, TypeError, ArithmeticError):
        return raw


def is_plain(value: Any) -> bool:
    """Whether JSON in a vector's metadata gives ``value`` back exactly."""
    kind = type(value)
    if kind is bool:
        return True
    if kind is str:
        return value.isascii() or not jsontext.has_lone_surrogate(value)
    if kind is int:
        return bool(abs(value) <= _LARGEST_EXACT)
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(map(is_plain, value))
    if kind is dict:
        return all(
            type(key) is str and storable_key(key) and is_plain(key) and is_plain(item)
            for key, item in value.items()
        )
    return False


def tagged(value: Any) -> Any:
    """Any storable value as JSON; what JSON lacks is ``{"$": [type, form]}``."""
    # What is plain is its own form, and nearly always all there is of a node.
    return value if is_plain(value) else _tagged(normal(value))


def _tagged(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        if jsontext.has_lone_surrogate(value):
            raise UnstorableError(
                f"text with a lone surrogate ({value[:40]!r}), which is not valid Unicode"
            )
        return value
    if kind is int:
        return value if abs(value) <= _LARGEST_EXACT else {"$": ["int", _digits(value)]}
    if kind is float:
        return value if math.isfinite(value) else {"$": ["float", repr(value)]}
    if kind is list:
        return [_tagged(item) for item in value]
    if isinstance(value, enum.Enum):
        return {"$": ["enum", _enum_name(kind), tagged(value.value)]}
    if kind is dict:
        if all(type(key) is str and key != "$" for key in value):
            return {_tagged(key): _tagged(item) for key, item in value.items()}
        return {"$": ["dict", [[_tagged(key), _tagged(item)] for key, item in value.items()]]}
    known = _BY_TYPE.get(kind)
    if known is None:
        raise UnstorableError(unstorable(value))
    return {"$": [known.name, _tagged(known.show(value))]}


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise UnstorableError("an integer of thousands of digits") from None


def untagged(value: Any) -> Any:
    """The value that `tagged` wrote; what it cannot have written stays as it is. Never raises."""
    try:
        return _untagged(value)
    except RecursionError:
        return value


def _untagged(value: Any) -> Any:
    if type(value) is list:
        return [_untagged(item) for item in value]
    if type(value) is not dict:
        return value
    match value:
        case {"$": ["enum", str(name), form], **others} if not others:
            return _restore_enum(name, _untagged(form))
        case {"$": [str(name), form], **others} if not others:
            return _restored(_TAGGED.get(name), _untagged(form), value)
    return {key: _untagged(item) for key, item in value.items()}


def _enum_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _restore_enum(name: str, value: Any) -> Any:
    """The member, if its class is loaded; the plain value otherwise.

    Nothing is imported: what a vector says must not decide which code runs.
    """
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        # Not getattr, for which a lazy module would import something.
        found = found.__dict__.get(part) if isinstance(found, (ModuleType, type)) else None
    if isinstance(found, type) and issubclass(found, enum.Enum):
        try:
            return found(value)
        except Exception:
            return value
    return value
