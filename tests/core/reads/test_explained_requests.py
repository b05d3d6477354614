"""What `explain_filter` says a search takes at most, it never exceeds, whatever is stored."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest

from tests.nightly import NIGHTLY
from tests.stores import Recorder
from vectorize_core import Index, VectorizeClient, layout
from vectorize_core.api.operations import (
    GetByIds,
    GetIndex,
    GetInfo,
    ListMetadataIndexes,
    ListVectors,
    Query,
)
from vectorize_core.models import Vector

DIMENSIONS = 32
ROWS = np.random.default_rng(3).standard_normal((2_531, DIMENSIONS)).astype(np.float32)
SENT = (GetByIds, GetIndex, GetInfo, ListMetadataIndexes, ListVectors, Query)
FILTERS: list[Any] = [
    None,
    {"u": 1},
    {"u": 77},
    {"n": {"$gte": 0}, "u": 3},
    {"$or": [{"n": {"$lt": 1_500}}, {"s": "group 1"}], "u": 3},
    {"s": {"$like": "%"}},
    {"n": {"$nin": [1, 2]}},
    {"$or": [{"s": f"group {number}", "u": 9} for number in range(7)]},
]


def vectors(count: int, in_buckets: float) -> list[Vector]:
    """Of which some are in buckets, as those that this library has written are."""
    chance, made = random.Random(5), []
    for n in range(count):
        metadata: dict[str, Any] = {"n": n, "s": f"group {n % 7}", "u": n % 5}
        if chance.random() < in_buckets:
            metadata |= {layout.BUCKET: layout.bucket(f"id-{n}"), layout.OWN: True}
        made.append(Vector(f"id-{n}", ROWS[n], None, metadata))
    return made


@pytest.mark.parametrize("record_layout", [True, False])
@pytest.mark.parametrize("in_buckets", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [40, 120, *([2_531] if NIGHTLY else [])])
def test_no_search_takes_more_than_it_says(
    count: int, in_buckets: float, record_layout: bool
) -> None:
    with VectorizeClient.local() as client:
        client.create_index(
            "docs",
            dimensions=DIMENSIONS,
            record_layout=record_layout,
            metadata_indexes={"n": "number", "s": "string"},
        )
        index = client.index("docs")
        index.upsert(vectors(count, in_buckets))
        for given in FILTERS:
            for k, values in ((10, False), (60, True), (1_000, True), (None, False)):
                told = index.explain_filter(given, k, unindexed="scan")
                ops = sent(index, given, k, values=values)
                assert len(ops) <= told.most_requests, (given, k)
                # Only these are billed.
                queries = [op for op in ops if isinstance(op, Query)]
                assert len(queries) <= told.most_queries <= told.most_requests, (given, k)
                assert told.estimated_queries <= told.estimated_requests


def test_what_is_read_by_id_is_no_query() -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
        index = client.index("docs")
        index.upsert(vectors(400, 0.0))
        told = index.explain_filter(None, 1_000)
        assert (told.estimated_requests, told.estimated_queries) == (23, 1)
        assert len(sent(index, None, 1_000, values=False)) >= 22


def sent(index: Index, given: Any, k: int | None, *, values: bool) -> list[Any]:
    """The requests that one search sends, by a client that knows nothing of the index."""
    recorder = Recorder(index.connection.executor)
    connection = copy.copy(index.connection)
    connection.executor = recorder
    asked = Index(connection, index.name)
    if k is None:
        list(asked.iter(filter=given, unindexed="scan", max_requests=None))
    else:
        metadata: Any = "all" if values else "none"
        asked.query(
            ROWS[0],
            k,
            filter=given,
            unindexed="scan",
            max_requests=None,
            return_values=values,
            return_metadata=metadata,
        )
    return [op for op in recorder.ops if isinstance(op, SENT)]
