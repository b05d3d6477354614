"""How a filter sees a value of metadata: by its kind, in the form that the layout shows.

The layout shows the service a date as ISO 8601 text, an enum as its value and so on
(docs/layout.md). Filters compare these forms, so a condition means the same here as to the
service. A value that is not shown at all equals nothing and is in no range, but it exists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from vectorize_core.layout import value_codec

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
        return "list", tuple(map(seen, value))
    if kind is set or kind is frozenset:
        return "set", frozenset(map(seen, value))
    shown = _shown(value)
    return seen(shown) if shown is not value else ("other", object())


def _shown(value: Any) -> Any:
    """The shown form of a value that is not plain; the value itself if it has none."""
    simple = value_codec.simplified(value)
    if simple is not value or type(value) in (int, float) or isinstance(value, Mapping):
        return simple
    try:
        shown, _, _ = value_codec.split(value)
    except value_codec.UnstorableError:
        return value
    return shown if shown is not value_codec.NOTHING else value
