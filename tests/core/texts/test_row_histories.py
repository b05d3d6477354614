"""Whatever was done, in whichever order, wherever it failed: words find what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.core.records.stores import ids, item, store_of
from tests.core.texts.drivers import Stepping
from tests.core.texts.stepping import SteppingTextIndex
from tests.core.texts.test_interrupted import FailedError, FailingStep
from tests.nightly import examples
from vectorize_core import VectorizeClient
from vectorize_core.errors import PartialWriteError
from vectorize_core.records import updating
from vectorize_core.records.by_words import search_text
from vectorize_core.records.deleting import clear, delete
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import run

WORDS: Final = ("apple", "pear", "cherry", "plum")
NAMES: Final = ("a", "b", "c", "d", "e")
texts = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)
records = st.tuples(st.sampled_from(NAMES), texts, st.integers(1, 3))
ACTIONS: Final = st.one_of(
    st.tuples(
        st.just("add"), st.lists(st.tuples(st.sampled_from(NAMES), texts, st.integers(1, 3)))
    ),
    st.tuples(st.just("update_metadata"), names, st.integers(1, 3)),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("clear")),
    st.tuples(st.just("another store")),
)
FAILS: Final = st.one_of(st.none(), st.integers(1, 12))


def act(store: RecordStore, action: Any) -> None:
    io = store.connection.io()
    match action:
        case ("add", records):
            many = [item(name, text or None, year=year) for name, text, year in records]
            many = [one if one.record.text else replace(one, values=[1.0] * 32) for one in many]
            run(store.add(io, many, batch_size=2))
        case ("update_metadata", some, year):
            run(updating.update_metadata(io, store, some, {"year": year}))
        case ("delete", some):
            run(delete(io, store, some))
        case ("clear",):
            run(clear(io, store))


def check(store: RecordStore) -> None:
    io = store.connection.io()
    there = run(store.get(io, NAMES))
    for word in WORDS:
        for year in (None, 1, 2, 3):
            expected = {
                record.id
                for record in there
                if word in (record.text or "").split() and year in (None, record.metadata["year"])
            }
            options: Any = {} if year is None else {"filter": {"year": year}}
            found = ids(run(search_text(io, store, word, 50, **options)))
            assert len(found) == len(set(found))
            assert set(found) == expected


@examples(10)
@given(st.lists(st.tuples(ACTIONS, FAILS), min_size=1, max_size=8))
def test_words_find_what_is_there(history: list[tuple[Any, int | None]]) -> None:
    with VectorizeClient.local() as client:
        text_index = SteppingTextIndex()
        store = store_of(client, text_index)
        run(store.add(client.connection.io(), [item("a", "apple pear", year=1)]))
        plain = client.connection.executor
        for action, fails_at in history:
            if action == ("another store",):
                store = store_of(client, text_index)
            step = FailingStep(fails_at or 0)
            text_index.step = step
            client.connection.executor = Stepping(plain, step)
            try:
                act(store, action)
            except (FailedError, PartialWriteError):
                assert fails_at
            text_index.step = lambda: None
            client.connection.executor = plain
            check(store)
        text_index.close()
