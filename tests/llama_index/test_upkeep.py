"""What people do who look after a store: its index, how it is made, and made anew."""

from __future__ import annotations

import pytest

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import LONG, text_node
from tests.stores import Call, Make, both_ways
from vectorize_core import (
    AsyncIndex,
    AsyncVectorizeClient,
    Index,
    IndexNotFoundError,
    InvalidInputError,
    SqliteTexts,
    TenantViewError,
    UnindexedPropertyError,
    VectorizeClient,
)


async def test_the_index_and_the_client_are_the_stores_own(
    make: Make, client: VectorizeClient
) -> None:
    store = make()
    store.add([text_node("a")])
    assert isinstance(store.index, Index)
    assert [vector.id for vector in store.index.get(["a"])] == ["a"]
    asynchronous = store.index.to_async()
    assert isinstance(asynchronous, AsyncIndex)
    assert [vector.id for vector in await asynchronous.get(["a"])] == ["a"]
    assert isinstance(asynchronous.to_sync(), Index)
    assert isinstance(store.aclient, AsyncVectorizeClient)
    assert store.client.connection is store.aclient.connection is client.connection
    view = store.with_namespace("one")
    for name in ("index", "client", "aclient"):
        with pytest.raises(TenantViewError, match=f"no {name}.*'one'.*of the store that"):
            getattr(view, name)


@both_ways
async def test_a_property_is_made_filterable_later(make: Make, call: Call) -> None:
    store = make()
    store.add([text_node("old", year=1999)])
    with pytest.raises(UnindexedPropertyError, match=r"store\.create_metadata_index\('year'"):
        store.count({"year": 1999})
    await call(store, "create_metadata_index", "year", "number")
    store.add([text_node("new", year=1999)])
    assert await call(store, "reindex_metadata") == 2
    assert store.count({"year": 1999}) == 2
    # As if the store had been given it.
    again = make(metadata_indexes={"year": "number"})
    again.add([text_node("newer")])


@both_ways
async def test_a_reset_empties_a_store_that_is_used_on(
    make: Make, call: Call, client: VectorizeClient
) -> None:
    texts = SqliteTexts()
    store = make(metadata_indexes={"year": "number"}, metric="euclidean", texts=texts)
    long = text_node("long", year=1)
    long.text = LONG * 40
    store.add([text_node("a", year=1), long])
    store.create_metadata_index("kind", "string")
    await call(store, "reset")
    assert (client.get_index("docs").config.metric, store.count()) == ("euclidean", 0)
    store.add([text_node("c", "doc", year=1, kind="x")])
    assert store.count({"year": 1, "kind": "x"}) == 1
    await call(store, "delete", "doc")
    assert store.count() == 0


@both_ways
async def test_a_dropped_index_is_gone(make: Make, call: Call, client: VectorizeClient) -> None:
    store = make()
    store.add([text_node("a")])
    await call(store, "drop")
    assert client.list_indexes() == ()
    assert store.get_nodes() == []
    with pytest.raises(IndexNotFoundError):
        await call(make(create_index=False), "drop")


@both_ways
async def test_a_view_resets_its_own(make: Make, call: Call) -> None:
    store = make()
    view, other = store.with_namespace("one"), store.with_namespace("other")
    for each in (view, other, store):
        each.add([text_node("a")])
    created = store.index.details().created_on
    await call(view, "reset")
    assert store.index.details().created_on == created
    assert (view.count(), other.count(), store.count()) == (0, 1, 2)
    named = VectorizeVectorStore(index=store.index, namespace="other", text_index=store.text_index)
    await call(named, "reset")
    for one in (view, named):
        with pytest.raises(InvalidInputError, match="call it on"):
            await call(one, "drop")
    assert [node.node_id for node in store.iter_nodes()] == ["a"]
