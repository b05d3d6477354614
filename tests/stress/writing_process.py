"""A process that writes with several threads, for a test; it imports little, to begin soon.

``python -m tests.stress.writing_process DIRECTORY NAME THREADS WRITES SEED``
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time

import numpy as np

from vectorize_core import SqliteTexts, Vector, VectorizeClient
from vectorize_core.local import Service
from vectorize_core.transport.io import run


def write(place: str, name: str, threads: int, count: int, seed: int) -> None:
    """What a process does: prints when each of its threads' writes began and ended."""
    service = Service(place)
    texts, client = SqliteTexts(place), VectorizeClient.local()
    writes: list[list[tuple[float, float]]] = [[] for _ in range(threads)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()

    def work(number: int) -> None:
        draw = random.Random(f"{seed} {name} {number}")
        for turn in range(count):
            record = f"{name}-{number}-{turn}"
            began = time.monotonic()
            if draw.random() < 0.8:
                service.upsert("docs", [Vector(record, np.ones(32))])
            else:
                run(texts.put(client.connection.io(), "docs", {record: "text"}))
                service.upsert("docs", [Vector(record, np.ones(32), None, {"text": 1})])
            writes[number].append((began, time.monotonic()))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    service.close()
    texts.close()
    client.close()
    sys.stdout.write(json.dumps(writes))


if __name__ == "__main__":
    write(*sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
