"""What the tests of moves share: records of every kind, and all that a place holds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import Kind, Row
from tests.stores import ODD_METADATA, sync_call
from vectorize_core import Index, Vector

LONG = "a long text " * 1_500
ROWS: list[Row] = [
    ("plain", "a plain text", {"year": 1863, "author": {"name": "Ada"}}),
    ("odd", "odd metadata", ODD_METADATA),
    ("long", LONG, {"year": 1864}),
    ("long and odd", LONG + "more", {**ODD_METADATA, "year": 1865}),
    ("日本 \u2028\n\"'", "a strange id", {"year": 1866}),
    ("empty", "", {}),
]


def store_in(kind: Kind, folder: Path, **options: Any) -> Any:
    return kind.make(index_name="docs", path=str(folder), **options)


async def rows_in(kind: Kind, store: Any) -> list[Row]:
    found = await kind.get(sync_call, store, [row_id for row_id, _, _ in ROWS])
    return sorted(found, key=lambda row: row[0])


def index_of(store: Any) -> Index:
    records = store.__vectorize_records__()
    return Index(records.connection, records.index.name)


def vectors_in(index: Index) -> Mapping[str, Vector]:
    return {vector.id: vector for vector in index.iter(unindexed="scan")}


def needs(ending: str) -> None:
    """Skip the test where the library for files of this ending is not there."""
    if ending.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if ending.endswith("zst") and sys.version_info < (3, 14):
        pytest.importorskip("zstandard")
