"""docs/llama_index.ipynb runs, and shows what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.documents import cells, run

SHOWN = (
    *("3", "1", "[(1941, ", "four essential human freedoms", "['Lincoln', 'Washington']"),
    *("year", "[1941, ", "[1790, 1862]", "[1941]", "[1, 1941]", "[1, 0]"),
)


async def test_the_notebook_shows_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notebook"}
    shown = [
        await run(code, f"cell {number}", names)
        for number, code in enumerate(cells("llama_index.ipynb"))
    ]
    seen = [str(value) for value in shown if value is not None]
    assert len(seen) == len(SHOWN)
    for value, part in zip(seen, SHOWN, strict=True):
        assert part in value
