"""Tables of results."""

from __future__ import annotations

from typing import Final

from benchmarks.engine import goals
from benchmarks.engine.data import FILTERS
from benchmarks.engine.results import Results, Timing
from benchmarks.tables import markdown

_QUERIES: Final = {"unfiltered": "none", "half": "half", "percent": "1 %", "mille": "0.1 %"}
_OTHER: Final = {
    "reading.large": "exact, {large}, against two threads that read the values",
    "reading.middle": "the same, {middle}",
    "half.middle": "a filter that half of the rows pass, against none, {middle}",
    "percent.middle": "a filter that 1 % pass, {middle}",
    "mille.middle": "a filter that 0.1 % pass, {middle}",
    "many.middle": "100 queries at once, against one after the other, {middle}",
    "contended_numpy.large": "`np.dot`: p99 against p50 beside two that burn a CPU, {large}",
    "contended_numpy.middle": "the same, {middle}",
    "upsert_mean": "one row upserted, against a bare commit of SQLite, means instead of medians",
    "ingest_rows": "durable ingest, rows a second",
    "ingest_rows_bare": "the bare write loop, rows a second",
    "opened.large": "opening {large}, seconds",
    "warm.large": "first answer of {large}, files in the page cache, seconds",
    "cold.large": "the same, page cache dropped, seconds",
    "cold_values.large": "part of the values in the page cache afterwards",
    "memory_with_filter.large": "private memory, bytes a vector, with a filtered property, {large}",
    "real": "exact on embeddings of text, against `np.dot` + `argpartition`",
}


def tables(results: Results) -> dict[str, str]:
    """All tables by the names that pages know them by."""
    return {
        "versions": _versions(results),
        "goals": markdown(("goal", "figure", "met"), goals.table(results)),
        "calls": _calls(results),
        "peers": _peers(results),
        "other": markdown(("", "figure"), _other(results)),
    }


def _versions(results: Results) -> str:
    return ", ".join(f"{name} {version}" for name, version in results.versions.items())


def _calls(results: Results) -> str:
    found = {part: results.rounds.get(f"search.{part}") for part in ("middle", "wide", "large")}
    by_part = {part: {row.name: row for row in rows} for part, rows in found.items() if rows}
    names = list(next(iter(by_part.values()), {}))
    rows = [[name, *(_call(rows[name]) for rows in by_part.values())] for name in names]
    for number, title in enumerate(("100 queries, one after the other", "100 queries at once")):
        many = [results.rounds.get(f"many.{part}") for part in by_part]
        rows.append([title, *("" if each is None else f"{each[number].ms:,.0f}" for each in many)])
    return markdown(("ms", *(results.sizes[part] for part in by_part)), rows)


def _call(timing: Timing) -> str:
    return f"{timing.ms:.1f} ({timing.ratio:.2f})"


def _peers(results: Results) -> str:
    kinds = (*FILTERS, "upsert")
    keys = [(part, kind) for part in ("little", "middle") for kind in kinds]
    found = {key: results.rounds.get(f"peers.{key[0]}.{key[1]}") for key in keys}
    measured = {key: rows for key, rows in found.items() if rows}
    names = [row.name for row in next(iter(measured.values()), [])[1:]]
    lines = []
    for (part, kind), (ours, *rows) in measured.items():
        what = "one upsert" if kind == "upsert" else f"filter: {_QUERIES[kind]}"
        cells = {row.name: f"{_number(row.ratio, 2)}{_recall(row)}" for row in rows}
        first = f"{ours.ms:.2f}{_recall(ours)}"
        lines.append([results.sizes[part], what, first, *(cells.get(n, "") for n in names)])
    return markdown(("", "", "ours, ms", *names), lines)


def _recall(timing: Timing) -> str:
    misses = timing.recall is not None and timing.recall < 0.9995
    return f" (recall {timing.recall:.3f})" if misses else ""


def _number(value: float, digits: int = 3) -> str:
    """A number without an exponent."""
    return f"{value:,.0f}" if value >= 10**digits else f"{value:.{digits}g}"


def _other(results: Results) -> list[tuple[str, str]]:
    return [
        (text.format(**results.sizes), _number(results.figures[key].value))
        for key, text in _OTHER.items()
        if key in results.figures
    ]
