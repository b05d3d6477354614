"""The local server under mixed reads and writes on loopback.

``python -m benchmarks.server [seconds] [clients]`` fills an index (20,000 vectors, 384
dimensions), lets the clients (8) query, upsert and get for five seconds to warm up, then measures
for some seconds (5). The server runs in a process of its own, so that its memory is its own; the
clients share this one.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.models import Vector
from vectorize_core.transport.retry import RetryPolicy

DIMENSIONS = 384
VECTORS = 20_000
WARM_UP = 5.0
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
# Of a hundred requests: what an application reads and writes.
MIX = {"query": 80, "filtered query": 10, "get": 5, "upsert": 5}


def serve(data: str, pipe: Connection) -> None:
    """Run a server until told to stop, telling its address first."""
    with BackgroundServer(Settings(data=data)) as server:
        pipe.send(server.base_url)
        pipe.recv()


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (Linux; 0 elsewhere)."""
    statm = Path(f"/proc/{pid}/statm")
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Load:
    """Clients at work, and what they measured."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.times: dict[str, list[float]] = {name: [] for name in MIX}
        self.errors: Counter[str] = Counter()
        self.stop = threading.Event()

    def work(self, seed: int) -> None:
        """One client: requests in a random order until told to stop."""
        choose, numbers = random.Random(seed), np.random.default_rng(seed)
        with VectorizeClient(base_url=self.base_url, retry=ONCE) as client:
            index = client.index("load")
            while not self.stop.is_set():
                (name,) = choose.choices(list(MIX), list(MIX.values()))
                vector = numbers.standard_normal(DIMENSIONS).astype(np.float32)
                position = choose.randrange(VECTORS)
                started = time.perf_counter()
                try:
                    if name == "query":
                        index.query(vector, top_k=10)
                    elif name == "filtered query":
                        index.query(vector, top_k=10, filter={"group": position % 10})
                    elif name == "get":
                        index.get([f"id-{position}"])
                    else:
                        index.upsert([Vector(f"id-{position}", vector, None, {"group": 1})])
                except Exception as error:
                    self.errors[f"{name}: {type(error).__name__}: {error}"[:120]] += 1
                else:
                    self.times[name].append(time.perf_counter() - started)


def fill(base_url: str) -> None:
    """The index that the load meets."""
    numbers = np.random.default_rng(0)
    with VectorizeClient(base_url=base_url) as client:
        client.create_index("load", dimensions=DIMENSIONS, metadata_indexes={"group": "number"})
        matrix = numbers.standard_normal((VECTORS, DIMENSIONS)).astype(np.float32)
        client.index("load").upsert(
            [Vector(f"id-{n}", row, None, {"group": n % 10}) for n, row in enumerate(matrix)]
        )


def measure(base_url: str, pid: int, seconds: float, clients: int) -> None:
    """Run the load and print the figures."""
    fill(base_url)
    load = Load(base_url)
    threads = [threading.Thread(target=load.work, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    # Caches and pools fill first, and each worker thread's heap.
    time.sleep(WARM_UP)
    before, started = resident_mb(pid), time.perf_counter()
    counted = {name: len(times) for name, times in load.times.items()}
    time.sleep(seconds)
    after, spent = resident_mb(pid), time.perf_counter() - started
    load.stop.set()
    for thread in threads:
        thread.join()
    print(f"{VECTORS:,} vectors of {DIMENSIONS} dimensions, {clients} clients, {spent:.1f} s")
    for name, times in load.times.items():
        taken = np.array(times[counted[name] :]) * 1e3
        if len(taken):
            p50, p99 = np.percentile(taken, [50, 99])
            rate = len(taken) / spent
            print(f"  {name:<15} {rate:7.1f}/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms")
    print(f"  errors: {sum(load.errors.values())}")
    for text, count in load.errors.most_common(5):
        print(f"    {count} x {text}")
    print(f"  server memory: {before:.1f} MB at the start, {after:.1f} MB at the end")


def main() -> None:
    """Start the server, fill it, load it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as data:
        process = context.Process(target=serve, args=(data, theirs), daemon=True)
        process.start()
        try:
            measure(pipe.recv(), process.pid or 0, seconds, clients)
        finally:
            pipe.send(None)
            process.join(10)


if __name__ == "__main__":
    main()
