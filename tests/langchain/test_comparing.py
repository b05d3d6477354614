"""A store compared with the record manager of LangChain's indexing API, and repaired."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.indexing.base import RecordManager

from langchain_vectorize import KeyEncoder, VectorizeVectorStore
from tests.stores import Call, Embedder, Make, Recorder, both_ways
from vectorize_core import Comparison, InvalidInputError, Vector, VectorizeClient
from vectorize_core.api.operations import ListVectors, Query

PLANTED = 100
KEPT = 50


def documents(count: int) -> list[Document]:
    odd: dict[str, Any] = {"none": None, "float": 1.0, "tags": ["a", {"b": [1]}], "é": "日本"}
    return [Document(f"text {n}", metadata={"n": n, **odd}) for n in range(count)]


def indexed(
    store: Any, count: int = 3, key_encoder: KeyEncoder = "sha256", **options: Any
) -> InMemoryRecordManager:
    manager = InMemoryRecordManager("docs")
    manager.create_schema()
    index(documents(count), manager, store, cleanup=None, key_encoder=key_encoder, **options)
    return manager


def plant(store: Any, manager: InMemoryRecordManager) -> Comparison:
    """Differences of each kind, a hundred each; returns what is to be found."""
    keys = sorted(manager.list_keys())
    missing, texts, metadata = keys[:PLANTED], keys[PLANTED:150], keys[150 : 2 * PLANTED]
    store.delete(missing)
    old = {document.id: document for document in store.get_by_ids(texts)}
    store.add_texts([f"{old[i].page_content}!" for i in texts], ids=texts)
    store.update_metadata(metadata[:25], {"n": 5.5})
    store.update_metadata(metadata[25:], remove=["none"])
    extra = sorted(hashlib.sha256(b"%d" % n).hexdigest() for n in range(PLANTED))
    store.add_texts([f"extra {i}" for i in extra], ids=extra)
    return Comparison(tuple(missing), tuple(extra), tuple(sorted([*texts, *metadata])))


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_planted_differences_are_found_and_repaired(
    store: VectorizeVectorStore, call: Call, tenant: bool
) -> None:
    other = store.with_namespace("other")
    if tenant:
        other.add_texts(["their own"], ids=["a"])
        store = store.with_namespace("mine")
    manager = indexed(store, 2 * PLANTED + KEPT)
    assert (await call(store, "compare", manager)).same
    planted = plant(store, manager)
    found = await call(store, "compare", manager)
    assert found == planted
    assert str(found) == "100 missing, 100 extra, 100 changed"
    ids_alone = await call(store, "compare", manager, check_contents=False)
    assert ids_alone == Comparison(planted.missing, planted.extra)
    assert store.count() == 2 * PLANTED + KEPT

    repaired = await call(store, "compare", manager, repair=True)
    assert repaired == Comparison(planted.missing, planted.extra, planted.changed, repaired=True)
    assert (store.count(), len(manager.list_keys())) == (KEPT, KEPT)
    assert (await call(store, "compare", manager)).same
    # And the sources bring back what was taken out.
    counts = index(documents(250), manager, store, cleanup="full", key_encoder="sha256")
    assert (counts["num_added"], counts["num_skipped"], counts["num_deleted"]) == (200, KEPT, 0)
    assert (await call(store, "compare", manager)).same
    assert store.count() == 2 * PLANTED + KEPT
    assert other.count() == tenant


@both_ways
@pytest.mark.parametrize("check_contents", [True, False])
async def test_a_repair_deletes_what_was_written_without_the_view(
    store: VectorizeVectorStore, call: Call, check_contents: bool
) -> None:
    view = store.with_namespace("mine")
    manager = indexed(view, 2)
    store.add_texts(["of no view"], ids=["extra"], namespace="mine")
    how = {"check_contents": check_contents}
    repaired = await call(view, "compare", manager, repair=True, **how)
    assert repaired == Comparison(extra=("extra",), repaired=True)
    assert (await call(view, "compare", manager, **how)).same
    assert view.count() == 2


def by_text(document: Document) -> str:
    return f"of {document.page_content}"


@both_ways
@pytest.mark.filterwarnings("ignore:Using SHA-1")
@pytest.mark.parametrize("key_encoder", ["sha1", "sha256", "sha512", "blake2b", by_text])
async def test_documents_are_known_by_the_keys_of_every_encoder(
    store: VectorizeVectorStore, call: Call, key_encoder: Any
) -> None:
    # A tenant's ids may be long.
    view = store.with_namespace("mine")
    manager = indexed(view, 5, key_encoder)
    (changed, *_) = sorted(manager.list_keys())
    view.add_texts(["another text"], ids=[changed])
    told = await call(view, "compare", manager, key_encoder=key_encoder)
    assert told == Comparison(changed=(changed,))
    if key_encoder is by_text:
        with pytest.raises(InvalidInputError, match=r"'of text \d' is no digest .*key_encoder="):
            await call(view, "compare", manager)
        assert (await call(view, "compare", manager, check_contents=False)).same
    else:
        assert await call(view, "compare", manager) == told


async def test_an_async_index_is_compared_by_async_methods_alone(
    store: VectorizeVectorStore,
) -> None:
    class Async(InMemoryRecordManager):
        def list_keys(self, **_: Any) -> list[str]:
            raise AssertionError

        delete_keys = list_keys  # type: ignore[assignment]

        async def alist_keys(self, **options: Any) -> list[str]:
            return InMemoryRecordManager.list_keys(self, **options)

        async def adelete_keys(self, keys: Sequence[str]) -> None:
            InMemoryRecordManager.delete_keys(self, keys)

    manager = Async("docs")
    await aindex(documents(3), manager, store, cleanup=None, key_encoder="sha256")
    await store.adelete([min(await manager.alist_keys())])
    assert len((await store.acompare(manager, repair=True)).missing) == 1
    assert (await store.acompare(manager)).same


def test_keys_are_deleted_some_at_a_time(store: VectorizeVectorStore) -> None:
    class Counting(InMemoryRecordManager):
        def delete_keys(self, keys: Sequence[str]) -> None:
            assert len(keys) <= 999
            super().delete_keys(keys)

    manager: RecordManager = Counting("docs")
    store.add_texts(["a"], ids=["a"])
    manager.update([f"gone {n}" for n in range(2_500)] + ["a"])
    given: Any = {"check_contents": False, "repair": True}
    assert len(store.compare(manager, **given).missing) == 2_500
    assert manager.list_keys() == ["a"]


def test_what_is_not_a_document_at_all_is_a_difference(make: Make, client: VectorizeClient) -> None:
    store = make()
    manager = indexed(store, 3)
    first, second, _ = sorted(manager.list_keys())
    values = client.index("docs").get([first])[0].values
    # Of another client: without a text, and with metadata that JSON does not know.
    client.index("docs").upsert([Vector(first, values), Vector("foreign", values)])
    store.update_metadata([second], {"when": b"bytes"})
    assert store.compare(manager) == Comparison((), ("foreign",), (first, second))


def test_a_repair_does_not_take_all_for_changed(store: VectorizeVectorStore) -> None:
    # Keys of a function that look like digests of index() itself.
    def alike(document: Document) -> str:
        return hashlib.sha256(document.page_content.encode()).hexdigest()

    manager = indexed(store, 4, alike)
    assert len(store.compare(manager).changed) == 4
    with pytest.raises(InvalidInputError, match="would delete all of them: pass the key_encoder="):
        store.compare(manager, repair=True)
    assert store.compare(manager, repair=True, key_encoder=alike).same
    assert store.count() == 4
    manager.delete_keys(manager.list_keys())
    with pytest.raises(InvalidInputError, match=r"delete\(delete_all=True\) does that"):
        store.compare(manager, repair=True)
    assert (store.count(), len(store.compare(manager).extra)) == (4, 4)


def test_one_namespace_is_compared(store: VectorizeVectorStore) -> None:
    store.add_texts(["elsewhere"], ids=["b"], namespace="two")
    manager = indexed(store, 3, upsert_kwargs={"namespace": "one"})
    assert store.compare(manager, namespace="one").same
    assert store.compare(manager).extra == ("b",)


def test_ids_alone_take_few_requests(store: VectorizeVectorStore, sent: Recorder) -> None:
    manager = indexed(store, 500)
    sent.ops.clear()
    assert store.compare(manager, check_contents=False).same
    assert (len(sent.of(ListVectors)), len(sent.of(Query))) == (1, 0)


def test_a_comparison_embeds_nothing(store: VectorizeVectorStore, embedder: Embedder) -> None:
    manager = indexed(store, 5)
    embedded = len(embedder.batches)
    assert store.compare(manager).same
    assert (len(embedder.batches), embedder.queries) == (embedded, [])
