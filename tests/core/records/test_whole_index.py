"""Metadata indexes made later, and indexes dropped and made anew, with what is kept beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.core.records.stores import ids, item, store_of
from tests.stores import Recorder, recorded
from vectorize_core import (
    ConfigurationError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidInputError,
    SqliteTextIndex,
    SqliteTexts,
    VectorizeClient,
)
from vectorize_core.api.operations import CreateIndex, CreateMetadataIndex, DeleteIndex, Upsert
from vectorize_core.local import Behavior
from vectorize_core.records import whole_index
from vectorize_core.records.by_words import search_text
from vectorize_core.records.deleting import delete
from vectorize_core.records.reading import count
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io, run

LONG = "apple " * 3_000


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as made:
        yield made


@pytest.fixture
def io(client: VectorizeClient) -> Io:
    return client.connection.io()


@pytest.fixture
def store(client: VectorizeClient) -> RecordStore:
    return store_of(client, SqliteTextIndex(), texts=SqliteTexts(), metadata_indexes={})


def test_a_property_becomes_filterable_for_what_is_written_then(store: RecordStore, io: Io) -> None:
    run(store.add(io, [item("old", "apple", color="red")]))
    run(whole_index.create_metadata_index(io, store, "color", "string"))
    run(whole_index.create_metadata_index(io, store, "color", "string"))
    run(store.add(io, [item("new", "apple", color="red")]))
    assert run(whole_index.reindex_metadata(io, store)) == 2
    assert run(count(io, store, filter={"color": "red"})) == 2
    with pytest.raises(ConfigurationError, match="'string', not 'number'"):
        run(whole_index.create_metadata_index(io, store, "color", "number"))
    with pytest.raises(InvalidInputError, match="types are"):
        run(whole_index.create_metadata_index(io, store, "a", cast("Any", "text")))
    with pytest.raises(InvalidInputError, match="wait_timeout"):
        run(whole_index.create_metadata_index(io, store, "a", "string", wait_timeout=-1))


def test_what_the_first_write_makes_gets_its_metadata_indexes_from_the_store(
    store: RecordStore, io: Io
) -> None:
    with pytest.raises(ConfigurationError, match=r"metadata_indexes=.*\{'color': 'string'\}"):
        run(whole_index.create_metadata_index(io, store, "color", "string"))


def filled(store: RecordStore, io: Io) -> None:
    run(store.add(io, [item("a", LONG), item("b", "pear"), item("gone", LONG + "gone")]))
    run(delete(io, store, ["gone"]))


def texts_left(store: RecordStore) -> int:
    opened = cast("SqliteTexts", store.texts)._opened()
    with opened.reading() as tx:
        return int(tx.execute("SELECT count(*) FROM texts").fetchone()[0])


def test_a_drop_leaves_nothing(store: RecordStore, io: Io, client: VectorizeClient) -> None:
    run(whole_index.drop(io, store))
    filled(store, io)
    assert texts_left(store) >= 2
    run(whole_index.drop(io, store))
    assert client.list_indexes() == ()
    assert texts_left(store) == 0
    assert run(search_text(io, store, "apple", 5)) == []
    # As for a store that is new.
    filled(store, io)
    assert ids(run(search_text(io, store, "apple", 5))) == ["a"]
    (record,) = run(store.get(io, ["a"]))
    assert record.text == LONG


def test_a_drop_of_what_nobody_may_make_says_that_it_is_missing(client: VectorizeClient) -> None:
    made = store_of(client)
    index = made.index
    object.__setattr__(index, "create_index", False)
    with pytest.raises(IndexNotFoundError):
        run(whole_index.drop(client.connection.io(), made))


def test_long_texts_that_were_still_due_go_with_the_index() -> None:
    behavior = Behavior(process_delay=0.05, propagate_delay=0.05)
    with VectorizeClient.local(behavior=behavior) as client:
        io, made = client.connection.io(), store_of(client, texts=SqliteTexts())
        run(made.add(io, [item("a", LONG), item("b", LONG)], wait=True))
        run(delete(io, made, ["a"]))
        run(whole_index.drop(io, made))
        assert texts_left(made) == 0
        assert not made.removals


def test_a_reset_makes_the_index_as_it_was(
    store: RecordStore, io: Io, client: VectorizeClient
) -> None:
    run(whole_index.reset(io, store))
    assert client.list_indexes() == ()
    filled(store, io)
    before = client.get_index("docs")
    run(whole_index.create_metadata_index(io, store, "color", "string"))
    run(whole_index.reset(io, store))
    after = client.get_index("docs")
    assert (after.config, run(count(io, store)), texts_left(store)) == (before.config, 0, 0)
    assert after.created_on != before.created_on
    assert {"color", "_vs_ref"} <= {
        one.property_name for one in client.index("docs").list_metadata_indexes()
    }
    # The note says so: what is written from now on is in all of them.
    assert after.description == before.description.replace("_vs_ref]", "_vs_ref,color]")
    filled(store, io)
    assert ids(run(search_text(io, store, "apple", 5))) == ["a"]
    assert run(count(io, store, filter={"color": {"$exists": False}})) == 2


def test_a_reset_keeps_a_description_and_an_index_without_the_layout(
    client: VectorizeClient, io: Io
) -> None:
    client.create_index(
        "docs",
        dimensions=32,
        metric="euclidean",
        description="Of others",
        record_layout=False,
        metadata_indexes={"a.b": "number"},
    )
    run(whole_index.reset(io, store_of(client, metadata_indexes={})))
    details = client.get_index("docs")
    assert (details.description, details.config.metric) == ("Of others", "euclidean")
    (only,) = client.index("docs").list_metadata_indexes()
    assert (only.property_name, only.index_type) == ("a.b", "number")


def test_a_reset_keeps_metadata_indexes_that_are_still_being_made() -> None:
    with VectorizeClient.local(behavior=Behavior(metadata_index_delay=0.2)) as client:
        io, made = client.connection.io(), store_of(client)
        run(made.add(io, [item("a", "apple", color="red")]))
        client.index("docs").create_metadata_index("color", "string")
        run(whole_index.reset(io, made))
        run(made.add(io, [item("a", "apple", color="red")]))
        assert run(count(io, made, filter={"color": "red"})) == 1


def test_a_name_that_is_not_free_yet_is_waited_for(
    sent: Recorder, store: RecordStore, io: Io
) -> None:
    filled(store, io)
    sent.ops.clear()
    exists, gone = IndexExistsError("CreateIndex(docs)", 409), IndexNotFoundError("docs", 410)
    refusals = [(CreateMetadataIndex, gone), *[(CreateIndex, exists)] * 2]
    send = sent.send

    def refusing(op: Any) -> Any:
        if refusals and isinstance(op, refusals[-1][0]):
            raise refusals.pop()[1]
        return send(op)

    sent.send = refusing  # type: ignore[method-assign]
    run(whole_index.reset(io, store))
    assert refusals == []
    assert [type(op) for op in sent.changes][:2] == [DeleteIndex, CreateIndex]
    assert len(sent.of(CreateIndex)) == 1
    assert run(count(io, store)) == 0


def test_a_reset_that_fails_says_how_to_make_the_index(
    sent: Recorder, store: RecordStore, io: Io
) -> None:
    run(store.add(io, [item("b", "pear")]))
    send = sent.send

    def refusing(op: Any) -> Any:
        if isinstance(op, CreateIndex):
            raise InvalidInputError("no more indexes")
        return send(op)

    sent.send = refusing  # type: ignore[method-assign]
    with pytest.raises(InvalidInputError, match="no more") as said:
        run(whole_index.reset(io, store))
    (note,) = said.value.__notes__
    assert "create_index('docs', dimensions=32, metric='cosine', metadata_indexes={}," in note


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@pytest.mark.parametrize("bound", [False, True])
def test_in_a_namespace_only_its_own_goes(
    sent: Recorder, store: RecordStore, io: Io, client: VectorizeClient, bound: bool
) -> None:
    one = (
        store.with_namespace("one")
        if bound
        else store_of(
            client, store.text_index, namespace="one", texts=store.texts, metadata_indexes={}
        )
    )
    run(store.add(io, [item("a", LONG)], namespace="other"))
    run(one.add(io, [item("b", LONG)]))
    sent.ops.clear()
    with pytest.raises(InvalidInputError, match="namespace"):
        run(whole_index.drop(io, one))
    assert sent.ops == []
    run(whole_index.reset(io, one))
    assert not sent.of(DeleteIndex)
    assert not sent.of(Upsert)
    assert [r.id for r in run(store.get(io, ["a", "b"]))] == ["a"]
    assert (run(count(io, store)), run(count(io, one))) == (1, 0)


def test_a_tenants_view_refuses_what_is_of_all(store: RecordStore, io: Io) -> None:
    view = store.with_namespace("one")
    for refused in (
        whole_index.create_metadata_index(io, view, "a", "string"),
        whole_index.drop(io, view),
        whole_index.reindex_metadata(io, view),
    ):
        with pytest.raises(InvalidInputError, match="of other namespaces too: call it on"):
            run(refused)
