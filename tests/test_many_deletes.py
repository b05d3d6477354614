"""Deletes that follow one another wait once for all: many documents, each changed.

The service shows what was written half a minute later; its clock goes on where a client sleeps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_vectorize import VectorizeVectorStore as LlamaStore
from tests.core.texts.drivers import Watched
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.llama_index.helpers import MODEL
from tests.nightly import sized
from tests.stores import DIMENSIONS, Call, both_ways, sync_call, vector
from vectorize_core import Behavior, Vector, VectorizeClient
from vectorize_core.state import own_writes
from vectorize_core.texts import SqliteTexts

pytestmark = pytest.mark.covering(2)

PROCESS, LAG = 30.0, 2.0
DELAY = PROCESS + LAG + 5.0
"""Seconds until a wait has seen a write; it looks every five seconds."""
MANY = sized(10, 100)
LONG = "Fourscore and seven years ago " * 400


class World:
    """A slow Vectorize, on a clock that sleeps move; ``waited`` is how long all of them took."""

    def __init__(self) -> None:
        self.now, self.waited = 1_000.0, 0.0
        behavior = Behavior(process_delay=PROCESS, propagate_delay=LAG)
        self.client = VectorizeClient.local(behavior=behavior, clock=lambda: self.now)
        self.client.create_index("docs", dimensions=DIMENSIONS)
        self.texts = Watched(SqliteTexts())
        connection = self.client.connection
        io, async_io = connection.io(), connection.async_io()
        for each in (io, async_io):
            each.sleep = self.sleep  # type: ignore[method-assign]
            each.now = lambda: self.now  # type: ignore[method-assign]
        connection.io = lambda: io  # type: ignore[method-assign]
        connection.async_io = lambda: async_io  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds

    def store(self, kind: Kind, **options: Any) -> Any:
        return kind.make(index_name="docs", client=self.client, texts=self.texts, **options)

    def pass_time(self) -> None:
        self.now += 1_000.0


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.client.close()


def text(number: int, version: int) -> str:
    """Every second one is long."""
    return f"text {number}, version {version} " + (LONG if number % 2 else "")


def llama_documents(version: int) -> list[LlamaDocument]:
    return [LlamaDocument(doc_id=f"doc-{n}", text=text(n, version)) for n in range(MANY)]


def contents(world: World) -> list[str]:
    """The texts of all nodes or documents there are, in a store of their own."""
    store = LlamaStore("docs", client=world.client, texts=world.texts)
    return sorted(node.get_content() for node in store.get_nodes(list(store.index.list_ids())))


def long_texts(version: int) -> list[str]:
    return sorted(t for n in range(MANY) if len(t := text(n, version)) > 10_000)


async def finish(call: Call, store: Any) -> None:
    """What waits for all, and so does the rest."""
    await call(store, "close")


def check(world: World, version: int | None) -> None:
    """All is as it was written last; nothing has waited for more than two delays."""
    assert world.waited <= 2 * DELAY
    world.pass_time()
    given = [] if version is None else [text(n, version) for n in range(MANY)]
    assert contents(world) == sorted(given)
    assert sorted(world.texts.texts) == ([] if version is None else long_texts(version))


@both_ways
async def test_a_pipeline_with_upserts(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX)
    pipeline = IngestionPipeline(
        transformations=[MODEL],
        docstore=SimpleDocumentStore(),
        vector_store=store,
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )
    for version in (1, 2):
        world.waited = 0.0
        for each in llama_documents(version):
            # One at a time, as documents come in.
            await call(pipeline, "run", documents=[each])
        if version == 1:
            world.pass_time()
    assert world.waited == 0
    await finish(call, store)
    check(world, 2)


@both_ways
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "just written"])
async def test_documents_that_are_refreshed_in_an_index(
    world: World, call: Call, settled: bool
) -> None:
    store = world.store(LLAMA_INDEX)
    context = StorageContext.from_defaults(vector_store=store)
    made = VectorStoreIndex.from_documents(
        llama_documents(1), storage_context=context, embed_model=MODEL, transformations=[MODEL]
    )
    if settled:
        world.pass_time()
    for version in (2, 3):
        if call is sync_call:
            assert made.refresh_ref_docs(llama_documents(version)) == [True] * MANY
        else:
            assert await made.arefresh_ref_docs(llama_documents(version)) == [True] * MANY
    assert world.waited == 0
    await finish(call, store)
    check(world, 3)


@both_ways
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "just written"])
@pytest.mark.parametrize("by", ["index", "store", "filter"])
async def test_documents_that_are_deleted_one_by_one(
    world: World, call: Call, settled: bool, by: str
) -> None:
    store = world.store(LLAMA_INDEX)
    context = StorageContext.from_defaults(vector_store=store)
    made = VectorStoreIndex.from_documents(
        llama_documents(1), storage_context=context, embed_model=MODEL, transformations=[MODEL]
    )
    if settled:
        world.pass_time()
    for number in range(MANY):
        if by == "index":
            name = "delete_ref_doc" if call is sync_call else "adelete_ref_doc"
            given = getattr(made, name)(f"doc-{number}")
            if call is not sync_call:
                await given
        elif by == "store":
            await call(store, "delete", f"doc-{number}")
        else:
            where = {"_vs_ref": f"doc-{number}"}
            await call(store, "delete_nodes", None, None, vectorize_filter=where)
    await finish(call, store)
    check(world, None)


@both_ways
@pytest.mark.parametrize("cleanup", ["incremental", "full"])
@pytest.mark.parametrize("batch_size", [1, 100])
async def test_the_indexing_api(world: World, call: Call, cleanup: Any, batch_size: int) -> None:
    store = world.store(LANGCHAIN)
    manager = InMemoryRecordManager("docs")
    manager.create_schema()
    ticks = count(1)

    async def tick() -> float:
        return float(next(ticks))

    manager.get_time = lambda: float(next(ticks))  # type: ignore[method-assign]
    manager.aget_time = tick  # type: ignore[method-assign]
    for version in (1, 2):
        given = [Document(text(n, version), metadata={"source": f"{n}"}) for n in range(MANY)]
        options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source"}
        options |= {"key_encoder": "sha256", "batch_size": batch_size}
        if call is sync_call:
            index(given, manager, store, **options)
        else:
            await aindex(given, manager, store, **options)
        if version == 1:
            world.pass_time()
    assert world.waited == 0
    await finish(call, store)
    check(world, 2)


@both_ways
@both_stores
async def test_long_texts_that_are_replaced_again_and_again(
    world: World, call: Call, kind: Kind
) -> None:
    store = world.store(kind)
    for version in range(20):
        rows = [(f"id-{n}", text(n, version), {}) for n in range(6)]
        await kind.add_rows(call, store, rows)
    assert world.waited == 0
    if call is sync_call:
        store.wait() if kind is LANGCHAIN else store.wait_for_writes()
    else:
        await store.await_writes()
    assert sorted(world.texts.texts) == sorted(text(n, 19) for n in (1, 3, 5))
    assert world.waited <= DELAY


@both_ways
@both_stores
async def test_deletes_by_filter_wait_once(world: World, call: Call, kind: Kind) -> None:
    world.client.index("docs").create_metadata_index("source", "string")
    store = world.store(kind)
    rows = [(f"id-{n}", "text", {"source": f"s{n % 20}"}) for n in range(60)]
    await kind.add_rows(call, store, rows)
    for number in range(20):
        await kind.delete_where(call, store, "source", f"s{number}")
    assert world.waited <= DELAY
    world.pass_time()
    assert world.client.index("docs").info().vector_count == 0


def node(name: str, ref: str) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=ref)}
    return TextNode(id_=name, text=name, embedding=vector(name), relationships=source)


@both_ways
async def test_a_delete_by_document_knows_what_is_not_visible_yet(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX)
    await call(store, "add", [node("moved", "one"), node("stays", "one"), node("old", "two")])
    world.pass_time()
    # Of these, reads see none as it is: one new, one of another document now, one gone.
    await call(store, "add", [node("new", "one"), node("moved", "two")])
    await call(store, "delete_nodes", ["old"])
    await call(store, "delete", "one")
    assert world.waited == 0
    world.pass_time()
    assert sorted(store.index.list_ids()) == ["moved"]
    await call(store, "add", [node("old", "two")])
    await call(store, "delete", "two")
    world.pass_time()
    assert list(store.index.list_ids()) == []


@both_ways
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_delete_by_filter_finds_what_is_not_visible_behind_many_deletes(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.setattr(own_writes, "_REMEMBERED_IDS", 30)
    world.client.index("docs").create_metadata_index("n", "number")
    world.pass_time()
    store = world.store(LANGCHAIN, metadata_indexes={"n": "number"})
    await call(store, "add_texts", ["first"], [{"n": 0}], ids=["first"])
    world.pass_time()
    await call(store, "add_texts", ["secret"], [{"n": 1}], ids=["secret"])
    others = [f"other {n}" for n in range(70)]
    for some in [others] if at_once else [[one] for one in others]:
        await call(store, "delete", some)
    assert world.waited == 0
    await call(store, "delete", filter={"n": 1})
    world.pass_time()
    assert list(store.index.list_ids()) == ["first"]


@both_ways
@pytest.mark.parametrize("ends", ["delete", "upsert"])
async def test_a_delete_by_document_does_not_mind_an_insert_that_was_overwritten(
    world: World, call: Call, ends: str
) -> None:
    store = world.store(LLAMA_INDEX)
    world.client.index("docs").insert([Vector("x", vector("x"))])
    if ends == "delete":
        await call(store, "delete_nodes", ["x"])
    else:
        await call(store, "add", [node("x", "other")])
    await call(store, "add", [node("secret", "one")])
    await call(store, "delete", "one")
    assert world.waited == 0
    world.pass_time()
    assert "secret" not in store.index.list_ids()


@both_ways
async def test_only_so_much_is_remembered_and_then_a_delete_waits(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_writes, "_MOST_WRITTEN", 50)
    store = world.store(LLAMA_INDEX, wait_timeout=77)
    await call(store, "add", [node(f"{n}", f"{n % 2}") for n in range(60)])
    assert len(world.client.connection.state("docs").own_writes._written) <= 50
    with caplog.at_level(logging.INFO, "vectorize_core"):
        await call(store, "delete", "0")
    assert 0 < world.waited <= DELAY
    (said, warned) = [r for r in caplog.records if "a delete by filter waits" in r.getMessage()]
    assert (said.levelname, warned.levelname) == ("INFO", "WARNING")
    assert "'docs'" in said.getMessage()
    assert "at most 77 s" in said.getMessage()
    world.pass_time()
    assert len(list(store.index.list_ids())) == 30


@both_ways
async def test_a_hidden_wait_obeys_the_wait_timeout_of_the_store(world: World, call: Call) -> None:
    store = world.store(LLAMA_INDEX, wait_timeout=7)
    await call(store, "add", [node("a", "one")])
    with pytest.raises(TimeoutError, match=r"wait longer with wait_timeout= \(the store's"):
        await call(store, "count")
    assert world.waited == pytest.approx(7)


async def test_a_store_that_is_closed_too_early_says_what_it_leaves(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    store = world.store(LANGCHAIN, wait_timeout=3)
    store.add_texts([text(1, 1)], ids=["a"])
    world.pass_time()
    store.delete(["a"])
    assert world.waited == 0
    store.close()
    assert "the long texts of 1 records" in caplog.text
    world.pass_time()
    again = world.store(LANGCHAIN)
    again.delete(["a"])
    again.wait()
    assert world.texts.live == {}
