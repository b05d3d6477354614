"""A process that changes a record and its row, and is killed on the way.

``python -m tests.core.texts.killed_indexing JSON``, with the directory, what to do, and whether to
die before or after the vector is changed.
"""

from __future__ import annotations

import json
import sys

from tests.core.records.stores import store_of
from tests.core.texts.changes import ACTIONS, OLD, add
from tests.core.texts.killed import Dying
from vectorize_core import VectorizeClient
from vectorize_core.texts.sqlite_index import SqliteTextIndex


def main() -> None:
    job = json.loads(sys.argv[1])
    client = VectorizeClient.local(job["path"])
    store = store_of(client, SqliteTextIndex(job["path"]))
    if job["action"] != "add":
        add(store, OLD, 1)
    client.connection.executor = Dying(client.connection.executor, job["moment"])
    ACTIONS[job["action"]][0](store)


if __name__ == "__main__":
    main()
