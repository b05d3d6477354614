"""A process that changes a record with a long text, and is killed on the way.

``python -m tests.core.texts.killed JSON``, with the kind of the store of texts, the directory,
what to do, and whether to die before or after the vector is changed. It needs no framework but
that of its store of texts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from tests.core.texts.kinds import DURABLE
from tests.executors import Open
from vectorize_core import VectorizeClient
from vectorize_core.api.operations import DeleteByIds, Op, Upsert
from vectorize_core.layout import Record
from vectorize_core.records.deleting import delete
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.io import run

T = TypeVar("T")


def long(name: str) -> str:
    """A text of 200 KB."""
    return f"{name}: " + "x" * 200_000


OLD: Final = (long("old"), 1)
NEW: Final = (long("new"), 2)


class Dying(Open):
    """An executor that kills its process before or after the first change of vectors."""

    def __init__(self, executor: Any, moment: str) -> None:
        self._executor = executor
        self._moment = moment

    def send(self, op: Op[T], /) -> Answer[T]:
        changes = isinstance(op, (Upsert, DeleteByIds))
        if changes and self._moment == "before":
            die()
        answer: Answer[T] = self._executor.send(op)
        if changes and self._moment == "after":
            die()
        return answer


def die() -> None:
    # Windows has no SIGKILL; there SIGTERM ends a process as hard.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def main() -> None:
    job = json.loads(sys.argv[1])
    client = VectorizeClient.local(job["path"])

    def add(record: tuple[str, int]) -> None:
        text, year = record
        item = Item(Record("a", text, {"year": year}), np.ones(32, np.float32))
        run(store.add(client.connection.io(), [item]))

    index = StoreIndex(
        target=locate("docs", client=client),
        create_index=True,
        metric=None,
        metadata_indexes={"year": "number"},
    )
    store = RecordStore(index=index, texts=DURABLE[job["kind"]](Path(job["path"])))
    if job["action"] != "add":
        add(OLD)
    client.connection.executor = Dying(client.connection.executor, job["moment"])
    if job["action"] == "delete":
        run(delete(client.connection.io(), store, ["a"]))
    else:
        add(NEW)


if __name__ == "__main__":
    main()
