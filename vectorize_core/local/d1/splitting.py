"""Splitting a text of SQL into its statements, in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<end>;[; \t\n\f\r]*)                #  semicolons in a row are one
    | (?P<space>[ \t\n\f\r]+ | --[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<word>[A-Za-z0-9_$\x80-\U0010ffff]+)
    | '[^']*'? | "[^"]*"? | `[^`]*`? | \[[^\]]*\]?   # what is not closed goes on to the end
    | [^;\s'"`\[/\-A-Za-z0-9_$\x80-\U0010ffff]+ | .
    """,
    re.DOTALL | re.VERBOSE,
)
_BEGINNING, _IN_EXPLAIN, _IN_CREATE, _IN_OTHER, _IN_TRIGGER, _IN_BODY, _AT_END = range(7)
_TEMPORARY: Final = ("temp", "temporary")
_KEYWORDS: Final = (*_TEMPORARY, "explain", "trigger", "end")


def split(sql: str) -> Iterator[str]:
    """The statements of a text, split at the semicolons that end them.

    A semicolon in the body of a trigger ends no statement: only one after ``END``, after another
    semicolon, does. That is how SQLite itself tells a whole statement.
    """
    state, start = _BEGINNING, 0
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind == "end":
            if state in (_IN_TRIGGER, _IN_BODY):
                state = _IN_BODY
                continue
            if state != _BEGINNING:
                yield sql[start : token.start() + 1]
            state, start = _BEGINNING, token.end()
        else:
            state = _after(state, token[0].lower() if kind == "word" else "")
    if state != _BEGINNING:
        yield sql[start:]


def _after(state: int, word: str) -> int:
    """The state after a word, or after something else (""), that is neither space nor semicolon."""
    if state in (_IN_TRIGGER, _IN_BODY, _AT_END):
        return _AT_END if state == _IN_BODY and word == "end" else _IN_TRIGGER
    if state == _IN_CREATE:
        if word == "trigger":
            return _IN_TRIGGER
        return _IN_CREATE if word in _TEMPORARY else _IN_OTHER
    if state == _IN_OTHER:
        return _IN_OTHER
    if word == "create":
        return _IN_CREATE
    if state == _BEGINNING:
        return _IN_EXPLAIN if word == "explain" else _IN_OTHER
    # Such as EXPLAIN QUERY PLAN.
    return _IN_OTHER if word in _KEYWORDS else _IN_EXPLAIN
