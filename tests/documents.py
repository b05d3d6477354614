"""Code as it stands in documents, run as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


async def run(code: str, where: str, names: dict[str, Any]) -> Any:
    """Run code that may await, and put what it makes into ``names``; its last value, if any."""
    tree = ast.parse(code, where)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    shown: Any = None
    for part in (ast.Module(tree.body, []), ast.Expression(last.value) if last else None):
        if part is not None:
            mode = "eval" if isinstance(part, ast.Expression) else "exec"
            compiled = compile(part, where, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            shown = eval(compiled, names)
            if inspect.isawaitable(shown):
                shown = await shown
    return shown


def examples(page: str, of: str | None = None) -> dict[str, str]:
    """The Python code of each section of a page that has some, by its heading.

    With ``of="LlamaIndex"`` only that which the page introduces so, with "LangChain" all other.
    """
    sections = re.split(r"^#+ (.*)$", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for heading, section in zip(sections[1::2], sections[2::2], strict=True):
        blocks = re.findall(r"([^\n]*)\n\n```python\n(.*?)```", section, re.DOTALL)
        wanted = [
            code
            for before, code in blocks
            if of is None or (before == "With LlamaIndex:") == (of == "LlamaIndex")
        ]
        if wanted:
            found[heading] = "\n".join(wanted)
    return found
