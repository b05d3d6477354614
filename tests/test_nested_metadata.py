"""Metadata indexes on what is inside nested metadata, such as ``author.name``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, Kind, Row, both_stores
from tests.stores import (
    EVERYWHERE,
    Call,
    Embedder,
    both_ways,
    client_of,
    recorded,
    sync_call,
    vector,
)
from vectorize_core import (
    ConfigurationError,
    F,
    InvalidInputError,
    PartialIndexError,
    PartialIndexWarning,
    UnindexedPropertyError,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.operations import Query
from vectorize_core.filters import Expression
from vectorize_core.models import IndexType
from vectorize_core.moving import copy_records

NESTED: dict[str, IndexType] = {"author.name": "string", "author.born": "number", "n": "number"}
WRITTEN = date(2026, 1, 2)
ROWS: list[Row] = [
    ("plain", "plain text", {"author": {"name": "Ada", "born": 1815}, "n": 1}),
    ("date", "date text", {"author": {"name": "Ada", "died": date(1852, 11, 27)}, "n": 2}),
    ("key", "key text", {"author.name": "Ada", "n": 3}),
    ("both", "both text", {"author.name": "Ada", "author": {"name": "Bo"}, "n": 4}),
    ("text", "text text", {"author.name": "Ada", "author": "Ada", "n": 5}),
    ("other", "other text", {"author": {"name": "Bo", "born": 1815}, "n": 6}),
    ("hidden", "hidden text", {"author.name": "Bo", "author": {"name": "Ada"}, "n": 7}),
    ("none", "none text", {"author": None, "n": 8}),
    ("list", "list text", {"author": [{"name": "Ada"}], "n": 9}),
    ("without", "without text", {"n": 10}),
]
IS_ADA = {"plain", "date", "key", "both", "text"}


@pytest.fixture(params=EVERYWHERE)
def client(request: pytest.FixtureRequest) -> Iterator[VectorizeClient]:
    with client_of(request.param) as made:
        yield made


async def matching(kind: Kind, call: Call, store: Any, filter: Any, **options: Any) -> set[str]:
    """The ids of a search that finds all, which is compared with the count of them."""
    given = {"filter": filter} if kind is LANGCHAIN else {}
    if kind is LANGCHAIN:
        found = await call(store, "similarity_search", "q", 50, **given, **options)
        ids = {document.id for document in found}
    else:
        ids = {n.node_id for n in await call(store, "get_nodes", None, filter, **options)}
    assert await call(store, "count", filter, **options) == len(ids)
    return ids


@pytest.mark.covering(2)
@both_ways
@both_stores
async def test_filters_look_inside_metadata(
    client: VectorizeClient, kind: Kind, call: Call
) -> None:
    sent = recorded(client)
    store = kind.over(client, metadata_indexes=NESTED)
    await kind.add_rows(call, store, ROWS)
    ada: Expression = F("author.name") == "Ada"
    assert await matching(kind, call, store, ada) == IS_ADA
    asked = [op.filter for op in sent.of(Query)]
    assert {"author.name": "Ada"}.items() <= (asked[0] or {}).items()
    assert await matching(kind, call, store, {"author.name": {"$gte": "B"}}) == {
        *("other", "hidden"),
    }
    assert await matching(kind, call, store, ada & (F("n") > 3)) == {"both", "text"}
    born = F("author.born").between(1800, 1900)
    assert await matching(kind, call, store, born) == {"plain", "other"}
    explained = store.explain_filter(ada)
    assert "Asked of the service: {'author.name': 'Ada'}" in str(explained)
    rows = await kind.get(call, store, [row[0] for row in ROWS])
    assert rows == ROWS
    with pytest.raises(UnindexedPropertyError, match=r"no metadata index on 'author\.city'"):
        await call(store, "count", {"author.city": "London"})
    await kind.delete_where(call, store, "author.name", "Ada")
    assert await call(store, "count") == len(ROWS) - len(IS_ADA)


@pytest.mark.covering(2)
@both_ways
@both_stores
async def test_records_that_are_older_are_covered_when_they_are_indexed_again(
    client: VectorizeClient, kind: Kind, call: Call
) -> None:
    store = kind.over(client, metadata_indexes={"n": "number"})
    await kind.add_rows(call, store, ROWS)
    await call(store, "create_metadata_index", "author.name", "string")
    ada = {"author.name": "Ada"}
    with pytest.raises(PartialIndexError, match=r"'author\.name'"):
        await call(store, "count", ada)
    assert await call(store, "count", ada, unindexed="scan") == len(IS_ADA)
    with pytest.warns(PartialIndexWarning, match="'author.name'"):
        await kind.search(call, store, "q", filter=ada) if kind is LANGCHAIN else await call(
            store, "query", _query(ada)
        )
    assert await call(store, "reindex_metadata") == len(ROWS)
    assert await matching(kind, call, store, ada) == IS_ADA
    assert await kind.get(call, store, [row[0] for row in ROWS]) == ROWS


def _query(filters: Any) -> Any:
    from llama_index.core.vector_stores.types import (
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
    )

    leaves = [MetadataFilter(key=key, value=value) for key, value in filters.items()]
    return VectorStoreQuery(
        query_embedding=vector("q"), filters=MetadataFilters(filters=leaves), similarity_top_k=4
    )


@pytest.mark.parametrize("hidden", ["date", "key"])
def test_a_record_that_only_hides_its_value_is_noticed(hidden: str) -> None:
    """Embedded, among any number of others; the service itself sees nothing of it."""
    with VectorizeClient.local() as client:
        store = LANGCHAIN.over(client, metadata_indexes={"n": "number"})
        store.add_texts([f"text {n}" for n in range(300)], [{"n": n} for n in range(300)])
        (metadata,) = (metadata for name, _, metadata in ROWS if name == hidden)
        store.add_texts(["hidden"], [metadata])
        store.create_metadata_index("author.name", "string")
        with pytest.raises(PartialIndexError, match="does not hold 1 vectors"):
            store.count({"author.name": "Ada"})
        store.reindex_metadata()
        assert store.count({"author.name": "Ada"}) == 1


@both_ways
@both_stores
async def test_tenants_updates_and_words(tmp_path: Path, kind: Kind, call: Call) -> None:
    with kind.local(path=tmp_path, text_index=True, metadata_indexes=NESTED) as store:
        view = store.with_namespace("tenant")
        await kind.add_rows(call, view, ROWS)
        await kind.add_rows(call, store, ROWS, namespace="other")
        ada = F("author.name") == "Ada"
        assert await matching(kind, call, view, ada) == IS_ADA
        words: Any = ada if kind is LANGCHAIN else {"author.name": "Ada"}
        found = await kind.search_by(call, view, "text", "text", 50, filter=words)
        assert {one for one, _ in found} == IS_ADA
        now = [("plain", "plain text", {"author": {"name": "Bo"}})]
        await kind.add_rows(call, view, [*now, ("without", "now text", {"author.name": "Ada"})])
        if kind is LANGCHAIN:
            gone = {"author": {"name": "Bo", "since": WRITTEN}}
            await call(view, "update_metadata", ["date", "list"], [gone, {"author.name": "Ada"}])
            await call(view, "update_metadata", ["date"], {"author.name": "Ada"})
            await kind.delete(call, view, ["list"])
        changed = IS_ADA - {"plain"} | {"without"}
        assert await matching(kind, call, view, ada) == changed
        found = await kind.search_by(call, view, "text", "text", 50, filter=words)
        assert {one for one, _ in found} == changed
        assert await call(store, "count", ada) == len(IS_ADA) + len(changed)


def test_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "filters.md").read_text(encoding="utf-8")
    section = page.split("## What is inside metadata\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {"VectorizeVectorStore": LANGCHAIN.store, "model": Embedder()}
    exec(code, names)
    (found,) = names["found"]
    assert found.metadata == {"author": {"name": "Ada", "born": 1815}}
    names["store"].close()


def test_an_index_sees_the_objects_of_anyone(client: VectorizeClient) -> None:
    """As Cloudflare documents it, for vectors that any client has written."""
    client.create_index("docs", dimensions=32, metadata_indexes=NESTED)
    index = client.index("docs")
    index.upsert(
        Vector(name, vector(name), metadata={"author": {"name": name, "more": {"deep": 1}}})
        for name in ("Ada", "Bo")
    )
    assert list(index.iter_ids(filter={"author.name": "Ada"})) == ["Ada"]
    store = LANGCHAIN.over(client, on_missing_text="empty")
    (found,) = store.similarity_search("q", filter={"author.name": "Bo"})
    assert found.metadata == {"author": {"name": "Bo", "more": {"deep": 1}}}


def test_records_that_are_moved_are_found_there(client: VectorizeClient) -> None:
    store = LANGCHAIN.over(client, metadata_indexes={"n": "number"})
    store.add_texts([row[1] for row in ROWS], [row[2] for row in ROWS], ids=[r[0] for r in ROWS])
    there = LANGCHAIN.over(client, index_name="there", metadata_indexes=NESTED)
    moved = copy_records(store, there, verify=True)
    assert moved.records == len(ROWS)
    assert there.count({"author.name": "Ada"}) == len(IS_ADA)


@pytest.mark.covering(1)
@both_stores
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"text": "string"}, "'text' is where the text of a record stands"),
        ({"text.lang": "string"}, "'text' is where the text of a record stands"),
        ({"_vs_mine": "string"}, "inside _vs"),
        ({"author..name": "string"}, "a key, and each part of a path, must not be empty"),
        ({"tags.0": "string"}, "no metadata index looks into lists"),
        ({"tags": "list"}, "No metadata index holds lists"),
        ({"author": "object"}, "name what is inside an object, such as 'author.name'"),
        ({"author": "string", "author.name": "string"}, "'author.name' is inside 'author'"),
    ],
)
async def test_what_cannot_be_looked_up_is_refused_when_it_is_declared(
    kind: Kind, wanted: Any, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        kind.local(metadata_indexes=wanted)
    with kind.local(metadata_indexes={"n": "number"}) as store:
        await kind.add_rows(sync_call, store, ROWS)
        for name, index_type in list(wanted.items())[:-1]:
            store.create_metadata_index(name, index_type)
        name, index_type = list(wanted.items())[-1]
        with pytest.raises((InvalidInputError, ConfigurationError), match=said):
            store.create_metadata_index(name, index_type)
