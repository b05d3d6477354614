"""Reading without a query: every document that a filter matches, or there is."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Make, Recorder, async_call, both_ways, sync_call
from vectorize_core import IndexNotFoundError, TooManyRequestsNeededError, VectorizeClient
from vectorize_core.api.operations import ListVectors, Query
from vectorize_core.local import Behavior

COUNT = 230


async def listed(
    call: Any, store: VectorizeVectorStore, method: str, *args: Any, **options: Any
) -> list[Any]:
    """Everything that an iteration yields."""
    if call is sync_call:
        return [*getattr(store, method)(*args, **options)]
    assert call is async_call
    return [item async for item in getattr(store, f"a{method}")(*args, **options)]


@pytest.fixture
def store(make: Make) -> VectorizeVectorStore:
    store = make(metadata_indexes={"n": "number"})
    ids = [str(n) for n in range(COUNT)]
    store.add_texts(ids, [{"n": n} for n in range(COUNT)], ids=ids)
    store.add_texts(["elsewhere"], [{"n": -1}], ids=["e"], namespace="other")
    return store


@both_ways
async def test_every_document_is_read_once(store: VectorizeVectorStore, call: Any) -> None:
    found = await listed(call, store, "iter_documents")
    assert sorted(d.metadata["n"] for d in found) == list(range(-1, COUNT))
    assert all(d.id == d.page_content for d in found if d.id != "e")


@both_ways
async def test_ids_are_listed_a_thousand_a_request(
    store: VectorizeVectorStore, sent: Recorder, call: Any
) -> None:
    sent.ops.clear()
    assert len(await listed(call, store, "iter_ids")) == COUNT + 1
    assert (len(sent.of(ListVectors)), len(sent.of(Query))) == (1, 0)


@both_ways
@pytest.mark.parametrize("method", ["iter_documents", "iter_ids"])
async def test_filters_and_namespaces_narrow_what_is_read(
    store: VectorizeVectorStore, call: Any, method: str
) -> None:
    def ids(found: list[Any]) -> set[str]:
        return {item if method == "iter_ids" else item.id for item in found}

    below = {"n": {"$lt": 130}}
    expected = {str(n) for n in range(130)}
    assert ids(await listed(call, store, method, below)) == expected | {"e"}
    assert ids(await listed(call, store, method, below, namespace="other")) == {"e"}
    assert ids(await listed(call, store, method, namespace="other")) == {"e"}
    even = await listed(call, store, method, lambda d: d.metadata["n"] % 2 == 0, unindexed="scan")
    assert ids(even) == {str(n) for n in range(0, COUNT, 2)}
    assert ids(await listed(call, store, method, {"n": {"$in": []}})) == set()
    with pytest.raises(TooManyRequestsNeededError):
        await listed(call, store, method, below, max_requests=1)


@both_ways
@pytest.mark.parametrize("method", ["iter_documents", "iter_ids"])
async def test_a_tenant_reads_its_own(store: VectorizeVectorStore, call: Any, method: str) -> None:
    view = store.with_namespace("tenant")
    view.add_texts(["x", "y"], ids=["1", "2"])
    found = await listed(call, view, method)
    assert sorted(item if method == "iter_ids" else item.id for item in found) == ["1", "2"]


@both_ways
@pytest.mark.parametrize("method", ["iter_documents", "iter_ids"])
async def test_before_the_first_write_there_is_nothing_to_read(
    make: Make, call: Any, method: str
) -> None:
    assert await listed(call, make(), method) == []
    with pytest.raises(IndexNotFoundError):
        await listed(call, make(create_index=False), method)


@both_ways
@pytest.mark.parametrize("method", ["iter_documents", "iter_ids"])
async def test_what_this_client_has_just_written_is_waited_for(
    call: Any, method: str, embedder: Any
) -> None:
    behavior = Behavior(process_delay=0.05, propagate_delay=0.05)
    with VectorizeClient.local(behavior=behavior) as client:
        store = VectorizeVectorStore(embedder, index_name="docs", client=client, create_index=True)
        store.add_texts(["a", "b"])
        assert len(await listed(call, store, method)) == 2


@both_ways
async def test_leaving_an_iteration_sends_nothing_more(
    store: VectorizeVectorStore, sent: Recorder, call: Any
) -> None:
    store.wait()
    sent.ops.clear()
    if call is sync_call:
        documents = store.iter_documents()
        next(documents)
        documents.close()  # type: ignore[attr-defined]
    else:
        awaited = store.aiter_documents()
        await anext(awaited)
        await awaited.aclose()  # type: ignore[attr-defined]
    assert len(sent.of(Query)) <= 3
