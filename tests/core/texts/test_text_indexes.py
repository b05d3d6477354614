"""What every text index does: rows of records, put and deleted, and found by their words."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.core.helpers import Variant, both_variants
from vectorize_core import ConfigurationError, InvalidVectorError, VectorizeClient
from vectorize_core.filters.sql import Condition
from vectorize_core.texts import D1TextIndex, SqliteTextIndex, TextIndex
from vectorize_core.texts.fts import TextRow, put_of
from vectorize_core.texts.tokens import Tokenizer
from vectorize_core.transport.io import Io, run

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
    later = Condition("json_extract(m, '$.year') > ?", (2000,))
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


def test_a_table_is_of_one_index(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        io, words = client.connection.io(), D1TextIndex("words", table="mine")
        run(words.put(io, "docs", ROWS, "w"))
        with pytest.raises(ConfigurationError, match="index 'docs', not of 'other'"):
            run(words.put(io, "other", ROWS, "w"))
        assert run(SqliteTextIndex(tmp_path).find(io, "other", "quick", limit=1)) == []


def test_a_text_that_is_too_long_for_a_row_names_its_record() -> None:
    with VectorizeClient.local() as client:
        long = TextRow("big", None, "word " * 400_000, {})
        with pytest.raises(InvalidVectorError, match="'big'"):
            run(SqliteTextIndex().put(client.connection.io(), "docs", [long], "w"))
