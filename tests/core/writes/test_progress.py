"""The progress of a write: told to a bar, a function, an async function."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from tests.core.helpers import Variant, both_variants, settled
from tests.stores import DIMENSIONS, Embedder, async_call, both_ways
from vectorize_core import (
    BatchReport,
    ConfigurationError,
    InvalidInputError,
    PartialWriteError,
    Vector,
    VectorizeClient,
)


def vectors(count: int) -> list[Vector]:
    return [Vector(str(n), np.ones(DIMENSIONS)) for n in range(count)]


@pytest.fixture
def client() -> Any:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        yield client


def index_of(variant: Variant, client: VectorizeClient) -> Any:
    return (client.to_async() if variant.is_async else client).index("docs")


@both_variants
async def test_a_bar_shows_how_many_records_are_in(
    variant: Variant, client: VectorizeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    reports: list[BatchReport] = []
    options = {"batch_size": 20, "show_progress": True, "on_batch": reports.append}
    await settled(index_of(variant, client).upsert(vectors(90), **options))
    assert "90/90" in capsys.readouterr().err
    assert sum(report.records for report in reports) == reports[-1].written == 90
    await settled(index_of(variant, client).upsert(iter(vectors(90)), show_progress=True))
    assert "90 records" in capsys.readouterr().err


@both_ways
async def test_the_stores_have_one_too(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    store = VectorizeVectorStore.local(Embedder(), index_name="docs")
    await call(store, "add_texts", [f"text {n}" for n in range(30)], show_progress=True)
    assert "30/30" in capsys.readouterr().err
    store.close()


def test_without_tqdm_the_error_says_what_to_install(
    client: VectorizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ConfigurationError, match="pip install tqdm"):
        client.index("docs").upsert(vectors(1), show_progress=True)
    assert client.index("docs").info().vector_count == 0


async def test_an_async_write_awaits_an_async_report(client: VectorizeClient) -> None:
    written: list[int] = []

    async def landed(report: BatchReport) -> None:
        await asyncio.sleep(0.001)
        written.append(report.written)

    index = client.to_async().index("docs")
    await index.upsert(vectors(30), batch_size=10, concurrency=1, on_batch=landed)
    assert written == [10, 20, 30]


async def test_an_async_report_that_raises_loses_no_account(client: VectorizeClient) -> None:
    async def landed(report: BatchReport) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("no room on the screen")

    index = client.to_async().index("docs")
    with pytest.raises(PartialWriteError, match="no room on the screen") as caught:
        await index.upsert(vectors(300), batch_size=10, on_batch=landed)
    error = caught.value
    assert 0 < len(error.written) < 300
    assert {i async for i in index.list_ids()} == {str(n) for n in error.written}


def test_a_sync_write_takes_no_async_report_and_no_async_iterable(client: VectorizeClient) -> None:
    async def landed(report: BatchReport) -> None:
        raise AssertionError

    async def produce() -> Any:
        yield vectors(1)[0]

    with pytest.raises(InvalidInputError, match="plain function"):
        client.index("docs").upsert(vectors(1), on_batch=landed)
    with pytest.raises(InvalidInputError, match="async method"):
        client.index("docs").upsert(produce())
    store = VectorizeVectorStore.local(Embedder(), index_name="docs")
    with pytest.raises(InvalidInputError, match="async method"):
        store.add_texts(produce())
    store.close()
    assert client.index("docs").info().vector_count == 0


async def test_the_stores_take_async_iterables_in_their_async_methods() -> None:
    async def of(*items: Any) -> Any:
        for item in items:
            await asyncio.sleep(0)
            yield item

    store = VectorizeVectorStore.local(Embedder(), index_name="docs")
    ids = await store.aadd_texts(of("one", "two"), of({"n": 1}, {"n": 2}), ids=["1", "2"])
    assert ids == ["1", "2"]
    documents = [Document("three", id="3"), Document("four", id="4", metadata={"n": 4})]
    assert await store.aadd_documents(of(*documents)) == ["3", "4"]
    assert await store.aadd_documents(of(*documents), ids=of("5", None)) != ["3", "4"]
    found = await async_call(store, "get_by_ids", ["1", "2", "3", "4", "5"])
    assert [d.page_content for d in found] == ["one", "two", "three", "four", "three"]
    assert [d.metadata for d in found[:2]] == [{"n": 1}, {"n": 2}]
    with pytest.raises(PartialWriteError, match="texts, ids are of different lengths"):
        await store.aadd_texts(of("one", "two"), ids=of("1"), batch_size=1)
    await store.aclose()
