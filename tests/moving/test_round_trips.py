"""Records go out and in again as they were: of every kind, of tenants, in every format."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.kinds import LANGCHAIN, Kind, both_stores
from tests.moving.places import LONG, ROWS, index_of, needs, rows_in, store_in, vectors_in
from tests.stores import Call, both_ways, client_of, shape, sync_call, vector
from vectorize_core import (
    ConfigurationError,
    D1Texts,
    Index,
    IndexNotFoundError,
    InvalidInputError,
    MissingTextError,
    SqliteTexts,
    Vector,
    VectorizeClient,
    moving,
)
from vectorize_core.layout import Record
from vectorize_core.moving import Item, copy_records, export_records, import_records
from vectorize_core.transport.io import run

every_format = pytest.mark.parametrize(
    "ending", ["ndjson", "jsonl", "ndjson.gz", "jsonl.zst", "parquet"]
)


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[VectorizeClient]:
    with VectorizeClient.local(tmp_path / "tenants") as client:
        yield client


@both_stores
@both_ways
@every_format
@pytest.mark.covering(1)
async def test_all_of_a_record_comes_back(
    tmp_path: Path, kind: Kind, call: Call, ending: str
) -> None:
    needs(ending)
    file = tmp_path / f"docs.{ending}"
    with store_in(kind, tmp_path / "a", text_index=True) as store:
        await kind.add_rows(sync_call, store, ROWS)
        there, vectors = await rows_in(kind, store), vectors_in(index_of(store))
        moved = await call(moving, "export_records", store, file, verify=True)
    assert (moved.records, moved.texts) == (len(ROWS), 2)
    with store_in(kind, tmp_path / "b", text_index=True) as store:
        assert await call(moving, "import_records", file, store, verify=True) == moved
        assert shape(await rows_in(kind, store)) == shape(there)
        assert vectors_in(index_of(store)) == vectors
        hits = await kind.search_by(sync_call, store, "text", "long more")
        assert {row_id for row_id, _ in hits} == {"long", "long and odd"}
        await kind.delete(sync_call, store, ["long", "long and odd"])
    # Its long texts are known to be those of the record, so they go with it.
    with closing(sqlite3.connect(tmp_path / "b" / "texts.sqlite3")) as database:
        assert not database.execute("SELECT name FROM texts").fetchall()
    left = {entry.name for entry in os.scandir(tmp_path) if entry.is_file()}
    assert left == {file.name, f"docs.texts.{ending}", f"{file.name}.manifest.json"}


@both_stores
@both_ways
@pytest.mark.covering(1)
async def test_a_copy_is_as_its_source_is(tmp_path: Path, kind: Kind, call: Call) -> None:
    special = {"metadata_indexes": {"year": "number"}, "metric": "euclidean"}
    with (
        store_in(kind, tmp_path / "a", **special) as source,
        kind.make(index_name="others", path=str(tmp_path / "b"), text_index=True) as target,
    ):
        await kind.add_rows(sync_call, source, ROWS)
        moved = await call(moving, "copy_records", source, target, verify=True)
        assert moved.records == len(ROWS)
        assert shape(await rows_in(kind, target)) == shape(await rows_in(kind, source))
        index = index_of(target)
        assert index.details().config.metric == "euclidean"
        assert "year" in {one.property_name for one in index.list_metadata_indexes()}
        assert len(await kind.search_by(sync_call, target, "text", "long more")) == 2
        # Another time nothing is doubled, and what was changed meanwhile is set right.
        index.upsert([Vector("plain", vector("other"))])
        assert await call(moving, "copy_records", source, target, verify=True) == moved
        assert index.count() == len(ROWS)


@both_stores
@pytest.mark.parametrize("where", ["embedded", "server"])
@pytest.mark.covering(1)
async def test_a_tenant_moves_its_own_records(
    tmp_path: Path, tenants: VectorizeClient, kind: Kind, where: str
) -> None:
    texts = {"texts": SqliteTexts(tmp_path)}
    file = tmp_path / "tenant.ndjson"
    with client_of(where) as client, kind.over(client, **texts) as store:
        one, other = store.with_namespace("one"), store.with_namespace("other")
        await kind.add_rows(sync_call, one, ROWS)
        await kind.add_rows(sync_call, other, [("plain", "another's", {})])
        there = await rows_in(kind, one)
        moved = export_records(one, file, verify=True)
        with pytest.raises(TypeError, match="bound to the namespace"):
            export_records(one, file, namespace="other")
    assert moved.records == len(ROWS)
    assert b"another's" not in file.read_bytes()
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert {line["id"] for line in lines} == {row_id for row_id, _, _ in ROWS}
    assert not any("namespace" in line for line in lines)
    with kind.over(tenants, **texts) as store:
        third = store.with_namespace("third")
        assert import_records(file, third, verify=True) == moved
        assert shape(await rows_in(kind, third)) == shape(there)
        assert {v.namespace for v in index_of(store).iter()} == {"third"}
        # Where nobody is a tenant they have their own ids, and go on from there.
        assert import_records(file, store, verify=True) == moved
        assert shape(await rows_in(kind, store)) == shape(there)
        assert copy_records(third, store, to_namespace="a", verify=True) == moved
        fourth = store.with_namespace("fourth")
        copy_records(store, fourth, namespace="a", verify=True)
        assert shape(await rows_in(kind, fourth)) == shape(there)


@pytest.mark.parametrize("where", ["embedded", "server"])
@both_ways
async def test_a_filter_and_a_namespace_say_which(tmp_path: Path, where: str, call: Call) -> None:
    with client_of(where) as client:
        client.create_index("docs", dimensions=32, metadata_indexes={"year": "number"})
        index = client.index("docs")
        names = ("a", "b", None)
        index.upsert(
            [Vector(f"{i}", vector(f"{i}"), names[i % 3], {"year": i, "n": i}) for i in range(60)]
        )
        index.wait()
        for options, wanted in (
            ({"filter": {"year": {"$gte": 50}}}, {*range(50, 60)}),
            ({"namespace": "a"}, {*range(0, 60, 3)}),
            ({"filter": {"year": {"$lt": 6}}, "namespace": "b"}, {1, 4}),
            ({"filter": {"n": 7}, "unindexed": "scan"}, {7}),
            ({"filter": {"year": {"$in": []}}}, set()),
        ):
            file = tmp_path / "some.ndjson"
            moved = await call(moving, "export_records", index, file, verify=True, **options)
            ids = {int(json.loads(line)["id"]) for line in file.read_bytes().splitlines()}
            assert ids == wanted
            assert moved.records == len(wanted)
        assert sorted(os.listdir(tmp_path)) == ["some.ndjson", "some.ndjson.manifest.json"]


@both_ways
async def test_between_a_server_and_a_directory(tmp_path: Path, call: Call) -> None:
    vectors = {str(i): Vector(str(i), vector(str(i)), None, {"n": i}) for i in range(503)}
    with client_of("server") as far, VectorizeClient.local(tmp_path / "near") as near:
        near.create_index("docs", dimensions=32)
        near.index("docs").upsert(vectors.values())
        seen: list[tuple[int, int | None]] = []
        target = far.index("docs")
        with pytest.raises(IndexNotFoundError, match="create_index=True"):
            await call(moving, "copy_records", near.index("docs"), target)
        moved = await call(
            moving,
            "copy_records",
            near.index("docs"),
            target,
            create_index=True,
            verify=True,
            on_progress=lambda done, total: seen.append((done, total)),
        )
        assert moved.records == len(vectors)
        assert seen[-1] == (len(vectors), len(vectors))
        back = near.index("back")
        assert await call(moving, "copy_records", target, back) == moved
        assert {v.id: v for v in back.iter(unindexed="scan")} == vectors


def test_long_texts_need_a_place(tmp_path: Path) -> None:
    with LANGCHAIN.local(texts=SqliteTexts(tmp_path)) as store:
        store.add_texts([LONG], ids=["a"])
        index = index_of(store)
        with pytest.raises(MissingTextError, match="texts= that it was written with"):
            export_records(index, tmp_path / "docs.ndjson")
        assert export_records(index, tmp_path / "bare.ndjson", texts=False).texts == 0
        export_records(index, tmp_path / "docs.ndjson", texts=SqliteTexts(tmp_path))
    with client_of("server") as client:
        target = client.index("docs")
        with pytest.raises(ConfigurationError, match=r"'a' has a text.*texts=D1Texts"):
            import_records(tmp_path / "docs.ndjson", target, create_index=True)
        with pytest.raises(MissingTextError, match=r"'a'.*bare\.texts\.ndjson"):
            import_records(tmp_path / "bare.ndjson", target, create_index=True)
        import_records(
            tmp_path / "bare.ndjson", target, create_index=True, texts=False, verify=True
        )
        import_records(tmp_path / "docs.ndjson", target, texts=SqliteTexts(), verify=True)


def test_items_of_any_origin_are_imported(tmp_path: Path) -> None:
    items = [
        Item(Record("a", "its text", {"year": 1}, ref="doc"), vector("a"), namespace="n"),
        Item(Record("b", LONG, {"year": 2}), vector("b")),
        Item(Record("c", "embedded here"), None),
    ]
    with store_in(LANGCHAIN, tmp_path / "a", text_index=True) as store:
        assert import_records(items, store, verify=True).records == 3
        found = {document.id: document for document in store.get_by_ids(["a", "b", "c"])}
        assert found["b"].page_content == LONG
        assert found["a"].metadata == {"year": 1}
        there = vectors_in(index_of(store))
        assert there["a"].namespace == "n"
        assert (there["a"].metadata or {})["_vs_ref"] == "doc"
        assert list(there["c"].values) == [*map(pytest.approx, vector("embedded here"))]
        assert store.similarity_search("embedded here", 1, retrieval_mode="text")[0].id == "c"
        with pytest.raises(InvalidInputError, match="reads the records twice"):
            import_records(iter(items), store, verify=True)
        assert import_records(iter(items), store.with_namespace("t")).records == 3


@pytest.mark.parametrize("wrong", [None, 7, "docs", object()])
def test_only_an_index_or_a_store_is_a_place(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="an Index, an AsyncIndex or a store"):
        export_records(wrong, tmp_path / "docs.ndjson")  # type: ignore[arg-type]


def test_no_index_is_made_by_an_export(tmp_path: Path, client: VectorizeClient) -> None:
    with pytest.raises(IndexNotFoundError):
        export_records(client.index("docs"), tmp_path / "docs.ndjson")
    with LANGCHAIN.local() as store, pytest.raises(IndexNotFoundError):
        export_records(store, tmp_path / "docs.ndjson")


def test_an_async_index_will_do(tmp_path: Path, client: VectorizeClient) -> None:
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert([Vector("a", vector("a"))])
    index = client.to_async().index("docs")
    assert export_records(index, tmp_path / "docs.ndjson").records == 1
    assert isinstance(client.index("docs"), Index)


def test_vectors_of_others_are_moved_as_they_are_read(
    tmp_path: Path, client: VectorizeClient
) -> None:
    """Without our layout, and with a text that another client keeps under a vector's id."""
    texts = D1Texts("texts")
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert(
        [
            Vector("d1", vector("d1"), None, {"year": 1}),
            Vector("own", vector("own"), None, {"text": "its own", "year": 2}),
        ]
    )
    run(texts.put(client.connection.io(), "docs", {"d1": LONG}))
    file = tmp_path / "docs.ndjson"
    with LANGCHAIN.over(client, texts=texts) as store, LANGCHAIN.local() as other:
        there = store.get_by_ids(["d1", "own"])
        assert [len(document.page_content) for document in there] == [len(LONG), 7]
        moved = export_records(store, file, verify=True)
        assert moved.texts == 1
        tenant = other.with_namespace("a")
        for target in (other, tenant):
            assert import_records(file, target, verify=True) == moved
            assert target.get_by_ids(["d1", "own"]) == there
        # Of a tenant they are records like all others, and leave as what they were.
        assert export_records(tenant, file, verify=True) == moved


def test_a_text_that_is_lost_is_empty_where_that_is_wanted(tmp_path: Path) -> None:
    with LANGCHAIN.local(texts=SqliteTexts(tmp_path)) as store:
        store.add_texts([LONG, "short"], ids=["lost", "there"])
        source = Index(store.__vectorize_records__().connection, "docs")
        with (
            LANGCHAIN.make(index=source, texts=SqliteTexts(), on_missing_text="empty") as without,
            LANGCHAIN.local() as other,
        ):
            with pytest.raises(MissingTextError, match="'lost'"):
                export_records(source, tmp_path / "docs.ndjson", texts=SqliteTexts())
            export_records(without, tmp_path / "docs.ndjson", verify=True)
            import_records(tmp_path / "docs.ndjson", other, verify=True)
            found = [document.page_content for document in other.get_by_ids(["lost", "there"])]
            assert found == ["", "short"]


def test_nested_metadata_are_found_where_they_arrive(tmp_path: Path) -> None:
    nested = {"metadata_indexes": {"author.name": "string"}}
    with LANGCHAIN.local() as store, LANGCHAIN.local(index_name="others", **nested) as other:
        store.add_texts(["a", "b"], [{"author": {"name": "Ada"}}, {"author": {"name": "Bob"}}])
        moved = copy_records(store, other, verify=True)
        (found,) = other.similarity_search("b", filter={"author.name": "Ada"})
        assert found.page_content == "a"
        assert export_records(other, tmp_path / "docs.ndjson", verify=True) == moved
        with LANGCHAIN.local(index_name="third") as third:
            assert import_records(tmp_path / "docs.ndjson", third, verify=True) == moved
            assert "author.name" in {
                one.property_name for one in index_of(third).list_metadata_indexes()
            }
