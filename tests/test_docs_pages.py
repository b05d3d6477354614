"""The code of the pages on starting, costs and production runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.documents import DOCS, examples, run
from tests.stores import DIMENSIONS, Embedder, vector
from vectorize_core import estimate_cost
from vectorize_core.local.server import BackgroundServer

COSTS = (DOCS / "costs.md").read_text(encoding="utf-8")
HYBRID = (DOCS / "hybrid.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_the_home_page() -> None:
    (code,) = examples("index.md").values()
    moon = "We choose to go to the moon"
    names: dict[str, Any] = {"embeddings": Embedder({"Who went to the moon?": vector(moon)})}
    await run(code, "index.md", names)
    assert names["found"].page_content == moon
    names["store"].close()


def test_the_pages_read_in_order_make_no_index_twice() -> None:
    """One of another kind, or of another model, cannot be where the reader's first one is."""
    pages = (DOCS.parent / "README.md", *DOCS.glob("*.md"))
    made = [
        name
        for page in pages
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        for name in re.findall(
            r"(?:= |with )VectorizeVectorStore\([^\")]*\"([^\"]+)\",\s+path=\"\./vectors\"", block
        )
    ]
    assert len(made) >= 9
    assert sorted(made) == sorted({*made})


async def test_costs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = examples("costs.md").values()
    await run(code, "costs.md", {})
    assert capsys.readouterr().out.split() == " ".join(re.findall(r"\)  # (.*)", code)).split()


def test_the_table_of_costs() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| (.*) \|$", COSTS, re.MULTILINE)
    assert [row[0] for row in rows] == ["10,000", "1,000,000", "10,000,000"]
    for chunks, cells in rows:
        *vectors, first, later = cells.split(" | ")
        many = int(chunks.replace(",", ""))
        for dimensions, shown in zip((384, 768, 1_536), vectors, strict=True):
            assert shown == f"{estimate_cost(many, dimensions, queries=100_000).total:.2f}"
        for shown, added in (first, many), (later, 0):
            found = estimate_cost(many, 384, queries=100_000, text_index=True, added=added)
            too_large = found.bytes_stored > 10_000_000_000
            assert shown == ("too large" if too_large else f"{found.d1:.2f}")


def test_the_rows_of_a_text_index_are_those_that_were_counted() -> None:
    new = estimate_cost(0, 1, text_index=True, added=1)
    assert f"| a new record | {new.rows_read} | {new.rows_written} |" in HYBRID
    again = estimate_cost(0, 1, text_index=True, replaced=1)
    assert f"| a record that is replaced | {again.rows_read} | {again.rows_written} |" in HYBRID
    asked = estimate_cost(0, 1, text_index=True, queries=1)
    assert f"namespace | {asked.rows_read} for a question of ten words" in HYBRID


async def test_production(monkeypatch: pytest.MonkeyPatch) -> None:
    (deployed,) = examples("production.md").values()
    names: dict[str, Any] = {"embeddings": Embedder()}
    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        await run(deployed.replace("384", f"{DIMENSIONS}"), "production.md", names)
        with names["store"] as store:
            store.add_texts(["one", "two" * 5_000], wait="visible")
            assert len(store.similarity_search("one")) == 2
            assert store.count({"year": {"$gte": 1960}}) == 0
