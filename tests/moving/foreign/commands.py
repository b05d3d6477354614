"""The commands of docs/moving.md that import from other stores."""

from __future__ import annotations

import shlex

from tests.documents import DOCS


def commands() -> dict[str, list[str]]:
    """The arguments of each, by what it imports from."""
    page = (DOCS / "moving.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.partition("vectorize-stores ")[2] for line in page.splitlines()]
    found = [shlex.split(line) for line in lines if " --from " in line]
    return {arguments[arguments.index("--from") + 1]: arguments for arguments in found}
