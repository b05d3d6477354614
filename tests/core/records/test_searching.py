"""Searches with a threshold, and by maximal marginal relevance, of records without a framework."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.records.stores import ids, store_of
from tests.nightly import examples
from tests.stores import raw_scores, recorded
from vectorize_core import InvalidInputError, Metric, VectorizeClient
from vectorize_core.layout import Record
from vectorize_core.records.by_ids import search_like
from vectorize_core.records.diversity import search_diverse
from vectorize_core.records.hit import Hit
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.scoring import choose_diverse
from vectorize_core.transport.io import run

COUNT = 400
ROWS = np.random.default_rng(5).standard_normal((COUNT, 32)).astype(np.float32)
QUERY = np.random.default_rng(6).standard_normal(32).astype(np.float32)
METRICS = get_args(Metric)


def filled(client: VectorizeClient, metric: Metric, rows: Any = ROWS) -> RecordStore:
    store = store_of(client, name=metric, metric=metric)
    items = [Item(Record(f"r{i}", f"text {i}"), row) for i, row in enumerate(rows)]
    run(store.add(client.connection.io(), items))
    return store


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[Metric, RecordStore]]:
    with VectorizeClient.local() as client:
        yield {metric: filled(client, metric) for metric in METRICS}


def is_good(metric: Metric, score: float, threshold: float) -> bool:
    return score >= threshold if metric == "cosine" else score <= threshold


@given(
    st.sampled_from(METRICS),
    st.sampled_from([1, 20, 50, 51, 100, COUNT, 10_000]),
    st.integers(0, COUNT - 1),
    st.sampled_from([-1e-3, 0.0, 1e-3]),
)
@examples(30)
def test_a_threshold_leaves_out_what_is_worse(
    stores: dict[Metric, RecordStore], metric: Metric, k: int, place: int, beside: float
) -> None:
    store, io = stores[metric], stores[metric].connection.io()
    every = run(store.search(io, QUERY, COUNT))
    threshold = every[place].match.score + beside
    expected = [hit for hit in every if is_good(metric, hit.match.score, threshold)][:k]
    found = run(store.search(io, QUERY, k, score_threshold=threshold))
    assert [hit.match.score for hit in found] == [hit.match.score for hit in expected]
    assert ids(found) == ids(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_the_service(stores: dict[Metric, RecordStore], metric: Metric) -> None:
    store, io = stores[metric], stores[metric].connection.io()
    expected = raw_scores(metric, QUERY.tolist(), ROWS.tolist())
    limit = sorted(expected, reverse=metric == "cosine")[30]
    found = run(store.search(io, QUERY, COUNT, score_threshold=limit, return_values=True))
    assert len(found) in (30, 31)
    for hit in found:
        assert hit.match.values is not None
        place = int(hit.record.id[1:])
        assert hit.match.values.tolist() == ROWS[place].tolist()
        assert math.isclose(hit.match.score, expected[place], abs_tol=1e-4)


def test_what_is_beyond_the_threshold_takes_no_request() -> None:
    with VectorizeClient.local() as client:
        near = np.random.default_rng(7).standard_normal((5_000, 32)).astype(np.float32)
        near[:120] = QUERY + 0.1 * near[:120]
        store, io = filled(client, "cosine", near), client.connection.io()
        sent = recorded(client)
        io = client.connection.io()
        few = run(store.search(io, QUERY, 1_000_000, score_threshold=0.95))
        assert len(few) == 120
        # A search for all takes 5,000 / 30.
        assert len(sent.ops) < 20
        sent.ops.clear()
        assert run(store.search(io, QUERY, 1_000_000, score_threshold=1.0)) == []
        assert len(sent.ops) <= 2


def test_a_threshold_bounds_what_is_near_to_a_record(stores: dict[Metric, RecordStore]) -> None:
    store, io = stores["euclidean"], stores["euclidean"].connection.io()
    near = run(search_like(io, store, "r7", 9))
    limit = near[4].match.score
    assert ids(run(search_like(io, store, "r7", 9, score_threshold=limit))) == ids(near)[:5]


@pytest.mark.parametrize("metric", METRICS)
def test_diverse_records_come_with_their_scores(
    stores: dict[Metric, RecordStore], metric: Metric
) -> None:
    store, io = stores[metric], stores[metric].connection.io()
    nearest = {hit.record.id: hit.match.score for hit in run(store.search(io, QUERY, 60))}

    def diverse(query: Any, k: int, fetch_k: int, lambda_mult: float, **options: Any) -> list[Hit]:
        given = {"fetch_k": fetch_k, "lambda_mult": lambda_mult, **options}
        return run(search_diverse(io, store, query, k, **given))

    found = diverse(QUERY, 10, 60, 0.5)
    # Scores that come with values are exact.
    assert [hit.match.score for hit in found] == pytest.approx([nearest[i] for i in ids(found)])
    matrix = np.stack([ROWS[int(i[1:])] for i in nearest])
    order = choose_diverse(metric, matrix, QUERY, 0.5, 10)
    assert ids(found) == [[*nearest][at] for at in order]
    assert ids(diverse(QUERY, 10, 60, 1.0)) == [*nearest][:10]
    assert len(diverse(QUERY, 10, 5, 0.0)) == 10
    limit = [*nearest.values()][5]
    assert {*ids(diverse(QUERY, 10, 60, 0.0, score_threshold=limit))} == {*[*nearest][:6]}
    assert len(diverse("text", 3, 20, 0.5)) == 3
    assert diverse("text", 0, 20, 0.5) == []
    impossible = {"$and": [{"year": 1}, {"year": 2}]}
    assert diverse("text", 3, 20, 0.5, filter=impossible) == []


@pytest.mark.parametrize("wrong", ["0.5", True, math.nan, [0.5]])
def test_a_threshold_is_a_number(stores: dict[Metric, RecordStore], wrong: Any) -> None:
    store, io = stores["cosine"], stores["cosine"].connection.io()
    for search in (
        store.search(io, QUERY, 4, score_threshold=wrong),
        search_like(io, store, "r1", 4, score_threshold=wrong),
    ):
        with pytest.raises(InvalidInputError, match="score_threshold is a number; got"):
            run(search)
