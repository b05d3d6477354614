"""Tenants: views of one namespace each, that can reach nothing of another's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, Make, Recorder, async_call, both_ways, sync_call, vector
from vectorize_core import (
    InvalidInputError,
    InvalidVectorError,
    PartialWriteError,
    Vector,
    VectorizeClient,
    layout,
)
from vectorize_core.api.operations import GetByIds
from vectorize_core.local import Behavior

IDS = ["1", "2", "3"]
THEIRS = [layout.stored_id("b", i) for i in IDS]
MINE = [layout.stored_id("a", i) for i in IDS]


@pytest.fixture
def store(make: Make) -> VectorizeVectorStore:
    return make(metadata_indexes={"kind": "string"})


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


def test_a_tenants_id_is_hashed_with_its_namespace_the_same_way_for_ever() -> None:
    assert layout.stored_id("a", "1") == "fd698f562948d0865b66b9d8d7ff1cb32857ff53f198528c"
    assert layout.stored_id("a", "é" * 32) == "37ae904df18ab72a747a11f7ba03aff415d217444b1fefc1"
    # No way of dividing the same letters gives the same digest.
    assert layout.stored_id("ab", "c") != layout.stored_id("a", "bc")
    assert layout.stored_id("n" * 64, "1") != layout.stored_id("n" * 63, "1")


@both_ways
async def test_tenants_may_use_the_same_ids(
    mine: VectorizeVectorStore,
    theirs: VectorizeVectorStore,
    client: VectorizeClient,
    call: Call,
) -> None:
    for view, whose, ids in ((mine, "my", MINE), (theirs, "their", THEIRS)):
        assert texts(await call(view, "get_by_ids", IDS)) == sorted(
            f"{whose} {n}" for n in ("one", "two", "three")
        )
        found = await call(view, "similarity_search", f"{whose} two", 2)
        assert (found[0].id, found[0].page_content) == ("2", f"{whose} two")
        (diverse,) = await call(view, "max_marginal_relevance_search", f"{whose} one", 1)
        assert diverse.id == "1"
        assert await call(view, "count") == 3
        assert await call(view, "count", {"kind": "x"}) == 3
        assert {vector[0] for vector in stored(client, ids)} == set(ids)
    assert await call(mine, "add_texts", ["new"], ids=["1"]) == ["1"]
    assert [d.page_content for d in await call(theirs, "get_by_ids", ["1"])] == ["their one"]
    assert [d.page_content for d in await call(mine, "get_by_ids", ["1"])] == ["new"]


@both_ways
async def test_ids_that_are_made_up_are_the_ones_to_get_them_by(
    store: VectorizeVectorStore, call: Call
) -> None:
    view = store.with_namespace("a")
    ids = await call(view, "add_documents", [Document("x"), Document("y", id="mine")])
    assert ids[1] == "mine"
    assert [d.page_content for d in await call(view, "get_by_ids", ids)] == ["x", "y"]
    assert await call(view, "add_texts", ["z"], ids=["z"], dry_run=True) == ["z"]


@both_ways
async def test_the_store_itself_shows_every_tenants_documents_by_their_stored_ids(
    mine: VectorizeVectorStore,
    theirs: VectorizeVectorStore,
    store: VectorizeVectorStore,
    call: Call,
) -> None:
    found = await call(store, "similarity_search", "q", 10)
    assert sorted(d.id for d in found) == sorted(MINE + THEIRS)
    assert len(await call(store, "get_by_ids", [*MINE, *THEIRS, *IDS])) == 6
    await call(store, "delete", MINE[:1])
    assert await call(mine, "count") == 2


@both_ways
async def test_clearing_a_view_reads_and_deletes_only_its_own(
    mine: VectorizeVectorStore,
    theirs: VectorizeVectorStore,
    client: VectorizeClient,
    sent: Recorder,
    call: Call,
) -> None:
    mine.add_texts([f"text {n}" for n in range(130)])
    before = stored(client, THEIRS)
    mine.wait()  # Which reads what this client has written, whoever's it is.
    sent.ops.clear()
    assert await call(mine, "delete", delete_all=True) is True
    assert {i for get in sent.of(GetByIds) for i in get.ids}.isdisjoint(THEIRS)
    assert stored(client, THEIRS) == before
    assert sorted(client.index("docs").list_ids()) == sorted(THEIRS)


@pytest.mark.parametrize("finds", [True, False])
def test_a_view_of_an_index_that_cannot_be_divided_is_cleared_alone_too(
    embedder: Embedder, finds: bool
) -> None:
    with VectorizeClient.local(behavior=Behavior(negation_matches_missing=finds)) as client:
        client.create_index("docs", dimensions=32, record_layout=False)
        store = VectorizeVectorStore(embedder, index_name="docs", client=client)
        for namespace in "ab":
            view = store.with_namespace(namespace)
            view.add_texts([f"text {n}" for n in range(120)])
        store.with_namespace("a").delete(delete_all=True)
        assert {v.namespace for v in client.index("docs").iter()} == {"b"}


# What a view does not do


@both_ways
async def test_an_id_that_no_document_can_have_is_refused_or_not_found(
    mine: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    impossible = ["x" * 65, "", "\ud800"]
    sent.ops.clear()
    assert await call(mine, "get_by_ids", impossible) == []
    assert await call(mine, "delete", impossible) is True
    assert sent.changes == []
    with pytest.raises(InvalidVectorError, match=r"'x+'.*65 bytes.*64"):
        await call(mine, "add_texts", ["t"], ids=["x" * 65])
    with pytest.raises(InvalidVectorError, match=r"record '7':.*object"):
        await call(mine, "add_texts", ["t"], [{"a": object()}], ids=["7"])
    with pytest.raises(InvalidInputError, match="list of ids"):
        await call(mine, "get_by_ids", "1")


BAD = {"bad": [float("nan")] * 32, "short": [1.0] * 31, "text": ["x"] * 32}


@both_ways
async def test_errors_name_a_tenants_record_as_it_does(
    store: VectorizeVectorStore, embedder: Embedder, call: Call
) -> None:
    view = store.with_namespace("a")
    embedder.special.update(BAD)  # type: ignore[arg-type]
    for _ in range(2):  # The second time there is an index.
        for text, message in (
            ("bad", "'7'.*not a finite"),
            ("short", "'7'.*31 dimensions"),
            ("text", "'7'.*not a list of numbers"),
        ):
            with pytest.raises(InvalidVectorError, match=message):
                await call(view, "add_texts", ["fine", text], ids=["1", "7"])
        with pytest.raises(InvalidVectorError, match=r"'7'.*10240"):
            await call(view, "add_texts", ["x" * 10_240], ids=["7"])
        await call(view, "add_texts", ["fine"], ids=["1"])
    with pytest.raises(InvalidVectorError, match=r"'1'.*10240"):
        await call(view, "update_metadata", ["1"], {"a": "x" * 10_240})


@both_ways
async def test_a_tenants_write_that_ended_early_goes_on_under_the_same_ids(
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


def test_a_view_is_of_one_namespace(
    mine: VectorizeVectorStore, store: VectorizeVectorStore
) -> None:
    with pytest.raises(TypeError, match=r"bound to the namespace 'a'.*with_namespace\(\)"):
        mine.with_namespace("b")
    for wrong in (None, "", "n" * 65):
        with pytest.raises(InvalidInputError, match="namespace"):
            store.with_namespace(wrong)  # type: ignore[arg-type]
    assert repr(mine) == "VectorizeVectorStore(index_name='docs', namespace='a')"


@both_ways
async def test_closing_a_view_leaves_the_store_open(call: Call) -> None:
    with VectorizeVectorStore.local(Embedder(), index_name="docs") as store:
        async with store.with_namespace("a") as view:
            await call(view, "add_texts", ["t"])
        with store.with_namespace("b") as view:
            await call(view, "close")
        assert await call(store, "count") == 1


# Every public method of A's view, and how it could reach what is B's

Attempt = tuple[tuple[Any, ...], dict[str, Any]]
NAMED = [*IDS, *THEIRS]
EVERYTHING = {"$or": [{"kind": "x"}, {"kind": "y"}]}
FOR_B: dict[str, Any] = {"namespace": "b"}
DOCUMENTS = [Document("new", id=i, metadata={"kind": "x"}) for i in NAMED]


def searches(query: Any) -> list[Attempt]:
    return [
        ((query, 50), {}),
        ((query,), FOR_B),
        ((query, 50), {"filter": EVERYTHING}),
        ((query, 50), {"vectorize_filter": {"kind": "x"}}),
        ((query, 50), {"filter": lambda document: True, "unindexed": "scan"}),
    ]


ATTEMPTS: dict[str, list[Attempt]] = {
    "add_texts": [((["new"] * 6,), {"ids": NAMED}), ((["new"],), {"ids": ["1"], **FOR_B})],
    "add_documents": [((DOCUMENTS,), {}), ((DOCUMENTS,), FOR_B)],
    "add_embeddings": [
        ((["new"] * 6, [vector("new")] * 6), {"ids": NAMED}),
        ((["new"], [vector("new")]), {"ids": ["1"], **FOR_B}),
    ],
    "update_documents": [((DOCUMENTS,), {}), ((DOCUMENTS,), FOR_B)],
    "update_metadata": [((NAMED, {"kind": "y"}), {}), ((NAMED, {}), {"replace": True})],
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
    "reindex_metadata": [((), {})],
    "with_namespace": [(("b",), {})],
    "similarity_search_by_id": [(("1", 50), {}), (("1",), FOR_B), ((THEIRS[0],), {})],
    "similarity_search_with_score_by_vector": searches(vector("their one")),
    "similarity_search": searches("their one"),
    "similarity_search_with_score": searches("their one"),
    "similarity_search_with_relevance_scores": searches("their one"),
    "similarity_search_by_vector": searches(vector("their one")),
    "max_marginal_relevance_search": searches("their one"),
    "max_marginal_relevance_search_by_vector": searches(vector("their one")),
    "search": [(("their one", "similarity"), {"k": 50}), (("their one", "mmr"), FOR_B)],
}
# These take no ids, filters or namespaces, or make another store.
HARMLESS = {
    "as_retriever",
    "await_writes",
    "close",
    "embeddings",
    "from_documents",
    "from_existing_index",
    "from_texts",
    "local",
    "wait",
}


def refused(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """What the error says, if it is to be one."""
    if args == (THEIRS[0],):
        return "no record"
    named = "namespace" in options or name in ("with_namespace", "reindex_metadata")
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
    """Public methods by their sync names, and whether each has an async twin."""
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
            assert not re.search("their (one|two|three)", said), name
            assert not [i for i in THEIRS if i in said] or name.startswith(("add", "update")), name
            assert stored(client, THEIRS) == before, name
            tried.add(name)
            mine.delete(delete_all=True)
            mine.add_texts(["my one"], [{"kind": "x"}], ids=["1"])
    assert len(tried) >= 20


def test_a_view_sees_no_more_than_its_own_in_an_explanation(
    mine: VectorizeVectorStore, theirs: VectorizeVectorStore, store: VectorizeVectorStore
) -> None:
    assert "of 3 vectors" in mine.explain_filter({"kind": "x"}).text
    assert "of 6 vectors" in store.explain_filter({"kind": "x"}).text


def test_a_vector_that_is_stored_under_a_tenants_id_elsewhere_is_not_the_tenants(
    mine: VectorizeVectorStore, client: VectorizeClient
) -> None:
    intruder = Vector(layout.stored_id("a", "9"), vector("x"), "b", {"text": "not mine"})
    client.index("docs").upsert([intruder])
    assert mine.get_by_ids(["9"]) == []


@both_ways
async def test_what_was_written_into_the_namespace_without_a_view_is_found_by_searches(
    store: VectorizeVectorStore, call: Call
) -> None:
    store.add_texts(["older"], ids=["o"], namespace="a")
    view = store.with_namespace("a")
    (found,) = await call(view, "similarity_search", "older")
    assert (found.id, found.page_content) == ("o", "older")
    assert await call(view, "get_by_ids", ["o"]) == []
    await call(view, "delete", delete_all=True)
    assert await call(store, "count") == 0
