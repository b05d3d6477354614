"""A check of each endpoint of LynseDB's page by its answer, on any version, sync or async."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import pytest

from tests.lynse.servers import KEY, OLD, Lynse
from vectorize_core import BadRequestError, IndexExistsError, UnsupportedCallError
from vectorize_core.lynse import (
    AsyncLynseClient,
    CollectionConfig,
    CollectionStats,
    Item,
    LynseClient,
    SparseVector,
    VectorField,
)

VECTORS: Final = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0]], np.float32)
FIELDS: Final = [
    {"lang": "en", "n": 1, "text": "the quick fox"},
    {"lang": "fr", "n": 2, "text": "le renard brun"},
    {"lang": "en", "n": 3, "text": "a fox, and another fox"},
]


class Box:
    """A collection with three records, and whichever variant of a client there is."""

    def __init__(self, server: Lynse, client: LynseClient | AsyncLynseClient) -> None:
        self.old = server.version == OLD
        self.folder: Path = server.folder
        self.client = client
        self.ids: Any = (1, 2, 3) if self.old else ("a", "b", "c")
        self.more: Any = (4, 5) if self.old else ("d", "e")
        self.collection = client.collection(f"c{uuid4().hex}", database="app")

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await awaited(getattr(self.collection, name)(*args, **options))

    async def fill(self, mode: str = "FLAT-IP") -> None:
        await self.call("required_collection", dim=4)
        await self.call("build_index", mode)
        rows = zip(self.ids, VECTORS, FIELDS, strict=True)
        await self.call("bulk_add_items", [Item(*row) for row in rows])

    async def live(self) -> set[Any]:
        return set((await self.call("search", VECTORS[0], 10)).ids)


async def awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def client_of(server: Lynse, variant: str) -> LynseClient | AsyncLynseClient:
    kind = LynseClient if variant == "sync" else AsyncLynseClient
    return kind(server.url, database="app", api_key=KEY)


Check = Callable[[Box], Awaitable[None]]
CHECKS: Final[dict[str, Check]] = {}


def of(path: str) -> Callable[[Check], Check]:
    def note(check: Check) -> Check:
        assert path not in CHECKS
        CHECKS[path] = check
        return check

    return note


# Collection management


@of("/required_collection")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=3, description="one")
    assert await box.call("collection_shape") == (0, 3)
    await box.call("required_collection", dim=5)
    assert await box.call("collection_shape") == (0, 3), "it keeps what it was made with"
    await box.call("required_collection", dim=5, drop_if_exists=True)
    assert await box.call("collection_shape") == (0, 5)


@of("/drop_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("drop_collection")
    assert not await box.call("is_collection_exists")
    await box.call("drop_collection")


@of("/show_collections")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4)
    database = box.client.database("app")
    assert box.collection.name in await awaited(database.show_collections())


@of("/collection_shape")
async def _(box: Box) -> None:
    await box.fill()
    assert await box.call("collection_shape") == (3, 4)


@of("/stats")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4)
    assert await box.call("stats") == CollectionStats(0, 0, 0, 4, None, None)
    await box.fill()
    await box.call("delete_items", box.ids[:1])
    assert await box.call("stats") == CollectionStats(3, 2, 1, 4, "FLAT-IP", 3 if box.old else 2)


@of("/get_collection_config")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4, description="mine")
    config = CollectionConfig(dim=4, dtypes="float32", chunk_size=100_000, description="mine")
    assert await box.call("get_collection_config") == config


@of("/update_description")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("update_description", "näher \"beschrieben\" 'so'")
    described = (await box.call("get_collection_config")).description
    assert described == "näher \"beschrieben\" 'so'"


@of("/close_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("close_collection")
    assert await box.live() == set(box.ids)


# Writes


@of("/add_item")
async def _(box: Box) -> None:
    await box.fill()
    one = box.more[0]
    assert await box.call("add_item", [0, 0, 0, 1], id=one, field=FIELDS[0]) == one
    row = await box.call("read_by_only_id", one)
    assert (row.ids, row.vectors.tolist()) == ((one,), [[0, 0, 0, 1]])
    assert dict(row.fields[0]) == FIELDS[0]


@of("/bulk_add_items")
async def _(box: Box) -> None:
    await box.fill()
    items = [Item(one, vector) for one, vector in zip(box.more, VECTORS[:2], strict=True)]
    assert await box.call("bulk_add_items", items) == box.more
    assert await box.live() == {*box.ids, *box.more}
    if not box.old:
        with pytest.raises(BadRequestError, match="external id d already exists"):
            await box.call("bulk_add_items", [Item("z", VECTORS[0]), *items])
        assert not await box.call("is_id_exists", "z")


@of("/bulk_add_binary")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4)
    assert await box.call("bulk_add_binary", VECTORS * np.float32(1 / 3)) == 3
    rows = await box.call("head", 10)
    assert rows.vectors.tobytes() == (VECTORS * np.float32(1 / 3)).tobytes()


@of("/upsert_items")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("checkpoint")
    ids = (box.ids[0], box.more[0])
    vectors = [[2, 0, 0, 0], [0, 0, 0, 2]]
    # Replacing metadata can ruin a collection of 0.9.
    fields = [FIELDS[1], FIELDS[2]] if box.old else None
    assert await box.call("upsert_items", ids, vectors, fields) == ids
    rows = await box.call("read_by_only_id", ids)
    assert rows.vectors.tolist() == vectors
    assert not box.old or dict(rows.fields[0]) == FIELDS[1]


@of("/commit")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("commit")
    assert await box.live() == set(box.ids)


@of("/flush")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("flush")
    assert await box.live() == set(box.ids)


@of("/checkpoint")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("checkpoint")
    assert await box.live() == set(box.ids)


# Indexes


@of("/build_index")
async def _(box: Box) -> None:
    await box.fill()
    expected = {"FLAT-IP": [2, 0, 0], "FLAT-L2": [1, 4.25, 5], "FLAT-COS": [0, 1, 1]}
    for mode, scores in expected.items():
        await box.call("build_index", mode)
        found = await box.call("search", [2, 0, 0, 0], 3)
        assert found.scores.tolist() == pytest.approx(scores), mode
    await box.call("build_index", "IVF-L2", n_clusters=2)
    assert await box.call("index_mode") == "IVF-L2"
    with pytest.raises(BadRequestError, match="nknown index type"):
        await box.call("build_index", "TREE")


@of("/remove_index")
async def _(box: Box) -> None:
    await box.fill("FLAT-L2")
    await box.call("remove_index")
    assert await box.call("index_mode") is None


async def with_field(box: Box) -> None:
    await box.fill()
    await box.call("create_vector_field", "image", 2, "l2", "FLAT-L2")
    await box.call("add_named_vectors", "image", [[0, 1], [1, 0]], box.ids[:2])


@of("/build_vector_field_index")
async def _(box: Box) -> None:
    await with_field(box)
    await box.call("build_vector_field_index", "image", "FLAT-L2")
    found = await box.call("search", [0, 3], 2, field_name="image")
    assert (found.ids, found.scores.tolist()) == (box.ids[:2], [4, 10])


@of("/remove_vector_field_index")
async def _(box: Box) -> None:
    await with_field(box)
    await box.call("build_vector_field_index", "image", "IVF-L2", 1)
    modes = {one.name: one.index_mode for one in await box.call("list_vector_fields")}
    assert modes["image"] == "IVF-L2"
    await box.call("remove_vector_field_index", "image")
    modes = {one.name: one.index_mode for one in await box.call("list_vector_fields")}
    assert modes["image"] == "FLAT-L2"


# Named and sparse vectors


@of("/create_vector_field")
async def _(box: Box) -> None:
    await box.fill()
    made = await box.call("create_vector_field", "image", 2, "l2", "FLAT-L2")
    assert made == VectorField("image", 2, "l2", "FLAT-L2", "float32")


@of("/list_vector_fields")
async def _(box: Box) -> None:
    await with_field(box)
    fields = await box.call("list_vector_fields")
    assert {(one.name, one.dimension) for one in fields} == {("default", 4), ("image", 2)}


@of("/add_named_vectors")
async def _(box: Box) -> None:
    await with_field(box)
    found = await box.call("search", [0, 1], 5, field_name="image")
    assert (found.ids, found.scores.tolist()) == (box.ids[:2], [0, 2])


@of("/add_sparse_vectors")
async def _(box: Box) -> None:
    await box.fill()
    vectors = [SparseVector([1, 70_000], [0.5, 2]), SparseVector([70_000], [1])]
    await box.call("add_sparse_vectors", vectors, box.ids[:2])
    found = await box.call("sparse_search", SparseVector([70_000], [2]), 5)
    assert (found.ids, found.scores.tolist()) == (box.ids[:2], [4, 2])


# Search and retrieval


@of("/search")
async def _(box: Box) -> None:
    await with_field(box)
    found = await box.call("search", VECTORS[0], 2, return_fields=True)
    assert (found.ids[0], found.scores[0], dict(found.fields[0])) == (box.ids[0], 1, FIELDS[0])
    assert not (await box.call("search", VECTORS[0], 2)).fields
    where = await box.call("search", VECTORS[0], 3, where="lang = 'en'", nprobe=20)
    assert where.ids == (box.ids[0], box.ids[2])
    named = await box.call("search", [1, 0], 1, field_name="image", approx=False, eps=1e-4)
    assert named.ids == (box.ids[1],)
    assert (await box.call("search", VECTORS[0], 0)).ids == ()


@of("/search_binary")
async def _(box: Box) -> None:
    await box.fill()
    found = await box.call("search_binary", [2, 1, 0, 0], 2, return_fields=True)
    assert found.rows.tolist() == ([1, 2] if box.old else [0, 1])
    assert (found.scores.dtype, found.scores.tolist()) == (np.float32, [2, 1])
    assert [dict(one) for one in found.fields] == FIELDS[:2]
    plain = await box.call("search_binary", [2, 1, 0, 0], 2, where="lang = 'fr'")
    assert (plain.scores.tolist(), plain.fields) == ([1], ())


@of("/batch_search")
async def _(box: Box) -> None:
    await box.fill()
    first, second = await box.call("batch_search", VECTORS[:2], 1, return_fields=True)
    assert (first.ids, second.ids) == (box.ids[:1], box.ids[1:2])
    assert dict(second.fields[0]) == FIELDS[1]
    (one,) = await box.call("batch_search", VECTORS[:1], 5, where="lang = 'fr'", nprobe=5)
    assert (one.ids, one.fields) == (box.ids[1:2], ())


@of("/batch_search_binary")
async def _(box: Box) -> None:
    await box.fill()
    batch = await box.call("batch_search_binary", VECTORS[:2], 2, return_fields=True)
    assert [one.rows[0] for one in batch] == ([1, 2] if box.old else [0, 1])
    assert [one.scores.tolist() for one in batch] == [[1, 0], [1, 0]]
    assert dict(batch[1].fields[0]) == FIELDS[1]


@of("/search_range")
async def _(box: Box) -> None:
    await box.fill("FLAT-L2")
    await box.call("commit")
    found = await box.call("search_range", VECTORS[0], 1.5, max_results=5)
    assert (found.ids, found.scores.tolist()) == ((box.ids[0], box.ids[2]), [0, 1.25])


@of("/search_profile")
async def _(box: Box) -> None:
    await box.fill()
    found = await box.call("search_profile", VECTORS[1], 1, where="lang = 'fr'")
    assert (found.ids, found.profile["filter_matches"]) == (box.ids[1:2], 1)


@of("/text_search")
async def _(box: Box) -> None:
    await box.fill()
    found = await box.call("text_search", "fox", ["text"], 100, return_fields=True)
    assert set(found.ids) == {box.ids[0], box.ids[2]}
    assert found.scores[0] >= found.scores[1] > 0
    where = await box.call("text_search", "renard fox", where="lang = 'fr'")
    assert where.ids == (box.ids[1],)


@of("/sparse_search")
async def _(box: Box) -> None:
    await box.fill()
    vectors = [SparseVector([3], [value]) for value in (1, 2, 3)]
    await box.call("add_sparse_vectors", vectors, box.ids)
    found = await box.call("sparse_search", SparseVector([3], [1]), 2, where="lang = 'en'")
    assert (found.ids, found.scores.tolist()) == ((box.ids[2], box.ids[0]), [3, 1])


@of("/hybrid_search")
async def _(box: Box) -> None:
    await box.fill()
    found = await box.call("hybrid_search", VECTORS[1], "renard", ["text"], k=3, rrf_k=60)
    assert (found.ids[0], found.scores[0]) == (box.ids[1], pytest.approx(2 / 61))
    weights = {"vector_weight": 0.7, "text_weight": 0.3}
    found = await box.call("hybrid_search", VECTORS[1], "renard", fusion="weighted", **weights)
    assert (found.ids[0], found.scores[0]) == (box.ids[1], pytest.approx(1))


@of("/query")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("query", "lang = 'en'")
    assert set(rows.ids) == {box.ids[0], box.ids[2]}
    assert [*map(dict, rows.fields)] == [FIELDS[box.ids.index(one)] for one in rows.ids]
    assert (await box.call("query", filter_ids=box.ids[1:])).ids == box.ids[1:]
    only = await box.call("query", "lang = 'fr'", return_ids_only=True)
    assert (only.ids, only.fields, only.vectors) == (box.ids[1:2], (), None)
    await only_newer_tell_all(box, "query")
    await only_newer_tell_all(box, "query", return_ids_only=True)


async def only_newer_tell_all(box: Box, name: str, **options: Any) -> None:
    if box.old:
        with pytest.raises(UnsupportedCallError, match="without the last: give where="):
            await box.call(name, **options)
    else:
        assert (await box.call(name, **options)).ids == box.ids


@of("/query_vectors")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("query_vectors", filter_ids=box.ids[1:])
    assert (rows.ids, rows.vectors.dtype) == (box.ids[1:], np.float32)
    assert np.array_equal(rows.vectors, VECTORS[1:])
    assert (await box.call("query_vectors", "lang = 'nl'")).ids == ()
    await only_newer_tell_all(box, "query_vectors")


@of("/head")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("head", 2)
    assert rows.ids == box.ids[:2]
    assert np.array_equal(rows.vectors, VECTORS[:2])
    assert dict(rows.fields[1]) == FIELDS[1]


@of("/head_binary")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("head_binary", 2)
    assert rows.rows.tolist() == ([1, 2] if box.old else [0, 1])
    assert (rows.vectors.dtype, rows.vectors.tobytes()) == (np.float32, VECTORS[:2].tobytes())
    assert dict(rows.fields[1]) == FIELDS[1]


@of("/tail")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("tail", 2)
    assert rows.ids == box.ids[1:]
    assert np.array_equal(rows.vectors, VECTORS[1:])


@of("/tail_binary")
async def _(box: Box) -> None:
    await box.fill()
    rows = await box.call("tail_binary", 2)
    assert rows.rows.tolist() == ([2, 3] if box.old else [1, 2])
    assert rows.vectors.tobytes() == VECTORS[1:].tobytes()


@of("/read_by_only_id")
async def _(box: Box) -> None:
    await box.fill()
    assert (await box.call("read_by_only_id", box.ids[1])).ids == box.ids[1:2]
    rows = await box.call("read_by_only_id", [box.ids[2], box.ids[0]])
    assert rows.ids == (box.ids[2], box.ids[0])
    if box.old:
        rows = await box.call("read_by_only_id", 99)
        assert not rows.vectors.any()
    else:
        with pytest.raises(BadRequestError, match="external id z does not exist"):
            await box.call("read_by_only_id", "z")


@of("/list_fields")
async def _(box: Box) -> None:
    await box.fill()
    assert set(await box.call("list_fields")) == {"lang", "n", "text"}


@of("/index_mode")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4)
    assert await box.call("index_mode") is None
    await box.call("build_index", "FLAT-COS")
    assert await box.call("index_mode") == "FLAT-COS"


@of("/is_id_exists")
async def _(box: Box) -> None:
    await box.fill()
    assert await box.call("is_id_exists", box.ids[0])
    assert not await box.call("is_id_exists", box.more[0])


@of("/max_id")
async def _(box: Box) -> None:
    await box.call("required_collection", dim=4)
    assert await box.call("max_id") is None
    await box.fill()
    assert await box.call("max_id") == (3 if box.old else 2)
    largest = 2**63 - 1 if box.old else 2**64 - 1
    await box.call("add_item", VECTORS[0], id=largest)
    assert await box.call("max_id") == (largest if box.old else 3)
    assert (await box.call("read_by_only_id", largest)).ids == (largest,)
    assert largest in await box.live()


# Delete, restore, compact


@of("/delete_items")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("delete_items", [*box.ids[:2], *box.more])
    assert await box.live() == {box.ids[2]}


@of("/restore_items")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("delete_items", box.ids[:2])
    await box.call("restore_items", box.ids[:1])
    assert await box.live() == {box.ids[0], box.ids[2]}


@of("/list_deleted_ids")
async def _(box: Box) -> None:
    await box.fill()
    assert await box.call("list_deleted_ids") == ()
    await box.call("delete_items", box.ids[:2])
    assert set(await box.call("list_deleted_ids")) == set(box.ids[:2])


@of("/compact")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("delete_items", box.ids[:2])
    await box.call("checkpoint")
    assert await box.call("compact") == 2
    assert await box.call("collection_shape") == (1, 4)
    assert await box.call("list_deleted_ids") == ()


# Backup and portability


@of("/snapshot_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("snapshot_collection", path := str(box.folder / box.collection.name))
    assert os.path.isdir(path)  # noqa: ASYNC240


@of("/restore_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("snapshot_collection", path := str(box.folder / box.collection.name))
    await box.call("delete_items", box.ids[:2])
    with pytest.raises(IndexExistsError):
        await box.call("restore_collection", path)
    await box.call("restore_collection", path, overwrite=True)
    assert await box.live() == set(box.ids)
    await box.call("drop_collection")
    await box.call("restore_collection", path)
    assert await box.live() == set(box.ids)


@of("/export_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("export_collection", path := str(box.folder / box.collection.name))
    # Its own bytes are what others read.
    assert np.array_equal(np.fromfile(f"{path}/vectors.f32", "<f4").reshape(3, 4), VECTORS)


@of("/import_collection")
async def _(box: Box) -> None:
    await box.fill()
    await box.call("export_collection", path := str(box.folder / box.collection.name))
    with pytest.raises(IndexExistsError):
        await box.call("import_collection", path)
    await box.call("drop_collection")
    await box.call("import_collection", path)
    assert await box.live() == set(box.ids)
    rows = await box.call("query", "lang = 'fr'")
    assert [*map(dict, rows.fields)] == [FIELDS[1]]
