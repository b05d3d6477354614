"""Pages of records, in the order of their ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.records.stores import item, store_of
from tests.stores import recorded
from vectorize_core import InvalidInputError, VectorizeClient
from vectorize_core.api.operations import GetByIds, Query
from vectorize_core.records.deleting import clear, delete
from vectorize_core.records.paging import page
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import run

IDS = [f"r{n:03}" for n in range(130)]


@pytest.fixture(scope="module")
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as made:
        store, io = store_of(made), made.connection.io()
        items = [item(name, f"text {name}", year=int(name[1:])) for name in IDS]
        run(store.add(io, reversed(items)))
        run(store.with_namespace("one").add(io, items[:90]))
        yield made


@pytest.fixture(params=["plain", "tenant"])
def store(request: Any, client: VectorizeClient) -> RecordStore:
    """A store, or a tenant's view, of the first 90."""
    if request.param == "tenant":
        return store_of(client).with_namespace("one")
    return store_of(client)


def names(store: RecordStore, **options: Any) -> list[str]:
    found = run(page(store.connection.io(), store, **options))
    assert all((one.values is not None) == bool(options.get("return_values")) for one in found)
    return [one.record.id for one in found]


def test_pages_are_parts_of_all(store: RecordStore) -> None:
    every = names(store)
    mine = IDS[:90] if store.bound else IDS
    assert [name for name in every if name in IDS] == mine
    assert every == sorted(every)
    assert names(store, return_values=True) == every
    pages = [names(store, limit=37, offset=37 * at) for at in range(7)]
    assert [name for some in pages for name in some] == every
    assert names(store, limit=5) == every[:5]
    assert names(store, offset=10) == every[10:]
    assert names(store, limit=0) == names(store, offset=10_000) == []


def test_a_page_of_what_a_filter_matches(store: RecordStore) -> None:
    wanted: Any = {"filter": {"year": {"$gte": 20, "$lt": 60}}}
    every = names(store, **wanted)
    assert {*IDS[20:60]} <= {*every}
    assert names(store, limit=7, offset=30, **wanted) == every[30:37]
    none = {"$and": [{"year": 1}, {"year": 2}]}
    assert names(store, limit=3, filter=none) == names(store, filter=none) == []


def test_ids_are_in_the_order_in_which_they_are_given(store: RecordStore) -> None:
    given = ["r007", "gone", "r001", "r050"]
    assert names(store, ids=given) == ["r007", "r001", "r050"]
    assert names(store, ids=given, limit=1, offset=1) == ["r001"]
    assert names(store, ids=given, filter={"year": {"$lt": 50}}) == ["r007", "r001"]
    assert names(store, ids=[]) == []


def test_a_page_of_another_namespace_than_that_of_the_store(client: VectorizeClient) -> None:
    store = store_of(client, namespace="two")
    run(store.add(store.connection.io(), [item("mine", "text of two")]))
    run(store.add(store.connection.io(), [item(f"t{n}", "a text") for n in "cab"], namespace="3"))
    try:
        assert names(store, namespace="3", limit=2) == ["ta", "tb"]
        assert names(store, namespace="3", offset=1, return_values=True) == ["tb", "tc"]
        assert names(store, limit=2) == ["mine"]
    finally:
        run(delete(store.connection.io(), store, ["mine", "ta", "tb", "tc"], wait=True))


def test_pages_of_a_view_have_what_was_written_without_it(client: VectorizeClient) -> None:
    store = store_of(client)
    view, io = store.with_namespace("mixed"), store.connection.io()
    run(view.add(io, [item("b", "of the view"), item("d", "of the view")]))
    run(store.add(io, [item("a", "without it"), item("b", "without it")], namespace="mixed"))
    try:
        assert names(view) == ["a", "b", "b", "d"]
        assert [*names(view, limit=2), *names(view, offset=2)] == names(view)
    finally:
        run(clear(io, view, wait=True))


def test_a_page_reads_no_more_than_itself(client: VectorizeClient) -> None:
    client.index("docs").wait()
    executor, sent = client.connection.executor, recorded(client)
    try:
        assert len(names(store_of(client), limit=20, offset=40)) == 20
    finally:
        client.connection.executor = executor
    assert [len(op.ids) for op in sent.of(GetByIds)] == [20]
    assert not sent.of(Query)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limit": -1}, "limit is not negative; got -1"),
        ({"limit": "5"}, "limit is a whole number; got '5'"),
        ({"offset": 1.5}, "offset is a whole number; got 1.5"),
        ({"ids": "r001"}, "list of ids"),
        ({"ids": ["r001"], "vectorize_filter": {"year": 1}}, "cannot be combined"),
    ],
)
def test_what_is_no_page(store: RecordStore, given: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        names(store, **given)
