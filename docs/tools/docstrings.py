"""Makes Markdown of docstrings: links for public names, and fences. An extension of griffe."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import griffe

REFERENCE = Path(__file__).parents[1] / "reference"
PUBLIC = [
    path
    for page in REFERENCE.glob("*.md")
    for path in re.findall(r"^::: (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


class Docstrings(griffe.Extension):
    """Changes each docstring in place, as griffe comes to it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of ``obj``, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = linked(fenced(obj.docstring.value), obj.path)


def linked(text: str, path: str) -> str:
    """``text`` of what is at ``path``, with links for public names in single backticks."""

    def link(found: re.Match[str]) -> str:
        paths = [public for public in PUBLIC if public.endswith(f".{found[1]}")]
        if not paths or path.endswith(f".{found[1]}"):
            return found[0]
        own = [public for public in paths if path.startswith(public.rpartition(".")[0])]
        return f"[{found[0]}][{max(own or paths, key=len)}]"

    return re.sub(r"(?<!`)`(\w+)`(?!`)", link, text)


def fenced(text: str) -> str:
    """``text`` with fences around code that follows ``.. code-block::``, as LangChain wants it."""
    return re.sub(
        r"^( *)\.\. code-block:: (\w+)\n\n((?:\1 +.*\n|\n)+(?:\1 +.*)?)",
        lambda found: textwrap.indent(
            f"```{found[2]}\n{textwrap.dedent(found[3]).rstrip()}\n```\n\n", found[1]
        ),
        text,
        flags=re.MULTILINE,
    )
