"""Searches by words, and by both: exact in number, each record once, whatever is in the way."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.filters.strategies import (
    BEHAVIORS,
    INDEXED,
    expressions,
    metadatas,
)
from tests.core.records.stores import ids, item, store_of
from tests.nightly import NIGHTLY, examples
from vectorize_core import Behavior, VectorizeClient
from vectorize_core.errors import (
    ConfigurationError,
    InvalidInputError,
    PartialIndexError,
    StorageError,
    TextIndexWarning,
    TooManyRequestsNeededError,
    UnindexedPropertyError,
)
from vectorize_core.filters import Where
from vectorize_core.filters.ast import Expression
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record
from vectorize_core.records import updating, whole_index
from vectorize_core.records.by_words import search_hybrid, search_text
from vectorize_core.records.deleting import clear, delete
from vectorize_core.records.hit import Hit
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.d1_index import D1TextIndex
from vectorize_core.texts.fts import TextRow, removal
from vectorize_core.texts.indexing import Rows
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.io import run

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
COUNT = 260


class FailedError(Exception):
    """Stands for whatever ends a reindexing."""


def scored(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.record.id, hit.match.score) for hit in hits]


def text_index_of(store: RecordStore) -> TextIndex:
    assert isinstance(store.text_index, TextIndex)
    return store.text_index


@pytest.fixture(scope="module")
def store() -> Iterator[RecordStore]:
    """260 records that have a word in common, among 150 rows that are of no record."""
    rng = random.Random(5)
    with VectorizeClient.local() as client:
        made = store_of(client, SqliteTextIndex())
        texts = [
            f"common {' '.join(rng.choices(WORDS, k=rng.randint(1, 9)))}" for _ in range(COUNT)
        ]
        run(
            made.add(
                client.connection.io(),
                [item(f"r{i}", text, f"d{i % 9}", year=i % 10) for i, text in enumerate(texts)],
            )
        )
        ghosts = [TextRow(f"gone-{i}", None, "common common", {"year": 1}) for i in range(75)]
        ghosts += [TextRow(f"r{i}", None, "common common", {"year": 1}) for i in range(75)]
        run(text_index_of(made).put(client.connection.io(), "docs", ghosts, "a-ghost"))
        yield made


@pytest.mark.parametrize("k", [0, 1, 5, 50, 51, 100, 260, 1_000])
def test_as_many_as_were_asked_for_are_found_each_once(store: RecordStore, k: int) -> None:
    io = store.connection.io()
    by_words = run(search_text(io, store, "common alpha", k))
    both = run(search_hybrid(io, store, "common alpha", k, max_requests=1_000))
    for hits in (by_words, both):
        assert len(hits) == len(set(ids(hits))) == min(k, COUNT)
        scores = [hit.match.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
    everything = run(search_text(io, store, "common alpha", COUNT))
    assert ids(by_words) == ids(everything)[:k]
    all_of_both = run(search_hybrid(io, store, "common alpha", 100))
    assert scored(both[:100]) == scored(all_of_both[:k])


@pytest.mark.parametrize("k", [3, 51])
async def test_the_async_variants_find_the_same(store: RecordStore, k: int) -> None:
    io, async_io = store.connection.io(), store.connection.async_io()
    for search in (search_text, search_hybrid):
        found = await search(async_io, store, "beta gamma", k)
        assert scored(found) == scored(run(search(io, store, "beta gamma", k)))


def test_the_words_decide_what_is_found(store: RecordStore) -> None:
    io = store.connection.io()
    expected = {
        r.id
        for r in run(store.get(io, [f"r{i}" for i in range(COUNT)]))
        if "eta" in r.text.split()  # type: ignore[union-attr]
    }
    assert set(ids(run(search_text(io, store, "ETA!", 1_000)))) == expected
    assert run(search_text(io, store, "nowhere", 5)) == []
    assert run(search_text(io, store, '" - *', 5)) == []
    near = run(store.search(io, "nowhere", 5))
    assert ids(run(search_hybrid(io, store, "nowhere", 5))) == ids(near)


def test_documents_ids_and_functions_mean_what_they_mean_in_vectors(store: RecordStore) -> None:
    io = store.connection.io()
    some = [f"r{i}" for i in (3, 9, 12, 77)]
    for search in (search_text, search_hybrid):
        of_documents = run(search(io, store, "common", 1_000, refs=["d1", "d4", "none"]))
        assert sorted(ids(of_documents)) == sorted(f"r{i}" for i in range(COUNT) if i % 9 in (1, 4))
        assert sorted(
            ids(run(search(io, store, "common", 50, ids=[*some, "gone-1", "x" * 99, "\ud800"])))
        ) == sorted(some)
        odd = Where(lambda record: int(record.id[1:]) % 2 == 1)
        found = run(search(io, store, "common", 1_000, ids=some, filter=odd))
        assert sorted(ids(found)) == ["r3", "r77", "r9"]
        with_function = {"filter": Where(lambda record: "zeta" in record.text)}
        found = run(
            search(io, store, "common", 1_000, unindexed="scan", max_requests=999, **with_function)
        )
        assert ids(found)
        assert all("zeta" in str(hit.record.text) for hit in found)


def test_any_number_of_ids_is_compared() -> None:
    with VectorizeClient.local() as client:
        made, io = store_of(client, D1TextIndex("words")), client.connection.io()
        run(made.add(io, [item("a", "apple"), item("b", "apple")]))
        many = [f"{n:060}" for n in range(35_000)]
        assert ids(run(search_text(io, made, "apple", 5, ids=[*many, "b"]))) == ["b"]


def test_a_filter_is_refused_where_it_is_in_vectors(store: RecordStore) -> None:
    io = store.connection.io()
    for search in (search_text, search_hybrid):
        with pytest.raises(UnindexedPropertyError):
            run(search(io, store, "common", 5, filter={"color": "red"}))
        with pytest.raises(InvalidInputError, match="vectorize_filter"):
            run(search(io, store, "common", 5, vectorize_filter={"year": 1}))
        with pytest.raises(TooManyRequestsNeededError):
            run(search(io, store, "common", 200, max_requests=3))
        with pytest.raises(InvalidInputError, match="query"):
            run(search(io, store, 5, 5))
    with pytest.raises(InvalidInputError, match="alpha"):
        run(search_hybrid(io, store, "common", 5, alpha=2.0))
    with pytest.raises(InvalidInputError, match="fusion"):
        run(search_hybrid(io, store, "common", 5, fusion="best"))


def test_alpha_and_the_number_of_candidates_are_the_callers(store: RecordStore) -> None:
    io, query = store.connection.io(), "kappa"
    by_words = ids(run(search_text(io, store, query, 5)))
    near = ids(run(store.search(io, query, 5)))
    assert ids(run(search_hybrid(io, store, query, 5, alpha=1.0))) == near
    assert ids(run(search_hybrid(io, store, query, 5, alpha=0.0))) == by_words
    few = run(search_hybrid(io, store, query, 50, near=3, by_words=2))
    assert set(ids(few)) == {*near[:3], *by_words[:2]}
    only_near = run(search_hybrid(io, store, query, 5, by_words=0, values=[1.0] * 32))
    assert ids(only_near) == ids(run(store.search(io, [1.0] * 32, 5)))
    ranks = run(search_hybrid(io, store, query, 5, fusion="rrf", by_words=0))
    assert [h.match.score for h in ranks] == [1 / (61 + i) for i in range(5)]


@pytest.mark.parametrize("metric", ["euclidean", "dot-product"])
def test_what_is_near_comes_first_in_every_metric(metric: str) -> None:
    with VectorizeClient.local() as client:
        made, io = store_of(client, SqliteTextIndex(), metric=metric), client.connection.io()
        run(made.add(io, [item(str(i), f"text {i}") for i in range(30)]))
        near = run(made.search(io, "text 7", 30))
        assert ids(run(search_hybrid(io, made, "text 7", 5, alpha=1.0))) == ids(near)[:5]


def test_tenants_find_their_own(store: RecordStore) -> None:
    with VectorizeClient.local() as client:
        made, io = store_of(client, SqliteTextIndex()), client.connection.io()
        one, other = made.with_namespace("one"), made.with_namespace("other")
        run(one.add(io, [item("a", "apple pie"), item("b", "apple juice")]))
        run(other.add(io, [item("a", "apple tart"), item("c", "apple cake")]))
        for search in (search_text, search_hybrid):
            assert sorted(ids(run(search(io, one, "apple", 10)))) == ["a", "b"]
            assert ids(run(search(io, one, "apple", 10, ids=["a", "c"]))) == ["a"]
            everyone = run(search(io, made, "apple", 10, namespace="other"))
            assert sorted(h.record.text for h in everyone) == ["apple cake", "apple tart"]
            assert len(run(search(io, made, "apple", 10))) == 4
        assert run(search_text(io, other, "juice OR pie namespace:one", 10)) == []
        run(updating.update_metadata(io, one, ["a"], {"year": 7}))
        run(delete(io, one, ["b"]))
        assert ids(run(search_text(io, one, "apple", 10, filter={"year": 7}))) == ["a"]
        with pytest.raises(InvalidInputError, match="of other namespaces too"):
            run(whole_index.reindex_texts(io, one))
        with pytest.raises(InvalidInputError, match="of other namespaces too"):
            run(whole_index.explain_text(io, one, "tart"))
        run(clear(io, one))
        assert run(search_text(io, one, "apple", 10)) == []
        assert len(run(search_text(io, made, "apple", 10))) == 2


# Filters


def _filtered(behavior: Behavior) -> RecordStore:
    client = VectorizeClient.local(behavior=behavior)
    made = store_of(client, SqliteTextIndex(), metadata_indexes=INDEXED)
    items = [Item(Record(str(i), f"common {i}", m)) for i, m in enumerate(metadatas(60))]
    run(made.add(client.connection.io(), items))
    return made


@pytest.fixture(
    scope="module",
    params=BEHAVIORS if NIGHTLY else [BEHAVIORS[0], BEHAVIORS[13]],
    ids=lambda behavior: str(BEHAVIORS.index(behavior)),
)
def filtered(request: pytest.FixtureRequest) -> RecordStore:
    return _filtered(request.param)


@examples(20)
@given(expressions, st.sampled_from([5, 1_000]))
def test_a_filter_matches_what_it_means(
    filtered: RecordStore, expression: Expression, k: int
) -> None:
    io = filtered.connection.io()
    expected = {str(i) for i in range(60) if evaluate(expression, metadatas(60)[i])}
    options: Any = {"filter": expression, "unindexed": "scan", "max_requests": 9_999}
    for search in (search_text, search_hybrid):
        found = ids(run(search(io, filtered, "common", k, **options)))
        assert len(found) == len(set(found)) == min(k, len(expected))
        assert expected.issuperset(found)


# Indexes with and without


def test_of_an_older_index_it_is_told_that_texts_are_missing() -> None:
    with VectorizeClient.local() as client:
        io, plain = client.connection.io(), store_of(client)
        run(plain.add(io, [item(f"r{i}", f"apple {i}", year=i) for i in range(30)]))
        made = store_of(client, SqliteTextIndex())
        run(made.add(io, [item("new", "apple new", year=99)]))
        for search in (search_text, search_hybrid):
            with pytest.raises(PartialIndexError, match="reindex_texts"):
                run(search(io, made, "apple", 5))
        assert run(whole_index.reindex_texts(io, made)) == 30
        assert len(run(search_text(io, made, "apple", 50))) == 31
        assert ids(run(search_text(io, made, "apple", 50, filter={"year": 7}))) == ["r7"]
        assert run(whole_index.reindex_texts(io, made)) == 0
        # Another store of the same table knows it too.
        again = store_of(client, made.text_index)
        assert len(run(search_text(io, again, "apple", 50))) == 31


def test_a_reindexing_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from vectorize_core.texts import reindexing

    monkeypatch.setattr(reindexing, "_AT_ONCE", 10)
    with VectorizeClient.local() as client:
        io = client.connection.io()
        run(store_of(client).add(io, [item(f"r{i}", f"apple {i}") for i in range(30)]))
        made = store_of(client, SqliteTextIndex())
        index, put = text_index_of(made), SqliteTextIndex.put
        calls = iter(range(9))

        async def failing(self: SqliteTextIndex, *args: Any) -> None:
            if next(calls) == 2:
                raise FailedError
            await put(self, *args)

        monkeypatch.setattr(SqliteTextIndex, "put", failing)
        with pytest.raises(FailedError):
            run(whole_index.reindex_texts(io, made))
        with pytest.raises(PartialIndexError):
            run(search_text(io, made, "apple", 50))
        again = store_of(client, index)
        assert run(whole_index.reindex_texts(io, again)) == 10
        assert len(run(search_text(io, again, "apple", 50))) == 30
        puts = run(index.versions(io, "docs", [f"r{i}" for i in range(30)]))
        assert [*map(len, puts.values())] == [1] * 30


def test_a_reindexing_of_another_index_is_not_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    with VectorizeClient.local() as client:
        io, plain = client.connection.io(), store_of(client)
        run(plain.add(io, [item(f"r{i}", "apple") for i in range(30)]))
        made = store_of(client, SqliteTextIndex())

        async def failing(*_: Any) -> None:
            raise FailedError

        with monkeypatch.context() as broken:
            broken.setattr(Rows, "note_complete", failing)
            with pytest.raises(FailedError):
                run(whole_index.reindex_texts(io, made))
        client.delete_index("docs")
        run(plain.add(io, [item(f"r{i}", "pear") for i in range(30)]))
        run(whole_index.reindex_texts(io, made))
        assert len(run(search_text(io, made, "pear", 50))) == 30
        assert run(search_text(io, made, "apple", 50)) == []


def test_a_store_without_the_text_index_is_told() -> None:
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex())
        run(made.add(io, [item("a", "apple")]))
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex())
        assert run(search_text(io, made, "apple", 5)) == []
        run(made.add(io, [item("a", "apple")]))
        with pytest.warns(TextIndexWarning, match="reindex_texts"):
            run(store_of(client).add(io, [item("b", "apple")]))
        assert ids(run(search_text(io, made, "apple", 5))) == ["a"]
        assert run(whole_index.reindex_texts(io, made)) == 1
        assert sorted(ids(run(search_text(io, made, "apple", 5)))) == ["a", "b"]
        with pytest.raises(ConfigurationError, match="text_index"):
            run(search_text(io, store_of(client), "apple", 5))
        with pytest.raises(ConfigurationError, match="text_index"):
            store_of(client, "words")


def test_what_a_store_without_the_text_index_changed_is_found_when_it_is_read_again() -> None:
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex())
        run(made.add(io, [item("a", "apple", year=1), item("b", "apple", year=1)]))
        with pytest.warns(TextIndexWarning):
            run(updating.update_metadata(io, store_of(client), ["a"], {"year": 2}))
        assert run(whole_index.reindex_texts(io, made)) == 1
        assert ids(run(search_text(io, made, "apple", 5, filter={"year": 2}))) == ["a"]


def test_rows_of_records_that_are_gone_go_with_a_reindexing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vectorize_core.texts import puts

    for words in (SqliteTextIndex(), D1TextIndex("words")):
        with VectorizeClient.local() as client:
            io, made = client.connection.io(), store_of(client, words)
            names = [f"r{n}" for n in range(1_100)]
            run(made.add(io, [item(name, "apple") for name in names]))
            run(delete(io, store_of(client), names[1:]))
            run(whole_index.reindex_texts(io, made))
            assert len(run(words.versions(io, "docs", names))) == 1_100
            with monkeypatch.context() as later:
                later.setattr(puts, "_IN_PROGRESS", -60.0)
                run(whole_index.reindex_texts(io, made))
            assert [*run(words.versions(io, "docs", names))] == ["r0"]
            assert ids(run(search_text(io, made, "apple", 5))) == ["r0"]


def test_a_table_that_is_gone_is_noticed() -> None:
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex())
        other = store_of(client, made.text_index)
        run(made.add(io, [item("a", "apple")]))
        assert ids(run(search_text(io, other, "apple", 5))) == ["a"]
        index = text_index_of(made)
        run(index._write(io, removal(index.table("docs"))))
        with pytest.raises(PartialIndexError, match="reindex_texts"):
            run(search_text(io, other, "apple", 5))
        run(made.add(io, [item("b", "apple")]))
        with pytest.raises(PartialIndexError, match="reindex_texts"):
            run(search_text(io, made, "apple", 5))
        run(whole_index.reindex_texts(io, made))
        assert sorted(ids(run(search_text(io, other, "apple", 5)))) == ["a", "b"]


def test_a_damaged_text_index_is_made_again(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex(tmp_path))
        run(made.add(io, [item("a", "apple")]))
        text_index_of(made).close()
        path = tmp_path / "words.sqlite3"
        path.write_bytes(b"x" * path.stat().st_size)
        for _ in range(2):
            with pytest.raises(StorageError, match=r"delete words\.sqlite3 .* reindex_texts"):
                run(search_text(io, made, "apple", 5))
        with pytest.raises(StorageError, match="reindex_texts"):
            run(made.add(io, [item("b", "apple")]))
        text_index_of(made).close()
        path.unlink()
        with pytest.raises(PartialIndexError):
            run(search_text(io, made, "apple", 5))
        run(whole_index.reindex_texts(io, made))
        assert ids(run(search_text(io, made, "apple", 5))) == ["a"]
        text_index_of(made).close()


def test_indexes_whose_names_differ_in_case_alone_are_two() -> None:
    with VectorizeClient.local() as client:
        io, words = client.connection.io(), SqliteTextIndex()
        for name in ("docs", "Docs"):
            made = store_of(client, words, name=name)
            run(made.add(io, [item("a", f"apple {name}")]))
            assert [h.record.text for h in run(search_text(io, made, "apple", 5))] == [
                f"apple {name}"
            ]


def test_an_index_that_is_created_again_is_another_one() -> None:
    with VectorizeClient.local() as client:
        io, made = client.connection.io(), store_of(client, SqliteTextIndex())
        run(made.add(io, [item("a", "apple"), item("b", "apple")]))
        client.delete_index("docs")
        run(store_of(client).add(io, [item("a", "apple pie")]))
        with pytest.raises(PartialIndexError):
            run(search_text(io, made, "apple", 5))
        run(whole_index.reindex_texts(io, made))
        assert [h.record.text for h in run(search_text(io, made, "apple", 5))] == ["apple pie"]
