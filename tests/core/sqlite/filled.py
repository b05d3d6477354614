"""A directory with something of everything in it, made without loading a framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vectorize_core import SqliteTexts, Vector, VectorizeClient
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.transport.io import run

ONES = np.ones(32)


def fill(place: Path) -> None:
    with VectorizeClient.local(place) as client:
        client.create_index("docs", dimensions=32)
        client.index("docs").create_metadata_index("n", "number")
        client.index("docs").upsert([Vector(name, ONES, None, {"n": 1}) for name in "ab"])
        run(SqliteTexts(place).put(client.connection.io(), "docs", {"a": "long"}))
    databases = D1Databases(place)
    databases.run("texts", [("CREATE TABLE t (a)", ()), ("INSERT INTO t VALUES (1)", ())])
    databases.close()
