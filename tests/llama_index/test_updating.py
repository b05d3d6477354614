"""Metadata of nodes that are stored, changed without their texts and embeddings."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from llama_index.core.schema import TextNode

from tests.llama_index.helpers import LONG, text_node
from tests.stores import Call, Make, both_ways
from vectorize_core import (
    InvalidInputError,
    InvalidVectorError,
    SqliteTexts,
    Vector,
    VectorizeClient,
)

layouts = pytest.mark.parametrize("node_layout", ["compact", "stock"])


@both_ways
@layouts
async def test_metadata_are_merged_removed_and_replaced(
    make: Make, call: Call, node_layout: str
) -> None:
    texts = SqliteTexts()
    store = make(node_layout=node_layout, metadata_indexes={"n": "number"}, texts=texts)
    given = [text_node(name, "doc", kind="x", n=1, doc_id="own") for name in "abc"]
    given[1].text = LONG * 40
    store.add(given)

    async def check(*metadatas: dict[str, Any]) -> None:
        found = await call(store, "get_nodes", ["a", "b", "c"], include_embeddings=True)
        for before, after, metadata in zip(given, found, metadatas, strict=True):
            expected = before.model_copy(update={"metadata": metadata})
            expected.embedding = after.embedding
            assert after.to_dict() == expected.to_dict()
            assert after.embedding == pytest.approx(before.embedding, rel=1e-6)

    own = {"kind": "x", "n": 1, "doc_id": "own"}
    assert await call(store, "update_metadata", ["a", "no", "b"], {"n": 2, "new": [1]}) == [
        *("a", "b"),
    ]
    await check({**own, "n": 2, "new": [1]}, {**own, "n": 2, "new": [1]}, own)
    assert await call(store, "count", {"n": 2}) == 2
    await call(store, "update_metadata", ["a", "b"], [{"n": 3}, {}], remove=["kind", "nothing"])
    left = {"doc_id": "own", "new": [1]}
    await check({**left, "n": 3}, {**left, "n": 2}, own)
    await call(store, "update_metadata", ["b"], {"n": 4}, replace=True)
    await call(store, "update_metadata", ["c"], remove=("n", "doc_id"))
    await check({**left, "n": 3}, {"n": 4}, {"kind": "x"})
    assert sorted(n.node_id for n in store.get_nodes(filters={"ref_doc_id": "doc"})) == [*"abc"]


@both_ways
async def test_a_node_in_a_layout_of_others_keeps_what_it_is(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    store = make(text_index=None)
    store.add([text_node("a")])
    odd: list[dict[str, Any]] = [
        {"_node_content": "{", "n": 1},
        {"_node_content": '{"metadata": 5}', "_node_type": "TextNode", "n": 1},
    ]
    vectors = [Vector(f"odd {at}", [1.0] * 32, None, one) for at, one in enumerate(odd)]
    client.index("docs").upsert(vectors, wait="visible")
    names = [vector.id for vector in vectors]
    await call(store, "update_metadata", names, {"n": 2})
    for vector, before in zip(client.index("docs").get(names), odd, strict=True):
        assert before | {"n": 2} == {name: vector.metadata[name] for name in before}


@both_ways
async def test_a_view_changes_its_own(make: Make, call: Call) -> None:
    store = make()
    mine, theirs = store.with_namespace("a"), store.with_namespace("b")
    for view in (mine, theirs):
        view.add([text_node("1", n=1)])
    assert await call(mine, "update_metadata", ["1", "2"], {"n": 2}) == ["1"]
    assert [view.get_nodes(["1"])[0].metadata for view in (mine, theirs)] == [{"n": 2}, {"n": 1}]


@both_ways
async def test_what_cannot_be_written_is_refused(make: Make, call: Call) -> None:
    store = make(node_layout="stock")
    store.add([text_node("a", n=1)])
    for metadata, message in (
        ({"when": date(2020, 1, 1)}, "node 'a' cannot be stored: .*date"),
        ({"set": {1, 2}}, "node 'a' cannot be stored"),
    ):
        with pytest.raises(InvalidVectorError, match=message):
            await call(store, "update_metadata", ["a"], metadata)
    with pytest.raises(InvalidInputError, match="an update takes metadata, or keys to remove"):
        await call(store, "update_metadata", ["a"])
    (node,) = await call(store, "get_nodes", ["a"])
    assert isinstance(node, TextNode)
    assert node.metadata == {"n": 1}
