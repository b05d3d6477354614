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
            obj.docstring.value = linked(plain(obj.docstring.value), obj.path)


def linked(text: str, path: str) -> str:
    """``text`` of what is at ``path``, with links for public names in single backticks."""

    def link(found: re.Match[str]) -> str:
        paths = [public for public in PUBLIC if public.endswith(f".{found[1]}")]
        if not paths or path.endswith(f".{found[1]}"):
            return found[0]
        own = [public for public in paths if path.startswith(public.rpartition(".")[0])]
        return f"[{found[0]}][{max(own or paths, key=len)}]"

    return re.sub(r"(?<!`)`(\w+)`(?!`)", link, text)


def plain(text: str) -> str:
    """``text`` without what LangChain wants in its classes: indented sections, code of Sphinx."""
    if ".. code-block::" not in text:
        return text
    sections = re.split(r"^(\S.*):\n(?= )", text, flags=re.MULTILINE)
    parts = [sections[0]]
    for title, body in zip(sections[1::2], sections[2::2], strict=True):
        parts.append(f"**{title}**\n\n{section(textwrap.dedent(body))}\n\n")
    return "".join(parts)


def section(body: str) -> str:
    """A section's code in fences, and its arguments as a list."""
    before, directive, code = body.partition(".. code-block:: python\n")
    if directive:
        return f"{before}```python\n{textwrap.dedent(code).strip()}\n```"
    return re.sub(r"^(\w+): ", r"- `\1`: ", body, flags=re.MULTILINE)
