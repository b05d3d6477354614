"""What every text index does: rows of records, put and deleted, and found by their words."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.core.helpers import Cloudflare, Variant, both_variants, failed, ok
from vectorize_core import (
    ConfigurationError,
    ConnectionFailedError,
    InvalidVectorError,
    RetryPolicy,
    UnexpectedAnswerError,
    VectorizeClient,
)
from vectorize_core.api.d1 import WriteD1
from vectorize_core.api.operations import Op
from vectorize_core.filters.sql import Condition
from vectorize_core.sqlite import connecting
from vectorize_core.texts import D1TextIndex, SqliteTextIndex, TextIndex, checking_words, fts
from vectorize_core.texts.frequent import FrequentWords
from vectorize_core.texts.fts import TextRow, put_of
from vectorize_core.texts.tokens import Tokenizer
from vectorize_core.transport.io import Io, SyncIo, run

T = TypeVar("T")
Flow = Callable[[Io], Coroutine[Any, Any, T]]
EVERY: dict[str, Callable[[Path], TextIndex]] = {
    "SQLite": SqliteTextIndex,
    "SQLite in memory": lambda _: SqliteTextIndex(),
    "D1": lambda _: D1TextIndex("words"),
    "D1 in a table of its own": lambda _: D1TextIndex("words", table="my \"words\" of 'mine'"),
}
every_kind = pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))
ROWS = [
    TextRow("a", None, "A quick fox jumps over os.path.join", {"year": 1999}),
    TextRow("b", "acme", "A lazy dog sleeps, says error E4711", {"year": 2001}),
    TextRow("c", "other", "The quick dog", {"year": 2003}),
    TextRow("d\0d", "acme", "東京都の天気 and ÉCLAIR \0 quick", {"year": 2005}),
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[VectorizeClient]:
    with VectorizeClient.local(tmp_path) as client:
        yield client


def ids(hits: list[Any]) -> list[str]:
    return [hit.id for hit in hits]


@every_kind
@both_variants
async def test_what_is_put_is_found_by_its_words(
    client: VectorizeClient,
    tmp_path: Path,
    variant: Variant,
    make: Callable[[Path], TextIndex],
) -> None:
    words, connection = make(tmp_path), client.connection

    async def does(flow: Flow[T]) -> T:
        if variant.is_async:
            return await flow(connection.async_io())
        return run(flow(connection.io()))

    async def found(query: str, **options: Any) -> list[str]:
        return ids(await does(lambda io: words.find(io, "docs", query, limit=10, **options)))

    assert await found("quick") == []
    assert await does(lambda io: words.versions(io, "docs", ["a"])) == {}
    await does(lambda io: words.delete(io, "docs", {"a": ["x"]}))
    await does(lambda io: words.put(io, "docs", ROWS, "w1"))
    await does(lambda io: words.put(io, "docs", ROWS, "w1"))
    assert sorted(await found("quick")) == ["a", "c", "d\0d"]
    assert await found("QUICK", namespace="acme") == ["d\0d"]
    assert await found("quick", namespace="acm") == []
    assert await found("e4711?") == ["b"]
    assert await found("os.path.join()") == ["a"]
    assert await found("京都") == await found("eclair") == await found("天") == ["d\0d"]
    assert await found("東都") == []
    assert await found('" OR NOT * ( : -') == []
    later = Condition("json_extract(m, '$.year') > CAST(? AS REAL)", ("2000",))
    assert sorted(await found("quick dog", where=later)) == ["b", "c", "d\0d"]
    versions = await does(lambda io: words.versions(io, "docs", ["d\0d", "a", "nobody"]))
    assert versions == {row.id: [put_of(row.text, "w1")] for row in (ROWS[0], ROWS[3])}

    again = [TextRow("a", None, "Something else", {})]
    await does(lambda io: words.put(io, "docs", again, "w2"))
    both = await does(lambda io: words.versions(io, "docs", ["a"]))
    assert sorted(both["a"]) == sorted([put_of(ROWS[0].text, "w1"), put_of("Something else", "w2")])
    await does(lambda io: words.delete(io, "docs", versions))
    assert await found("something else fox") == ["a"]
    assert await found("quick") == ["c"]

    await does(lambda io: words.note(io, "docs", complete="yes", cursor="x"))
    await does(lambda io: words.note(io, "docs", cursor=None))
    assert await does(lambda io: words.notes(io, "docs")) == ("yes", None)
    await does(lambda io: words.drop(io, "docs"))
    await does(lambda io: words.drop(io, "docs"))
    assert await does(lambda io: words.notes(io, "docs")) == (None, None)
    assert await found("quick") == []
    await does(lambda io: words.put(io, "docs", ROWS, "w3"))
    assert sorted(await found("quick")) == ["a", "c", "d\0d"]


@pytest.mark.parametrize("kind", ["SQLite", "D1"])
def test_a_table_that_another_dropped_is_made_again(
    client: VectorizeClient, tmp_path: Path, kind: str
) -> None:
    io, words, other = client.connection.io(), EVERY[kind](tmp_path), EVERY[kind](tmp_path)
    run(words.note(io, "docs", complete="yes"))
    run(other.drop(io, "docs"))
    run(words.note(io, "docs", cursor="x"))
    assert run(words.notes(io, "docs")) == (None, "x")
    run(other.drop(io, "docs"))
    run(words.put(io, "docs", ROWS, "w1"))
    assert ids(run(other.find(io, "docs", "fox", limit=10))) == ["a"]
    words.close()


@pytest.mark.parametrize("tokenizer", ["unicode61", "porter", "trigram"])
def test_the_answers_of_d1_are_those_of_sqlite(
    client: VectorizeClient, tokenizer: Tokenizer
) -> None:
    io = client.connection.io()
    every = [SqliteTextIndex(tokenizer=tokenizer), D1TextIndex("w", tokenizer=tokenizer)]
    for words in every:
        run(words.put(io, "docs", ROWS, "w"))
    for query in ("quick dogs", "jumping", "ump", "the quick fox", "東京都", "os.path"):
        first, second = (run(words.find(io, "docs", query, limit=3)) for words in every)
        assert first == second
        explained = [run(words.explain(io, "docs", query)) for words in every]
        assert explained[0] == explained[1]


def test_a_table_keeps_the_tokenizer_that_it_was_made_with(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        io = client.connection.io()
        run(SqliteTextIndex(tmp_path, tokenizer="porter").put(io, "docs", ROWS, "w"))
        other: TextIndex = pickle.loads(pickle.dumps(SqliteTextIndex(tmp_path)))
        with pytest.raises(ConfigurationError, match="tokenizer='porter'"):
            run(other.find(io, "docs", "quick", limit=1))
        with pytest.raises(ConfigurationError, match="tokenizer='porter'"):
            run(other.put(io, "docs", ROWS, "w"))


def test_parts_are_merged_eight_at_once_and_older_tables_go_on_as_they_were(
    client: VectorizeClient,
) -> None:
    words, io = SqliteTextIndex(), client.connection.io()
    made = fts.creation(words.table("old"), "old", words.tokenizer)
    run(words._write(io, [statement for statement in made if "automerge" not in statement[0]]))
    for index, expected in (("new", [(8,)]), ("old", [])):
        run(words.put(io, index, ROWS, "t"))
        assert len(run(words.find(io, index, "quick", limit=9))) == 3
        config = f"SELECT v FROM {index}_words_config WHERE k = 'automerge'"
        assert run(words._read(io, (config, ()))) == expected


def test_a_table_is_of_one_index(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        io, words = client.connection.io(), D1TextIndex("words", table="mine")
        run(words.put(io, "docs", ROWS, "w"))
        with pytest.raises(ConfigurationError, match="index 'docs', not of 'other'"):
            run(words.put(io, "other", ROWS, "w"))
        assert run(SqliteTextIndex(tmp_path).find(io, "other", "quick", limit=1)) == []


def test_a_text_that_is_too_long_for_a_row_of_d1_names_its_record() -> None:
    with VectorizeClient.local() as client:
        io = client.connection.io()
        long = TextRow("big", None, "word " * 400_000, {})
        with pytest.raises(InvalidVectorError, match="'big'"):
            run(D1TextIndex("words").put(io, "docs", [long], "w"))
        chinese = TextRow("chinese", None, "天気" * 110_000, {})
        run(D1TextIndex("words").put(io, "docs", [chinese], "w"))
        run(SqliteTextIndex().put(io, "docs", [long], "w"))


def test_a_question_is_ranked_by_its_rarest_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts, "POSTINGS", 12)
    words = SqliteTextIndex()
    rows = [TextRow(f"{n}", None, f"common {'half' * (n % 2)} n{n % 10}", {}) for n in range(40)]
    with VectorizeClient.local() as client:
        io = client.connection.io()
        run(words.put(io, "docs", rows, "w"))
        for _ in range(2):  # what was counted before makes no difference
            assert len(run(words.find(io, "docs", "common n1 half unknown", limit=40))) == 4
            assert len(run(words.find(io, "docs", "common unknown", limit=50))) == 40
            assert len(run(words.find(io, "docs", "half common", limit=50))) == 20
            assert len(run(words.find(io, "docs", "n1 n2 n3 n4", limit=50))) == 12
        explained = run(words.explain(io, "docs", "common n1 half unknown"))
        assert explained.records == {"common": 40, "n1": 4, "half": 20, "unknown": 0}
        assert explained.dropped == ("common", "half")
        assert "'common': dropped, for 40 records have it" in str(explained)
        assert run(words.explain(io, "docs", "?")).text == "It has no word, so nothing is found."


@pytest.mark.parametrize("in_namespace", [0, 1_000])
def test_a_namespace_has_its_own_records_only(
    monkeypatch: pytest.MonkeyPatch, in_namespace: int
) -> None:
    monkeypatch.setattr(fts, "_IN_NAMESPACE", in_namespace)
    words = SqliteTextIndex()
    rows = [TextRow(f"{n}", ("a", "b", None)[n % 3], f"word n{n}", {}) for n in range(90)]
    with VectorizeClient.local() as client:
        io = client.connection.io()
        run(words.put(io, "docs", rows, "w"))
        found = run(words.find(io, "docs", "word n1 n2 n3", namespace="b", limit=90))
        assert [int(hit.id) % 3 for hit in found] == [1] * 30
        pages = [
            run(words.find(io, "docs", "word n1 n2 n3", namespace="b", limit=7, offset=at))
            for at in range(0, 35, 7)
        ]
        assert [hit for page in pages for hit in page] == found


def test_what_is_frequent_is_counted_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    words = FrequentWords()
    words.note("docs", {"the": 5_000, "rare": 3})
    assert words.find("docs", "the") == 5_000
    assert words.find("docs", "rare") is None
    now = 500.0
    words.note("docs", {"the": 5_000})
    now = 601.0
    assert words.find("docs", "the") is None
    words.note("docs", {"the": 6_000})
    assert words.find("docs", "the") == 6_000
    assert pickle.loads(pickle.dumps(words)).find("docs", "the") is None
    words.forget("docs")
    assert words.find("docs", "the") is None


def test_a_put_whose_answer_is_lost_leaves_each_row_once(client: VectorizeClient) -> None:
    executor = client.connection.io()._executor  # type: ignore[attr-defined]
    sent = type(executor).send
    lost: list[Op[Any]] = []

    def losing(self: Any, op: Op[Any]) -> Any:
        answer = sent(self, op)
        if isinstance(op, WriteD1) and "INSERT INTO" in op.statements[0][0] and not lost:
            lost.append(op)
            raise ConnectionFailedError("the answer was lost")
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(executor), "send", losing)
        run(D1TextIndex("words").put(client.connection.io(), "docs", ROWS, "w"))
    assert lost
    found = run(D1TextIndex("words").versions(client.connection.io(), "docs", list("abc")))
    assert {record_id: len(puts) for record_id, puts in found.items()} == {"a": 1, "b": 1, "c": 1}


def test_an_sqlite_without_fts5_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        failed(400, {"code": 7500, "message": f"no such {what}: SQLITE_ERROR"})
        for what in ("table: docs_words_notes", "module: fts5")
    ]
    io = SyncIo(Cloudflare(*answers).executor(), RetryPolicy())
    with pytest.raises(ConfigurationError, match="D1 database 'words' has no FTS5"):
        run(D1TextIndex("words").put(io, "docs", ROWS, "w"))

    execute = connecting.Connection.execute

    def without(self: connecting.Connection, sql: str, *params: Any) -> sqlite3.Cursor:
        if "USING fts5" in sql:
            raise sqlite3.OperationalError("no such module: fts5")
        return execute(self, sql, *params)

    monkeypatch.setattr(connecting.Connection, "execute", without, raising=False)
    with pytest.raises(ConfigurationError, match="SQLITE_ENABLE_FTS5"):
        run(SqliteTextIndex().put(io, "docs", ROWS, "w"))


def test_the_command_check_compares_texts_with_their_digests(
    client: VectorizeClient, tmp_path: Path
) -> None:
    io = client.connection.io()
    for words in (SqliteTextIndex(tmp_path), D1TextIndex("words")):
        run(words.put(io, "docs", ROWS, "w"))
        words.close()
    client.close()
    assert checking_words.check(tmp_path) == []
    for path in (tmp_path / "words.sqlite3", tmp_path / "d1/words.sqlite3"):
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE docs_words_content SET c0 = 'other' WHERE c0 LIKE '%fox%'")
    here, unfound, there, _ = checking_words.check(tmp_path)
    assert 'the text of "a" in "docs_words" is damaged; write its record again' in here
    assert "does not find the texts that it has" in unfound
    assert here.startswith("words.sqlite3")
    assert there.startswith(str(Path("d1/words.sqlite3")))


@pytest.mark.parametrize(
    "rows",
    [
        *([[None, None, None]], [["{", None, None]], [["[1, 2]", None, None]], [[]], [[1]]),
        *([["[1]", None, None], ["a", "p", 1.0]], [["[1]", None, None], ['"a"', 3, 1.0]]),
        *([["[1]", None, None], ['"a"', "p", "1"]], [["[1]", None, None], ['"a"', "p"]]),
    ],
)
def test_an_answer_of_another_form_is_an_error(rows: list[Any]) -> None:
    notes = [["tokenizer", "unicode61"], ["index", "docs"]]
    answers = [ok([{"success": True, "results": {"rows": some}}]) for some in (notes, rows)]
    io = SyncIo(Cloudflare(*answers).executor(), RetryPolicy())
    with pytest.raises(UnexpectedAnswerError):
        run(D1TextIndex("words").find(io, "docs", "fox", limit=3))
