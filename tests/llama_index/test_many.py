"""Thousands of nodes in one call, as pipelines send them: in batches, and in little memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

from llama_index_vectorize import VectorizeVectorStore
from tests.executors import Open
from tests.llama_index.helpers import MODEL, documents, equal_to, run_pipeline, text_node
from tests.nightly import sized
from tests.stores import DIMENSIONS, Call, Make, Recorder, both_ways, vector
from vectorize_core import VectorizeClient
from vectorize_core.api.operations import DeleteByIds, GetByIds, Op, Query, Upsert
from vectorize_core.models import Mutation
from vectorize_core.transport.executor import Answer, Executor

T = TypeVar("T")
MANY = sized(2_000, 5_000)
VALUES = vector("the same for all")


def node(n: int) -> TextNode:
    return TextNode(
        id_=f"n{n}", text=f"text {n} " * 40, metadata={"n": n, "name": "x" * 100}, embedding=VALUES
    )


@both_ways
@pytest.mark.parametrize("client", ["embedded"], indirect=True)
async def test_a_pipeline_may_have_thousands_of_nodes(
    make: Make, sent: Recorder, call: Call
) -> None:
    store = make()
    pipeline = IngestionPipeline(transformations=[MODEL], vector_store=store)
    await run_pipeline(call, pipeline, documents(*(f"text {n}" for n in range(MANY))))
    assert sorted(len(ids) for ids in sent.writes) == [500] * (MANY // 500)
    assert {i for ids in sent.writes for i in ids} == {f"doc-{n}" for n in range(MANY)}
    assert await call(store, "count") == MANY


@both_ways
@pytest.mark.parametrize("client", ["embedded"], indirect=True)
async def test_an_index_may_have_thousands_of_nodes(make: Make, sent: Recorder, call: Call) -> None:
    store = make()
    index = VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=store))
    await call(index, "insert_nodes", [TextNode(id_=f"{n}", text=f"{n}") for n in range(2_100)])
    assert sum(map(len, sent.writes)) == 2_100
    assert len(sent.writes) == 6  # 2,048 of them at a time
    (best,) = await call(index.as_retriever(similarity_top_k=1), "retrieve", "2099")
    assert best.node.node_id == "2099"


class Sink(Open):
    """An executor that takes writes and forgets them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.most = 0

    def send(self, op: Op[T], /) -> Answer[T]:
        if isinstance(op, Upsert):
            self.most = max(self.most, len(op.vectors))
            return Answer(Mutation("none"))  # type: ignore[arg-type]
        return self._executor.send(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        return self.send(op) if isinstance(op, Upsert) else await self._executor.asend(op)

    def close(self) -> None:
        self._executor.close()

    async def aclose(self) -> None:
        await self._executor.aclose()


@pytest.fixture
def sunk() -> Iterator[VectorizeVectorStore]:
    """A store whose nodes take no memory once they are written."""
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        client.connection.executor = Sink(client.connection.executor)
        yield VectorizeVectorStore("docs", client=client, batch_size=50)


def peak(store: VectorizeVectorStore, nodes: Iterable[TextNode]) -> int:
    """The most bytes that adding takes, beyond what is there before."""
    gc.collect()
    tracemalloc.start()
    try:
        store.add(nodes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_generator_of_nodes_takes_little_memory(
    sunk: VectorizeVectorStore,
) -> None:
    peak(sunk, map(node, range(200)))
    few, many = peak(sunk, map(node, range(400))), peak(sunk, map(node, range(1_200)))
    # But for the ids that are returned, what became of each, and its document while it is pending
    # (of 100,000 ids at most), with the room that dicts keep to grow; a node takes many times that.
    assert many < few + 800 * 750


def test_a_list_of_nodes_takes_less_than_the_nodes_themselves(sunk: VectorizeVectorStore) -> None:
    """All of a list is checked before any of it is sent."""
    peak(sunk, map(node, range(200)))
    tracemalloc.start()
    nodes = [node(n) for n in range(1_000)]
    for one in nodes:
        one.embedding = [value + 0.0 for value in VALUES]
    own = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert peak(sunk, nodes) < own


# Reading them back


@pytest.fixture(scope="module")
def filled() -> Iterator[VectorizeVectorStore]:
    with VectorizeVectorStore("docs", path=":memory:", metadata_indexes={"n": "number"}) as store:
        store.add(text_node(f"{n}", f"doc {n % 7}", n=n % 3) for n in range(2_000))
        yield store


@both_ways
async def test_reading_pages_without_end(filled: VectorizeVectorStore, call: Call) -> None:
    expected = {f"{n}" for n in range(1, 2_000, 3)}
    got = await call(filled, "get_nodes", None, equal_to("n", 1))
    assert {one.node_id for one in got} == expected
    by_id = await call(filled, "get_nodes", [f"{n}" for n in range(1_999, -1, -1)])
    assert [one.node_id for one in by_id] == [f"{n}" for n in range(1_999, -1, -1)]
    assert len(list(filled.iter_nodes())) == 2_000
    assert {one.node_id for one in filled.iter_nodes(equal_to("n", 1))} == expected
    assert {one.node_id async for one in filled.aiter_nodes(equal_to("n", 1))} == expected
    assert sorted(filled.iter_ids(equal_to("n", 1))) == sorted(expected)
    assert len([one async for one in filled.aiter_ids()]) == 2_000


@both_ways
async def test_nodes_are_read_by_pages_in_the_order_of_their_ids(
    filled: VectorizeVectorStore, call: Call
) -> None:
    expected = sorted(f"{n}" for n in range(1, 2_000, 3))
    pages = []
    for offset in range(0, 700, 100):
        page = {"limit": 100, "offset": offset, "include_embeddings": True}
        pages += await call(filled, "get_nodes", None, equal_to("n", 1), **page)
    assert [one.node_id for one in pages] == expected
    assert all(one.embedding for one in pages)
    rest = await call(filled, "get_nodes", None, equal_to("n", 1), offset=660)
    assert [one.node_id for one in rest] == expected[660:]
    named = await call(filled, "get_nodes", ["7", "5", "no", "3"], limit=1, offset=1)
    assert [one.node_id for one in named] == ["5"]
    assert await call(filled, "get_nodes", offset=2_000) == []


async def test_reading_may_stop_early(filled: VectorizeVectorStore) -> None:
    first = [one for one, _ in zip(filled.iter_nodes(), range(10), strict=False)]
    assert len({one.node_id for one in first}) == 10
    nodes: Any = filled.aiter_nodes()
    assert (await anext(nodes)).node_id
    await nodes.aclose()
    assert filled.count() == 2_000


@both_ways
async def test_deleting_many_documents_is_cheaper_than_one_by_one(
    make: Make, sent: Recorder, call: Call
) -> None:
    nodes = [text_node(f"{n}", f"doc {n % 20}") for n in range(100)]
    store = make()

    async def requests(*calls: tuple[str, Any]) -> int:
        store.add(nodes)
        sent.ops.clear()
        for method, argument in calls:
            await call(store, method, argument)
        return len(sent.of(Query)) + len(sent.of(DeleteByIds)) + len(sent.of(GetByIds))

    doomed = [f"doc {n}" for n in range(10)]
    together = await requests(("delete_many", doomed))
    one_by_one = await requests(*(("delete", ref) for ref in doomed))
    assert together < one_by_one / 2
    assert await call(store, "count") == 50
