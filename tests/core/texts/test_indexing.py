"""Rows and vectors are written, wherever that ends: nothing is missing, nothing invented."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tests.core.records.stores import Vectors, ids, item, store_of
from tests.core.texts.changes import ACTIONS, NEW, OLD, Seen, add
from tests.core.texts.drivers import Stepping
from tests.core.texts.stepping import SteppingTextIndex
from tests.core.texts.test_interrupted import ROOT, FailedError, FailingStep, Meanwhile
from tests.held_time import HeldClock
from tests.nightly import NIGHTLY, sized
from vectorize_core import Behavior, D1TextIndex, VectorizeClient
from vectorize_core.errors import PartialWriteError, PendingWritesWarning
from vectorize_core.records import updating, whole_index
from vectorize_core.records.by_words import search_hybrid, search_text
from vectorize_core.records.deleting import delete
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.texts import puts
from vectorize_core.texts.sqlite import SqliteTexts
from vectorize_core.texts.sqlite_index import SqliteTextIndex
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.io import run


def stored(store: RecordStore) -> Seen:
    found = run(store.get(store.connection.io(), ["a"]))
    return {record.id: (str(record.text), record.metadata["year"]) for record in found}


def check_found(store: RecordStore) -> None:
    """Words find the record by the text and the metadata that it has, and by no others."""
    io, there = store.connection.io(), stored(store)
    for word, text in (("apple", OLD), ("pear", NEW)):
        for year in (None, 1, 2):
            options: Any = {} if year is None else {"filter": {"year": year}}
            expected = [i for i, r in there.items() if r[0] == text and year in (None, r[1])]
            assert ids(run(search_text(io, store, word, 5, **options))) == expected
            assert ids(run(search_hybrid(io, store, word, 5, near=0, **options))) == expected


def rows(store: RecordStore) -> list[str]:
    assert isinstance(store.text_index, TextIndex)
    puts = run(store.text_index.versions(store.connection.io(), "docs", ["a"]))
    return puts.get("a", [])


@pytest.mark.parametrize("action", ACTIONS)
def test_the_same_call_repairs_a_write_wherever_it_ended(
    action: str,
) -> None:
    act, after = ACTIONS[action]
    for at in count(1):
        with VectorizeClient.local() as client:
            step, text_index = FailingStep(at), SteppingTextIndex()
            if action != "add":
                add(store_of(client, text_index), OLD, 1)
            else:
                add(store_of(client, text_index), "another", 1, "b")
            plain = client.connection.executor
            text_index.step = step
            client.connection.executor = Stepping(plain, step)
            failed = False
            try:
                act(store_of(client, text_index))
            except FailedError:
                failed = True
            client.connection.executor = plain
            text_index.step = lambda: None
            store = store_of(client, text_index)
            assert failed or stored(store) == after
            check_found(store)
            if failed:
                act(store)
            assert stored(store) == after
            check_found(store)
            # Where a repeated call finds nothing to do, a row may be left that is never found.
            left = failed and action in ("update_metadata", "clear")
            assert len(after) <= len(rows(store)) <= len(after) + left
            text_index.close()
        if not failed:
            assert at > 3, "it never failed"
            break


@pytest.mark.parametrize("action", sized(["update"], ["update", "update_metadata", "delete"]))
def test_another_writers_row_stays_until_its_vector_may_be_there(
    tmp_path: Path, action: str
) -> None:
    """At every moment of one's write another process updates the same record."""
    act, _ = ACTIONS[action]
    for at in count(1):
        place = tmp_path / str(at)
        with VectorizeClient.local(place) as one, VectorizeClient.local(place) as other:
            ours = SteppingTextIndex(place)
            theirs = store_of(other, SqliteTextIndex(place))
            add(store_of(one, ours), OLD, 1)
            written: list[bool] = []

            def write(theirs: RecordStore = theirs, written: list[bool] = written) -> None:
                written.append(True)
                add(theirs, "their cherry", 3)

            meanwhile = Meanwhile(at, write)
            one.connection.executor = Stepping(one.connection.executor, meanwhile)
            ours.step = meanwhile
            act(store_of(one, ours))
            there = stored(theirs)
            found = run(search_text(other.connection.io(), theirs, "cherry", 5))
            if action != "delete" or not written:
                assert ids(found) == [i for i, record in there.items() if "cherry" in record[0]]
            check_found(theirs)
            ours.close()
            run(delete(other.connection.io(), theirs, ["a"]))
            assert rows(theirs) == []
        if not written:
            assert at > 3
            break


def test_threads_that_write_one_record_leave_one_row() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        texts = [f"word{n} common" for n in range(8)]
        start = threading.Barrier(len(texts))

        def write(text: str) -> None:
            start.wait()
            for n in range(4):
                many = [item(f"r{i}", f"{text} {n}") for i in range(20)]
                run(store.add(client.connection.io(), many, batch_size=7))

        threads = [threading.Thread(target=write, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A thread that looked while another's write was not yet seen has left what is due.
        run(store.await_writes(client.connection.io()))
        names = [f"r{i}" for i in range(20)]
        assert isinstance(store.text_index, TextIndex)
        puts = run(store.text_index.versions(client.connection.io(), "docs", names))
        assert {name: len(some) for name, some in puts.items()} == dict.fromkeys(names, 1)
        found = run(search_text(client.connection.io(), store, "common", 100))
        assert sorted(ids(found)) == sorted(names)


def test_equal_ids_of_one_write_leave_the_row_of_the_last() -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        many = [item("a", f"word{n}") for n in range(10)]
        run(store.add(client.connection.io(), many, batch_size=4))
        assert len(rows(store)) == 1
        found = run(search_text(client.connection.io(), store, "word9", 5))
        assert ids(found) == ["a"]


def test_a_record_that_one_write_holds_again_has_the_row_of_its_last_metadata() -> None:
    with VectorizeClient.local() as client:
        store, io = store_of(client, SqliteTextIndex()), client.connection.io()
        many = [item("a", "apple", year=3), replace(item("a", None), values=[1.0] * 32)]
        run(store.add(io, [*many, item("a", "apple", year=1)], batch_size=1))
        assert ids(run(search_text(io, store, "apple", 5, filter={"year": 1}))) == ["a"]
        assert len(rows(store)) == 1


def test_a_record_without_a_text_has_no_row() -> None:
    with VectorizeClient.local() as client:
        store, io = store_of(client, SqliteTextIndex()), client.connection.io()
        add(store, OLD, 1)
        run(store.add(io, [replace(item("a", None), values=[1.0] * 32)]))
        assert rows(store) == []
        add(store, "", 1)
        assert rows(store) == []


def test_what_reads_do_not_see_is_not_found_and_then_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = HeldClock()
    clock.rule(monkeypatch)
    behavior = Behavior(process_delay=2.0, propagate_delay=1.0)
    with VectorizeClient.local(behavior=behavior, clock=clock) as client:
        store, io = store_of(client, SqliteTextIndex()), client.connection.io()
        add(store, OLD, 1)
        with pytest.warns(PendingWritesWarning):
            assert run(search_text(io, store, "apple", 5)) == []
        run(store.await_writes(io))
        check_found(store)
        assert stored(store) == {"a": (OLD, 1)}
        add(store, NEW, 2)
        # Until reads see the new vector, the old one is found by its words.
        assert ids(run(search_text(io, store, "apple", 5))) == ["a"]
        with pytest.warns(PendingWritesWarning):
            assert run(search_text(io, store, "pear", 5)) == []
        assert len(rows(store)) == 2
        run(store.await_writes(io))
        assert stored(store) == {"a": (NEW, 2)}
        check_found(store)
        assert len(rows(store)) == 1
        run(delete(io, store, ["a"]))
        run(store.await_writes(io))
        assert run(search_text(io, store, "pear", 5)) == []
        assert rows(store) == []


def test_a_write_that_cannot_put_its_rows_writes_no_vectors() -> None:
    with VectorizeClient.local() as client:
        step, text_index = FailingStep(1), SteppingTextIndex()
        store, io = store_of(client, text_index), client.connection.io()
        text_index.step = step
        many = [item(f"r{i}", "apple") for i in range(30)]
        with pytest.raises((FailedError, PartialWriteError)) as caught:
            run(store.add(io, many, batch_size=10, concurrency=1))
        assert isinstance(caught.value, FailedError) or caught.value.__cause__
        assert len(run(store.get(io, [f"r{i}" for i in range(30)]))) <= 20
        text_index.step = lambda: None
        run(store.add(io, [item(f"r{i}", "apple") for i in range(30)], batch_size=10))
        assert len(run(search_text(io, store, "apple", 50))) == 30


def test_a_write_that_is_resumed_leaves_one_row_of_records_without_ids(tmp_path: Path) -> None:
    with VectorizeClient.local() as client:
        store = store_of(client, SqliteTextIndex())
        add(store, OLD, 1, "b")
        many = [replace(item(f"r{i}", "apple"), named=False) for i in range(30)]
        plain = client.connection.executor
        client.connection.executor = Stepping(plain, FailingStep(3))
        options: Any = {"batch_size": 10, "concurrency": 1, "resume": tmp_path / "checkpoint"}
        with pytest.raises(PartialWriteError):
            run(store.add(client.connection.io(), many, **options))
        client.connection.executor = plain
        io = client.connection.io()
        names = run(store.add(io, many, **options))
        assert isinstance(store.text_index, TextIndex)
        puts = run(store.text_index.versions(io, "docs", names))
        assert {name: len(some) for name, some in puts.items()} == dict.fromkeys(names, 1)


@pytest.mark.parametrize("options", [{"texts": SqliteTexts()}, {"on_oversize": "cut"}])
def test_long_texts_are_found_by_the_words_that_are_kept(options: Any) -> None:
    with VectorizeClient.local() as client:
        store, io = store_of(client, SqliteTextIndex(), **options), client.connection.io()
        run(store.add(io, [item("a", "first " + "word " * 4_000 + "last", year=1)]))
        assert ids(run(search_text(io, store, "first", 5))) == ["a"]
        whole = "texts" in options
        assert ids(run(search_text(io, store, "last", 5))) == (["a"] if whole else [])
        run(updating.update_metadata(io, store, ["a"], {"year": 2}))
        assert ids(run(search_text(io, store, "first", 5, filter={"year": 2}))) == ["a"]
        assert run(search_text(io, store, "first", 5, filter={"year": 1})) == []
        other = store_of(client, SqliteTextIndex(), **options)
        run(whole_index.reindex_texts(io, other))
        assert ids(run(search_text(io, other, "last", 5))) == (["a"] if whole else [])
        run(delete(io, store, ["a"]))
        assert rows(store) == []


@pytest.mark.parametrize(
    "make", [SqliteTextIndex, lambda: D1TextIndex("words")], ids=["file", "D1"]
)
async def test_async_writes_keep_rows_in_step_too(make: Callable[[], TextIndex]) -> None:
    with VectorizeClient.local() as client:
        store, io = store_of(client, make()), client.connection.async_io()
        await store.add(io, [item(name, OLD, year=1) for name in "abc"])
        await store.add(io, [item("a", NEW, year=2)])
        await updating.update_metadata(io, store, ["b"], {"year": 2})
        await delete(io, store, ["c"])
        assert ids(await search_text(io, store, "pear", 5)) == ["a"]
        assert ids(await search_text(io, store, "apple", 5, filter={"year": 2})) == ["b"]
        assert ids(await search_text(io, store, "apple", 5)) == ["b"]
        assert isinstance(store.text_index, TextIndex)
        puts = await store.text_index.versions(io, "docs", ["a", "b", "c"])
        assert {name: len(some) for name, some in puts.items()} == {"a": 1, "b": 1}


class Slow(SqliteTextIndex):
    """A text index that puts rows only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def _execute(self, tx: Any, statement: Any) -> Any:
        if "INSERT INTO" in statement[0]:
            self.begun.set()
            self.may_go_on.wait(60)
        return super()._execute(tx, statement)


async def test_a_write_that_is_cancelled_ends_when_its_rows_are_put() -> None:
    with VectorizeClient.local() as client:
        text_index = Slow()
        store, io = store_of(client, text_index), client.connection.async_io()
        write = asyncio.create_task(store.add(io, [item("a", OLD, year=1)]))
        await asyncio.to_thread(text_index.begun.wait, 60)
        write.cancel()
        for _ in range(50):
            await asyncio.sleep(0)
        assert not write.done()
        text_index.may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await write
        await store.add(io, [item("a", OLD, year=1)])
        assert len(await text_index.versions(io, "docs", ["a"])) == 1


def test_a_text_index_beside_the_vectors_is_closed_with_the_store(tmp_path: Path) -> None:
    for number in (1, 2):
        target = locate("docs", path=tmp_path)
        store = RecordStore(index=StoreIndex(target=target), embedder=Vectors(), text_index=True)
        add(store, OLD, number, str(number))
        assert len(run(search_text(store.connection.io(), store, "apple", 5))) == number
        store.close()
    assert (tmp_path / "words.sqlite3").exists()


# kill -9

KILLS: Final = {
    "add, its row put": ("add", "before"),
    "update, the new row put": ("update", "before"),
    "update, the new vector written": ("update", "after"),
    "update_metadata, the new vector written": ("update_metadata", "after"),
    "delete, the vector deleted": ("delete", "after"),
}


def test_the_same_call_repairs_what_a_killed_process_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = KILLS if NIGHTLY else dict([*KILLS.items()][2:3])
    processes = {}
    for number, (name, (action, moment)) in enumerate(kills.items()):
        place = tmp_path / str(number)
        place.mkdir()
        job = json.dumps({"path": str(place), "action": action, "moment": moment})
        with (place / "said").open("wb") as said:
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.core.texts.killed_indexing", job],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=said,
            )
    for number, (name, (action, _)) in enumerate(kills.items()):
        place, (act, after) = tmp_path / str(number), ACTIONS[action]
        assert processes[name].wait(60) not in (0, 1), (place / "said").read_text()
        with VectorizeClient.local(place) as client:
            store = store_of(client, SqliteTextIndex(place))
            check_found(store)
            with monkeypatch.context() as later:
                later.setattr(puts, "_IN_PROGRESS", -1.0)
                act(store)
            assert stored(store) == after, name
            check_found(store)
            assert isinstance(store.text_index, TextIndex)
            store.text_index.close()
