"""Memory of a long write: a million vectors out of a generator, in one call.

``python -m benchmarks.memory [vectors] [--sink server] [--trace]`` writes 1,000,000 vectors (384
dimensions) by `Index.upsert`, and as many texts of about 300 characters by the LangChain store,
each in a process of its own: into a directory, or to a server in another process that keeps
nothing. Flat means: from a fifth of the way on, no more grows than the ids that are returned.
``--trace`` tells which lines hold what was allocated since then; with it all takes much longer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from langchain_core.embeddings import Embeddings

from benchmarks.loopback import ACCOUNT, DIMENSIONS, INDEX, TOKEN, Server, metadata, text
from langchain_vectorize import VectorizeVectorStore
from vectorize_core import BatchReport, Vector, VectorizeClient
from vectorize_core.models import Values

LIMIT_MB = 400
Way = Literal["Index.upsert", "store.add_texts"]


class Repeating(Embeddings):
    """The same vectors again and again, each time in new lists, as a model makes them."""

    def __init__(self, rows: Values) -> None:
        self._rows = rows

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        values: list[float] = self._rows[hash(text) % len(self._rows)].tolist()
        return values


class Sample(NamedTuple):
    """Resident memory of this process in MB (Linux; 0 elsewhere), mapped files apart."""

    written: int
    own: float
    files: float


class Outcome(NamedTuple):
    """The memory of a process that writes, in MB; ``growth`` names the lines that allocated it."""

    samples: list[Sample]
    seconds: float
    ids: float
    peak: float
    growth: list[str]


class Watch:
    """Notes the memory after each batch, and with ``trace`` which lines allocated it."""

    def __init__(self, total: int, *, trace: bool) -> None:
        self.samples = [sample(0)]
        self.growth: list[str] = []
        self._total = total
        self._early: tracemalloc.Snapshot | None = None
        if trace:
            tracemalloc.start()

    def __call__(self, report: BatchReport) -> None:
        self.samples.append(sample(report.written))
        if not tracemalloc.is_tracing():
            return
        if self._early is None and report.written >= self._total // 5:
            self._early = tracemalloc.take_snapshot()
        elif self._early is not None and report.written == self._total:
            grown = tracemalloc.take_snapshot().compare_to(self._early, "lineno")
            self.growth = [str(difference) for difference in grown[:8]]


def sample(written: int) -> Sample:
    """The memory now."""
    status = Path("/proc/self/status")
    if not status.exists():
        return Sample(written, 0.0, 0.0)
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    own, files = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("RssAnon", "RssFile"))
    return Sample(written, own, files)


def peak() -> float:
    """The most that this process ever had in memory, in MB; 0 on Windows."""
    if sys.platform == "win32":
        return 0.0
    import resource  # noqa: PLC0415 (Windows has none)

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def write(pipe: Connection, way: Way, total: int, where: str, trace: bool) -> None:
    """Write into a directory, or to the server at an address; send the `Outcome`."""
    rows = np.random.default_rng(0).standard_normal((1_000, DIMENSIONS)).astype(np.float32)
    with connect(where) as client:
        watch, started = Watch(total, trace=trace), time.perf_counter()
        ids: list[str] = []
        if way == "Index.upsert":
            vectors = (
                Vector(f"id-{n}", rows[n % 1_000], None, {**metadata(n), "text": text(n)})
                for n in range(total)
            )
            client.index(INDEX).upsert(vectors, on_batch=watch)
        else:
            store = VectorizeVectorStore(Repeating(rows), client=client, index_name=INDEX)
            texts, metadatas = map(text, range(total)), map(metadata, range(total))
            ids = store.add_texts(texts, metadatas, on_batch=watch)
        seconds = time.perf_counter() - started
        ids_mb = (sys.getsizeof(ids) + sum(map(sys.getsizeof, ids))) / 1e6
        pipe.send(Outcome(watch.samples, seconds, ids_mb, peak(), watch.growth))


def connect(where: str) -> VectorizeClient:
    """A client with the index there."""
    if where.startswith("https:"):
        return VectorizeClient(ACCOUNT, TOKEN, base_url=where)
    client = VectorizeClient.local(where)
    client.create_index(INDEX, dimensions=DIMENSIONS, record_layout=True)
    return client


def measure(way: Way, total: int, sink: str, *, trace: bool) -> Outcome:
    """Write in a process that does nothing else."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with ExitStack() as stack:
        if sink == "server":
            where = stack.enter_context(Server()).base_url
        else:
            where = stack.enter_context(tempfile.TemporaryDirectory())
        process = context.Process(target=write, args=(theirs, way, total, where, trace))
        process.start()
        theirs.close()
        outcome: Outcome = pipe.recv()
        process.join()
    return outcome


def show(outcome: Outcome) -> None:
    """How memory went."""
    last = len(outcome.samples) - 1
    tenths = [outcome.samples[last * tenth // 10] for tenth in range(11)]
    for written, own, files in tenths:
        print(f"  {written:>9,} written  {own + files:7.1f} MB resident ({files:.1f} of it files)")
    for line in outcome.growth:
        print(f"    {line}")
    grown = tenths[-1].own - tenths[2].own
    print(f"  {grown:.1f} MB more than after a fifth; all ids returned take {outcome.ids:.1f} MB")
    verdict = "pass" if outcome.peak < LIMIT_MB else "FAIL"
    print(f"  {verdict}  peak {outcome.peak:.1f} MB (goal < {LIMIT_MB})")


def main() -> None:
    """Both ways to write."""
    parser = argparse.ArgumentParser(description="Memory of a long write.")
    parser.add_argument("vectors", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--sink", choices=("directory", "server"), default="directory")
    parser.add_argument("--way", choices=get_args(Way), help="only this one")
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    for way in get_args(Way) if options.way is None else (options.way,):
        print(f"{way}, {options.vectors:,} vectors, sink: {options.sink}")
        outcome = measure(way, options.vectors, options.sink, trace=options.trace)
        show(outcome)
        print(f"  {outcome.seconds:.0f} s\n")


if __name__ == "__main__":
    main()
