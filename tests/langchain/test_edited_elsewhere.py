"""One document that another client has edited does not break a read of the others."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Embedder, both_ways, vector
from vectorize_core import MissingTextError, Vector, VectorizeClient
from vectorize_core.errors import UnreadableRecordError

ROWS = {"good": date(2024, 5, 1), "edited": date(2024, 5, 2)}
EDITS: dict[str, tuple[dict[str, Any], Any]] = {
    "another form of a date": ({"seen": "2024-05-02T00:00:00Z"}, "2024-05-02T00:00:00Z"),
    "a number for a date": ({"seen": 5}, 5),
    "an object for a date": ({"seen": {"day": 2}}, {"day": 2}),
    "a hint that is no mapping": ({"_vs": '{"v":1,"y":5}'}, "2024-05-02"),
    "an unknown hint": ({"_vs": '{"v":1,"y":{"seen":"newer"}}'}, "2024-05-02"),
    "members that are no pairs": (
        {"_vs": '{"v":1,"y":{"seen":"date"},"m":[5,[1],[[],2]]}'},
        date(2024, 5, 2),
    ),
    "a tag without a form": ({"_vs": '{"v":1,"m":[["seen",{"$":[]}]]}'}, {"$": []}),
    "no JSON": ({"_vs": "{"}, "2024-05-02"),
    "a number for the text": ({"text": 5}, date(2024, 5, 2)),
    "a node that is none": ({"_vs": '{"v":1,"n":5,"y":{"seen":"date"}}'}, date(2024, 5, 2)),
}


async def _store(call: Call, changes: dict[str, Any]) -> VectorizeVectorStore:
    client = VectorizeClient.local()
    store = VectorizeVectorStore(
        Embedder(),
        index_name="docs",
        client=client,
        create_index=True,
        metadata_indexes={"seen": "string"},
    )
    metadatas = [{"seen": day} for day in ROWS.values()]
    await call(store, "add_texts", list(ROWS), metadatas, ids=list(ROWS))
    index = client.index("docs")
    (old,) = index.get(["edited"])
    changed = {**(old.metadata or {}), **changes}
    index.upsert([Vector("edited", old.values, old.namespace, changed)])
    return store


@both_ways
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_an_edited_document_is_read_with_what_stands_there(
    call: Call, edit: tuple[dict[str, Any], Any]
) -> None:
    changes, value = edit
    store = await _store(call, changes)
    queries: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("similarity_search", ("edited",), {}),
        ("similarity_search_by_vector", (vector("edited"),), {}),
        ("max_marginal_relevance_search", ("edited",), {}),
        ("similarity_search_by_id", ("good",), {}),
        ("get_by_ids", (["good", "edited"],), {}),
        ("similarity_search", ("edited",), {"filter": {"seen": {"$ne": "x"}}}),
        (
            "similarity_search",
            ("edited",),
            {"filter": {"other": {"$ne": [1, "x"]}}, "unindexed": "scan"},
        ),
        ("similarity_search", ("a",), {"filter": lambda d: bool(d.id), "unindexed": "scan"}),
    ]
    for method, args, options in queries:
        found = {d.id: d for d in await call(store, method, *args, **options)}
        assert found["edited"].metadata["seen"] == value, method
        if method != "similarity_search_by_id":
            assert found["good"].metadata == {"seen": date(2024, 5, 1)}
    assert await call(store, "count", {"seen": {"$ne": "x"}}) == 2
    await call(store, "update_metadata", ["edited"], {"checked": True})
    (back,) = await call(store, "get_by_ids", ["edited"])
    assert back.metadata["checked"] is True
    assert back.metadata["seen"] == value


@both_ways
async def test_a_property_that_was_removed_is_gone(call: Call) -> None:
    store = await _store(call, {"_vs": json.dumps({"v": 1, "y": {"gone": "date", "n": "none"}})})
    (document,) = await call(store, "get_by_ids", ["edited"])
    assert document.metadata == {"seen": "2024-05-02", "n": None}


@both_ways
async def test_what_cannot_be_read_at_all_is_an_error_that_names_the_document(call: Call) -> None:
    store = await _store(call, {"_vs": '{"v":2}'})
    with pytest.raises(UnreadableRecordError, match="'edited'"):
        await call(store, "similarity_search", "edited")
    store = await _store(call, {"text": None})
    with pytest.raises(MissingTextError, match="'edited'"):
        await call(store, "similarity_search", "edited")
