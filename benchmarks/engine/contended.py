"""How long the slowest queries take where other programs want the processors for themselves."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.engine.bounds import NUMPY, numpy_scan
from benchmarks.engine.data import INDEX, Corpus, turning
from benchmarks.engine.results import Results
from benchmarks.engine.rounds import Rounds


def measure(corpus: Corpus, part: str, results: Results, rounds: int = 200) -> None:
    """The 99th percentile against the median, beside two processes that burn a processor each."""
    service, rows, asked = corpus.ours(), corpus.rows, turning(corpus.queries)
    # What peers have imported is no garbage; to look for some among it takes a tenth of a second.
    gc.collect()
    gc.freeze()
    with _burners(2):
        turns = Rounds(f"{corpus.size} beside two processes that burn a processor each")
        turns.add(NUMPY, lambda: numpy_scan(rows, next(asked), 10))
        turns.add("ours", lambda: service.query(INDEX, vector=next(asked), top_k=10))
        turns.run(rounds)
    results.rounds[f"contended.{part}"] = turns.timings()
    for key, name in (("contended", "ours"), ("contended_numpy", NUMPY)):
        results.put(f"{key}.{part}", turns.p99(name) / turns.seconds(name))
    service.close()


@contextmanager
def _burners(count: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [context.Process(target=_burn, args=(stop,), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(10)


def _burn(stop: Any) -> None:
    while not stop.is_set():
        sum(range(10_000))
