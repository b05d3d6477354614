"""Updating documents: what has not changed is not embedded again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from tests.stores import ODD_METADATA, Call, Embedder, Make, Recorder, both_ways, shape, vector
from vectorize_core import InvalidInputError, InvalidVectorError, Vector, VectorizeClient
from vectorize_core.api.operations import Upsert
from vectorize_core.local import Behavior


def metadata_of(store: VectorizeVectorStore, *ids: str) -> list[dict[str, Any]]:
    return [document.metadata for document in store.get_by_ids(ids)]


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_metadata_is_merged_and_nothing_is_embedded(
    store: VectorizeVectorStore, embedder: Embedder, call: Call, tenant: bool
) -> None:
    if tenant:
        store = store.with_namespace("a")
    store.add_texts(["one", "two"], [{"a": 1, "b": 2}, {"b": 3}], ids=["1", "2"])
    embedded = len(embedder.batches)
    change = {"b": None, "c": {"d": [1]}}
    assert await call(store, "update_metadata", ["1", "2", "unknown", "1"], change) == [
        "1",
        "2",
        "1",
    ]
    assert metadata_of(store, "1", "2") == [{"a": 1, **change}, change]
    assert [d.page_content for d in store.get_by_ids(["1", "2"])] == ["one", "two"]
    assert [d.id for d in store.similarity_search("two", 1)] == ["2"]
    assert len(embedder.batches) == embedded


@both_ways
async def test_each_document_may_have_metadata_of_its_own(
    store: VectorizeVectorStore, call: Call
) -> None:
    store.add_texts(["one", "two"], ids=["1", "2"])
    changes = [{"n": 1, "first": True}, {"n": 2}, {"n": 3}]
    await call(store, "update_metadata", ["1", "2", "1"], changes)
    assert metadata_of(store, "1", "2") == [{"n": 3, "first": True}, {"n": 2}]
    assert changes == [{"n": 1, "first": True}, {"n": 2}, {"n": 3}]


@both_ways
async def test_metadata_may_be_replaced_as_a_whole(store: VectorizeVectorStore, call: Call) -> None:
    store.add_texts(["one"], [{"a": 1, "b": 2}], ids=["1"])
    await call(store, "update_metadata", ["1"], ODD_METADATA, replace=True)
    assert shape(metadata_of(store, "1")[0]) == shape(ODD_METADATA)
    await call(store, "update_metadata", ["1"], {}, replace=True)
    assert metadata_of(store, "1") == [{}]


@both_ways
async def test_updated_metadata_keeps_what_else_the_vector_holds(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    store = make(metadata_indexes={"kind": "string"})
    store.add_texts(["one"], [{"kind": "x"}], ids=["1"], namespace="n")
    (before,) = client.index("docs").get(["1"])
    long_ref = {"_vs_ref": "blake2b:" + "0" * 48}
    client.index("docs").upsert([Vector("1", before.values, "n", {**before.metadata, **long_ref})])
    await call(store, "update_metadata", ["1"], {"kind": "y"})
    (after,) = client.index("docs").get(["1"])
    assert (after.namespace, after.values.tolist()) == ("n", before.values.tolist())
    assert after.metadata == {**before.metadata, **long_ref, "kind": "y"}
    assert store.count({"kind": "y"}) == 1


@both_ways
async def test_impossible_updates_of_metadata_are_refused_at_once(
    store: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    store.add_texts(["one", "two"], ids=["1", "2"])
    sent.ops.clear()
    with pytest.raises(InvalidInputError, match="2 ids, but the metadata of 1 records"):
        await call(store, "update_metadata", ["1", "2"], [{}])
    with pytest.raises(InvalidInputError, match="list of ids"):
        await call(store, "update_metadata", "1", {})
    with pytest.raises(InvalidVectorError, match=r"'2'.*bytes"):
        await call(store, "update_metadata", ["1", "2"], [{"a": 1}, {"a": "x" * 10_240}])
    assert await call(store, "update_metadata", [], {}) == []
    assert await call(store, "update_metadata", ["unknown"], {}) == []
    assert sent.changes == []


@both_ways
async def test_an_update_does_not_set_back_own_new_writes(embedder: Embedder, call: Call) -> None:
    behavior = Behavior(process_delay=0.05, propagate_delay=0.05)
    with VectorizeClient.local(behavior=behavior) as client:
        store = VectorizeVectorStore(embedder, index_name="docs", client=client, create_index=True)
        store.add_texts(["old"], [{"a": 1}], ids=["1"], wait=True)
        store.add_texts(["new"], [{"a": 2}], ids=["1"])
        assert await call(store, "update_metadata", ["1"], {"b": 3}, wait=True) == ["1"]
        (document,) = store.get_by_ids(["1"])
        assert (document.page_content, document.metadata) == ("new", {"a": 2, "b": 3})


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_only_texts_that_have_changed_are_embedded(
    store: VectorizeVectorStore, embedder: Embedder, sent: Recorder, call: Call, tenant: bool
) -> None:
    if tenant:
        store = store.with_namespace("a")
    store.add_texts(["one", "two"], [{"old": True}] * 2, ids=["1", "2"])
    embedder.batches.clear()
    documents = [
        Document("one", id="1", metadata={"n": 1}),
        Document("TWO", id="2", metadata={"n": 2}),
        Document("three", id="3"),
    ]
    before = copy.deepcopy(documents)
    assert await call(store, "update_documents", documents) == ["1", "2", "3"]
    assert documents == before
    assert embedder.batches == [["TWO", "three"]]
    assert store.get_by_ids(["1", "2", "3"]) == documents
    values = {v.metadata["text"]: v.values for op in sent.of(Upsert) for v in op.vectors}
    for text, held in values.items():
        assert held.tolist() == pytest.approx(vector(text), abs=1e-6)
    assert await call(store, "update_documents", documents[:1], ids=["2"]) == ["2"]
    assert embedder.batches[1:] == [["one"]]


@both_ways
async def test_an_update_needs_to_know_what_it_updates(
    store: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    with pytest.raises(InvalidInputError, match="the id of every record"):
        await call(store, "update_documents", [Document("a", id="1"), Document("b")])
    assert await call(store, "update_documents", []) == []
    assert sent.changes == []


async def test_an_awaited_update_takes_an_async_iterable(store: VectorizeVectorStore) -> None:
    async def documents() -> Any:
        yield Document("a", id="1")

    assert await store.aupdate_documents(documents()) == ["1"]
