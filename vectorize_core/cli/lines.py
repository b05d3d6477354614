"""Ids as lines, so that ``get -`` and ``delete -`` read what ``list`` prints, whatever they hold.

A line is the id as it is. An id that a line cannot hold (with control characters, line breaks among
them, or one that begins with a quotation mark or a byte order mark) is a JSON string instead.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator

import typer

from vectorize_core import jsontext

_BOM = "\ufeff"


def as_line(text: str) -> str:
    """The line that stands for a text."""
    plain = text.isprintable() or not any(map(_breaks, text))
    return text if plain and not text.startswith(('"', _BOM)) else json.dumps(text)


def _breaks(character: str) -> bool:
    """Whether it ends a line, separates columns, or tells a terminal something."""
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def from_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """The ids of UTF-8 lines; of each only its end is taken off. Empty lines are left out."""
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise typer.BadParameter(
                f"line {number} of stdin is not UTF-8: {line[:40]!r}. Ids are read one a line, "
                "as list prints them"
            ) from None
        if number == 1:
            text = text.removeprefix(_BOM)
        text = text.removesuffix("\n").removesuffix("\r")
        if text:
            yield _from_line(text)


def _from_line(line: str) -> str:
    if line.startswith('"') and line.endswith('"'):
        try:
            text = jsontext.loads(line)
        except ValueError:
            return line
        if isinstance(text, str):
            return text
    return line
