"""The notebook runs from its first cell to its last, and shows what it says."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from tests.documents import DOCS
from tests.notebooks import executed, read, rounded

NOTEBOOK = DOCS / "langchain.ipynb"


async def test_the_notebook_runs_cell_by_cell_and_shows_what_it_holds() -> None:
    ran, shown = await executed(NOTEBOOK)
    found = [[document.id for document in value] for value in shown if is_found(value)]
    assert found == [
        ["hen"],
        ["cat", "dog"],
        ["hen"],
        ["cat", "dog"],
        ["dog", "hen"],
        ["dog"],
        ["fish"],
        ["fish"],
        ["cat"],
    ]
    assert ["cat", "dog", "hen", "spider"] in shown
    assert 3 in shown
    assert ("cat", (256,)) in shown
    assert "1 missing, 0 extra, 0 changed" in shown
    assert ["hen"] in shown
    assert (7, ["animals"]) in shown
    assert (0, 5) in shown
    assert ["cat", "dog"] in [sorted(value) for value in shown if is_named(value)]
    assert rounded(ran) == rounded(read(NOTEBOOK)), "python -m tests.notebooks writes it anew"
    assert len({cell["id"] for cell in ran["cells"]}) == len(ran["cells"])


def is_found(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Document) for item in value)


def is_named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
