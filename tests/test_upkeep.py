"""What people do who look after a store: its index, how it is made, and made anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kinds import LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, both_ways, sync_call
from vectorize_core import (
    AsyncIndex,
    AsyncVectorizeClient,
    Index,
    IndexNotFoundError,
    InvalidInputError,
    SqliteTextIndex,
    SqliteTexts,
    TenantViewError,
    UnindexedPropertyError,
    VectorizeClient,
)

LONG = "a long text, " * 1_000


async def add(kind: Kind, store: Any, name: str, text: str = "a", /, **metadata: Any) -> None:
    await kind.add_rows(sync_call, store, [(name, text, metadata)])


@both_stores
async def test_the_index_and_the_client_are_the_stores_own(
    kind: Kind, client: VectorizeClient
) -> None:
    store = kind.over(client)
    await add(kind, store, "a")
    assert isinstance(store.index, Index)
    assert [vector.id for vector in store.index.get(["a"])] == ["a"]
    asynchronous = store.index.to_async()
    assert isinstance(asynchronous, AsyncIndex)
    assert [vector.id for vector in await asynchronous.get(["a"])] == ["a"]
    assert isinstance(asynchronous.to_sync(), Index)
    assert store.client.connection is client.connection
    names = ["index", "client"]
    if kind is LLAMA_INDEX:
        assert isinstance(store.aclient, AsyncVectorizeClient)
        assert store.aclient.connection is client.connection
        names.append("aclient")
    view = store.with_namespace("one")
    for name in names:
        with pytest.raises(TenantViewError, match=f"no {name}.*'one'.*of the store that"):
            getattr(view, name)


@both_stores
@both_ways
async def test_a_property_is_made_filterable_later(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    store = kind.over(client)
    await add(kind, store, "old", year=1999)
    with pytest.raises(UnindexedPropertyError, match=r"store\.create_metadata_index\('year'"):
        store.count({"year": 1999})
    await call(store, "create_metadata_index", "year", "number")
    await add(kind, store, "new", year=1999)
    assert await call(store, "reindex_metadata") == 2
    assert store.count({"year": 1999}) == 2
    # As if the store had been given it.
    again = kind.make(index=store.index, metadata_indexes={"year": "number"})
    await add(kind, again, "newer")


@both_stores
@both_ways
async def test_a_reset_empties_a_store_that_is_used_on(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    texts, text_index = SqliteTexts(), SqliteTextIndex()
    store = kind.over(
        client,
        metadata_indexes={"year": "number"},
        metric="euclidean",
        texts=texts,
        text_index=text_index,
    )
    await add(kind, store, "a", year=1)
    await add(kind, store, "long", LONG, year=1)
    store.create_metadata_index("kind", "string")
    await call(store, "reset")
    assert (client.get_index("docs").config.metric, store.count()) == ("euclidean", 0)
    await add(kind, store, "c", year=1, kind="x")
    assert store.count({"$and": [{"year": 1}, {"kind": "x"}]}) == 1
    await kind.delete_where(call, store, "kind", "x")
    assert store.count() == 0


@both_stores
@both_ways
async def test_a_dropped_index_is_gone(kind: Kind, call: Call, client: VectorizeClient) -> None:
    store = kind.over(client)
    await add(kind, store, "a")
    await call(store, "drop")
    assert client.list_indexes() == ()
    assert await kind.get(call, store, ["a"]) == []
    with pytest.raises(IndexNotFoundError):
        await call(kind.over(client, create_index=False), "drop")


@both_stores
@both_ways
async def test_a_view_resets_its_own(kind: Kind, call: Call, client: VectorizeClient) -> None:
    store = kind.over(client)
    view, other = store.with_namespace("one"), store.with_namespace("other")
    for each in (view, other, store):
        await add(kind, each, "a")
    created = store.index.details().created_on
    await call(view, "reset")
    assert store.index.details().created_on == created
    assert (view.count(), other.count(), store.count()) == (0, 1, 2)
    with pytest.raises(InvalidInputError, match="of other namespaces too: call it on the store"):
        await call(view, "drop")
    named = kind.make(index=store.index, namespace="other")
    await call(named, "reset")
    with pytest.raises(InvalidInputError, match="of the namespace 'other': call it on a store"):
        await call(named, "drop")
    assert [one for one, *_ in await kind.get(call, store, ["a"])] == ["a"]
    assert store.count() == 1
