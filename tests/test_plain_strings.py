"""A string of any class is a string, and columns come in any collection: in both stores."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import date
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import TextNode

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, Embedder, both_ways, vector
from vectorize_core import InvalidVectorError, UnindexedPropertyError, Vector, VectorizeClient


class Name(enum.StrEnum):
    TEXT = "text"
    KEY = "year"


class Markup(str):
    """As that of markupsafe: not what ``str`` of it says."""

    __slots__ = ()

    def __str__(self) -> str:
        return "escaped"


class Strict(Embedder):
    """An embedding model that takes plain strings only, as many tokenizers do."""

    def of(self, text: str) -> list[float]:
        assert type(text) is str
        return super().of(text)


STRINGS = {"numpy.str_": np.str_, "a class of its own": Markup, "StrEnum": lambda _: Name.TEXT}
every_string = pytest.mark.parametrize("make", STRINGS.values(), ids=STRINGS)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(plain(key) and plain(item) for key, item in value.items())
    return not isinstance(value, str) or type(value) is str


@every_string
@both_ways
@both_stores
async def test_a_text_is_stored_embedded_and_searched_as_a_plain_string(
    kind: Kind, client: VectorizeClient, call: Call, make: Callable[[str], str]
) -> None:
    given = make("text")
    # As a value, a member of an enum comes back as such (docs/layout.md).
    value = "text" if given is Name.TEXT else given
    if kind is LANGCHAIN:
        store = kind.store(Strict(), index_name="docs", client=client, create_index=True)
        await call(store, "add_texts", [given], [{given: value}], ids=[given])
        found = await call(store, "similarity_search", given)
        assert await call(store, "max_marginal_relevance_search", given) == found
        rows = [(d.id, d.page_content, d.metadata) for d in found]
    else:
        store = kind.over(client)
        node = TextNode(id_="text", text="", embedding=vector("text"))
        node.set_content(given)
        node.metadata = {given: value}
        await call(store, "add", [node])
        rows = await kind.get(call, store, [given])
    assert rows == [("text", "text", {"text": "text"})]
    assert all(map(plain, rows[0]))


@every_string
@both_ways
@both_stores
async def test_filters_find_what_stands_under_such_a_key(
    kind: Kind, client: VectorizeClient, call: Call, make: Callable[[str], str]
) -> None:
    key = Name.KEY if make("") == "text" else make("year")
    store = kind.over(client, metadata_indexes={"year": "string"})
    await kind.add_rows(call, store, [("a", "t", {key: make("text")}), ("b", "t", {"year": "no"})])
    if kind is LANGCHAIN:
        found = await call(store, "similarity_search", "t", filter={key: make("text")})
        assert [document.id for document in found] == ["a"]
    await kind.delete_where(call, store, "year", "text")
    assert [row[0] for row in await kind.get(call, store, "ab")] == ["b"]


@every_string
@both_ways
@both_stores
async def test_the_name_of_an_index_is_a_plain_string(
    kind: Kind, client: VectorizeClient, call: Call, make: Callable[[str], str]
) -> None:
    name = make("text")
    client.create_index(name, dimensions=32)
    assert client.get_index(name).name == "text"
    index = client.index(name)
    assert type(index.name) is str
    assert index.name == "text"
    store = kind.over(client, index_name=name, create_index=False)
    await kind.add(call, store, "a")
    assert client.index("text").get(["a"])
    assert "'text'" in repr(store)
    with pytest.raises(UnindexedPropertyError, match="the index 'text' has no"):
        index.query(vector("a"), filter={"unknown": 1})


@every_string
@pytest.mark.parametrize("write", ["upsert", "insert"])
def test_metadata_of_an_index_holds_near_types(
    client: VectorizeClient, make: Callable[[str], str], write: str
) -> None:
    client.create_index("docs", dimensions=32)
    given = {make("text"): 1, "n": np.int64(1), "l": [np.array([1.5])], "p": PurePosixPath("/a")}
    if make("") != "text":
        given["d"] = {"s": make("x")}
    before = {**given}
    vectors = [Vector(make("text"), vector("a"), metadata=given)]
    getattr(client.index("docs"), write)(vectors)
    (found,) = client.index("docs").get(["text"])
    wanted = {
        "text": 1,
        "n": 1,
        "l": [[1.5]],
        "p": "/a",
        **({"d": {"s": "x"}} if "d" in given else {}),
    }
    assert found.metadata == wanted
    assert plain(dict(found.metadata))
    assert given == before


@pytest.mark.parametrize(
    "bad",
    [
        date(2026, 1, 2),
        (1, 2),
        {1},
        float("nan"),
        2**70,
        object(),
        {1: 2},
        np.datetime64("NaT", "s"),
    ],
)
def test_metadata_of_an_index_that_json_lacks_is_refused_by_position_and_key(
    client: VectorizeClient, bad: Any
) -> None:
    client.create_index("docs", dimensions=32)
    vectors = [Vector(i, vector(i), metadata={"n": np.int8(1), "k": bad}) for i in "a"]
    with pytest.raises(InvalidVectorError, match=r"position 0, vector 'a': the metadata .* at k"):
        client.index("docs").upsert(vectors)


@pytest.mark.parametrize(
    "column",
    [
        np.array,
        tuple,
        iter,
        lambda items: np.array(items, dtype=object),
        lambda items: dict(enumerate(items)).values(),
    ],
    ids=["array", "tuple", "iterator", "array of objects", "view"],
)
@both_ways
async def test_texts_metadata_and_ids_come_in_any_collection(
    client: VectorizeClient, call: Call, column: Callable[[Any], Any]
) -> None:
    store = LANGCHAIN.over(client)
    metadatas = [{"n": np.int64(1)}, MappingProxyType({"n": 2})]
    given = column(["one", "two"]), column(metadatas)
    assert await call(store, "add_texts", *given, ids=column(["1", "2"])) == ["1", "2"]
    rows = [("1", "one", {"n": 1}), ("2", "two", {"n": 2})]
    assert await LANGCHAIN.get(call, store, ["1", "2"]) == rows
    values = column([np.array(vector("one")), np.array(vector("two"))])
    ids = column([3, 4])
    added = await call(store, "add_embeddings", column(["one", "two"]), values, ids=ids)
    assert added == ["3", "4"]
    ((nearest, _),) = await call(store, "similarity_search_with_score_by_vector", vector("two"), 1)
    assert nearest.page_content == "two"


@both_ways
async def test_nodes_come_in_any_collection(client: VectorizeClient, call: Call) -> None:
    store = LLAMA_INDEX.over(client)
    nodes = [TextNode(id_=i, text=i, embedding=vector(i)) for i in "ab"]
    for given in (tuple(nodes), iter(nodes), np.array(nodes, dtype=object)):
        assert await call(store, "add", given) == ["a", "b"]


def test_a_text_key_may_be_of_an_enum(client: VectorizeClient) -> None:
    store = LANGCHAIN.over(client, text_key=Name.KEY)
    store.add_texts(["hello"], ids=["a"])
    (found,) = client.index("docs").get(["a"])
    assert found.metadata is not None
    assert found.metadata["year"] == "hello"
