"""What people do who look after a store: its index, and reading documents by pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Make, both_ways, vector
from vectorize_core import (
    AsyncIndex,
    Index,
    IndexNotFoundError,
    InvalidInputError,
    TenantViewError,
    UnindexedPropertyError,
    VectorizeClient,
)


@pytest.fixture(params=[False, True], ids=["store", "view"])
def one(request: pytest.FixtureRequest, store: VectorizeVectorStore) -> VectorizeVectorStore:
    """A store, or a tenant's view."""
    return store.with_namespace("one") if request.param else store


async def test_the_index_and_the_client_are_the_stores_own(
    store: VectorizeVectorStore, client: VectorizeClient
) -> None:
    store.add_texts(["a"], ids=["a"])
    assert isinstance(store.index, Index)
    assert [vector.id for vector in store.index.get(["a"])] == ["a"]
    asynchronous = store.index.to_async()
    assert isinstance(asynchronous, AsyncIndex)
    assert [vector.id for vector in await asynchronous.get(["a"])] == ["a"]
    assert store.client.connection is client.connection
    view = store.with_namespace("one")
    for name in ("index", "client"):
        with pytest.raises(TenantViewError, match=f"no {name}.*'one'.*of the store that"):
            getattr(view, name)


@both_ways
async def test_a_property_is_made_filterable_later(store: VectorizeVectorStore, call: Call) -> None:
    store.add_texts(["old"], [{"year": 1999}], ids=["old"])
    with pytest.raises(UnindexedPropertyError):
        store.count({"year": 1999})
    await call(store, "create_metadata_index", "year", "number")
    store.add_texts(["new"], [{"year": 1999}], ids=["new"])
    assert await call(store, "reindex_metadata") == 2
    assert store.count({"year": 1999}) == 2
    # As if the store had been given it.
    again = VectorizeVectorStore(Embedder(), index=store.index, metadata_indexes={"year": "number"})
    again.add_texts(["newer"])


@both_ways
async def test_a_reset_empties_a_store_that_is_used_on(
    make: Make, call: Call, client: VectorizeClient
) -> None:
    store = make(metadata_indexes={"year": "number"}, metric="euclidean")
    store.add_texts(["a", "b"], [{"year": 1}] * 2)
    store.create_metadata_index("kind", "string")
    await call(store, "reset")
    details = client.get_index("docs")
    assert (details.config.metric, store.count()) == ("euclidean", 0)
    store.add_texts(["c"], [{"year": 1, "kind": "x"}], ids=["c"])
    assert store.count({"$and": [{"year": 1}, {"kind": "x"}]}) == 1


@both_ways
async def test_a_dropped_index_is_gone(make: Make, call: Call, client: VectorizeClient) -> None:
    store = make()
    store.add_texts(["a"])
    await call(store, "drop")
    assert client.list_indexes() == ()
    assert store.similarity_search("a") == []
    careful = make(create_index=False)
    with pytest.raises(IndexNotFoundError):
        await call(careful, "drop")


@both_ways
async def test_a_view_resets_its_own(store: VectorizeVectorStore, call: Call) -> None:
    view, other = store.with_namespace("one"), store.with_namespace("other")
    for each in (view, other, store):
        each.add_texts(["a"], ids=["a"])
    created = store.index.details().created_on
    await call(view, "reset")
    assert store.index.details().created_on == created
    assert (view.count(), other.count(), store.count()) == (0, 1, 2)
    with pytest.raises(InvalidInputError, match="of other namespaces too"):
        await call(view, "drop")
    named = VectorizeVectorStore(Embedder(), index=store.index, namespace="other")
    await call(named, "reset")
    with pytest.raises(InvalidInputError, match="of the namespace 'other': call it on a store"):
        await call(named, "drop")
    assert [document.id for document in store.iter_documents()] == ["a"]


# Pages of documents


@both_ways
async def test_documents_come_as_lists_side_by_side(one: VectorizeVectorStore, call: Call) -> None:
    one.add_texts(["text b", "text a", "text c"], [{"n": 1}, {"n": 2}, {}], ids=["b", "a", "c"])
    assert await call(one, "get") == {
        "ids": ["a", "b", "c"],
        "documents": ["text a", "text b", "text c"],
        "metadatas": [{"n": 2}, {"n": 1}, {}],
        "embeddings": None,
    }
    assert await call(one, "get", ["c", "gone", "a"], include=["metadatas"]) == {
        "ids": ["c", "a"],
        "documents": None,
        "metadatas": [{}, {"n": 2}],
        "embeddings": None,
    }
    found = await call(one, "get", include=["embeddings"], limit=1, offset=1)
    assert (found["ids"], found["documents"], found["metadatas"]) == (["b"], None, None)
    (values,) = found["embeddings"]
    assert values.dtype == np.float32
    assert values.tolist() == pytest.approx(vector("text b"), abs=1e-6)
    assert (await call(one, "get", include=[]))["ids"] == ["a", "b", "c"]
    assert (await call(one, "get", []))["ids"] == []


@both_ways
async def test_pages_of_documents_that_a_filter_matches(make: Make, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    given = [{"n": n} for n in range(60)]
    store.add_texts([str(n) for n in range(60)], given, ids=[f"{n:02}" for n in range(60)])
    pages: list[Any] = [
        await call(store, "get", filter={"n": {"$gte": 10}}, limit=20, offset=offset)
        for offset in (0, 20, 40, 60)
    ]
    assert [page["ids"] for page in pages[:1]] == [[f"{n}" for n in range(10, 30)]]
    assert [i for page in pages for i in page["ids"]] == [f"{n}" for n in range(10, 60)]
    of_function: Any = {"filter": lambda d: d.metadata["n"] % 2 == 1, "unindexed": "scan"}
    assert (await call(store, "get", limit=2, offset=1, **of_function))["ids"] == ["03", "05"]
