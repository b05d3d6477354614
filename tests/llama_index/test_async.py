"""Async methods that are: nothing blocks the loop's thread; and loops, threads and forks."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core.schema import TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index_vectorize import VectorizeVectorStore
from tests.blocking import watched
from tests.llama_index.helpers import equal_to, text_node
from tests.stores import async_name, vector
from vectorize_core import D1TextIndex
from vectorize_core.local.server import BackgroundServer

NODES = [text_node(f"{i}", f"doc {i % 4}", n=i) for i in range(120)]
QUERY = VectorStoreQuery(query_embedding=vector("q"), similarity_top_k=3)
Open = Callable[[], VectorizeVectorStore]


@pytest.fixture(params=["memory", "directory", "http"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens stores on one index, with a connection of their own but for those in memory."""
    options: dict[str, Any] = {"path": tmp_path / "vectors", "text_index": True}
    if request.param == "memory":
        options["path"] = ":memory:"
    elif request.param == "http":
        server: BackgroundServer = request.getfixturevalue("server")
        options = {"account_id": uuid4().hex, "base_url": server.base_url}
        options["text_index"] = D1TextIndex("words")
    return lambda: VectorizeVectorStore(
        "docs", create_index=True, metadata_indexes={"n": "number"}, wait="visible", **options
    )


BY_WORDS = {**vars(QUERY), "query_str": "text 5"}
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("async_add", (NODES,)),
    ("aquery", (QUERY,)),
    ("aquery", (VectorStoreQuery(**{**vars(QUERY), "similarity_top_k": 110}),)),
    ("aquery", (VectorStoreQuery(**{**vars(QUERY), "filters": equal_to("n", 5)}),)),
    ("aquery", (VectorStoreQuery(**{**vars(QUERY), "node_ids": ["1", "2"]}),)),
    ("aquery", (VectorStoreQuery(**{**vars(QUERY), "mode": VectorStoreQueryMode.MMR}),)),
    ("aquery", (VectorStoreQuery(filters=equal_to("n", 5)),)),
    ("aquery", (VectorStoreQuery(**{**BY_WORDS, "mode": VectorStoreQueryMode.TEXT_SEARCH}),)),
    ("aquery", (VectorStoreQuery(**{**BY_WORDS, "mode": VectorStoreQueryMode.HYBRID}),)),
    ("aexplain_text", ("text 5",)),
    ("aget_nodes", ([f"{i}" for i in range(60)],)),
    ("aget_nodes", (None, equal_to("n", 5))),
    ("acount", (equal_to("n", 5),)),
    ("aexplain_filter", (equal_to("n", 5),)),
    ("adelete_nodes", (["1", "2"],)),
    ("adelete_nodes", (None, equal_to("n", 3))),
    ("adelete", ("doc 0",)),
    ("adelete_many", (["doc 1", "doc 2"],)),
    ("areindex_metadata", ()),
    ("areindex_texts", ()),
    ("acreate_metadata_index", ("kind", "string")),
    ("aupdate_metadata", (["5"], {"n": 1})),
    ("acompare", (SimpleDocumentStore(),)),
    ("await_writes", ()),
    ("aclear", ()),
    ("areset", ()),
    ("adrop", ()),
]


async def every_call(store: VectorizeVectorStore) -> None:
    for method, args in CALLS:
        await getattr(store, method)(*args)
    assert [node async for node in store.aiter_nodes()] == []


async def test_no_async_method_blocks_the_loops_thread(open_store: Open) -> None:
    # Modules are loaded by the first one.
    for warm in (False, True):
        store = open_store()
        if warm:
            with watched() as found:
                await every_call(store)
                await store.aclose()
            assert found == []
        else:
            await every_call(store)
            await store.aclose()


async def test_sync_methods_are_seen_to_block_it(open_store: Open) -> None:
    async with open_store() as store:
        with watched() as found:
            store.add(NODES[:1])
    assert found


def test_every_async_method_is_called_above() -> None:
    public = {name for name, _ in inspect.getmembers(VectorizeVectorStore, inspect.isfunction)}
    variants = {async_name(name) for name in public} & public
    iterators = {"aiter_nodes", "aiter_ids"}
    assert variants - {"aclose", *iterators} == {name for name, _ in CALLS} - {"await_writes"}
    for name in variants - iterators:
        assert inspect.iscoroutinefunction(getattr(VectorizeVectorStore, name))


# Loops, threads and processes


def test_one_loop_after_the_other(open_store: Open) -> None:
    store = open_store()

    async def work(n: int) -> list[str]:
        await store.async_add([NODES[n]])
        found = await asyncio.gather(*(store.aquery(QUERY) for _ in range(3)))
        return sorted(found[0].ids or ())

    async def close() -> None:
        await store.aclose()

    # The client of a loop is closed in that loop, so each is left tidy.
    for n in range(3):

        async def once(n: int = n) -> list[str]:
            try:
                return await work(n)
            finally:
                await close_clients(store)

        assert asyncio.run(once()) == [f"{i}" for i in range(n + 1)]
    assert store.count() == 3
    asyncio.run(close())


async def close_clients(store: VectorizeVectorStore) -> None:
    """Close what a loop that ends would leave open."""
    clients = getattr(store.client.connection.executor, "_async_clients", {})
    made = clients.pop(asyncio.get_running_loop(), None)
    if made is not None:
        await made[1].aclose()


async def test_several_threads_and_the_loop_at_once(open_store: Open) -> None:
    async with open_store() as store:
        await store.async_add(NODES[:1])

        def work(n: int) -> int:
            store.add([NODES[n]])
            return len(store.query(QUERY).ids or ())

        with ThreadPoolExecutor(4) as pool:
            threads = [asyncio.wrap_future(pool.submit(work, n)) for n in range(1, 20)]
            tasks = [store.async_add([NODES[n]]) for n in range(20, 40)]
            await asyncio.gather(*threads, *tasks)
        assert {node.node_id for node in store.iter_nodes()} == {f"{n}" for n in range(40)}


async def test_iterating_in_one_thread_while_others_write(open_store: Open) -> None:
    async with open_store() as store:
        await store.async_add(NODES[:60])
        seen: list[str] = []
        reader = threading.Thread(
            target=lambda: seen.extend(node.node_id for node in store.iter_nodes())
        )
        reader.start()
        await store.async_add(NODES[60:])
        await asyncio.to_thread(reader.join)
        assert {f"{n}" for n in range(60)} <= set(seen) <= {f"{n}" for n in range(120)}
        assert len(seen) == len(set(seen))


def _in_a_child(store: VectorizeVectorStore, told: Any) -> None:
    try:
        store.add([NODES[1]])

        async def asked() -> list[str]:
            found = await store.aquery(QUERY)
            await store.aclose()
            return sorted(found.ids or ())

        told.put(asyncio.run(asked()))
    except BaseException as error:
        told.put(repr(error))
        raise


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("open_store", ["directory", "http"], indirect=True)
def test_a_fork_works_on(open_store: Open) -> None:
    store = open_store()
    store.add([NODES[0]])
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    child = context.Process(target=_in_a_child, args=(store, told))
    child.start()
    assert told.get(timeout=60) == ["0", "1"]
    child.join(60)
    assert {node.node_id for node in store.iter_nodes()} == {"0", "1"}
    store.close()


async def test_the_loop_gets_its_turn_while_many_nodes_are_prepared() -> None:
    made, seen = 0, [0]

    class Counted(TextNode):
        def to_dict(self, **kwargs: Any) -> dict[str, Any]:
            nonlocal made
            made += 1
            return super().to_dict(**kwargs)

    async def look() -> None:
        while True:
            seen.append(made)
            await asyncio.sleep(0)

    nodes = [Counted(id_=f"{n}", text="t", embedding=vector("t")) for n in range(1_000)]
    async with VectorizeVectorStore.local("docs") as store:
        other = asyncio.create_task(look())
        await store.async_add(nodes)
        other.cancel()
    assert made == 1_000
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 64
