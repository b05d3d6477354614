"""The notebook runs from its first cell to its last, and shows what it says."""

from __future__ import annotations

import json
from typing import Any

from langchain_core.documents import Document

from tests.documents import DOCS, cells, run


async def test_the_notebook_runs_cell_by_cell() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [await run(code, "langchain.ipynb", names) for code in cells("langchain.ipynb")]
    found = [[document.id for document in value] for value in shown if is_found(value)]
    assert found == [
        ["hen"],
        ["cat", "dog"],
        ["hen"],
        ["dog", "hen"],
        ["dog"],
        ["fish"],
        ["fish"],
        ["cat"],
    ]
    assert ["cat", "dog", "hen", "spider"] in shown
    assert 3 in shown
    assert ["cat", "dog"] in [sorted(value) for value in shown if is_named(value)]


def is_found(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Document) for item in value)


def is_named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads((DOCS / "langchain.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
