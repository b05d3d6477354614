"""The parts of answers, each with its place in them, or an `UnexpectedAnswerError` naming that."""

from __future__ import annotations

import math
from typing import Any, Final

from vectorize_core.errors import UnexpectedAnswerError, shown

_MOST: Final = 2**53
"""Whole numbers beyond are not exact in every JSON."""


def wrong(place: str, value: Any, wanted: str) -> UnexpectedAnswerError:
    """The error for a value that is not what was ``wanted`` at its place."""
    found = "missing or null" if value is None else shown(value)
    return UnexpectedAnswerError(f"{place} is {found}, not {wanted}")


def an_object(value: Any, place: str) -> dict[str, Any]:
    """A JSON object."""
    if type(value) is not dict:
        raise wrong(place, value, "an object")
    return value


def a_list(value: Any, place: str) -> list[Any]:
    """A JSON array."""
    if type(value) is not list:
        raise wrong(place, value, "a list")
    return value


def a_text(value: Any, place: str) -> str:
    """A string that is not empty."""
    if type(value) is not str or not value:
        raise wrong(place, value, "a text that is not empty")
    return value


def optional_text(value: Any, place: str) -> str | None:
    """A string, or None."""
    if value is not None and type(value) is not str:
        raise wrong(place, value, "a text")
    return value


def whole(value: Any, place: str, *, least: int = 0, most: int = _MOST) -> int:
    """A whole number, also one written as ``7.0``."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise wrong(place, value, f"a whole number from {least} to {most}")
    return value


def number(value: Any, place: str) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not abs(value) < math.inf:
        raise wrong(place, value, "a finite number")
    try:
        return float(value)
    except OverflowError:
        raise wrong(place, value, "a finite number") from None
