"""Search by words finds the same with the same scores, whatever carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from benchmarks.retrieval.labelled import LabelledSet
from tests.nightly import sized
from tests.workerd import Workerd, running
from vectorize_core import D1TextIndex, SqliteTextIndex, VectorizeClient
from vectorize_core.api.d1 import Rows, Statement
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import plan
from vectorize_core.filters.sql import condition
from vectorize_core.local.server import BackgroundServer
from vectorize_core.texts import fts
from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.text_index import NoTableError, TextHit, TextIndex
from vectorize_core.texts.tokens import question
from vectorize_core.transport.io import Io, run

CANDIDATES = 20
FILTERS: list[Any] = [
    {"n": {"$gte": 0.3}},
    {"n": {"$lt": -2.5}},
    {"n": {"$in": [0.1, 7, 2**53 + 2]}},
    {"n": {"$gt": 5e-324, "$lte": 1e300}},
    {"s": {"$in": ["é", "it's"]}},
    {"s": {"$gte": "b"}},
    {"b": True},
    {"$or": [{"n": 0.1 + 0.2}, {"s": "a\0b"}]},
]
VALUES: dict[str, list[Any]] = {
    "n": [0.1, 0.1 + 0.2, 7, -3, 2**53 + 2, -1e300, 5e-324, None, "7"],
    "s": ["a", "é", "it's", "a\0b", 7, None],
    "b": [True, False, None],
}
every_set = pytest.mark.parametrize("name", ["names", "verses"])


class WorkerdTextIndex(TextIndex):
    """A text index in workerd's D1."""

    def __init__(self, workerd: Workerd) -> None:
        super().__init__()
        self._workerd = workerd

    async def _read(self, io: Io, statement: Statement, /) -> Rows:
        sql, parameters = statement
        if refusal := self._workerd.refusal(sql, [*parameters]):
            assert "no such table" in refusal, refusal
            raise NoTableError
        return self._workerd.rows(sql, [*parameters])

    async def _write(
        self, io: Io, statements: Sequence[Statement], /, *, synced: bool = True
    ) -> None:
        for sql, parameters in statements:
            self._workerd.rows(sql, [*parameters])


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    with running(tmp_path_factory) as workerd:
        yield workerd


def found(name: str, words: TextIndex, io: Io, every: int = 1) -> list[list[TextHit]]:
    """What is found for each query of a labelled set, or for some of them."""
    labelled = LabelledSet.load(name)
    rows = [
        TextRow(key, ("acme", None)[n % 2], text, {})
        for n, (key, text) in enumerate(labelled.documents.items())
    ]
    run(words.put(io, name, rows, "once"))
    return [
        run(words.find(io, name, query.text, namespace=namespace, limit=CANDIDATES))
        for query in labelled.queries[::every]
        for namespace in (None, "acme")
    ]


def filtered(words: TextIndex, io: Io) -> list[list[str]]:
    """What each of some filters finds."""
    rows = [
        TextRow(f"{n}", None, "word", {name: some[n % len(some)] for name, some in VALUES.items()})
        for n in range(100)
    ]
    run(words.put(io, "filtered", rows, "once"))
    indexed = {"n": "number", "s": "string", "b": "boolean"}
    found = []
    for given in FILTERS:
        where = condition(plan(parse(given), indexed))  # type: ignore[arg-type]
        assert where is not None
        hits = run(words.find(io, "filtered", "word", where=where, limit=1_000))
        found.append(sorted(hit.id for hit in hits))
    return found


@every_set
def test_the_local_server_finds_what_sqlite_finds(name: str) -> None:
    every = sized(8, 1)
    with VectorizeClient.local() as client:
        here = found(name, SqliteTextIndex(), client.connection.io(), every)
    assert sum(map(len, here)) > len(here) * CANDIDATES / 4
    with (
        BackgroundServer() as server,
        VectorizeClient(base_url=server.base_url) as client,
    ):
        assert found(name, D1TextIndex("words"), client.connection.io(), every) == here


@every_set
def test_workerd_finds_what_sqlite_finds(workerd: Workerd, name: str) -> None:
    with VectorizeClient.local() as client:
        io = client.connection.io()
        assert found(name, WorkerdTextIndex(workerd), io) == found(name, SqliteTextIndex(), io)


def test_a_filter_finds_the_same_everywhere(workerd: Workerd) -> None:
    with VectorizeClient.local() as client:
        here = filtered(SqliteTextIndex(), client.connection.io())
    assert all(0 < len(found) < 100 for found in here)
    with BackgroundServer() as server, VectorizeClient(base_url=server.base_url) as client:
        io = client.connection.io()
        assert filtered(D1TextIndex("words"), io) == here
        assert filtered(WorkerdTextIndex(workerd), io) == here


def test_what_d1_reads_does_not_grow_with_the_table(workerd: Workerd) -> None:
    workerd.anew()
    words, labelled = WorkerdTextIndex(workerd), LabelledSet.load("questions")
    texts = list(labelled.documents.values())
    read: dict[int, list[int]] = {}
    with VectorizeClient.local() as client:
        io = client.connection.io()
        for size in (len(texts), 5 * len(texts)):
            rows = [TextRow(f"{n}", None, f"{texts[n % len(texts)]} {n}", {}) for n in range(size)]
            run(words.put(io, "docs", rows, "once"))
            read[size] = []
            for query in labelled.queries[::10]:
                sql, parameters = fts.search(
                    words.table("docs"),
                    question(query.text),
                    namespace=None,
                    where=None,
                    limit=CANDIDATES,
                    offset=0,
                    tokenizer="unicode61",
                    known={}.get,
                )
                meta = workerd.meta(sql, [*parameters])
                assert meta["rows_written"] == 0
                read[size].append(meta["rows_read"])
    small, large = (sum(counts) / len(counts) for counts in read.values())
    assert 100 < large < 1.05 * small < 350
