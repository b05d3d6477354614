"""Exact search beside what a dozen lines of numpy take: k, filters, and many queries at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.engine import page_cache
from benchmarks.engine.bounds import NUMPY, numpy_scan, read_all
from benchmarks.engine.data import FILTERS, INDEX, Corpus, turning
from benchmarks.engine.results import Results
from benchmarks.engine.rounds import Rounds

OURS, HUNDRED, READ = "ours", "ours, 100 with metadata", "two threads read"


def measure(corpus: Corpus, part: str, results: Results, rounds: int) -> None:
    """All kinds of queries of one index, in the same rounds."""
    corpus.ours().close()
    page_cache.reread(corpus.place("ours"))
    service, rows, asked = corpus.ours(), corpus.rows, turning(corpus.queries)

    def query(**more: Any) -> Callable[[], Any]:
        return lambda: service.query(INDEX, vector=next(asked), **more)

    with ThreadPoolExecutor(2) as pool:
        turns = Rounds(f"{corpus.size}, whole calls, k = 10")
        turns.add(NUMPY, lambda: numpy_scan(rows, next(asked), 10))
        turns.add(READ, lambda: read_all(rows, pool))
        turns.add(OURS, query(top_k=10))
        turns.add(HUNDRED, query(top_k=100, return_metadata="indexed"))
        for name, wanted in FILTERS.items():
            if wanted is not None:
                turns.add(f"{OURS}, {name}", query(top_k=10, filter=wanted))
        turns.run(rounds)
    results.rounds[f"search.{part}"] = turns.timings()
    results.put(f"exact.{part}", turns.ratio(OURS))
    results.put(f"reading.{part}", turns.ratio(OURS, READ))
    results.put(f"hundred.{part}", turns.ratio(HUNDRED, OURS))
    for name, wanted in FILTERS.items():
        if wanted is not None:
            results.put(f"{name}.{part}", turns.ratio(f"{OURS}, {name}", OURS))

    together = Rounds(f"{corpus.size}, 100 queries")
    some = list(corpus.queries[:100])
    together.add("one after the other", lambda: [query(top_k=10)() for _ in some])
    together.add("at once", lambda: service.query_many(INDEX, some, top_k=10))
    together.run(min(3, rounds))
    results.rounds[f"many.{part}"] = together.timings()
    results.put(f"many.{part}", together.ratio("at once"))
    service.close()
