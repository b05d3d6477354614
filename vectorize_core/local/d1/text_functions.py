"""SQLite's functions of texts whose time is the product of the lengths of their arguments.

SQLite carries each out in one step, which nothing interrupts: ``trim`` of a megabyte and a megabyte
takes an hour. Those here find the same in time that grows with the sum.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

from vectorize_core.local.d1.allowed import MAX_LENGTH

Value = str | bytes | int | float | None
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def install(connection: sqlite3.Connection) -> None:
    """Let statements of ``connection`` use them in place of SQLite's own."""
    for name, arguments, function in (
        ("instr", 2, _instr),
        ("replace", 3, _replace),
        ("trim", 2, lambda text, of: _trim(text, of, left=True, right=True)),
        ("ltrim", 2, lambda text, of: _trim(text, of, left=True, right=False)),
        ("rtrim", 2, lambda text, of: _trim(text, of, left=False, right=True)),
    ):
        connection.create_function(name, arguments, function, deterministic=True)
    if sqlite3.sqlite_version_info < (3, 41):
        return
    connection.create_function("unhex", 2, _unhex, deterministic=True)


def _instr(text: Value, part: Value) -> int | None:
    if text is None or part is None:
        return None
    if isinstance(text, bytes) and isinstance(part, bytes):
        return text.find(part) + 1
    return _text(text).find(_text(part)) + 1


def _replace(text: Value, part: Value, by: Value) -> Value:
    if text is None or part is None:
        return None
    found, searched = _text(text), _text(part)
    if searched[:1] in ("", "\0"):
        return found if isinstance(text, bytes) else text
    if by is None:
        return None
    replacement = _text(by)
    size = len(found) + found.count(searched) * (len(replacement) - len(searched))
    if size > MAX_LENGTH:
        raise OverflowError  # which SQLite reports as a text that is too long
    return found.replace(searched, replacement)


def _trim(text: Value, of: Value, *, left: bool, right: bool) -> str | None:
    if text is None or of is None:
        return None
    trimmed, characters = _text(text), set(_text(of).partition("\0")[0])
    start, end = 0, len(trimmed)
    while left and start < end and trimmed[start] in characters:
        start += 1
    while right and start < end and trimmed[end - 1] in characters:
        end -= 1
    return trimmed[start:end]


def _unhex(text: Value, ignored: Value) -> bytes | None:
    if text is None or ignored is None:
        return None
    digits, skipped = _text(text), set(_text(ignored))
    pairs, at = [], 0
    while at < len(digits):
        if digits[at] in _HEX:
            # Nothing may stand between the two digits of a byte.
            if digits[at + 1 : at + 2] not in _HEX:
                return None
            pairs.append(digits[at : at + 2])
            at += 2
        elif digits[at] in skipped:
            at += 1
        else:
            return None
    return bytes.fromhex("".join(pairs))


def _text(value: str | bytes | float) -> str:
    """A value as the text that SQLite would make of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int):
        return str(value)
    with closing(sqlite3.connect(":memory:")) as connection:
        text: str = connection.execute("SELECT CAST(? AS TEXT)", (value,)).fetchone()[0]
        return text
