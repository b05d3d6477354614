"""What was aimed at, and whether it is reached."""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.engine.results import Results


class Goal(NamedTuple):
    """A bound of one figure. ``text`` names sizes by their parts, such as "{large}"."""

    key: str
    text: str
    limit: float
    at_least: bool = False

    @property
    def bound(self) -> str:
        """The limit in signs."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"

    def is_met_by(self, value: float) -> bool:
        """Whether a figure keeps to it."""
        return value >= self.limit if self.at_least else value <= self.limit


GOALS: Final = (
    Goal("exact.large", "exact, k = 10, against `np.dot` + `argpartition`, {large}", 0.40),
    Goal("exact.wide", "the same, {wide}", 0.40),
    Goal("exact.middle", "the same, {middle}", 0.80),
    Goal("hundred.large", "100 with ids and metadata, against k = 10, {large}", 1.3),
    Goal("hundred.middle", "the same, {middle}", 1.3),
    Goal("half.large", "a filter that half of the rows pass, against none, {large}", 1.3),
    Goal("percent.large", "a filter that 1 % pass, {large}", 0.25),
    Goal("mille.large", "a filter that 0.1 % pass, {large}", 0.15),
    Goal("many.large", "100 queries at once, against one after the other, {large}", 0.35),
    Goal("contended.large", "p99 against p50 beside two processes that burn a CPU, {large}", 2),
    Goal("contended.middle", "the same, {middle}", 2),
    Goal("cold_read.large", "cold first answer: bytes read, against those of the codes", 1.1),
    Goal("durable_peers", "queries, against every durable exact peer: the worst row", 1),
    Goal("faiss", "against FAISS flat, no filter and half: the worst row", 1),
    Goal("faiss_selective", "against FAISS flat, 1 % and 0.1 %, {little}: the worst row", 2),
    Goal("chroma", "against Chroma's HNSW, {middle}", 1.5),
    Goal("upsert", "one row upserted, against a bare commit of SQLite", 2),
    Goal("sqlite_vec_upsert.little", "one row upserted, against sqlite-vec, {little}", 1),
    Goal("sqlite_vec_upsert.middle", "the same, {middle}", 1),
    Goal("ingest", "rows a second, durable, of those of a bare write loop", 0.45, at_least=True),
    Goal("memory.large", "private memory, bytes a vector, {large}", 40),
    Goal("disk.large", "files, against values and SQLite alone", 1.26),
)


def table(results: Results) -> list[tuple[str, str, str]]:
    """For each goal its text with the bound, the figure, and whether it is met."""
    rows = []
    for goal in GOALS:
        text, figure = goal.text.format(**results.sizes), results.figures.get(goal.key)
        if figure is None:
            said, met = "not measured", ""
        else:
            note = f" ({figure.note})" if figure.note else ""
            said, met = f"{figure.value:.3g}{note}", "yes" if goal.is_met_by(figure.value) else "no"
        rows.append((f"{text}: {goal.bound}", said, met))
    return rows
