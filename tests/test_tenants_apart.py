"""What a tenant learns of others, in words, and what their broken records do to it: nothing."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.llama_index.helpers import equal_to
from tests.stores import DIMENSIONS, Call, async_call, both_ways, sync_call, vector
from vectorize_core import (
    F,
    SqliteTexts,
    Vector,
    VectorizeClient,
    VectorizeError,
    layout,
)
from vectorize_core.client import AsyncVectorizeClient
from vectorize_core.connection import Connection
from vectorize_core.errors import TenantViewError
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.local import Service
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import IndexState
from vectorize_core.texts import TextStore
from vectorize_core.texts.store import text_name

SECRET = "xyzzy"
"""What is in each id, text and property of the other tenant."""
LONG = "a long text, " * 1_000
INDEXED: Any = {"kind": "string", "n": "number"}


def rows(whose: str, count: int) -> list[Row]:
    made = [(f"{whose} {n}", f"{whose} text {n}", {"kind": whose, "n": n}) for n in range(count)]
    (first, _, metadata), *others = made
    return [(first, LONG + first, metadata), *others]


@pytest.fixture(params=["embedded", "server"])
def client(request: pytest.FixtureRequest) -> Iterator[VectorizeClient]:
    if request.param == "embedded":
        with VectorizeClient.local() as made:
            yield made
        return
    with BackgroundServer(Settings()) as server:
        made = VectorizeClient(account_id="a", base_url=server.base_url)
        yield made
        made.close()


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
            assert isinstance(store.client, Index)
            assert isinstance(store.aclient, AsyncIndex)
            for name in ("client", "aclient"):
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
        ("count", (), {}),
        ("count", (), high),
        ("count", (), few),
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
