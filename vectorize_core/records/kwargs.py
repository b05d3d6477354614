"""Keyword arguments of methods whose base class takes any: unknown ones are never swallowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar, cast

T = TypeVar("T")


def accept(
    options: type[T],
    given: Mapping[str, Any],
    function: Callable[..., Any],
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> T:
    """``given`` as the TypedDict ``options``; TypeError naming the nearest for any other name.

    ``function`` is the one whose ``**kwargs`` they are. ``elsewhere`` says of keywords that are
    often given to it what takes them.
    """
    if not given:
        return cast("T", {})
    allowed = list(inspect.get_annotations(options))
    for base in getattr(options, "__orig_bases__", ()):
        allowed += inspect.get_annotations(base)
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is None:
        return cast("T", dict(given))
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind in named]
    known += allowed
    nearest = get_close_matches(unknown, [*known, *elsewhere], n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"it takes {', '.join(known)}"
    if nearest and nearest[0] in elsewhere and nearest[0] not in known:
        meant = "that" if unknown in elsewhere else repr(nearest[0])
        hint = f"{elsewhere[nearest[0]]} takes {meant}"
    raise TypeError(
        f"{function.__qualname__}() got an unexpected keyword argument {unknown!r}; {hint}"
    )
