"""Adding nodes: any number of them, out of whatever yields them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import TextNode

from llama_index_vectorize import VectorizeVectorStore
from tests.stores import both_ways, vector
from vectorize_core import InvalidVectorError, PartialWriteError, WriteEstimate

NODES = [TextNode(id_=f"n{n}", text=f"text {n}", embedding=vector(f"text {n}")) for n in range(25)]
IDS = [node.node_id for node in NODES]


@pytest.fixture
def store() -> Iterator[VectorizeVectorStore]:
    with VectorizeVectorStore.local("docs", batch_size=4) as store:
        yield store


def texts(store: VectorizeVectorStore) -> list[str]:
    return [node.get_content() for node in store.get_nodes(IDS)]


@both_ways
async def test_nodes_may_come_out_of_a_generator(call: Any, store: VectorizeVectorStore) -> None:
    assert await call(store, "add", iter(NODES)) == IDS
    assert texts(store) == [f"text {n}" for n in range(25)]


async def test_the_async_method_takes_an_async_generator(store: VectorizeVectorStore) -> None:
    async def produce() -> AsyncIterator[TextNode]:
        for node in NODES:
            await asyncio.sleep(0)
            yield node

    assert await store.async_add(produce()) == IDS
    assert texts(store) == [f"text {n}" for n in range(25)]


@both_ways
async def test_a_dry_run_checks_and_writes_nothing(call: Any, store: VectorizeVectorStore) -> None:
    found = await call(store, "add", NODES, dry_run=True)
    assert isinstance(found, WriteEstimate)
    assert (found, found.requests, found.stored_dimensions) == (IDS, 7, 25 * 32)
    assert store.get_nodes(IDS) == []
    with pytest.raises(InvalidVectorError, match="'bare' has no embedding"):
        await call(store, "add", [TextNode(id_="bare", text="bare")], dry_run=True)


@both_ways
async def test_an_add_that_broke_off_goes_on(
    call: Any, store: VectorizeVectorStore, tmp_path: Path
) -> None:
    def breaking() -> Iterator[TextNode]:
        yield from NODES[:10]
        raise OSError("the disk is gone")

    path = tmp_path / "checkpoint"
    with pytest.raises(PartialWriteError, match="the disk is gone") as caught:
        await call(store, "add", breaking(), resume=path)
    assert caught.value.written == tuple(range(8))
    assert await call(store, "add", NODES, resume=path, dry_run=True) == IDS[8:]
    assert await call(store, "add", NODES, resume=path) == IDS
    assert texts(store) == [f"text {n}" for n in range(25)]
    assert not path.exists()
