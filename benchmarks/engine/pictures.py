"""Results as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.bars import BLUE, GREY, LIGHT, Bar, Grid, Panel, save
from benchmarks.engine.bounds import NUMPY
from benchmarks.engine.data import FILTERS
from benchmarks.engine.goals import GOALS
from benchmarks.engine.peers import KINDS
from benchmarks.engine.results import Results, Timing
from benchmarks.engine.searching import HUNDRED, OURS

_TITLES: Final = {
    "unfiltered": "no filter",
    "half": "a filter that half pass",
    "percent": "a filter that 1 % pass",
    "mille": "a filter that 0.1 % pass",
    "upsert": "one row upserted",
}


def draw(results: Results, directory: Path) -> list[Path]:
    """Write the pictures of what was measured, and say which."""
    directory.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Grid] = {
        "exact.svg": [[_exact(results)]],
        "calls.svg": [[_calls(results)]],
        "peers.svg": _peers(results),
    }
    drawn = []
    for name, grid in pictures.items():
        if all(panel.bars for row in grid for panel in row):
            save(grid, directory / name)
            drawn.append(directory / name)
    return drawn


def _exact(results: Results) -> Panel:
    goals = {goal.key: goal.limit for goal in GOALS}
    bars = []
    for part in ("middle", "wide", "large"):
        figure = results.figures.get(f"exact.{part}")
        if figure is not None:
            goal = goals[f"exact.{part}"]
            said = f"{figure.value:.2f}"
            bars.append(Bar(results.sizes[part], figure.value, said, goal=goal))
    numpy = [Bar(NUMPY, 1.0, "1", GREY)] if bars else []
    return Panel("An exact search, np.dot + argpartition = 1 (line: goal)", numpy + bars)


def _calls(results: Results) -> Panel:
    found = {row.name: row for row in results.rounds.get("search.large", [])}
    names = {
        NUMPY: "np.dot + argpartition, k = 10",
        OURS: "ours, k = 10",
        HUNDRED: "ours, k = 100 with metadata",
        f"{OURS}, half": "ours, half of the rows pass",
        f"{OURS}, percent": "ours, 1 % pass",
        f"{OURS}, mille": "ours, 0.1 % pass",
    }
    bars = [
        _bar(name, found[key], GREY if key == NUMPY else BLUE)
        for key, name in names.items()
        if found
    ]
    if "many.large" in results.rounds:
        _, at_once = results.rounds["many.large"]
        name, each = "ours, one of 100 at once", at_once.ms / 100
        bars.append(Bar(name, each, _milliseconds(each)))
    return Panel(f"Whole calls, {results.sizes['large']}, milliseconds", bars)


def _peers(results: Results) -> Grid:
    unlike = {kind.name for kind in KINDS if not (kind.durable and kind.exact)}
    grid = []
    for kind in (*FILTERS, "upsert"):
        row = []
        for part in ("little", "middle"):
            bars = [
                _bar(its.name, its, _colour(its.name, unlike))
                for its in results.rounds.get(f"peers.{part}.{kind}", [])
            ]
            row.append(Panel(f"{results.sizes[part]}, {_TITLES[kind]}", bars, is_logarithmic=True))
        grid.append(row)
    return grid


def _colour(name: str, unlike: set[str]) -> str:
    if name in unlike:
        return LIGHT
    return BLUE if name == OURS else GREY


def _bar(name: str, timing: Timing, colour: str) -> Bar:
    misses = timing.recall is not None and timing.recall < 0.9995
    recall = f", recall {timing.recall:.2f}" if misses else ""
    return Bar(name, timing.ms, f"{_milliseconds(timing.ms)}{recall}", colour)


def _milliseconds(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"
