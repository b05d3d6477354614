"""Search by words finds the same with the same scores, whatever carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from benchmarks.retrieval.labelled import LabelledSet
from tests.nightly import sized
from tests.workerd import Workerd, running
from vectorize_core import D1TextIndex, SqliteTextIndex, VectorizeClient
from vectorize_core.api.d1 import Rows, Statement
from vectorize_core.local.server import BackgroundServer
from vectorize_core.texts import fts
from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.text_index import NoTableError, TextHit, TextIndex
from vectorize_core.texts.tokens import question
from vectorize_core.transport.io import Io, run

CANDIDATES = 20
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

    async def _write(self, io: Io, statements: Sequence[Statement], /) -> None:
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
                    known={},
                )
                meta = workerd.meta(sql, [*parameters])
                assert meta["rows_written"] == 0
                read[size].append(meta["rows_read"])
    small, large = (sum(counts) / len(counts) for counts in read.values())
    assert 100 < large < 1.05 * small < 350
