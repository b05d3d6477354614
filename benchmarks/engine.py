"""The engine under the embedded Vectorize, beside what bounds it and beside its peers.

    python -m benchmarks.engine --sizes 10000,100000 --peers
    python -m benchmarks.engine --sizes 1000000
    python -m benchmarks.engine --real embeddings.npy

Contenders take turns, so that what else the machine does falls on all alike: read the ratios, and
on a machine that others use those of the processors' time (all threads of this process). Each
time is that of a whole call, from the query vector to ids, scores and what was asked for. Peers are
those that are installed. Directories are made under --data, and used again.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

# After a product on two threads OpenBLAS lets one of them spin for 25 ms, on a processor that the
# next contender needs. This makes it sleep at once; the product itself takes as long.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np

from benchmarks import peers
from benchmarks.vectors import Clustered, Rows
from vectorize_core.local import Service, value_store
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS = 384
BATCH = 1_000
ROUNDS = 21
TEXT = (
    "A sentence or two of text, as long as a chunk of a manual that is kept with its vector. " * 2
)
Call = Callable[[], Any]


def metadata(number: int) -> dict[str, Any]:
    """What a vector has: text, and numbers by which a half, a hundredth, a thousandth is chosen."""
    return {"text": TEXT, "half": number % 2, "percent": number % 100, "mille": number % 1000}


class Turns:
    """Contenders that take turns; the first one is what the others are compared with."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._calls: dict[str, Call] = {}
        self.times: dict[str, list[float]] = {}
        self.computed: dict[str, list[float]] = {}
        self._notes: dict[str, str] = {}

    def add(self, name: str, call: Call, note: str = "") -> None:
        """A contender; its first call is not counted."""
        call()
        self._calls[name], self._notes[name] = call, note
        self.times[name], self.computed[name] = [], []

    def run(self, rounds: int = ROUNDS) -> None:
        """Let all of them have ``rounds`` turns, and print a table."""
        gc.collect()
        for number in range(rounds):
            names = list(self._calls)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                start, computed = time.perf_counter(), time.process_time()
                self._calls[name]()
                self.times[name].append(time.perf_counter() - start)
                self.computed[name].append(time.process_time() - computed)
        self.show()

    def show(self) -> None:
        """Medians, bests, 99th percentiles; ratios to the first, by wall and by processor."""
        print(f"\n**{self.title}**\n")
        print("| | ms | best | p99 | CPU ms | ratio | of bests | of CPU | |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        best = min(next(iter(self.times.values())))
        for name, times in self.times.items():
            p99 = sorted(times)[min(len(times) - 1, round(len(times) * 0.99))]
            figures = [median(times), min(times), p99, median(self.computed[name])]
            cells = [f"{seconds * 1e3:.2f}" for seconds in figures]
            cells += [f"{self.ratio(name):.3f}", f"{min(times) / best:.3f}"]
            cells += [f"{self.ratio(name, of=self.computed):.3f}"]
            print("|", " | ".join([name, *cells, self._notes[name]]), "|", flush=True)

    def ratio(
        self, name: str, beside: str | None = None, of: dict[str, list[float]] | None = None
    ) -> float:
        """The median of the ratios of each round."""
        figures = self.times if of is None else of
        first = figures[next(iter(figures)) if beside is None else beside]
        return median(a / b for a, b in zip(figures[name], first, strict=True))


def turning(rows: Rows) -> Iterator[Any]:
    """One query after the other, for ever."""
    return iter(cycle(rows))


def numpy_scan(rows: Rows, query: Any, k: int) -> Any:
    """What a dozen lines of numpy do."""
    scores = np.dot(rows, query)
    best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
    return best[np.argsort(-scores[best])]


def read_all(rows: Rows, pool: ThreadPoolExecutor, threads: int = 2) -> None:
    """Read every byte once, on two threads, doing next to nothing with it."""
    words = rows.reshape(-1).view(np.uint64)
    parts = np.array_split(words, threads * 8)
    list(pool.map(np.bitwise_xor.reduce, parts))


def ours(directory: Path, count: int, source: Clustered) -> Service:
    """An index of ``count`` vectors, made if it is not there."""
    fresh = not (directory / "done").exists()
    if fresh:
        shutil.rmtree(directory, ignore_errors=True)
    service = Service(directory)
    if fresh:
        service.create_index("docs", IndexConfig(DIMENSIONS))
        for name in ("half", "percent", "mille"):
            service.create_metadata_index("docs", name, "number")
        for number, rows in enumerate(source.batches(count, BATCH)):
            service.upsert("docs", list(as_vectors(rows, number * BATCH)))
        (directory / "done").touch()
    return service


def values_of(directory: Path, count: int) -> Rows:
    """All values, in anonymous memory."""
    (path,) = directory.glob("vectors-*-1-0.f32")
    return np.fromfile(path, "<f4", count * DIMENSIONS).reshape(count, DIMENSIONS)


def as_vectors(rows: Rows, start: int) -> Iterable[Vector]:
    return (Vector(f"id{start + i}", row, None, metadata(start + i)) for i, row in enumerate(rows))


def search(count: int, data: Path, source: Clustered, with_peers: bool) -> None:
    service = ours(data / f"ours-{count}", count, source)
    queries = source.rows(500, 10**6)
    rows = values_of(data / f"ours-{count}", count)
    asked = turning(queries)

    def query(**more: Any) -> Call:
        return lambda: service.query("docs", vector=next(asked), exact=True, **more)

    with ThreadPoolExecutor(2) as pool:
        turns = Turns(f"{count:,} x {DIMENSIONS}, exact, k = 10")
        turns.add("np.dot + argpartition", lambda: numpy_scan(rows, next(asked), 10))
        turns.add("two threads read", lambda: read_all(rows, pool))
        turns.add("ours", query(top_k=10))
        turns.add("ours, 100 with ids and metadata", query(top_k=100, return_metadata="indexed"))
        filters: list[tuple[str, dict[str, Any]]] = [
            ("half", {"half": 1}),
            ("percent", {"percent": 7}),
            ("mille", {"mille": 7}),
        ]
        for name, wanted in filters:
            turns.add(f"ours, filter {name}", query(top_k=10, filter=wanted))
        turns.add("ours, fast", lambda: service.query("docs", vector=next(asked), top_k=10))
        turns.run(ROUNDS if count <= 10**5 else 9)
    print(f"\n- of the read bandwidth: {1 / turns.ratio('ours', 'two threads read'):.3f}")
    for name in turns.times:
        if name.startswith("ours,"):
            print(f"- {name}: {turns.ratio(name, 'ours'):.3f} of ours")
    batch = Turns(f"{count:,} x {DIMENSIONS}, 100 queries")
    batch.add("one after the other", lambda: [query(top_k=10)() for _ in range(100)])
    batch.add("at once", lambda: service.query_many("docs", list(queries[:100]), top_k=10))
    batch.run(3)
    if with_peers:
        beside_peers(count, data, source, service, queries)
    service.close()


def beside_peers(
    count: int, data: Path, source: Clustered, service: Service, queries: Rows
) -> None:
    """Each peer that is installed, in the same rounds as ours."""
    kinds: list[tuple[str, dict[str, Any] | None]] = [
        ("unfiltered", None),
        ("filter half", {"half": 1}),
        ("filter percent", {"percent": 7}),
        ("filter mille", {"mille": 7}),
    ]
    made: list[peers.Peer] = []
    for kind in peers.INSTALLED:
        if kind.most < count:
            continue
        start = time.perf_counter()
        peer = kind(data / f"{kind.name}-{count}", DIMENSIONS)
        if peer.is_new:
            for number, batch in enumerate(source.batches(count, BATCH)):
                first = number * BATCH
                peer.add(range(first, first + len(batch)), batch, metadata)
            peer.finish()
            seconds = time.perf_counter() - start
            print(f"\n{kind.name}: {count / seconds:,.0f} rows/s into it", flush=True)
        made.append(peer)
    for title, wanted in kinds:
        _beside(f"{count:,} x {DIMENSIONS}, {title}, k = 10", service, made, queries, wanted)
    turns = Turns(f"{count:,} x {DIMENSIONS}, one upsert, durable where the peer can be")
    row = turning(queries)
    turns.add("ours", lambda: service.upsert("docs", [Vector("one", next(row), None, metadata(1))]))
    for peer in made:
        turns.add(peer.name, partial(_upsert, peer, row))
    turns.run(11)
    for peer in made:
        peer.close()


def _upsert(peer: peers.Peer, row: Iterator[Any]) -> None:
    peer.add([5], next(row)[np.newaxis], metadata)


def _beside(
    title: str,
    service: Service,
    made: Sequence[peers.Peer],
    queries: Rows,
    wanted: dict[str, Any] | None,
) -> None:
    turns, asked = Turns(title), turning(queries)
    more: dict[str, Any] = {} if wanted is None else {"filter": wanted}

    def ask(*, exact: bool) -> None:
        service.query("docs", vector=next(asked), top_k=10, exact=exact, **more)

    def ask_peer(peer: peers.Peer) -> None:
        peer.query(next(asked), 10, wanted)

    turns.add("ours", lambda: ask(exact=True))
    turns.add("ours, fast", lambda: ask(exact=False))
    for peer in made:
        found = [peer.query(query, 10, wanted) for query in queries[:20]]
        recall = _recall(service, queries[:20], found, wanted)
        turns.add(peer.name, partial(ask_peer, peer), f"recall {recall:.3f}")
    turns.run(11)


def _recall(
    service: Service, queries: Rows, found: Sequence[Sequence[str]], wanted: dict[str, Any] | None
) -> float:
    hits = total = 0
    for query, names in zip(queries, found, strict=True):
        more: dict[str, Any] = {} if wanted is None else {"filter": wanted}
        exact = service.query("docs", vector=query, top_k=10, exact=True, **more)
        best = {match.id for match in exact.matches}
        hits, total = hits + len(best & set(names)), total + len(best)
    return hits / max(1, total)


def _burn(stop: Any) -> None:
    while not stop.is_set():
        sum(range(10_000))


@contextmanager
def burners(count: int) -> Iterator[None]:
    """Processes that want the processors for themselves."""
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


def contended(data: Path, source: Clustered, count: int = 100_000) -> None:
    service = ours(data / f"ours-{count}", count, source)
    rows = values_of(data / f"ours-{count}", count)
    asked = turning(source.rows(500, 10**6))
    with burners(2):
        turns = Turns(f"{count:,} x {DIMENSIONS} beside two processes that burn a processor each")
        turns.add("np.dot + argpartition", lambda: numpy_scan(rows, next(asked), 10))
        turns.add("ours", lambda: service.query("docs", vector=next(asked), exact=True))
        turns.run(200)
    for name, times in turns.times.items():
        ordered = sorted(times)
        print(f"- {name}: p99 / p50 = {ordered[int(len(ordered) * 0.99)] / median(ordered):.2f}")
    service.close()


def writing(data: Path, source: Clustered, count: int = 30_000) -> None:
    """Durable ingest beside the least that is durable, and one-row upserts beside a bare commit."""
    directory = data / "writing"
    shutil.rmtree(directory, ignore_errors=True)
    service = Service(directory / "ours")
    service.create_index("docs", IndexConfig(DIMENSIONS))
    batches = [
        (rows, list(as_vectors(rows, number * BATCH)))
        for number, rows in enumerate(source.batches(count, BATCH))
    ]
    (directory / "bare").mkdir()
    bare = sqlite3.connect(directory / "bare" / "db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE v (slot INTEGER PRIMARY KEY, id TEXT UNIQUE, metadata TEXT)")
    texts = [[(v.id, json.dumps(v.metadata)) for v in given] for _, given in batches]
    numbers = {"bare": iter(range(len(batches))), "ours": iter(range(len(batches)))}

    def bare_batch() -> None:
        number = next(numbers["bare"])
        with (directory / "bare" / "values").open("ab", buffering=0) as file:
            file.write(batches[number][0].tobytes())
            value_store._sync(file.fileno())  # noqa: SLF001 (the same call on every platform)
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany("INSERT INTO v (id, metadata) VALUES (?, ?)", texts[number])
        bare.execute("COMMIT")

    turns = Turns(f"a durable batch of {BATCH:,}")
    turns.add("bare write, sync, commit", bare_batch)
    turns.add("ours", lambda: service.upsert("docs", batches[next(numbers["ours"])][1]))
    turns.run(len(batches) - 1)
    for name in turns.times:
        print(f"- {name}: {BATCH / median(turns.times[name]):,.0f} rows/s")
    print(f"- ours in rows/s, of the bare loop's: {1 / turns.ratio('ours'):.2f}")

    one = batches[0][1][0]
    ids = iter(range(10**9))
    single = Turns("one row, durable")

    def commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO v (id, metadata) VALUES (?, ?)", (f"x{next(ids)}", TEXT))
        bare.execute("COMMIT")

    single.add("bare SQLite commit", commit)
    single.add("ours", lambda: service.upsert("docs", [one]))
    single.run(101)
    service.close()
    bare.close()


OPENING = """
import json, os, sys, time
import numpy as np
sys.path.insert(0, {root!r})
from vectorize_core.local import Service
query = np.random.default_rng(1).standard_normal({dimensions}).astype(np.float32)
def private():
    lines = open("/proc/self/status").read().splitlines() if os.path.exists("/proc") else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)
before = private()
start = time.perf_counter()
service = Service({path!r})
service.index_info("docs")
opened = time.perf_counter()
service.query("docs", vector=query, exact=True)
first = time.perf_counter()
for _ in range(3):
    service.query("docs", vector=query, exact=True)
held = private() - before
service.query("docs", vector=query, filter={{"percent": 3}})
column = time.perf_counter()
print(json.dumps([opened - start, first - start, held, private() - before]))
"""


def opening(count: int, data: Path, source: Clustered) -> None:
    """How soon a new process answers, and how much memory of its own it takes."""
    path = data / f"ours-{count}"
    ours(path, count, source).close()
    root = str(Path(__file__).parents[1])
    script = OPENING.format(root=root, dimensions=DIMENSIONS, path=str(path))

    def measure() -> list[float]:
        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        return list(json.loads(said.stdout))

    measure()
    for state in ("warm", "cold"):
        if state == "cold":
            if not hasattr(os, "posix_fadvise"):
                break
            for file in path.iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        ready, first, held, with_column = measure()
        print(
            f"- {count:,}, {state}: open {ready:.3f} s, first answer {first:.3f} s, "
            f"{held / count:.0f} bytes of private memory a vector "
            f"({with_column / count:.0f} with a filtered property)",
            flush=True,
        )


def real(path: Path, data: Path) -> None:
    """Recall and time of `fast` on embeddings of text, half a thousand of them held out."""
    rows = np.load(path).astype(np.float32)
    queries, rows = rows[:500], rows[500:]
    directory = data / f"real-{len(rows)}-{rows.shape[1]}"
    fresh = not (directory / "done").exists()
    service = Service(directory)
    if fresh:
        service.create_index("docs", IndexConfig(rows.shape[1]))
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            service.upsert("docs", [Vector(f"id{start + i}", r) for i, r in enumerate(some)])
        (directory / "done").touch()
    for k, asking in ((10, 500), (100, 100)):
        found = hits = 0
        for query in queries[:asking]:
            exact = {m.id for m in service.query("docs", vector=query, top_k=k, exact=True).matches}
            fast = {m.id for m in service.query("docs", vector=query, top_k=k).matches}
            found, hits = found + len(exact), hits + len(exact & fast)
        print(f"- {len(rows):,} x {rows.shape[1]} real, recall@{k} of fast: {hits / found:.5f}")
    asked = turning(queries)
    turns = Turns(f"{len(rows):,} x {rows.shape[1]} real embeddings, k = 10")
    turns.add("np.dot + argpartition", lambda: numpy_scan(rows, next(asked), 10))
    turns.add("ours", lambda: service.query("docs", vector=next(asked), top_k=10, exact=True))
    turns.add("ours, fast", lambda: service.query("docs", vector=next(asked), top_k=10))
    turns.run(51)
    print(f"- fast: {turns.ratio('ours, fast', 'ours'):.3f} of ours")
    service.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--real", type=Path, help="a .npy file of embeddings, a row each")
    parser.add_argument("--data", type=Path, default=Path(".bench"))
    parser.add_argument("--only", default="search,contended,writing,opening")
    given = parser.parse_args()
    given.data.mkdir(parents=True, exist_ok=True)
    source, wanted = Clustered(DIMENSIONS), given.only.split(",")
    if given.real is not None:
        real(given.real, given.data)
        return
    for count in map(int, filter(None, given.sizes.split(","))):
        if "search" in wanted:
            search(count, given.data, source, given.peers)
        if "opening" in wanted:
            opening(count, given.data, source)
    if "contended" in wanted:
        contended(given.data, source)
    if "writing" in wanted:
        writing(given.data, source)


if __name__ == "__main__":
    main()
