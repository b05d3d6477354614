"""Rows are looked up only for records that are there, or of which a put may have failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.core.records.stores import ids, item, store_of
from tests.core.texts.drivers import Stepping
from tests.core.texts.stepping import SteppingTextIndex
from tests.core.texts.test_interrupted import FailedError, FailingStep
from vectorize_core import Behavior, D1TextIndex, SqliteTextIndex, VectorizeClient
from vectorize_core.api.known_ids import KnownIds
from vectorize_core.api.operations import Op, Upsert
from vectorize_core.errors import (
    BadRequestError,
    PartialWriteError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.records import whole_index
from vectorize_core.records.by_words import search_text
from vectorize_core.records.deleting import delete
from vectorize_core.records.store import RecordStore
from vectorize_core.texts import puts
from vectorize_core.texts.text_index import KeptRow, TextIndex
from vectorize_core.transport.executor import Answer, Executor
from vectorize_core.transport.io import Io, run

T = TypeVar("T")


class Watched(SqliteTextIndex):
    """A text index that notes for which records rows are looked up."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.looked_up: list[str] = []

    async def kept(self, io: Io, index: str, ids: Sequence[str], /) -> dict[str, list[KeptRow]]:
        self.looked_up += ids
        return await super().kept(io, index, ids)

    def taken(self) -> list[str]:
        """The ids that were looked up since it was called last."""
        taken, self.looked_up = self.looked_up, []
        return sorted(taken)


def add(store: RecordStore, names: str, text: str = "apple", **options: Any) -> None:
    run(store.add(store.connection.io(), [item(name, text) for name in names], **options))


def rows(store: RecordStore, names: str) -> dict[str, int]:
    assert isinstance(store.text_index, TextIndex)
    found = run(store.text_index.versions(store.connection.io(), "docs", list(names)))
    return {name: len(some) for name, some in found.items()}


def noted(store: RecordStore) -> list[str]:
    """The names of the notes of puts and deletes."""
    assert isinstance(store.text_index, TextIndex)
    every = run(store.text_index.noted(store.connection.io(), "docs"))
    return [name for name in every if name.startswith(("put-", "delete-"))]


def fail(store: RecordStore, act: Callable[[], object], *, at: int) -> None:
    """Do what fails before it changes vectors (1), or after that (2)."""
    connection = store.connection
    plain = connection.executor
    connection.executor = Stepping(plain, FailingStep(at))
    with pytest.raises(FailedError):
        act()
    connection.executor = plain


def fail_to_add(store: RecordStore, names: str) -> None:
    """Put the rows of records, and none of their vectors."""
    fail(store, lambda: add(store, names), at=1)


def test_only_records_that_are_there_are_looked_up() -> None:
    with VectorizeClient.local() as client:
        words = Watched()
        store = store_of(client, words)
        add(store, "abc")
        assert words.taken() == []
        add(store, "bd")
        assert words.taken() == ["b"]
        for name in "efghij":
            add(store, name)
        assert words.taken() == []
        assert len(noted(store)) == 1
        add(store, "abcdefghij", batch_size=2)
        assert words.taken() == list("abcdefghij")
        assert rows(store, "abcdefghij") == dict.fromkeys("abcdefghij", 1)
        assert noted(store) == []


class Asked(Stepping):
    """An executor that notes of which ids it is asked whether they are known, and refuses one."""

    def __init__(self, executor: Executor, refused: str = "") -> None:
        super().__init__(executor, lambda: None)
        self.ids: set[str] = set()
        self._refused = refused

    def send(self, op: Op[T], /) -> Answer[T]:
        if isinstance(op, KnownIds):
            self.ids.update(op.ids)
        if isinstance(op, Upsert) and self._refused in {vector.id for vector in op.vectors}:
            raise BadRequestError("one of these is refused", status=400)
        return super().send(op)


def test_whether_vectors_are_there_is_asked_of_no_own_put_that_is_over() -> None:
    with VectorizeClient.local() as client:
        asked = client.connection.executor = Asked(client.connection.executor)
        store = store_of(client, SqliteTextIndex())
        add(store, "abc")
        for names in ("def", "gh"):
            asked.ids.clear()
            add(store, names)
            assert asked.ids == {*names}
        assert len(noted(store)) == 1


def test_nor_is_it_while_another_write_deletes_their_notes() -> None:
    with VectorizeClient.local() as client:
        asked = client.connection.executor = Asked(client.connection.executor)
        words = SteppingTextIndex()
        store = store_of(client, words)
        add(store, "abc")

        def meanwhile() -> None:
            words.step = lambda: None
            add(store, "d")

        words.step = meanwhile
        asked.ids.clear()
        add(store, "e")
        assert asked.ids.isdisjoint("abc")


def test_the_note_of_a_put_stays_if_a_record_of_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "a")
        plain = client.connection.executor
        client.connection.executor = Asked(plain, refused="c")
        with pytest.raises(PartialWriteError):
            add(store, "bcd")
        client.connection.executor = plain
        add(store, "e")
        assert rows(store, "bcd") == dict.fromkeys("bcd", 1)
        monkeypatch.setattr(puts, "_IN_PROGRESS", -1.0)
        add(store, "f")
        assert rows(store, "abcdef") == dict.fromkeys("abdef", 1)


def test_what_a_failed_write_put_is_looked_up_by_any_store(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client, VectorizeClient.local(tmp_path) as other:
        add(store_of(client, SqliteTextIndex(tmp_path)), "a")
        fail_to_add(store_of(client, SqliteTextIndex(tmp_path)), "bcd")
        words = Watched(tmp_path)
        store = store_of(other, words)
        add(store, "e")
        add(store, "bf")
        assert words.taken() == ["b"]
        add(store, "cd")
        assert words.taken() == ["c", "d"]
        assert rows(store, "bcdef") == dict.fromkeys("bcdef", 1)
        assert len(noted(store)) == 1, "all of the failed one are there"
        words.close()


def test_repeating_a_write_that_fails_keeps_one_note() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "a")
        for _ in range(3):
            fail_to_add(store, "bcd")
        assert len(noted(store)) == 1
        add(store, "dcb")
        assert rows(store, "abcd") == dict.fromkeys("abcd", 1)


def test_rows_of_a_failed_write_go_when_it_must_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "a")
        fail_to_add(store, "bcd")
        add(store, "c")
        assert rows(store, "bcd") == dict.fromkeys("bcd", 1)
        monkeypatch.setattr(puts, "_IN_PROGRESS", -1.0)
        add(store, "e")
        assert rows(store, "abcde") == dict.fromkeys("ace", 1)
        assert len(noted(store)) == 1


def test_rows_of_an_index_that_was_deleted_are_looked_up_until_texts_are_indexed_again() -> None:
    with VectorizeClient.local() as client:
        words = Watched()
        store = store_of(client, words)
        add(store, "abc", "an old pear")
        client.delete_index("docs")
        again = store_of(client, words)
        add(again, "bd")
        assert words.taken() == ["b", "d"]
        assert rows(again, "abd") == {"a": 1, "b": 1, "d": 1}
        io = client.connection.io()
        run(whole_index.reindex_texts(io, again))
        words.taken()
        add(again, "de")
        assert words.taken() == ["d"]
        assert sorted(ids(run(search_text(io, again, "apple", 9)))) == ["b", "d", "e"]


@pytest.mark.parametrize("text", ["apple", "pear"])
def test_rows_that_a_failed_delete_left_go_when_their_records_are_added_again(text: str) -> None:
    with VectorizeClient.local() as client:
        words = Watched()
        store = store_of(client, words)
        add(store, "abc")
        add(store, "d")
        fail(store, lambda: run(delete(client.connection.io(), store, list("ab"))), at=2)
        words.taken()
        add(store, "de", text)
        add(store, "a", text)
        assert words.taken() == ["a", "d"]
        assert rows(store, "abcde") == dict.fromkeys("abcde", 1)
        run(delete(client.connection.io(), store, list("abcde")))
        assert rows(store, "abcde") == {}


def test_rows_that_a_failed_delete_left_go_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "abc")
        add(store, "d")
        fail(store, lambda: run(delete(client.connection.io(), store, list("ab"))), at=2)
        add(store, "a")
        monkeypatch.setattr(puts, "_IN_PROGRESS", -1.0)
        add(store, "e")
        assert rows(store, "abcde") == dict.fromkeys("acde", 1)
        assert [name for name in noted(store) if name.startswith("delete-")] == []


def test_a_delete_leaves_no_note_and_one_that_goes_on_keeps_its_own() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "abc")
        add(store, "d")
        seen: list[str] = []

        def meanwhile() -> None:
            client.connection.executor = plain
            add(store, "a", "pear")
            seen.extend(name.partition("-")[0] for name in noted(store))

        plain = client.connection.executor
        client.connection.executor = Stepping(plain, meanwhile)
        run(delete(client.connection.io(), store, list("bc")))
        assert "delete" in seen
        assert [name for name in noted(store) if name.startswith("delete-")] == []


def test_young_rows_of_an_index_that_was_deleted_are_looked_up_after_a_reindexing() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, "abc", "an old pear")
        add(store, "d")
        client.delete_index("docs")
        again = store_of(client, store.text_index)
        add(again, "b")
        run(whole_index.reindex_texts(client.connection.io(), again))
        add(again, "ac")
        assert rows(again, "abc") == dict.fromkeys("abc", 1)


def test_ids_of_writes_and_deletes_that_reads_do_not_see_yet_are_known() -> None:
    behavior = Behavior(process_delay=60.0)
    with VectorizeClient.local(behavior=behavior) as client:
        words = Watched()
        store = store_of(client, words)
        add(store, "ab")
        run(delete(client.connection.io(), store, ["a"]))
        words.taken()
        add(store, "abc")
        assert words.taken() == ["a", "b"]


def test_a_text_index_in_d1_looks_up_all_ids_that_are_given() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, D1TextIndex("words"))
        add(store, "a")
        assert noted(store) == []


def test_only_an_embedded_vectorize_tells_which_ids_it_has() -> None:
    op = KnownIds("docs", ("a", "b"))
    assert op.read(["a"]) == {"a"}
    with pytest.raises(VectorizeError, match="embedded"):
        op.request()


@pytest.mark.parametrize("note", ["", "[", "[]", "{}", "[1]", '["a", 1]'])
def test_a_note_that_is_damaged_is_an_error(note: str) -> None:
    with VectorizeClient.local() as client:
        words = SqliteTextIndex()
        store = store_of(client, words)
        run(words.note(client.connection.io(), "docs", **{"put-x": note}))
        with pytest.raises(UnexpectedAnswerError, match="no note of the ids"):
            add(store, "a")
