"""The nearest plain type of a value: what storing drops is its class, never what it says.

The layout has few types (docs/layout.md). A value of a class derived from one of them, of NumPy or
pandas, or a container of another kind is stored as the nearest of these; one that would lose more
than its class stays as it is, and is refused where it is stored.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import numpy as np

from vectorize_core import jsontext, limits


class UnstorableError(Exception):
    """A value that cannot be stored; the message says which and why."""


def normal(value: Any) -> Any:
    """`simplified`, at every depth."""
    value = simplified(value)
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(normal, value))
    if kind is set or kind is frozenset:
        return kind(map(_hashable, value))
    if kind is dict:
        return {_key(key): normal(item) for key, item in value.items()}
    return value


def _key(key: Any) -> Any:
    """A key: a string of any class is plain, of an enum too."""
    return jsontext.plain(key) if isinstance(key, str) else _hashable(key)


def _hashable(value: Any) -> Any:
    """`normal` for what must be hashable when it is read."""
    found = normal(value)
    try:
        hash(found)
    except TypeError:
        raise UnstorableError(unstorable(value)) from None
    return found


def simplified(value: Any) -> Any:
    """``value`` itself as the nearest plain type; what it contains stays as it is."""
    if type(value) in _STORABLE or isinstance(value, enum.Enum):
        return value
    if isinstance(value, np.generic):
        return _of_scalar(value)
    for kind, plain in _NEAREST:
        if isinstance(value, kind):
            return plain(value)
    return value


def unstorable(value: Any) -> str:
    """Why a value cannot be stored."""
    kind = type(value)
    try:
        said = str(value)[:40]
    except Exception:  # Of a class of the user's.
        said = "..."
    why = ""
    if said in ("NaT", "<NA>"):
        why = ": it is a missing value, for which None stands here, or no key at all"
    elif getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        why = ": it has nanoseconds, and would be cut to microseconds. Round it"
    return (
        f"a value of type {kind.__module__}.{kind.__qualname__} ({said!r}), which cannot be "
        f"stored{why}. Convert it to a string, a number, a boolean, a list or a dict"
    )


def _of_scalar(value: np.generic) -> Any:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        if np.datetime_data(value.dtype)[0] in _FINER and np.isfinite(value):
            micro = value.astype(f"{value.dtype.kind}8[us]")
            value = micro if micro == value else value
        item = value.item()
        # Nanoseconds would come back as an integer, NaT as nothing.
        return item if isinstance(item, (date, timedelta)) else value
    if isinstance(value, np.longdouble) and float(value) == value:
        return float(value)
    return value.item()


def _of_array(value: np.ndarray[Any, Any]) -> Any:
    if value.ndim == 0:
        return simplified(value[()])
    return list(value) if value.dtype.kind in "mM" else value.tolist()


def _of_datetime(value: datetime) -> datetime:
    if getattr(value, "nanosecond", 0):
        return value
    parts = (value.year, value.month, value.day, value.hour, value.minute, value.second)
    try:
        return datetime(*parts, value.microsecond, tzinfo=value.tzinfo, fold=value.fold)
    except (TypeError, ValueError):  # pandas.NaT
        return value


def _of_timedelta(value: timedelta) -> timedelta:
    if getattr(value, "nanoseconds", 0):
        return value
    return timedelta(value.days, value.seconds, value.microseconds)


def _of_time(value: time) -> time:
    parts = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
    return time(*parts, fold=value.fold)


def _of_range(value: range) -> Any:
    # A longer one takes more bytes than metadata has.
    return list(value) if len(value) <= limits.MAX_METADATA_BYTES else value


_FINER: Final = ("ns", "ps", "fs", "as")
_STORABLE: Final = frozenset(
    {
        *(type(None), bool, str, int, float, list, dict, tuple, set, frozenset),
        *(datetime, date, time, timedelta, UUID, Decimal, bytes),
    }
)
_NEAREST: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, jsontext.plain),
    (float, float.__float__),
    (int, int.__int__),
    (datetime, _of_datetime),
    (date, lambda value: date(value.year, value.month, value.day)),
    (time, _of_time),
    (timedelta, _of_timedelta),
    (UUID, lambda value: UUID(int=value.int)),
    (Decimal, Decimal),
    (bytes, bytes),
    (bytearray, bytes),
    (memoryview, bytes),
    (PurePath, str),
    (np.ndarray, _of_array),
    (tuple, tuple),
    (list, list),
    (deque, list),
    (range, _of_range),
    (set, set),
    (frozenset, frozenset),
    (Mapping, dict),
)
"""In this order: a datetime is a date, and a boolean, which is storable, an integer."""
