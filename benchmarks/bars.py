"""Bars below titles, as small SVG files that are the same for the same figures.

They bring their own light background, so they can be read on a dark page too.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

BLUE, GREY, LIGHT = "#0969da", "#8c959f", "#d0d7de"
"""Of what is ours, of what it is compared with, of what does not do the same."""

_GOAL: Final = "#bc4c00"
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


class Bar(NamedTuple):
    """One line of a picture: its name, how long it is, what is written behind it."""

    name: str
    length: float
    said: str
    colour: str = BLUE
    goal: float | None = None


class Panel(NamedTuple):
    """Bars below one title; a logarithmic one compares what differs by magnitudes."""

    title: str
    bars: Sequence[Bar]
    is_logarithmic: bool = False


Grid = Sequence[Sequence[Panel]]
"""Rows of panels; those of one row have the same names."""


def save(grid: Grid, path: Path) -> None:
    """Write a picture; needs matplotlib."""
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
