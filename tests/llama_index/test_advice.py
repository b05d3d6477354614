"""What an error advises leads to an answer, and speaks of what users of LlamaIndex know."""

from __future__ import annotations

import re
from typing import Any

import pytest
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters

from tests.llama_index.helpers import text_node
from tests.stores import DIMENSIONS, Call, Make, both_ways
from vectorize_core import UnindexedPropertyError, VectorizeClient

OP = FilterOperator


def leaf(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


@both_ways
@pytest.mark.parametrize(
    ("operator", "value"),
    [(OP.ANY, ["a", "b"]), (OP.ALL, ["a", "b"]), (OP.CONTAINS, "a"), (OP.EQ, ["a", "b"])],
)
@pytest.mark.covering(1)
async def test_no_index_on_a_list_is_advised(
    make: Make, call: Call, operator: FilterOperator, value: Any
) -> None:
    store = make(metadata_indexes={"tags_a": "boolean", "n": "number"})
    store.add([text_node("x", tags=["a", "b"], tags_a=True, n=1), text_node("y", tags=[], n=1)])
    filters = leaf("tags", operator, value)
    with pytest.raises(UnindexedPropertyError) as caught:
        await call(store, "get_nodes", None, filters)
    assert "looks into lists" in str(caught.value)
    assert "Name it in metadata_indexes" not in str(caught.value)
    # What it advises.
    assert "unindexed='scan'" in str(caught.value)
    found = await call(store, "get_nodes", None, filters, unindexed="scan")
    assert [node.node_id for node in found] == ["x"]
    assert "'tags_x': True" in str(caught.value)
    found = await call(store, "get_nodes", None, {"tags_a": True})
    assert [node.node_id for node in found] == ["x"]


ELSEWHERE = {
    "text": "where the text of a record stands",
    "_node_content": "node_layout='stock'",
    "start_char_idx": "a field of nodes",
    "relationships": "a field of nodes",
    "image_resource": "a field of nodes",
    "hash": "a field of nodes",
    "next_node": "a field of nodes",
    "extra_info": "a field of nodes",
    "node_id": "node_ids=",
    "id": "node_ids=",
    "namespace": "namespace=",
    "id_": "node_ids=",
    "_vs_mine": "inside _vs",
}


@both_ways
@pytest.mark.parametrize("operator", [OP.EQ, OP.TEXT_MATCH, OP.IN])
@pytest.mark.parametrize("key", ELSEWHERE)
@pytest.mark.covering(1)
async def test_no_index_on_what_stands_elsewhere_is_advised(
    make: Make, call: Call, key: str, operator: FilterOperator
) -> None:
    store = make()
    store.add([text_node("x")])
    filters = leaf(key, operator, ["x"] if operator is OP.IN else "x")
    with pytest.raises(UnindexedPropertyError, match=re.escape(ELSEWHERE[key])) as caught:
        await call(store, "get_nodes", None, filters)
    assert "metadata_indexes" not in str(caught.value)
    assert repr(key) in str(caught.value)


@both_ways
async def test_a_field_of_nodes_may_be_a_property_of_the_metadata_too(
    make: Make, call: Call
) -> None:
    store = make(metadata_indexes={"mimetype": "string"})
    store.add([text_node("x", mimetype="image/png"), text_node("y")])
    found = await call(store, "get_nodes", None, leaf("mimetype", OP.EQ, "image/png"))
    assert [node.node_id for node in found] == ["x"]


@both_ways
async def test_a_metadata_index_is_advised_in_words_that_work(make: Make, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    store.add([text_node("x", year=1, n=1)])
    with pytest.raises(UnindexedPropertyError) as caught:
        await call(store, "get_nodes", None, leaf("year", OP.EQ, 1))
    assert "store.create_metadata_index('year'" in str(caught.value)
    store.create_metadata_index("year", "number")
    store.reindex_metadata(wait="visible")
    (found,) = await call(store, "get_nodes", None, leaf("year", OP.EQ, 1))
    assert found.node_id == "x"
    with pytest.raises(UnindexedPropertyError, match=r"number, so it cannot look up == '1'\."):
        await call(store, "get_nodes", None, leaf("n", OP.EQ, "1"))


@both_ways
async def test_a_list_may_be_empty_where_it_is_looked_up(make: Make, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    store.add([text_node("x", n=1), text_node("y", n=1, owner="me")])
    filters = leaf("owner", OP.IS_EMPTY, None)
    with pytest.raises(UnindexedPropertyError, match="no metadata index on 'owner'") as caught:
        await call(store, "get_nodes", None, filters)
    assert "looks into lists" not in str(caught.value)
    # What it advises.
    store.create_metadata_index("owner", "string")
    store.reindex_metadata(wait="visible")
    assert [node.node_id for node in await call(store, "get_nodes", None, filters)] == ["x"]


@both_ways
async def test_an_index_without_the_layout_can_be_given_it(
    make: Make, client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
    store = make()
    store.add([text_node("x", "doc"), text_node("y", "other")])
    with pytest.raises(UnindexedPropertyError) as caught:
        await call(store, "delete", "doc")
    # What it advises.
    assert "store.create_metadata_index('_vs_ref', 'string')" in str(caught.value)
    assert "reindex_metadata()" in str(caught.value)
    store.create_metadata_index("_vs_ref", "string")
    store.reindex_metadata(wait="visible")
    await call(store, "delete", "doc")
    assert [node.node_id for node in store.get_nodes()] == ["y"]
