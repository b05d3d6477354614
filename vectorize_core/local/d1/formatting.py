"""SQLite's ``printf`` with widths and precisions that end.

``%.2000000000c`` takes SQLite a quarter of a minute, in one step that nothing interrupts. D1 takes
100,000 for what is more than that, and so does this.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from vectorize_core.local.d1.allowed import MAX_LENGTH
from vectorize_core.sqlite.connecting import connect

_MOST: Final = 100_000
_DIRECTIVE: Final = re.compile(r"%[-+ #0,!]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?l*(.?)", re.DOTALL)
_CONVERSIONS: Final = frozenset("diufeEgGxXoscqQwzpr")
"""Those that take an argument."""


def install(connection: sqlite3.Connection) -> None:
    """Let statements of ``connection`` use it in place of SQLite's own."""
    helper = connect(":memory:")
    helper.text_factory = lambda encoded: encoded.decode(errors="replace")
    for name in ("printf", "format"):
        connection.create_function(name, -1, _through(helper), deterministic=True)


def _through(helper: sqlite3.Connection) -> Callable[..., Any]:
    """The function, which leaves the formatting to SQLite's own in another connection."""

    def printf(*given: Any) -> Any:
        args = list(given)
        if args and isinstance(args[0], str):
            args[0] = _bounded(args[0], args, helper)
        marks = ", ".join("?" * len(args))
        return helper.execute(f"SELECT printf({marks})", args).fetchone()[0]

    return printf


def _bounded(text: str, args: list[Any], helper: sqlite3.Connection) -> str:
    """The format with widths and precisions of at most `_MOST`, those in ``args`` too."""
    if len(text) > _MOST:
        raise OverflowError  # which SQLite reports as a text that is too long
    following, total = 1, 0

    def bound(found: re.Match[str]) -> str:
        nonlocal following, total
        shorter = found[0]
        for number in found[1], found[2]:
            if number == "*":
                if following < len(args):
                    args[following] = _bounded_number(args[following], helper)
                    total += abs(args[following])
                following += 1
            elif number:
                size = _MOST if len(number) > 6 else min(int(number), _MOST)
                shorter = shorter.replace(number, str(size), 1)
                total += size
        following += found[3] in _CONVERSIONS
        if total > MAX_LENGTH:
            raise OverflowError
        return shorter

    return _DIRECTIVE.sub(bound, text)


def _bounded_number(value: Any, helper: sqlite3.Connection) -> int:
    """What SQLite makes of an argument for a width: the last 32 bits of it as an integer."""
    (number,) = helper.execute("SELECT CAST(? AS INTEGER)", (value,)).fetchone()
    number = ((number or 0) + 2**31) % 2**32 - 2**31
    return int(max(-_MOST, min(number, _MOST)))
