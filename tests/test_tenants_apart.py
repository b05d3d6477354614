"""What a tenant learns of others, in words, and what their broken records do to it: nothing."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from langchain_vectorize.texts import BaseStoreTexts
from llama_index_vectorize.texts import KVStoreTexts
from tests.core.texts.kinds import EVERY
from tests.held_time import HeldClock
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.llama_index.helpers import equal_to
from tests.stores import (
    DIMENSIONS,
    EVERYWHERE,
    Call,
    async_call,
    both_ways,
    client_of,
    sync_call,
    vector,
)
from vectorize_core import (
    CheckpointMismatchError,
    D1Texts,
    F,
    MissingTextError,
    PartialWriteError,
    SqliteTexts,
    Vector,
    VectorizeClient,
    VectorizeError,
    WaitTimeoutError,
    layout,
)
from vectorize_core.api.d1 import WriteD1
from vectorize_core.client import AsyncVectorizeClient
from vectorize_core.connection import Connection
from vectorize_core.errors import TenantViewError, UnreadableRecordError
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.local import Behavior, Service
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts import TextStore
from vectorize_core.texts.store import list_name, text_name
from vectorize_core.transport.io import Io, run

pytestmark = pytest.mark.covering(2)

SECRET = "xyzzy"
"""What is in each id, text and property of the other tenant."""
LONG = "a long text, " * 1_000
INDEXED: Any = {"kind": "string", "n": "number"}


def rows(whose: str, count: int) -> list[Row]:
    made = [(f"{whose} {n}", f"{whose} text {n}", {"kind": whose, "n": n}) for n in range(count)]
    (first, _, metadata), *others = made
    return [(first, LONG + first, metadata), *others]


@pytest.fixture(params=EVERYWHERE)
def client(request: pytest.FixtureRequest) -> Iterator[VectorizeClient]:
    with client_of(request.param) as made:
        yield made


@pytest.fixture
async def call(request: pytest.FixtureRequest, client: VectorizeClient) -> AsyncIterator[Call]:
    yield request.param
    if request.param is async_call:
        await client.connection.aclose()


both_here = pytest.mark.parametrize("call", both_ways.args[1], ids=["sync", "async"], indirect=True)
embedded = pytest.mark.parametrize("client", ["embedded"], indirect=True)


# What a view gives


@both_stores
def test_a_view_has_no_client(kind: Kind, tmp_path: Path) -> None:
    with kind.local(path=tmp_path) as store:
        view = store.with_namespace("a")
        with pickle.loads(pickle.dumps(view)) as unpickled:
            for one in (view, copy.copy(view), copy.deepcopy(view), unpickled):
                for name in ("client", "aclient", "index"):
                    assert not hasattr(one, name)
        if kind is LLAMA_INDEX:
            assert isinstance(store.index, Index)
            assert isinstance(store.client, VectorizeClient)
            assert isinstance(store.aclient, AsyncVectorizeClient)
            for name in ("client", "aclient", "index"):
                with pytest.raises(
                    TenantViewError, match=f"no {name}.*'a'.*the store that"
                ) as said:
                    getattr(view, name)
                assert isinstance(said.value, VectorizeError)


WHOLE = (
    Index,
    AsyncIndex,
    VectorizeClient,
    AsyncVectorizeClient,
    Connection,
    IndexState,
    Service,
    TextStore,
    RecordStore,
)
"""What reaches all namespaces."""
ROOMS = ("langchain", "llama_index", "vectorize_core")


def members(one: Any) -> Iterator[tuple[str, Any]]:
    """What an object shows by public names, without a call."""
    if isinstance(one, dict):
        yield from ((f"[{key!r}]", value) for key, value in one.items())
    elif isinstance(one, (list, tuple)):
        yield from ((f"[{at}]", value) for at, value in enumerate(one))
    elif type(one).__module__.startswith(ROOMS):
        for name in dir(one):
            if not name.startswith("_"):
                # Some properties raise what their framework has not.
                with suppress(Exception), warnings.catch_warnings(action="ignore"):
                    value = getattr(one, name)
                    # Of a method, the object that it is bound to.
                    yield f".{name}", getattr(value, "__self__", value)


def reached(start: Any) -> Iterator[tuple[str, Any]]:
    """All that can be reached by public names, with the way to it."""
    # They are kept, so that no two have one id.
    seen, due = {id(start): start}, [("", start)]
    while due:
        way, one = due.pop()
        yield way, one
        for name, value in members(one):
            if id(value) not in seen and not inspect.isclass(value) and not inspect.ismodule(value):
                seen[id(value)] = value
                due.append((way + name, value))


@both_stores
def test_nothing_that_a_view_shows_leads_to_the_whole_index(kind: Kind) -> None:
    with kind.local(texts=SqliteTexts(), metadata_indexes=INDEXED) as store:
        view = store.with_namespace("a")
        starts = [view, store.with_namespace("b")]
        if kind is LANGCHAIN:
            starts += [view.as_retriever(), view.as_retriever(search_type="mmr")]
        else:
            model = MockEmbedding(DIMENSIONS)
            index = VectorStoreIndex.from_vector_store(view, embed_model=model)
            starts += [index, index.as_retriever(), view.model_copy(), view.to_dict()]
        for start in starts:
            for way, one in reached(start):
                assert not isinstance(one, WHOLE), way
                assert one is not store, way


# Records of others that are broken


def node(node_id: str, **more: Any) -> str:
    """What stands in ``_vs``."""
    return json.dumps({"v": 1, "n": {"class": "TextNode"}, "id": node_id, **more})


def names_my_text(index: str) -> dict[str, Any]:
    mine = layout.stored_id("a", "my 0")
    return {"_vs": node("t", x=text_name(index, mine, LONG + "my 0")), "_vs_own": True}


BROKEN: dict[str, dict[str, Any] | None] = {
    "nothing": None,
    "no text": {"n": 1},
    "a newer layout": {"_vs": '{"v":99}', "n": 1, "kind": "my"},
    "a newer layout, as a node": {"_vs": '{"v":99,"n":{},"x":"vs-1"}', "_vs_own": True},
    "no JSON": {"_vs": "{", "text": 5, "n": "one", "kind": 1},
    "a number in its place": {"_vs": 5, "text": ["t"], "_vs_bucket": "x", "_vs_own": "y"},
    "own, in no bucket": {"_vs": '{"v":1}', "text": "t", "_vs_own": True},
    "in a wrong bucket": {"_vs": '{"v":1}', "text": "t", "_vs_own": True, "_vs_bucket": -1.5},
    "nowhere": {"_vs_nowhere": True, "_vs_own": True, "_vs_bucket": 1, "kind": "my"},
    "a node without its document": {"_vs": node("t"), "text": "t", "kind": "my", "n": 1},
    "a document that is none": {"_vs": node("t"), "text": "t", "_vs_ref": 5},
    "a text that is gone": {"_vs": node("t", x="vs-" + "0" * 32 + "-" + "0" * 32)},
    "my text": names_my_text("docs"),
    "my id": {"_vs": node("my 1"), "text": "t", "kind": "my", "_vs_ref": "doc"},
    "stock nonsense": {"_node_content": "{", "_node_type": 5, "kind": "my", "text": "t"},
    "deep": {"a": json.loads("[" * 90 + "]" * 90), "kind": {"b": [[]]}, "n": [None]},
    "as large as may be": {"kind": "my", "a": "x" * 10_000},
}


def broken(name: str, vector_id: str, namespace: str | None) -> Vector:
    return Vector(vector_id, vector(vector_id), namespace, BROKEN[name])


Read = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A method with its arguments."""


def reads(kind: Kind) -> list[Read]:
    """Reads of a view, and writes that read first."""
    few: dict[str, Any] = {"max_requests": 1}
    more: list[Read] = [("count", (), {"max_requests": most}) for most in range(2, 8)]
    high: dict[str, Any] = {"precision": "high"}
    scan: dict[str, Any] = {"unindexed": "scan"}
    if kind is LANGCHAIN:
        scanned: dict[str, Any] = {
            "filter": lambda document: document.metadata.get("n", 9) < 2,
            **scan,
        }
        return [
            ("similarity_search", ("my text 1", 60), {}),
            ("similarity_search", ("my text 1", 500), few),
            ("similarity_search", ("my text 1", 60), {"filter": {"kind": "my"}}),
            (
                "similarity_search",
                ("my text 1", 60),
                {"filter": {"odd": {"$exists": True}}, **scan},
            ),
            ("similarity_search", ("q", 60), scanned),
            ("similarity_search_by_id", ("my 1", 60), {}),
            ("similarity_search_by_id", ("no such", 60), {}),
            ("max_marginal_relevance_search", ("q", 3), {}),
            ("get_by_ids", (["my 0", "my 1", "t", ""],), {}),
            ("iter_ids", (), {}),
            ("iter_documents", (), {}),
            ("iter_documents", (), few),
            ("count", (), {}),
            ("count", (), high),
            ("count", (), few),
            *more,
            ("count", ({"kind": "my"},), {}),
            ("count", ({"n": {"$lt": 3}},), {}),
            ("count", (), scanned),
            ("explain_filter", ({"n": {"$lt": 3}},), {}),
            ("explain_filter", ({"odd": 3}, None), scan),
            ("update_metadata", (["my 0", "my 1", "t"], {"seen": True}), {}),
            ("add_texts", (["x"],), {"ids": ["x"], "dry_run": True}),
        ]
    by: dict[str, Any] = {"query_embedding": vector("my text 1"), "similarity_top_k": 60}
    mmr = VectorStoreQueryMode.MMR
    return [
        ("query", (VectorStoreQuery(**by),), {}),
        ("query", (VectorStoreQuery(**{**by, "similarity_top_k": 500}),), few),
        ("query", (VectorStoreQuery(**by, doc_ids=["doc"]),), {}),
        ("query", (VectorStoreQuery(**by, node_ids=["my 1", "t"]),), {}),
        ("query", (VectorStoreQuery(**by, node_ids=["my 1", "t"], query_str="q"),), {}),
        ("query", (VectorStoreQuery(**by, filters=equal_to("kind", "my")),), {}),
        ("query", (VectorStoreQuery(**{**by, "similarity_top_k": 3}, mode=mmr),), {}),
        ("query", (VectorStoreQuery(similarity_top_k=3, doc_ids=["doc"]),), {}),
        ("get_nodes", (["my 0", "my 1", "t"],), {}),
        ("get_nodes", (None, equal_to("n", 1)), {}),
        ("iter_nodes", (), {}),
        ("iter_nodes", (), few),
        ("iter_ids", (), {}),
        ("iter_ids", (equal_to("n", 1),), {}),
        ("count", (), {}),
        ("count", (), high),
        ("count", (), few),
        *more,
        ("count", (equal_to("kind", "my"),), {}),
        ("count", (F("n") < 3,), {}),
        ("count", (F("odd").exists() | (F("n") == 1),), scan),
        ("explain_filter", (equal_to("kind", "my"),), {}),
        ("explain_filter", (equal_to("odd", 1), None), scan),
        ("add", ([kind.item(("x", "x", {}))],), {"dry_run": True}),
    ]


def deletions(kind: Kind) -> list[Read]:
    if kind is LANGCHAIN:
        return [
            ("delete", (["my 1", "t"],), {}),
            ("delete", (), {"filter": {"n": 2}}),
            ("delete", (), {"filter": {"kind": "my"}, "max_requests": 1}),
            ("delete", (), {"filter": {"kind": "my"}, "verify": True}),
            ("delete", (), {"delete_all": True}),
        ]
    return [
        ("delete_nodes", (["my 1", "t"],), {}),
        ("delete_nodes", (["my 3", "t"], equal_to("kind", "my")), {}),
        ("delete_nodes", (None, equal_to("n", 2)), {}),
        ("delete", ("other",), {}),
        ("delete", ("doc",), {}),
        ("clear", (), {}),
    ]


async def outcome(call: Call, view: Any, read: Read) -> Any:
    """What a call returns, raises and warns of."""
    method, args, options = read
    with warnings.catch_warnings(record=True, action="always") as warned:
        try:
            if not method.startswith("iter"):
                found = await call(view, method, *args, **options)
            elif call is sync_call:
                found = [*getattr(view, method)(*args, **options)]
            else:
                found = [one async for one in getattr(view, f"a{method}")(*args, **options)]
        except VectorizeError as error:
            found = type(error), str(error), vars(error)
    if isinstance(found, list) and method.startswith(("iter", "get")):
        found = sorted(map(repr, found))
    return method, repr(found), sorted(str(one.message) for one in warned)


MADE = {
    "by the store": ("others", "mine"),
    "without the layout": ("others", "mine"),
    "before my records": ("others", "indexes", "mine"),
    "after my records": ("others", "mine", "indexes"),
}
"""How the index is made, or when its metadata indexes are; and the order of what is written."""


async def outcomes(kind: Kind, call: Call, client: VectorizeClient, made: str, others: Any) -> Any:
    """What a tenant sees of its own records beside others."""
    index = client.index("docs")
    if made != "by the store":
        client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
    options: Any = {"metadata_indexes": INDEXED} if made == "by the store" else {}
    store = kind.over(client, texts=SqliteTexts(), wait=True, **options)
    view = store.with_namespace("a")
    if made == "by the store":
        await kind.add(call, view, "first")
    for step in MADE[made]:
        if step == "others" and others:
            index.upsert(others, wait=True)
        elif step == "mine":
            await kind.add_rows(call, view, rows("my", 120))
        elif step == "indexes":
            for name, index_type in {**INDEXED, **layout.METADATA_INDEXES}.items():
                index.create_metadata_index(name, index_type)
    before = index.get([v.id for v in others])
    assert len(before) == len(others)
    seen = [await outcome(call, view, read) for read in (*reads(kind), *deletions(kind))]
    assert index.get([v.id for v in others]) == before
    return [*seen, await outcome(call, view, ("count", (), {}))]


@both_stores
@both_here
@pytest.mark.parametrize("made", MADE)
@pytest.mark.covering(2)
async def test_a_tenant_sees_the_same_whatever_others_have(
    kind: Kind, call: Call, client: VectorizeClient, made: str
) -> None:
    alone = await outcomes(kind, call, client, made, [])
    client.delete_index("docs")
    others = [
        broken(name, f"{number} {name}"[:50] + f" {namespace}", namespace)
        for number, name in enumerate(BROKEN)
        for namespace in ("b", None)
    ]
    others += [
        Vector(f"{SECRET} {n}", vector(f"{n}"), "b", {"n": n, "kind": "my"}) for n in range(170)
    ]
    beside = await outcomes(kind, call, client, made, others)
    for one, other in zip(alone, beside, strict=True):
        assert one == other


# Waits, which are for all writes of a client


@both_stores
@both_ways
async def test_a_wait_names_no_record_of_others(kind: Kind, call: Call) -> None:
    with VectorizeClient.local(behavior=Behavior(process_delay=1_000)) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        store = kind.over(client, create_index=False, wait_timeout=0.01)
        view, other = store.with_namespace("a"), store.with_namespace("b")
        await kind.add_rows(call, other, [(SECRET, SECRET, {})])
        waits = "wait" if kind is LANGCHAIN else "wait_for_writes"
        stored_as = layout.stored_id("b", SECRET)

        async def waited(store: Any, method: str) -> str:
            with pytest.raises(WaitTimeoutError) as ended:
                await (sync_call if method == waits else call)(store, method)
            return str(ended.value)

        for method in (waits, "count"):
            assert stored_as not in await waited(view, method)
            assert stored_as in await waited(store, method)
        # Nor does it warn of what others have written.
        assert await outcome(call, view, search(kind)) == (*found_nothing(kind), [])
        await kind.add_rows(call, view, [("mine", "mine", {})])
        # Each is warned once, whoever else was.
        for one in (other, view, store):
            *_, warned = await outcome(call, one, search(kind))
            assert "is not processed yet" in warned[0]
            assert await outcome(call, one, search(kind)) == (*found_nothing(kind), [])


def search(kind: Kind) -> Read:
    query = VectorStoreQuery(query_embedding=vector("q"), similarity_top_k=1)
    return ("similarity_search", ("q",), {}) if kind is LANGCHAIN else ("query", (query,), {})


def found_nothing(kind: Kind) -> tuple[str, str]:
    empty = VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
    return search(kind)[0], repr([] if kind is LANGCHAIN else empty)


@both_stores
@both_here
@pytest.mark.covering(2)
async def test_the_write_of_another_tenant_is_not_resumed(
    kind: Kind, call: Call, client: VectorizeClient, tmp_path: Path
) -> None:
    store = kind.over(client)
    view, other = store.with_namespace("a"), store.with_namespace("b")
    theirs = [(f"{SECRET} {n}", SECRET, {}) for n in range(7)]

    def failing() -> Iterator[Row]:
        yield from theirs[:6]
        raise OSError("the disk is gone")

    mine = [(f"mine {n}", "mine", {}) for n in range(3)]
    for resume in (None, tmp_path / "checkpoint"):
        with pytest.raises(PartialWriteError) as ended:
            await kind.add_rows(call, other, failing(), batch_size=2, resume=resume)
        again = ended.value if resume is None else resume
        with pytest.raises(CheckpointMismatchError) as refused:
            await kind.add_rows(call, view, mine, resume=again)
        assert SECRET not in f"{refused.value!r} {refused.value} {vars(refused.value)}"
        assert await call(view, "count") == 0


# Texts outside of their vectors


def slow_client(monkeypatch: pytest.MonkeyPatch) -> VectorizeClient:
    """Of a Vectorize that processes a write when a client has waited for a while."""
    clock = HeldClock()
    clock.rule(monkeypatch)
    return VectorizeClient.local(behavior=Behavior(process_delay=5.0), clock=clock)


def garbage(texts: TextStore, client: VectorizeClient, name: str, content: Any) -> None:
    """Another program puts ``content`` where a text or a list of texts stands."""
    if isinstance(texts, SqliteTexts):
        with texts._opened().writing() as tx:
            tx.execute("INSERT OR REPLACE INTO texts VALUES (?, ?)", (name, content))
    elif isinstance(texts, D1Texts):
        statement = ("INSERT OR REPLACE INTO docs (id, text) VALUES (?, ?)", (name, content))
        run(client.connection.io().call(WriteD1("texts", (statement,))))
    elif isinstance(texts, BaseStoreTexts):
        texts._store.mset([(name, content)])
    else:
        assert isinstance(texts, KVStoreTexts)
        texts._store.put(name, content, "vectorize_texts")


CONTENTS: dict[str, dict[str, Any]] = {
    "SQLite in memory": {"bytes": b"\xff\xfe", "a number": 5, "empty": ""},
    "D1": {"a number": 5, "nothing": None, "no list": "[]", "deep": "[" * 9_000},
    "BaseStore in memory": {"bytes": b"\xff\xfe", "a number": 5, "an object": {"a": 1}},
    "BaseKVStore in memory": {"no text": {"other": 1}, "a number": {"text": 5}, "none": {}},
}


@both_stores
@both_here
@pytest.mark.parametrize(
    ("make", "content"),
    [(make, name) for make, contents in CONTENTS.items() for name in contents],
)
@pytest.mark.covering(2)
async def test_damaged_texts_hurt_their_owner_alone(
    kind: Kind, call: Call, client: VectorizeClient, tmp_path: Path, make: str, content: str
) -> None:
    texts = EVERY[make](tmp_path)
    store = kind.over(client, texts=texts)
    view, other = store.with_namespace("a"), store.with_namespace("b")
    for one in (view, other):
        await kind.add_rows(call, one, [("long", LONG, {}), ("also", LONG + "!", {})])
    stored = layout.stored_id("b", "long")
    for name in (text_name("docs", stored, LONG), list_name("docs", stored)):
        garbage(texts, client, name, CONTENTS[make][content])
    assert [row[0] for row in await kind.get(call, view, ["long", "also"])] == ["long", "also"]
    assert [row[0] for row in await kind.get(call, other, ["also"])] == ["also"]
    with pytest.raises(MissingTextError, match="record 'long'"):
        await kind.get(call, other, ["also", "long"])
    with pytest.raises(MissingTextError, match="record 'long'"):
        await kind.search(call, other, "q")
    await kind.delete(call, other, ["long"], wait=True)
    assert await kind.search(call, other, "q") == ["also"]
    await kind.add_rows(call, other, [("long", LONG, {})])
    assert await kind.get(call, other, ["long"]) == [("long", LONG, {})]
    await kind.clear(call, other)
    assert [row[1] for row in await kind.get(call, view, ["long", "also"])] == [LONG, LONG + "!"]


@both_stores
@both_here
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.covering(2)
async def test_a_damaged_record_dooms_no_text_of_another(
    kind: Kind, call: Call, client: VectorizeClient, listed: bool
) -> None:
    """Its list of texts, or its vector, names the text of another record."""
    texts = SqliteTexts()
    store = kind.over(client, texts=texts)
    view, other = store.with_namespace("a"), store.with_namespace("b")
    for one in (view, other):
        await kind.add_rows(call, one, [("long", LONG, {})])
    mine, theirs = (layout.stored_id(name, "long") for name in "ab")
    name = text_name("docs", mine, LONG)
    if listed:
        garbage(texts, client, list_name("docs", theirs), json.dumps({name: 1.0}))
    else:
        index = client.index("docs")
        (old,) = index.get([theirs])
        extra = json.dumps({"v": 1, "id": "long", "x": name})
        index.upsert([Vector(theirs, old.values, "b", {**(old.metadata or {}), "_vs": extra})])
    if listed:
        await kind.add_rows(call, other, [("long", "short now", {})], wait=True)
    await kind.delete(call, other, ["long"], wait=True)
    assert await kind.get(call, view, ["long"]) == [("long", LONG, {})]


@both_stores
@both_ways
@pytest.mark.parametrize("names_it", [False, True], ids=["newer", "as it was"])
async def test_texts_of_others_that_are_due_hurt_nobody(
    kind: Kind,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    names_it: bool,
) -> None:
    """Another client writes a deleted record again, in a newer layout, or naming its old text."""
    with slow_client(monkeypatch) as client:
        texts = SqliteTexts()
        store = kind.over(client, texts=texts)
        view, other = store.with_namespace("a"), store.with_namespace("b")
        await kind.add_rows(call, other, [(f"{n}", LONG, {}) for n in range(3)], wait=True)
        await kind.add_rows(call, view, [("long", LONG, {})], wait=True)
        (again,) = client.index("docs").get([layout.stored_id("b", "0")])
        if not names_it:
            newer = {"_vs": '{"v":99,"id":"0"}', "_vs_own": True}
            again = Vector(again.id, vector("q"), "b", newer)
        await kind.delete(call, other, ["0", "1", "2"])
        await kind.delete(call, view, ["long"])
        client.index("docs").upsert([again], wait=True)
        assert len(store._records.removals) == 4
        await kind.add_rows(call, view, [("new", "t", {})], wait=True)
        assert await call(view, "count") == 1
        await call(view, "close")
        gone = [layout.stored_id("a", "long"), *(layout.stored_id("b", n) for n in "12")]
        lists = [list_name("docs", one) for one in gone]
        assert run(texts.get(client.connection.io(), "docs", lists)) == {}
        # What another client names is of use to it, and is not looked at again.
        assert not store._records.removals
        if names_it:
            assert await kind.get(call, other, ["0"]) == [("0", LONG, {})]
            await call(other, "close")
        assert not caplog.records


@both_stores
@both_here
@pytest.mark.parametrize("row", ["a row of another namespace", "a list of texts"])
async def test_a_vector_without_a_text_gets_none_of_another_tenant(
    kind: Kind, call: Call, client: VectorizeClient, row: str
) -> None:
    """Written without the view, under an id that another tenant's text or list has in D1."""
    texts = D1Texts("texts")
    store = kind.over(client, texts=texts, on_missing_text="empty")
    view, other = store.with_namespace("a"), store.with_namespace("b")
    for one in (view, other):
        await kind.add_rows(call, one, [("long", LONG, {})])
    row_id = list_name("docs", layout.stored_id("b", "long"))
    if row == "a row of another namespace":
        row_id = "foreign"
        sql = "INSERT INTO docs (id, text, namespace) VALUES (?, ?, ?)"
        run(client.connection.io().call(WriteD1("texts", ((sql, (row_id, SECRET, "b")),))))
    client.index("docs").upsert([Vector(row_id, vector("q"), "a", {"n": 1})], wait=True)
    assert set(await kind.search(call, view, "q")) == {row_id, "long"}
    listed = view.iter_documents() if kind is LANGCHAIN else view.iter_nodes()
    said = repr([*listed])
    assert SECRET not in said
    assert row_id not in said.replace(f"'{row_id}'", "")
    await kind.clear(call, view)
    # The list of the other's texts is still there, and with it all goes that the other deletes.
    assert await kind.get(call, other, ["long"]) == [("long", LONG, {})]
    await kind.delete(call, other, ["long"], wait=True)
    name = text_name("docs", layout.stored_id("b", "long"), LONG)
    assert run(texts.get(client.connection.io(), "docs", [name])) == {}


@both_stores
@both_here
async def test_a_vector_gets_the_text_of_a_row_of_its_own_namespace_or_of_none(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    store = kind.over(client, texts=D1Texts("texts"))
    view = store.with_namespace("a")
    await kind.add_rows(call, view, [("long", LONG, {})])
    for count, namespace in enumerate(("a", "", None), 1):
        row_id = f"row of {namespace}"
        sql = "INSERT INTO docs (id, text, namespace) VALUES (?, ?, ?)"
        params = (row_id, "its text", namespace)
        run(client.connection.io().call(WriteD1("texts", ((sql, params),))))
        client.index("docs").upsert([Vector(row_id, vector("q"), "a", {"n": 1})], wait=True)
        listed = view.iter_documents() if kind is LANGCHAIN else view.iter_nodes()
        assert repr([*listed]).count("its text") == count


class Refusing(SqliteTexts):
    """Deletes all texts but that of one record."""

    kept = ""

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        if any(name.startswith(self.kept) for name in names if self.kept):
            raise OSError(f"{SECRET} is locked")
        await super().delete(io, index, names)


@both_stores
@both_ways
async def test_texts_of_others_that_cannot_be_removed_are_not_a_tenants_affair(
    kind: Kind, call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slow_client(monkeypatch) as client:
        texts = Refusing()
        store = kind.over(client, texts=texts)
        view, other = store.with_namespace("a"), store.with_namespace("b")
        caplog.set_level("DEBUG")
        for one in (other, view):
            await kind.add_rows(call, one, [("long", LONG, {})], wait=True)
            await kind.delete(call, one, ["long"])
        lists = [list_name("docs", layout.stored_id(name, "long")) for name in "ab"]
        texts.kept = lists[1]
        assert await call(view, "count") == 0
        await call(view, "close")
        assert run(texts.get(client.connection.io(), "docs", lists)).keys() == {texts.kept}
        assert SECRET not in caplog.text
        with pytest.raises(OSError, match=SECRET):
            await other.await_writes()
        texts.kept = ""
        await call(other, "close")
        assert run(texts.get(client.connection.io(), "docs", lists)) == {}


@both_stores
@both_ways
async def test_the_log_counts_no_texts_of_others(
    kind: Kind, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with VectorizeClient.local(behavior=Behavior(process_delay=1_000)) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        store = kind.over(client, texts=SqliteTexts(), create_index=False, wait_timeout=0.01)
        view, other = store.with_namespace("a"), store.with_namespace("b")
        await kind.add_rows(call, other, [(f"{n}", LONG, {}) for n in range(3)])
        await kind.delete(call, other, ["0", "1", "2"])
        await call(view, "close")
        assert not caplog.records
        for one in (other, store):
            await call(one, "close")
            assert "texts of 3 records that" in caplog.text
            caplog.clear()


# The store itself


@both_stores
@both_here
@pytest.mark.covering(2)
async def test_broken_records_do_not_keep_the_store_from_the_others(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    store = kind.over(client, texts=SqliteTexts(), wait=True, metadata_indexes=INDEXED)
    view = store.with_namespace("a")
    await kind.add_rows(call, view, rows("my", 60))
    others = [broken(name, f"broken {n}", "b") for n, name in enumerate(BROKEN)]
    client.index("docs").upsert(others, wait=True)
    assert await call(store, "count") == 60 + len(others)
    assert await call(store, "count", namespace="a") == 60
    assert set(await kind.search(call, store, "my text 1", 50, namespace="a")) <= {
        layout.stored_id("a", f"my {n}") for n in range(60)
    }
    for vector_id in ("broken 2", "broken 3"):
        with pytest.raises(UnreadableRecordError, match=f"'{vector_id}'"):
            await kind.get(call, store, [vector_id])
    if kind is LANGCHAIN:
        assert len([*store.iter_ids()]) == 60 + len(others)
        assert await call(store, "update_metadata", ["broken 0", "broken 4"], {"seen": 1})
    (long,) = client.index("docs").get([layout.stored_id("a", "my 0")])
    newer = {"_vs": '{"v":99,"x":5}', "_vs_own": True}
    client.index("docs").upsert([Vector(long.id, long.values, "a", newer)], wait=True)
    await kind.delete(call, store, [long.id], wait=True)
    await call(store, "reindex_metadata")
    await kind.delete(call, store, [v.id for v in others[:3]], wait=True)
    await kind.clear(call, store)
    assert await call(store, "count") == 0


@both_stores
def test_an_explanation_does_not_count_the_index(kind: Kind, client: VectorizeClient) -> None:
    client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
    view = kind.over(client).with_namespace("a")
    said = str(view.explain_filter(F("n") == 1, None, unindexed="scan"))
    assert "as many as reading the whole index" in said
    assert "at most" not in said


@both_stores
@both_here
@pytest.mark.covering(2)
async def test_a_tenants_own_broken_record_is_counted_listed_and_deleted(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    store = kind.over(client, texts=SqliteTexts(), wait=True)
    view, index = store.with_namespace("a"), client.index("docs")
    await kind.add_rows(call, view, [("newer", LONG, {}), ("gone", LONG, {}), ("good", "t", {})])
    (newer,) = index.get([layout.stored_id("a", "newer")])
    extra = {"_vs": '{"v":99,"id":"newer"}'}
    index.upsert([Vector(newer.id, newer.values, "a", {**(newer.metadata or {}), **extra})])
    name = text_name("docs", layout.stored_id("a", "gone"), LONG)
    run(store._records.texts.delete(client.connection.io(), "docs", [name]))
    index.wait()
    assert await call(view, "count") == 3
    if kind is LANGCHAIN:
        assert sorted(view.iter_ids()) == ["gone", "good", "newer"]
    for row_id, error in (("newer", UnreadableRecordError), ("gone", MissingTextError)):
        with pytest.raises(error, match=f"'{row_id}'"):
            await kind.get(call, view, ["good", row_id])
    await kind.delete(call, view, ["newer"])
    assert [row[0] for row in await kind.get(call, view, ["newer", "good"])] == ["good"]
    await kind.clear(call, view)
    assert await call(view, "count") == 0
