"""The benchmark of search by vectors and by words: its sets, figures, tables and picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.retrieval import publishing
from benchmarks.retrieval.figures import Figures, Gain, Place
from benchmarks.retrieval.html_pages import parsed, without_tags
from benchmarks.retrieval.labelled import DATA, SETS, LabelledSet, Query
from benchmarks.retrieval.measuring import MODES, measure
from tests.stores import Embedder, vector

PLACES: list[Place] = [0, 0, 1, 4, 9, None]


@pytest.mark.parametrize("name", SETS)
def test_every_query_of_a_set_has_an_answer_in_it(name: str) -> None:
    labelled = LabelledSet.load(name)
    assert len(labelled.queries) > 150
    assert {query.answer for query in labelled.queries} <= set(labelled.documents)
    assert all(labelled.documents.values())
    assert not {query.text for query in labelled.queries} & set(labelled.documents.values())


def test_answers_are_a_part_of_questions() -> None:
    part, whole = LabelledSet.load("answers"), LabelledSet.load("questions")
    assert part.queries == whole.queries
    assert part.documents.items() < whole.documents.items()
    assert set(part.documents) == {query.answer for query in part.queries}


def test_all_sets_together_are_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 1_000_000


def test_a_set_is_saved_as_it_is_loaded(tmp_path: Path) -> None:
    labelled = LabelledSet.load("verses")
    labelled.save(tmp_path)
    assert LabelledSet.load("verses", tmp_path) == labelled


def test_figures_are_those_worked_out_by_hand() -> None:
    figures = Figures.of(PLACES)
    assert figures.hit_1 == pytest.approx(2 / 6)
    assert figures.hit_5 == pytest.approx(4 / 6)
    assert figures.mrr == pytest.approx((1 + 1 + 1 / 2 + 1 / 5 + 1 / 10) / 6)
    assert figures.ndcg == pytest.approx((1 + 1 + 0.63093 + 0.38685 + 0.28906) / 6, abs=1e-5)
    assert Figures.of([None, None]) == (0, 0, 0, 0)


def test_a_gain_has_an_interval_that_is_the_same_each_time() -> None:
    better: list[Place] = [0, 0, 0, 0, 0, None]
    gain = Gain.between(better * 20, PLACES * 20)
    assert gain.mean == pytest.approx(Figures.of(better).ndcg - Figures.of(PLACES).ndcg)
    assert 0 < gain.low < gain.mean < gain.high < 1
    assert Gain.between(better * 20, PLACES * 20) == gain
    assert Gain.between(PLACES, PLACES) == (0, 0, 0)


def test_each_mode_is_measured_by_the_store() -> None:
    documents = {"first": "one green bottle", "second": "two red ones", "third": "three"}
    queries = [Query("green", "first"), Query("red ones", "second"), Query("four", "third")]
    embeddings = Embedder({query.text: vector(documents[query.answer]) for query in queries})
    measured = measure(LabelledSet("few", documents, queries), embeddings)
    assert measured.keys() == MODES.keys()
    assert measured["dense"] == measured["hybrid, alpha 0.8"] == [0, 0, 0]
    assert measured["words"] == [0, 0, None]


def test_a_page_is_read_as_a_reader_sees_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<section id="a"><h2>One &amp; two<a class="headerlink">¶</a></h2>\n'
        "<script>no()</script><p>Some<br>text\n <b>here</b>.</p></section>",
        encoding="utf-8",
    )
    (section,) = parsed(page).elements("section")
    assert section.id == "a"
    assert [element.text() for element in section.elements("h2", "p")] == [
        "One & two",
        "Sometext here.",
    ]
    assert without_tags("<p>a &lt; <b>b<p>c") == "a < b c"


def test_tables_say_whether_goals_are_met() -> None:
    count = len(LabelledSet.load("names").queries)
    found = {mode: [0] * count for mode in MODES}
    found["dense"] = [None] * count
    made = publishing.tables({"names": found})
    assert made["retrieval_goals"].endswith("| +1.000 (+1.000 to +1.000) | yes |")
    assert "| dense | 0.000 | 0.000 | 0.000 | 0.000 |  |" in made["retrieval_names"]
    assert "| 55 error numbers | 0.000 | 1.000 |" in made["retrieval_kinds"]


def test_the_picture_shows_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it draws the pictures; pip install '.[dev]'")
    path = tmp_path / "hybrid.svg"
    publishing.draw({"verses": dict.fromkeys(MODES, PLACES)}, path)
    picture = path.read_text(encoding="utf-8")
    assert picture.count(f"{Figures.of(PLACES).ndcg:.3f}") == 4
    assert "300 verses in other words, 1,137 verses" in picture
