"""Tables, and the pages of docs that have them between comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill(page: Path, tables: Mapping[str, str]) -> None:
    """Put each table of a page between its comments, ``<!-- name -->`` and ``<!-- /name -->``."""

    def filled(found: re.Match[str]) -> str:
        begin, name, end = found.groups()
        return f"{begin}\n{tables[name]}\n\n{end}"

    text = page.read_text(encoding="utf-8")
    between = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
    page.write_text(between.sub(filled, text), encoding="utf-8")
