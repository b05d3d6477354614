"""What was measured, as tables and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.bars import BLUE, GREY, LIGHT, Bar, Panel, save
from benchmarks.retrieval.figures import Figures, Gain, Place
from benchmarks.retrieval.labelled import SETS, LabelledSet
from benchmarks.retrieval.measuring import DENSE, HYBRID, RRF, WORDS
from benchmarks.tables import markdown

Places: TypeAlias = Mapping[str, Mapping[str, Sequence[Place]]]
"""By the name of a set, by the name of a mode."""


GOALS: Final = {"questions": -0.01, "verses": -0.01, "names": 0.10}
"""By how much the nDCG of hybrid is to be above that of dense, at least."""

_SHOWN: Final = (DENSE, WORDS, HYBRID, RRF)
_COLOURS: Final = {HYBRID: BLUE, RRF: LIGHT}


def tables(places: Places) -> dict[str, str]:
    """All tables, by the names that the page knows them by."""
    head = ("", "hit@1", "hit@5", "MRR", "nDCG", "nDCG, against dense")
    made = {
        f"retrieval_{name}": markdown(
            (_title(name), *head[1:]), (_row(mode, by_mode) for mode in by_mode)
        )
        for name, by_mode in places.items()
    }
    made["retrieval_goals"] = markdown(("goal", "figure", "met"), _goals(places))
    made["retrieval_kinds"] = markdown(("nDCG", *_SHOWN), _kinds(places))
    return made


def draw(places: Places, path: Path) -> None:
    """The nDCG of each mode on each set; a line where hybrid is to be."""
    grid = []
    for name, by_mode in places.items():
        dense = Figures.of(by_mode[DENSE]).ndcg
        bars = []
        for mode in _SHOWN:
            ndcg = Figures.of(by_mode[mode]).ndcg
            goal = dense + GOALS[name] if mode == HYBRID and name in GOALS else None
            bars.append(Bar(mode, ndcg, f"{ndcg:.3f}", _COLOURS.get(mode, GREY), goal))
        said = f"{_title(name)}, nDCG{' (line: goal)' if name in GOALS else ''}"
        grid.append([Panel(said, bars)])
    save(grid, path)


def _title(name: str) -> str:
    labelled = LabelledSet.load(name)
    return SETS[name].format(len(labelled.queries), len(labelled.documents))


def _row(mode: str, by_mode: Mapping[str, Sequence[Place]]) -> list[str]:
    figures = [f"{figure:.3f}" for figure in Figures.of(by_mode[mode])]
    return [mode, *figures, "" if mode == DENSE else _gain(by_mode[mode], by_mode[DENSE])]


def _gain(places: Sequence[Place], others: Sequence[Place]) -> str:
    gain = Gain.between(places, others)
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def _goals(places: Places) -> Iterator[list[str]]:
    for name, least in GOALS.items():
        if name in places:
            hybrid, dense = places[name][HYBRID], places[name][DENSE]
            met = Gain.between(hybrid, dense).mean >= least
            text = f"hybrid against dense, {_title(name)}: ≥ {least:+.2f}"
            yield [text, _gain(hybrid, dense), "yes" if met else "no"]


def _kinds(places: Places) -> Iterator[list[str]]:
    for name, by_mode in places.items():
        for kind, numbers in LabelledSet.load(name).kinds():
            some = {mode: [by_mode[mode][number] for number in numbers] for mode in _SHOWN}
            figures = [f"{Figures.of(some[mode]).ndcg:.3f}" for mode in _SHOWN]
            yield [f"{len(numbers)} {kind}", *figures]
