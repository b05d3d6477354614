"""Results as pictures: small SVG files that are the same for the same results.

They bring their own light background, so they can be read on a dark page too.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.engine.bounds import NUMPY
from benchmarks.engine.data import FILTERS
from benchmarks.engine.goals import GOALS
from benchmarks.engine.peers import KINDS
from benchmarks.engine.results import Results, Timing
from benchmarks.engine.searching import HUNDRED, OURS

_STYLE: Final = {
    # Text stays text, and what is numbered is numbered alike each time.
    "svg.fonttype": "none",
    "svg.hashsalt": "vectorize-stores",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "text.color": "#24292f",
    "ytick.color": "#24292f",
    "ytick.major.size": 0,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
    "axes.edgecolor": "#8c959f",
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
}
_OURS, _OTHERS, _UNLIKE, _GOAL = "#0969da", "#8c959f", "#d0d7de", "#bc4c00"
_TITLES: Final = {
    "unfiltered": "no filter",
    "half": "a filter that half pass",
    "percent": "a filter that 1 % pass",
    "mille": "a filter that 0.1 % pass",
    "upsert": "one row upserted",
}


class Bar(NamedTuple):
    """One line of a picture: its name, how long it is, what is written behind it."""

    name: str
    length: float
    said: str
    colour: str = _OURS
    goal: float | None = None


class Panel(NamedTuple):
    """Bars below one title; a logarithmic one compares what differs by magnitudes."""

    title: str
    bars: Sequence[Bar]
    is_logarithmic: bool = False


Grid = Sequence[Sequence[Panel]]
"""Rows of panels; those of one row have the same names."""


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
            _save(grid, directory / name)
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
    numpy = [Bar(NUMPY, 1.0, "1", _OTHERS)] if bars else []
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
        _bar(name, found[key], _OTHERS if key == NUMPY else _OURS)
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
        return _UNLIKE
    return _OURS if name == OURS else _OTHERS


def _bar(name: str, timing: Timing, colour: str) -> Bar:
    misses = timing.recall is not None and timing.recall < 0.9995
    recall = f", recall {timing.recall:.2f}" if misses else ""
    return Bar(name, timing.ms, f"{_milliseconds(timing.ms)}{recall}", colour)


def _milliseconds(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"


def _save(grid: Grid, path: Path) -> None:
    # Loaded here: who only measures does not need it.
    matplotlib: Any = importlib.import_module("matplotlib")
    figures: Any = importlib.import_module("matplotlib.figure")
    with matplotlib.rc_context(_STYLE):
        heights = [0.8 + len(row[0].bars) for row in grid]
        figure = figures.Figure(figsize=(8, 0.1 + 0.25 * sum(heights)), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.05)
        axes = figure.subplots(len(grid), len(grid[0]), squeeze=False, height_ratios=heights)
        for panels, row in zip(grid, axes, strict=True):
            for number, (panel, axis) in enumerate(zip(panels, row, strict=True)):
                _fill(axis, panel, with_names=number == 0)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _fill(axis: Any, panel: Panel, *, with_names: bool) -> None:
    places = range(len(panel.bars))
    lengths = [bar.length for bar in panel.bars]
    shortest, longest = min(lengths), max(lengths)
    # Room on the right for what is written behind the longest.
    begin, end = 0.0, longest * 1.2
    if panel.is_logarithmic:
        axis.set_xscale("log")
        begin = shortest / 2
        end = longest * (longest / begin) ** 0.45
    widths = [length - begin for length in lengths]
    axis.barh(places, widths, 0.72, begin, color=[bar.colour for bar in panel.bars])
    for place, bar in zip(places, panel.bars, strict=True):
        behind = {"xytext": (4, 0), "textcoords": "offset points", "va": "center_baseline"}
        axis.annotate(bar.said, (bar.length, place), **behind)
        if bar.goal is not None:
            axis.plot([bar.goal] * 2, [place - 0.42, place + 0.42], color=_GOAL, linewidth=2)
    axis.set_title(panel.title)
    axis.set_xlim(begin, end)
    axis.set_xticks([])
    axis.minorticks_off()
    axis.set_yticks(places, [bar.name if with_names else "" for bar in panel.bars])
    axis.invert_yaxis()
