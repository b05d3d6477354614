"""Ours and each peer that is installed, in the same rounds: four kinds of queries, one upsert."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.engine.bounds import nearest
from benchmarks.engine.data import FILTERS, INDEX, Corpus, in_batches, turning, vectors
from benchmarks.engine.peers import KINDS, installed
from benchmarks.engine.peers.chroma import Chroma
from benchmarks.engine.peers.faiss_flat import Faiss
from benchmarks.engine.peers.peer import Peer
from benchmarks.engine.peers.sqlite_vec import SqliteVec
from benchmarks.engine.results import Results, Timing
from benchmarks.engine.rounds import Rounds
from benchmarks.vectors import Rows

OURS = "ours"
_K, _JUDGED, _REPLACED = 10, 50, 5
_JUDGING = 5.0
"""Seconds for which recall is looked at, of each contender."""
Ask = Callable[[Any, int, dict[str, Any] | None], Sequence[str]]


def make(corpus: Corpus) -> list[Peer]:
    """The peers that are installed, with the vectors in them; they are made where they are not."""
    made = []
    for kind in installed():
        start = time.perf_counter()
        peer = kind(corpus.place(kind.name.replace(" ", "-")), corpus.size.dimensions)
        if peer.is_new:
            for first, rows in in_batches(corpus.rows):
                peer.add(range(first, first + len(rows)), rows)
            peer.finish()
            rate = corpus.size.count / (time.perf_counter() - start)
            print(f"- {peer.name}: {rate:,.0f} rows/s into it", flush=True)
        made.append(peer)
    return made


def measure(corpus: Corpus, part: str, results: Results, rounds: int = 15) -> None:
    """The rounds of one size."""
    service, peers = corpus.ours(), make(corpus)

    def ask(query: Any, k: int, wanted: dict[str, Any] | None) -> list[str]:
        found = service.query(INDEX, vector=query, top_k=k, filter=wanted)
        return [match.id for match in found.matches]

    contenders: dict[str, Ask] = {OURS: ask} | {peer.name: peer.query for peer in peers}
    for name, wanted in FILTERS.items():
        title = f"{corpus.size}, {name}, k = 10"
        results.rounds[f"peers.{part}.{name}"] = _queries(title, corpus, contenders, wanted, rounds)
    # The same vector again, so that what is found stays what it is.
    row, numbers = corpus.rows[_REPLACED : _REPLACED + 1], range(_REPLACED, _REPLACED + 1)
    turns = Rounds(f"{corpus.size}, one row upserted, durable where the peer can be")
    turns.add(OURS, lambda: service.upsert(INDEX, vectors(row, _REPLACED)))
    for peer in peers:
        turns.add(peer.name, partial(peer.add, numbers, row))
    turns.run(3 * rounds)
    results.rounds[f"peers.{part}.upsert"] = turns.timings()
    for peer in peers:
        peer.close()
    service.close()


def _queries(
    title: str,
    corpus: Corpus,
    contenders: Mapping[str, Ask],
    wanted: dict[str, Any] | None,
    rounds: int,
) -> list[Timing]:
    turns, asked, some = Rounds(title), turning(corpus.queries), corpus.queries[:_JUDGED]
    best = nearest(corpus.rows, some, _K, wanted)
    for name, ask in contenders.items():
        recall = _recall(_found(ask, some, wanted), best)
        turns.add(name, partial(_ask_next, ask, asked, wanted), recall)
    turns.run(rounds)
    return turns.timings()


def _ask_next(ask: Ask, asked: Iterator[Any], wanted: dict[str, Any] | None) -> None:
    ask(next(asked), _K, wanted)


def _found(ask: Ask, queries: Rows, wanted: dict[str, Any] | None) -> list[Sequence[str]]:
    """What the first queries find; of all, unless that takes too long."""
    found: list[Sequence[str]] = []
    until = time.perf_counter() + _JUDGING
    for query in queries:
        found.append(ask(query, _K, wanted))
        if time.perf_counter() > until:
            break
    return found


def _recall(found: Sequence[Sequence[str]], best: Sequence[set[str]]) -> float:
    pairs = list(zip(found, best, strict=False))
    hits = sum(len(them & set(names)) for names, them in pairs)
    return hits / max(1, sum(len(them) for _, them in pairs))


def judge(results: Results) -> None:
    """The figures that take several rows: the row that is the worst for ours."""
    durable = {kind.name for kind in KINDS if kind.durable and kind.exact}
    every, flat = tuple(FILTERS), Faiss.name
    _worst(results, "durable_peers", ("little", "middle"), every, durable)
    _worst(results, "faiss", ("little", "middle"), ("unfiltered", "half"), {flat})
    _worst(results, "faiss_selective", ("little",), ("percent", "mille"), {flat})
    _worst(results, "chroma", ("middle",), ("unfiltered",), {Chroma.name})
    for part in ("little", "middle"):
        _worst(results, f"sqlite_vec_upsert.{part}", (part,), ("upsert",), {SqliteVec.name})


def _worst(
    results: Results, key: str, parts: Sequence[str], kinds: Sequence[str], names: set[str]
) -> None:
    found: list[tuple[float, str]] = []
    for part in parts:
        for kind in kinds:
            rows: list[Timing] = results.rounds.get(f"peers.{part}.{kind}", [])
            found += [
                (1 / row.ratio, f"{row.name}, {results.sizes[part]}, {kind}")
                for row in rows
                if row.name in names
            ]
    if found:
        results.put(key, *max(found))
