"""A process that changes a record with a long text, and is killed on the way.

``python -m tests.texts.killed JSON``, with the kind of the store of texts, the directory, what to
do, and whether to die before or after the vector is changed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tests.stores import sync_call
from tests.texts.drivers import Chain, Stepping
from tests.texts.kinds import DURABLE
from tests.texts.test_interrupted import BEFORE, act, run
from vectorize_core import VectorizeClient


def main() -> None:
    job = json.loads(sys.argv[1])
    client = VectorizeClient.local(job["path"])
    texts = DURABLE[job["kind"]](Path(job["path"]))
    if job["action"] != "add":
        run(Chain(client, texts=texts).add(sync_call, ("a", *BEFORE["a"])))
    calls = 0

    def die() -> None:
        nonlocal calls
        calls += 1
        if calls == (1 if job["moment"] == "before" else 2):
            # Windows has no SIGKILL; there SIGTERM ends a process as hard.
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    client.connection.executor = Stepping(client.connection.executor, die)
    run(act(Chain(client, texts=texts), job["action"]))


if __name__ == "__main__":
    main()
