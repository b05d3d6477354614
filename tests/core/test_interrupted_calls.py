"""Ctrl-C at any step of a client's call leaves nothing behind that a later one would wait for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.interrupting import everywhere
from vectorize_core import SqliteTexts, Vector, VectorizeClient
from vectorize_core.index import Index
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.open_files import OpenFiles
from vectorize_core.transport.io import run

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]
ONES = np.ones(32, np.float32)
CALLS = {
    "upsert": lambda index: index.upsert([Vector("a", ONES)]),
    "query": lambda index: index.query(vector=ONES),
    "delete": lambda index: index.delete(["c"]),
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with VectorizeClient.local(path=tmp_path) as client:
        client.create_index("docs", dimensions=32)
        yield client.index("docs")


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_client(index: Index, name: str) -> None:
    def use() -> None:
        index.upsert([Vector("a", ONES)])
        assert index.query(vector=ONES)[0].id == "a"

    use()
    # Each write looks at those before it, so that the steps become more.
    everywhere(lambda: CALLS[name](index), use, day=23, night=13)


def test_a_long_text(tmp_path: Path) -> None:
    texts, io = SqliteTexts(tmp_path), VectorizeClient.local().connection.io()

    def use() -> None:
        run(texts.put(io, "docs", {"a": "text"}))
        assert run(texts.get(io, "docs", ["a"])) == {"a": "text"}

    everywhere(use, use, day=23)
    texts.close()


def test_databases_of_which_one_may_be_open(tmp_path: Path) -> None:
    databases = D1Databases(tmp_path, OpenFiles(1))
    statements = [("CREATE TABLE IF NOT EXISTS t (a)", ()), ("INSERT INTO t VALUES (1)", ())]

    def use() -> None:
        for name in ("a", "b"):
            databases.run(name, statements)

    use()
    everywhere(use, use, day=29, night=3)
    databases.close()
