"""Tenants of the LangChain store: all of its methods, and what they make of ids."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, RecordManager

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Make, Recorder, async_call, both_ways, sync_call, vector
from vectorize_core import (
    D1TextIndex,
    InvalidInputError,
    InvalidVectorError,
    PartialWriteError,
    VectorizeClient,
    layout,
)

IDS = ["1", "2", "3"]
THEIRS = [layout.stored_id("b", i) for i in IDS]


@pytest.fixture
def store(make: Make) -> VectorizeVectorStore:
    return make(metadata_indexes={"kind": "string"}, text_index=D1TextIndex("words"))


@pytest.fixture
def mine(store: VectorizeVectorStore) -> VectorizeVectorStore:
    view = store.with_namespace("a")
    view.add_texts(["my one", "my two", "my three"], [{"kind": "x"}] * 3, ids=IDS)
    return view


@pytest.fixture
def theirs(store: VectorizeVectorStore) -> VectorizeVectorStore:
    view = store.with_namespace("b")
    view.add_texts(["their one", "their two", "their three"], [{"kind": "x"}] * 3, ids=IDS)
    return view


def stored(client: VectorizeClient, ids: list[str]) -> list[tuple[Any, ...]]:
    """Vectors as the service has them."""
    found = client.index("docs").get(ids)
    return [(v.id, v.namespace, v.values.tolist(), v.metadata) for v in found]


def texts(found: list[Document]) -> list[str]:
    return sorted(document.page_content for document in found)


@both_ways
async def test_ids_that_are_made_up_are_the_ones_to_get_them_by(
    store: VectorizeVectorStore, call: Call
) -> None:
    view = store.with_namespace("a")
    ids = await call(view, "add_documents", [Document("x"), Document("y", id="mine")])
    assert ids[1] == "mine"
    assert [d.page_content for d in await call(view, "get_by_ids", ids)] == ["x", "y"]
    assert await call(view, "add_texts", ["z"], ids=["z"], dry_run=True) == ["z"]


# What a view does not do


@both_ways
async def test_an_id_that_no_document_can_have_is_not_found(
    mine: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    impossible = ["", "\ud800"]
    sent.ops.clear()
    assert await call(mine, "get_by_ids", impossible) == []
    assert await call(mine, "delete", impossible) is True
    assert sent.changes == []
    with pytest.raises(InvalidInputError, match="list of ids"):
        await call(mine, "get_by_ids", "1")
    with pytest.raises(InvalidVectorError, match=r"'1'.*10240"):
        await call(mine, "update_metadata", ["1"], {"a": "x" * 10_240})


@both_ways
async def test_a_tenants_write_goes_on_under_the_same_ids(
    store: VectorizeVectorStore, embedder: Embedder, tmp_path: Path, call: Call
) -> None:
    given = [f"text {n}" for n in range(7)]

    def failing() -> Iterator[str]:
        yield from given[:5]
        raise OSError("the disk is gone")

    for resume in (None, tmp_path / "checkpoint"):
        view = store.with_namespace(f"resumed by {resume is None}")
        with pytest.raises(PartialWriteError) as ended:
            await call(view, "add_texts", failing(), batch_size=2, resume=resume)
        assert (await call(view, "count")) == 4
        embedder.batches.clear()
        again = ended.value if resume is None else resume
        ids = await call(view, "add_texts", given, batch_size=2, resume=again)
        assert embedder.batches == [["text 4", "text 5"], ["text 6"]]
        found = await call(view, "get_by_ids", ids)
        assert [d.page_content for d in found] == given
        assert ids[:4] == list(ended.value.ids[:4])


@both_ways
async def test_filters_see_a_tenants_own_ids(mine: VectorizeVectorStore, call: Call) -> None:
    chosen: Any = {"filter": lambda document: document.id == "2", "unindexed": "scan"}
    assert texts(await call(mine, "similarity_search", "q", **chosen)) == ["my two"]
    assert await call(mine, "count", **chosen) == 1
    await call(mine, "delete", **chosen)
    assert texts(await call(mine, "get_by_ids", IDS)) == ["my one", "my three"]


# Every public method of A's view, and how it could reach what is B's

Attempt = tuple[tuple[Any, ...], dict[str, Any]]
NAMED = [*IDS, *THEIRS]
EVERYTHING = {"$or": [{"kind": "x"}, {"kind": "y"}]}
FOR_B: dict[str, Any] = {"namespace": "b"}
DOCUMENTS = [Document("new", id=i, metadata={"kind": "x"}) for i in NAMED]


def noted(keys: list[str]) -> RecordManager:
    """A record manager with these keys."""
    manager = InMemoryRecordManager("a")
    manager.update(keys)
    return manager


def searches(query: Any) -> list[Attempt]:
    return [
        ((query, 50), {}),
        ((query,), FOR_B),
        ((query, 50), {"filter": EVERYTHING}),
        ((query, 50), {"vectorize_filter": {"kind": "x"}}),
        ((query, 50), {"filter": lambda document: True, "unindexed": "scan"}),
    ]


BY_WORDS: list[Attempt] = [
    (("their one", 50), {"retrieval_mode": "text"}),
    (("their one", 50), {"retrieval_mode": "hybrid"}),
]
ATTEMPTS: dict[str, list[Attempt]] = {
    "add_texts": [((["new"] * 6,), {"ids": NAMED}), ((["new"],), {"ids": ["1"], **FOR_B})],
    "add_documents": [((DOCUMENTS,), {}), ((DOCUMENTS,), FOR_B)],
    "add_embeddings": [
        ((["new"] * 6, [vector("new")] * 6), {"ids": NAMED}),
        ((["new"], [vector("new")]), {"ids": ["1"], **FOR_B}),
    ],
    "update_documents": [((DOCUMENTS,), {}), ((DOCUMENTS,), FOR_B)],
    "update_metadata": [
        ((NAMED, {"kind": "y"}), {}),
        ((NAMED, {}), {"replace": True}),
        ((NAMED,), {"remove": ["kind"]}),
    ],
    "create_metadata_index": [(("a", "string"), {})],
    "compare": [
        ((noted(IDS),), {"check_contents": False, "repair": repair, **more})
        for repair in (False, True)
        for more in ({}, FOR_B)
    ],
    "get": [
        ((NAMED,), {}),
        ((), {"include": ["documents", "embeddings"]}),
        ((), {"limit": 50, "offset": 0}),
        ((), {"filter": EVERYTHING}),
        ((), FOR_B),
    ],
    "reset": [((), {})],
    "drop": [((), {})],
    "get_by_ids": [((NAMED,), {})],
    "iter_documents": [((), {}), ((EVERYTHING,), {}), ((), FOR_B)],
    "iter_ids": [((), {}), ((EVERYTHING,), {}), ((), FOR_B)],
    "delete": [
        ((NAMED,), {}),
        ((), {"filter": EVERYTHING}),
        ((), {"vectorize_filter": {"kind": "x"}}),
        ((), {"delete_all": True}),
        ((), {"filter": EVERYTHING, **FOR_B}),
    ],
    "count": [((), {}), ((EVERYTHING,), {}), ((), FOR_B)],
    "explain_filter": [((None,), {}), ((EVERYTHING, None), {})],
    "explain_text": [(("their one",), {})],
    "reindex_metadata": [((), {})],
    "reindex_texts": [((), {})],
    "with_namespace": [(("b",), {})],
    "similarity_search_by_id": [(("1", 50), {}), (("1",), FOR_B), ((THEIRS[0],), {})],
    "similarity_search_with_score_by_vector": searches(vector("their one")),
    "similarity_search": [*searches("their one"), *BY_WORDS],
    "similarity_search_with_score": [*searches("their one"), *BY_WORDS],
    "similarity_search_with_relevance_scores": searches("their one"),
    "similarity_search_by_vector": searches(vector("their one")),
    "similarity_search_with_vectors": searches("their one"),
    "max_marginal_relevance_search_with_score": searches("their one"),
    "max_marginal_relevance_search_with_score_by_vector": searches(vector("their one")),
    "max_marginal_relevance_search": searches("their one"),
    "max_marginal_relevance_search_by_vector": searches(vector("their one")),
    "search": [(("their one", "similarity"), {"k": 50}), (("their one", "mmr"), FOR_B)],
}
# These take no ids, filters or namespaces, or make another store.
HARMLESS = {
    "as_retriever",
    "await_writes",
    "client",
    "close",
    "embeddings",
    "from_documents",
    "from_existing_index",
    "from_texts",
    "index",
    "local",
    "wait",
}


# These concern the whole index.
WHOLE = {
    "create_metadata_index",
    "drop",
    "explain_text",
    "reindex_metadata",
    "reindex_texts",
    "with_namespace",
}


def refused(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """What the error says, if it is to be one."""
    if args == (THEIRS[0],):
        return "no record"
    named = "namespace" in options or name in WHOLE
    return "namespace" if named else ""


async def attempt(
    call: Call, view: VectorizeVectorStore, name: str, *args: Any, **options: Any
) -> str:
    """What a method gives away."""
    if not name.startswith("iter"):
        return repr(await call(view, name, *args, **options))
    if call is sync_call:
        return repr([*getattr(view, name)(*args, **options)])
    return repr([item async for item in getattr(view, f"a{name}")(*args, **options)])


def public(store: VectorizeVectorStore) -> Iterator[tuple[str, bool]]:
    """Public methods by their sync names, and whether each has an async variant."""
    names = [name for name in dir(store) if not name.startswith("_")]
    for name in names:
        if not (name.startswith("a") and name[1:] in names):
            yield name, f"a{name}" in names


@pytest.mark.parametrize("call", [sync_call, async_call], ids=["sync", "async"])
async def test_no_method_of_a_view_reaches_another_tenants_documents(
    mine: VectorizeVectorStore,
    theirs: VectorizeVectorStore,
    client: VectorizeClient,
    call: Call,
) -> None:
    before = stored(client, THEIRS)
    assert len(before) == 3
    tried = set()
    for name, awaited in public(mine):
        if name in HARMLESS:
            continue
        if call is async_call and not awaited:
            assert not inspect.iscoroutinefunction(getattr(mine, name)), name
            continue
        for args, options in ATTEMPTS[name]:
            said = ""
            refusal = refused(name, args, options)
            if refusal:
                with pytest.raises((TypeError, InvalidInputError), match=refusal):
                    await attempt(call, mine, name, *args, **options)
            else:
                said = await attempt(call, mine, name, *args, **options)
            assert "their" not in said, name
            assert not [i for i in THEIRS if i in said] or name.startswith(("add", "update")), name
            assert stored(client, THEIRS) == before, name
            tried.add(name)
            mine.delete(delete_all=True)
            mine.add_texts(["my one"], [{"kind": "x"}], ids=["1"])
    assert len(tried) >= 20


def test_a_view_sees_no_more_than_its_own_in_an_explanation(
    mine: VectorizeVectorStore, theirs: VectorizeVectorStore, store: VectorizeVectorStore
) -> None:
    assert mine.explain_filter({"kind": "x"}).vector_count == 3
    assert store.explain_filter({"kind": "x"}).vector_count == 6
