"""Records of every kind, and tenants', are copied to LynseDB and back as they were."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.kinds import Kind, both_stores
from tests.moving.places import ROWS, index_of, rows_in, store_in, vectors_in
from tests.stores import Call, both_ways, shape, sync_call
from vectorize_core import SqliteTexts, moving
from vectorize_core.lynse import LynseClient


@both_stores
@both_ways
async def test_all_comes_back(tmp_path: Path, lynse: LynseClient, kind: Kind, call: Call) -> None:
    with (
        store_in(kind, tmp_path / "a", metadata_indexes={"year": "number"}) as first,
        closing(SqliteTexts(str(tmp_path / "texts"))) as texts,
    ):
        await kind.add_rows(sync_call, first, ROWS)
        await kind.add_rows(sync_call, first.with_namespace("tenant"), ROWS[:2])
        between = kind.over(lynse, metadata_indexes={"year": "number"}, texts=texts)
        there = await call(moving, "copy_records", first, between)
        assert (there.records, there.texts) == (len(ROWS) + 2, 2)
        assert shape(await rows_in(kind, between)) == shape(await rows_in(kind, first))
        assert vectors_in(index_of(between)) == vectors_in(index_of(first))
        with store_in(kind, tmp_path / "b", metadata_indexes={"year": "number"}) as last:
            assert await call(moving, "copy_records", between, last) == there
            assert shape(await rows_in(kind, last)) == shape(await rows_in(kind, first))
            assert vectors_in(index_of(last)) == vectors_in(index_of(first))
