"""Notebooks of docs/, run; ``python -m tests.notebooks`` writes into them what cells show."""

from __future__ import annotations

import asyncio
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from pprint import pformat
from typing import Any

from tests.documents import DOCS, run

NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


def read(notebook: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    return parsed


async def executed(notebook: Path) -> tuple[dict[str, Any], list[Any]]:
    """A notebook with the outputs of its cells, and the last value of each code cell."""
    made, names, values = read(notebook), {"__name__": "__main__"}, list[Any]()
    for count, cell in enumerate((c for c in made["cells"] if c["cell_type"] == "code"), 1):
        with redirect_stdout(io.StringIO()) as printed:
            values.append(await run("".join(cell["source"]), cell["id"], names))
        cell["outputs"] = outputs(printed.getvalue(), values[-1], count)
        cell["execution_count"] = count
    return made, values


def outputs(printed: str, value: Any, count: int) -> list[dict[str, Any]]:
    """What a cell prints, and its last value, as a notebook keeps them."""
    kept: list[dict[str, Any]] = []
    if printed:
        lines = printed.splitlines(keepends=True)
        kept.append({"name": "stdout", "output_type": "stream", "text": lines})
    if value is not None:
        shown = repr(value) if isinstance(value, str) else pformat(value, width=100)
        kept.append(
            {
                "data": {"text/plain": shown.splitlines(keepends=True)},
                "execution_count": count,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return kept


def rounded(notebook: dict[str, Any]) -> str:
    """A notebook with four digits of each fraction: the last one is the processor's."""
    return re.sub(r"\d+\.\d{4,}", lambda found: f"{float(found[0]):.4f}", dumped(notebook))


def dumped(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in NOTEBOOKS:
        path.write_text(dumped(asyncio.run(executed(path))[0]), encoding="utf-8")
