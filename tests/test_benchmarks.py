"""The benchmark of the engine, with hardly any vectors: its goals, its tables and its pictures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.engine import goals, publishing, searching, writing
from benchmarks.engine.bounds import nearest
from benchmarks.engine.data import FILTERS, INDEX, Corpus
from benchmarks.engine.results import Figure, Results, Timing
from benchmarks.engine.sizes import Size, Sizes

SIZES = Sizes(*[Size(300, 32)] * 4)
TIMING = Timing("ours", 2.0, 1.0, 3.0, 2.0, 1.0, 1.0, recall=0.9)
PAGE = """Text.

<!-- goals -->
The last ones.
<!-- /goals -->

More text.

<!-- peers -->
<!-- /peers -->
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What a search and a write took."""
    folder = tmp_path_factory.mktemp("bench")
    corpus, found = Corpus(folder, SIZES.large), Results.resume(SIZES, folder / "results.json")
    searching.measure(corpus, "large", found, rounds=1)
    writing.measure(corpus, found, batches=3, rounds=1)
    return found


def test_what_is_measured_has_its_goal(results: Results) -> None:
    judged = dict(zip([goal.key for goal in goals.GOALS], goals.table(results), strict=True))
    for key in ("exact.large", "many.large", "ingest", "upsert"):
        _, figure, met = judged[key]
        assert float(figure) > 0
        assert met in {"yes", "no"}
    assert judged["chroma"][1:] == ("not measured", "")
    assert "300 x 32" in judged["exact.large"][0]


@pytest.mark.parametrize(
    ("key", "value", "met"),
    [("exact.large", 0.4, "yes"), ("exact.large", 0.41, "no"), ("ingest", 0.4, "no")],
)
def test_a_goal_is_met_up_to_its_limit(key: str, value: float, met: str) -> None:
    found = Results({part: str(size) for part, size in SIZES.parts().items()})
    found.figures[key] = Figure(value)
    judged = dict(zip([goal.key for goal in goals.GOALS], goals.table(found), strict=True))
    assert judged[key][2] == met


def test_results_are_kept_and_added_to(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "results.json")
    again = Results.resume(SIZES, tmp_path / "results.json")
    assert again == results
    assert not Results.resume(Sizes(), tmp_path / "results.json").figures


def test_a_page_gets_its_tables(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    for _ in range(2):
        tables.fill(page, publishing.tables(results))
        text = page.read_text(encoding="utf-8")
        assert text.startswith("Text.\n\n<!-- goals -->\n\n| goal | figure | met |")
        assert "| not measured |" in text
        assert "The last ones." not in text
        assert text.count("More text.") == text.count("<!-- /peers -->") == 1


def test_recall_is_judged_by_what_a_filter_lets_through(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, SIZES.large)
    with closing(corpus.ours()) as service:
        for wanted in FILTERS.values():
            best = nearest(corpus.rows, corpus.queries[:3], 5, wanted)
            for query, ids in zip(corpus.queries, best, strict=False):
                found = service.query(INDEX, vector=query, top_k=5, filter=wanted)
                assert {match.id for match in found.matches} == ids


def test_what_was_measured_is_drawn_the_same_each_time(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it draws the pictures; pip install '.[dev]'")
    from benchmarks.engine import pictures

    kinds, parts = (*FILTERS, "upsert"), ("little", "middle")
    beside = {f"peers.{part}.{kind}": [TIMING] for part in parts for kind in kinds}
    exact, peers = pictures.draw(replace(results, rounds=beside), tmp_path / "once")
    (again,) = pictures.draw(replace(results, rounds={}), tmp_path / "twice")
    assert (exact.name, peers.name) == ("exact.svg", "peers.svg")
    assert exact.read_bytes() == again.read_bytes()
    assert b"dc:date" not in exact.read_bytes()
    assert "recall 0.90" in peers.read_text(encoding="utf-8")
