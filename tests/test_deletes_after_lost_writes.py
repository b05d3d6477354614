"""A delete of all, or of a document, deletes what a write without an answer leaves, too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from llama_index_vectorize import VectorizeVectorStore as LlamaStore
from tests.kinds import LLAMA_INDEX, Kind, Row, both_stores
from tests.stores import DIMENSIONS, Call, both_ways, vector
from tests.test_many_deletes import World
from vectorize_core import Behavior, PartialWriteError, RequestTimeoutError, VectorizeClient
from vectorize_core.api.operations import Op, Upsert

ROWS: list[Row] = [(f"id-{n}", f"text {n}", {"n": 1}) for n in range(3)]
LIFETIME = 120.0


class Late:
    """Lets the first write seem lost, and carries it out a minute later."""

    def __init__(self, world: World) -> None:
        self._world, self._executor = world, world.client.connection.executor
        self._late: Op[Any] | None = None
        self._left, self._due = 1, 0.0
        sleep = world.sleep

        async def sleep_on(seconds: float) -> None:
            await sleep(seconds)
            self.pass_time()

        connection = world.client.connection
        for io in (connection.io(), connection.async_io()):
            io._executor = self  # type: ignore[attr-defined]
            io.sleep = sleep_on  # type: ignore[method-assign]

    def pass_time(self) -> None:
        if self._late is not None and self._world.now >= self._due:
            late, self._late = self._late, None
            self._executor.send(late)

    def send(self, op: Op[Any], /) -> Any:
        if isinstance(op, Upsert) and self._left:
            self._left, self._late, self._due = 0, op, self._world.now + LIFETIME / 2
            raise RequestTimeoutError("no answer in time")
        return self._executor.send(op)

    async def asend(self, op: Op[Any], /) -> Any:
        return self.send(op)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.client.close()


async def lost(world: World, kind: Kind, call: Call, store: Any, **options: Any) -> Late:
    policy = world.client.connection.io().policy
    once = type(policy)(write_deadline=0.0)
    both = (world.client.connection.io(), world.client.connection.async_io())
    for io in both:
        io.policy = once
    late = Late(world)
    with pytest.raises((PartialWriteError, RequestTimeoutError)):
        await kind.add_rows(call, store, ROWS, **options)
    for io in both:
        io.policy = policy
    return late


@both_ways
@both_stores
@pytest.mark.parametrize("namespace", [None, "one"])
async def test_clearing(world: World, kind: Kind, call: Call, namespace: str | None) -> None:
    store = world.store(kind, namespace=namespace)
    late = await lost(world, kind, call, store)
    await kind.clear(call, store)
    world.pass_time()
    late.pass_time()
    world.pass_time()
    assert world.client.index("docs").info().vector_count == 0


@both_ways
async def test_the_other_namespaces_stay(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX)
    late = await lost(world, LLAMA_INDEX, call, store, namespace="one")
    other = world.store(LLAMA_INDEX, namespace="two")
    await LLAMA_INDEX.clear(call, other)
    late.pass_time()
    world.now += LIFETIME
    late.pass_time()
    world.pass_time()
    assert world.client.index("docs").info().vector_count == 3


@both_ways
async def test_a_document(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX)
    late = await lost(world, LLAMA_INDEX, call, store)
    await call(store, "delete", "another")
    await call(store, "delete", "doc")
    world.pass_time()
    late.pass_time()
    world.pass_time()
    assert world.client.index("docs").info().vector_count == 0


@both_ways
async def test_what_was_written_since_is_of_its_new_document(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX)
    late = await lost(world, LLAMA_INDEX, call, store)
    moved = TextNode(
        id_="id-1",
        text="moved",
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="new")},
        embedding=vector("moved"),
    )
    await call(store, "add", [moved])
    await call(store, "delete", "doc")
    world.pass_time()
    late.pass_time()
    world.pass_time()
    assert list(world.client.index("docs").list_ids()) == ["id-1"]


@both_ways
@pytest.mark.parametrize("by", ["namespace", "the store's namespace", "filter", "both"])
async def test_by_ids_what_was_just_written_is_deleted(world: World, call: Call, by: str) -> None:
    its = {"namespace": "one"} if by == "the store's namespace" else {}
    store = world.store(LLAMA_INDEX, wait_timeout=600.0, **its)
    given = {"namespace": "one"} if by in ("namespace", "both") else {}
    filters = {"filters": {"n": {"$gt": 0}}} if by in ("filter", "both") else {}
    for name in ("one", "two") if given else (None,):
        items = [LLAMA_INDEX.item((f"{name}-{n}", "text", {"n": n})) for n in range(3)]
        await call(store, "add", items, **({"namespace": name} if name else {}))
    written = [f"{name}-{n}" for name in ("one", "two", None) for n in range(3)]
    await call(store, "delete_nodes", written, **filters, **given)
    # Only of what stands in a record does this client not know whether it matches.
    assert (world.waited > 0) == bool(filters)
    world.pass_time()
    left = {"one-0", "two-0", "two-1", "two-2"} if given else {"None-0"}
    expected = left if filters else left - {"one-0", "None-0"}
    assert set(world.client.index("docs").list_ids()) == expected


@both_ways
async def test_by_ids_what_may_have_been_written_is_deleted(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX, namespace="one")
    late = await lost(world, LLAMA_INDEX, call, store)
    await call(store, "delete_nodes", [row[0] for row in ROWS])
    world.pass_time()
    late.pass_time()
    world.pass_time()
    assert world.client.index("docs").info().vector_count == 0


@pytest.mark.parametrize("what", ["document", "everything", "filter"])
async def test_embedded_what_a_cancelled_write_still_does_is_deleted_too(what: str) -> None:
    with VectorizeClient.local(behavior=Behavior()) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        store: Any = LlamaStore("docs", client=client)
        service = client.connection.executor.service  # type: ignore[attr-defined]
        upsert, arrived, open_ = service.upsert, threading.Event(), threading.Event()

        def gated(*args: Any) -> Any:
            arrived.set()
            assert open_.wait(10)
            return upsert(*args)

        service.upsert = gated
        writing = asyncio.ensure_future(store.async_add([LLAMA_INDEX.item(r) for r in ROWS]))
        await asyncio.to_thread(arrived.wait)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        service.upsert = upsert
        if what == "filter":
            deleting = store.adelete_nodes(filters={"n": 1}, unindexed="scan")
        else:
            deleting = store.adelete("doc") if what == "document" else store.aclear()
        deleting = asyncio.ensure_future(deleting)
        await asyncio.wait([deleting], timeout=0.4)
        open_.set()
        await deleting
        assert await store.acount() == 0
