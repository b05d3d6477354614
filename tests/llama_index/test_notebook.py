"""docs/llama_index.ipynb runs, and shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import DOCS
from tests.notebooks import executed, read, rounded

NOTEBOOK = DOCS / "llama_index.ipynb"
SHOWN = (
    *("3", "1", "[(1941, ", "four essential human freedoms", "['Lincoln', 'Washington']"),
    *("year", "[1941, ", "[(1941, 256)]", "[1790, 1862]", "[1941]", "[1, 1941]", "[1, 0]"),
    "My cat is called Plato.",
    *("1 missing, 0 extra", "True", "'century': 1800", "(4, ['addresses'])", "0"),
)


async def test_the_notebook_shows_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran, shown = await executed(NOTEBOOK)
    assert rounded(ran) == rounded(read(NOTEBOOK)), "python -m tests.notebooks writes it anew"
    assert len({cell["id"] for cell in ran["cells"]}) == len(ran["cells"])
    seen = [str(value) for value in shown if value is not None]
    assert len(seen) == len(SHOWN)
    for value, part in zip(seen, SHOWN, strict=True):
        assert part in value
