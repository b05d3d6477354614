r"""Patterns of ``$like``: ``%`` any text, ``_`` any one character, ``\`` makes the next literal."""

from __future__ import annotations

import re
from collections.abc import Callable

_SPECIAL = re.compile(r"[\\%_]")
_TOKENS = re.compile(r"\\(?P<escaped>.)|(?P<text>[^\\%_]+)|(?P<wildcard>[%_])|\\", re.DOTALL)


def escape(text: str) -> str:
    r"""The pattern of ``text`` itself: ``50%`` becomes ``50\%``."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def is_pattern(pattern: str) -> bool:
    """Whether every backslash has a character to make literal."""
    return all(token.lastgroup is not None for token in _TOKENS.finditer(pattern))


def matcher(pattern: str, *, lower: bool = False) -> Callable[[str], bool]:
    """Whether a whole text fits a pattern; ``lower`` compares both in lower case."""
    segments = [""]
    for token in _TOKENS.finditer(pattern):
        if token.group() == "%":
            segments.append("")
        elif token.group() == "_":
            segments[-1] += "."
        else:
            literal = token.group("text") or token.group("escaped")
            segments[-1] += re.escape(literal.lower() if lower else literal)
    first, *rest = segments
    if rest:
        # A segment between two % takes the first place it finds and never tries another. So no
        # pattern takes exponential time.
        between = "".join(f"(?>.*?{segment})" for segment in rest[:-1])
        first += f"{between}.*{rest[-1]}"
    fits = re.compile(first, re.DOTALL).fullmatch
    if lower:
        return lambda text: fits(text.lower()) is not None
    return lambda text: fits(text) is not None
