"""What ``index()`` and ``aindex()`` send, and cost; what they leave: tests/conformance."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Recorder, both_ways, sync_call
from vectorize_core import InvalidVectorError, VectorizeClient
from vectorize_core.api.operations import DeleteByIds


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> InMemoryRecordManager:
    manager = InMemoryRecordManager("docs")
    manager.create_schema()
    ticks = count(1)

    async def tick() -> float:
        return float(next(ticks))

    # Clean-up compares times, which must differ however fast the test runs.
    monkeypatch.setattr(manager, "get_time", lambda: float(next(ticks)))
    monkeypatch.setattr(manager, "aget_time", tick)
    return manager


async def indexed(
    call: Call,
    documents: list[Document],
    records: InMemoryRecordManager,
    store: VectorizeVectorStore,
    **options: Any,
) -> tuple[int, int, int, int]:
    """Added, updated, skipped, deleted."""
    options = {"key_encoder": "sha256", "source_id_key": "source", **options}
    if call is sync_call:
        result = index(documents, records, store, **options)
    else:
        result = await aindex(documents, records, store, **options)
    return (
        result["num_added"],
        result["num_updated"],
        result["num_skipped"],
        result["num_deleted"],
    )


def documents(texts: str, source: str = "a") -> list[Document]:
    return [Document(text, metadata={"source": source}) for text in texts]


@both_ways
async def test_many_stale_documents_go_in_requests_of_a_hundred(
    store: VectorizeVectorStore,
    client: VectorizeClient,
    sent: Recorder,
    embedder: Embedder,
    records: InMemoryRecordManager,
    call: Call,
) -> None:
    many = [Document(f"text {i}", metadata={"source": "a"}) for i in range(330)]
    added = await indexed(call, many, records, store, cleanup="full", batch_size=150)
    assert added == (330, 0, 0, 0)
    assert [len(batch) for batch in embedder.batches] == [150, 150, 30]
    assert await indexed(call, many[:20], records, store, cleanup="full") == (0, 0, 20, 310)
    assert sorted(len(delete.ids) for delete in sent.of(DeleteByIds)) == [10, 100, 100, 100]
    assert len(list(client.index("docs").list_ids())) == 20


@both_ways
@pytest.mark.parametrize("key_encoder", ["sha512", "blake2b"])
async def test_keys_that_are_too_long_name_the_encoder_that_fits(
    store: VectorizeVectorStore,
    sent: Recorder,
    embedder: Embedder,
    records: InMemoryRecordManager,
    call: Call,
    key_encoder: Any,
) -> None:
    with pytest.raises(InvalidVectorError, match=r"128 bytes.*key_encoder='sha256'"):
        await indexed(call, documents("a"), records, store, key_encoder=key_encoder)
    assert (embedder.batches, sent.changes) == ([], [])


@both_ways
async def test_options_of_the_store_pass_through(
    store: VectorizeVectorStore, records: InMemoryRecordManager, call: Call
) -> None:
    options = {"upsert_kwargs": {"namespace": "tenant"}}
    await indexed(call, documents("a"), records, store, **options)
    assert [d.page_content for d in store.similarity_search("q", namespace="tenant")] == ["a"]
