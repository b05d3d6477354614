"""Reading past the service's caps: exact answers, at the price that was promised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from threading import current_thread
from typing import Any, cast

import numpy as np
import pytest

from tests.core.helpers import Variant, both_variants, plain
from vectorize_core import UnindexedPropertyError, VectorizeClient
from vectorize_core.api.operations import GetByIds, ListVectors, Op, Query
from vectorize_core.connection import Connection, local_connection
from vectorize_core.errors import (
    BadRequestError,
    IndexNotFoundError,
    InvalidInputError,
)
from vectorize_core.models import Vector
from vectorize_core.reads import by_id, raw
from vectorize_core.state import lifecycle
from vectorize_core.transport.io import Io, run
from vectorize_core.writes import writing

DIMENSIONS = 32
RECORDS = 130
RNG = np.random.default_rng(5)
VECTORS = [
    Vector(
        f"id{i}",
        RNG.standard_normal(DIMENSIONS),
        namespace="even" if i % 2 == 0 else None,
        metadata={"n": i, "group": f"g{i % 3}", "more": {"a": [i]}},
    )
    for i in range(RECORDS)
]
QUERY = RNG.standard_normal(DIMENSIONS).astype(np.float32)


def io_of(variant: Variant, connection: Connection) -> Io:
    return connection.async_io() if variant.is_async else connection.io()


async def driven(variant: Variant, flow: Any) -> Any:
    return await flow if variant.is_async else run(flow)


def tapped(connection: Connection, before: Callable[[Op[Any]], None] | None = None) -> list[Any]:
    """Every operation sent from now on; ``before`` may raise instead of it."""
    executor, sent = cast("Any", connection.executor), []
    send = executor.send

    def tap(op: Op[Any]) -> Any:
        sent.append(op)
        if before is not None:
            before(op)
        return send(op)

    executor.send = tap
    return sent


def made(metric: Any, vectors: list[Vector], **options: Any) -> Connection:
    connection = local_connection()
    io, state = connection.io(), connection.state("docs")
    run(lifecycle.create_index(io, state, dimensions=DIMENSIONS, metric=metric, **options))
    run(writing.upsert(io, state, vectors))
    return connection


@pytest.fixture(scope="module", params=["cosine", "euclidean", "dot-product"])
def metric(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def shared(metric: str) -> Iterator[Connection]:
    connection = made(metric, VECTORS, metadata_indexes={"group": "string"})
    yield connection
    connection.close()


@pytest.fixture
def connection(shared: Connection) -> Iterator[Connection]:
    yield shared
    vars(shared.executor).pop("send", None)


def brute_force(metric: str, vectors: list[Vector]) -> list[tuple[str, float]]:
    """Ids and scores, best first."""
    matrix = np.stack([vector.values for vector in vectors]).astype(np.float64)
    query = QUERY.astype(np.float64)
    dots = matrix @ query
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
    scores = {
        "cosine": dots / lengths,
        "euclidean": np.linalg.norm(matrix - query, axis=1),
        "dot-product": -dots,
    }[metric]
    best = np.argsort(-scores if metric == "cosine" else scores)
    return [(vectors[i].id, float(scores[i])) for i in best]


@both_variants
@pytest.mark.parametrize("k", [0, 1, 4, 20, 50, 51, 75, 100])
@pytest.mark.parametrize("payload", [True, False])
@pytest.mark.covering(2)
async def test_the_nearest_are_those_of_brute_force(
    variant: Variant, connection: Connection, metric: str, k: int, payload: bool
) -> None:
    sent = tapped(connection)
    options = {"return_values": payload, "return_metadata": "all" if payload else "none"}
    flow = raw.query(
        io_of(variant, connection), connection.state("docs"), QUERY, k, **cast("Any", options)
    )
    matches = await driven(variant, flow)
    expected = brute_force(metric, VECTORS)[:k]
    assert [match.id for match in matches] == [name for name, _ in expected]
    np.testing.assert_allclose([m.score for m in matches], [s for _, s in expected], atol=1e-4)
    stored = {vector.id: vector for vector in VECTORS}
    for match in matches:
        vector = stored[match.id]
        assert match.namespace == vector.namespace
        assert match.metadata == (vector.metadata if payload else None)
        assert (match.values is not None) == payload
        assert not payload or np.array_equal(match.values, vector.values)
    assert len(sent) == (0 if k == 0 else 1 + (math.ceil(k / 20) if payload and k > 50 else 0))


@both_variants
@pytest.mark.parametrize(
    "options",
    [
        {"return_values": True},
        {"return_metadata": "all"},
        {"return_metadata": "indexed"},
        {"return_metadata": "indexed", "return_values": True},
        {"return_values": True, "namespace": "even"},
        {"return_metadata": "all", "filter": {"group": {"$in": ["g0", "g2"]}}},
    ],
)
async def test_a_match_is_the_same_on_either_side_of_the_cap(
    variant: Variant, connection: Connection, options: Any
) -> None:
    io, state = io_of(variant, connection), connection.state("docs")
    below = await driven(variant, raw.query(io, state, QUERY, 50, **options))
    above = await driven(variant, raw.query(io, state, QUERY, 60, **options))
    assert len(below) == 50
    assert len(above) == 60

    assert [plain(match) for match in above[:50]] == [plain(match) for match in below]


@both_variants
@pytest.mark.parametrize("k", [5, 70])
async def test_a_query_by_id_begins_with_the_vector_itself(
    variant: Variant, connection: Connection, metric: str, k: int
) -> None:
    io, state = io_of(variant, connection), connection.state("docs")
    flow = raw.query_by_id(io, state, "id7", k, return_metadata="all")
    matches = await driven(variant, flow)
    assert len(matches) == k
    assert metric == "dot-product" or matches[0].id == "id7"
    assert all(match.metadata["n"] == int(match.id[2:]) for match in matches)


@both_variants
async def test_a_record_deleted_between_search_and_fetch_is_left_out(variant: Variant) -> None:
    connection = made("cosine", VECTORS)
    io, state = io_of(variant, connection), connection.state("docs")
    best = brute_force("cosine", VECTORS)[:60]
    gone = best[3][0]
    fetched = False

    def before(op: Op[Any]) -> None:
        nonlocal fetched
        if isinstance(op, GetByIds) and not fetched:
            fetched = True
            cast("Any", connection.executor).service.delete_by_ids("docs", [gone])

    tapped(connection, before)
    matches = await driven(variant, raw.query(io, state, QUERY, 60, return_values=True))
    assert [match.id for match in matches] == [name for name, _ in best if name != gone]
    connection.close()


@both_variants
@pytest.mark.parametrize(
    ("query", "k", "said"),
    [
        (QUERY, -1, "not negative; got -1"),
        (np.full(DIMENSIONS, np.nan, np.float32), 5, "NaN or infinite"),
        (np.full(DIMENSIONS, np.inf, np.float32), 5, "NaN or infinite"),
        (QUERY[:31], 5, "the query vector has 31 dimensions, the index 'docs' has 32"),
        (np.zeros(0, np.float32), 5, "0 dimensions"),
    ],
)
async def test_an_impossible_query_is_refused_before_it_is_sent(
    variant: Variant, connection: Connection, query: Any, k: int, said: str
) -> None:
    sent = tapped(connection)
    with pytest.raises(InvalidInputError, match=said):
        await driven(
            variant, raw.query(io_of(variant, connection), connection.state("docs"), query, k)
        )
    assert not any(isinstance(op, Query) for op in sent)


@both_variants
@pytest.mark.parametrize("count", [0, 1, 20, 21, 55])
async def test_get_returns_any_number_in_the_order_asked_for(
    variant: Variant, connection: Connection, count: int
) -> None:
    sent = tapped(connection)
    ids = [f"id{i}" for i in reversed(range(count))]
    flow = by_id.get_many(io_of(variant, connection), connection.state("docs"), ids)
    found = await driven(variant, flow)
    assert list(found) == ids
    assert list(found.values()) == list(reversed(VECTORS[:count]))
    assert sorted(len(op.ids) for op in sent) == sorted(
        min(20, count - at) for at in range(0, count, 20)
    )


@both_variants
async def test_get_asks_once_for_each_possible_id(variant: Variant, connection: Connection) -> None:
    sent = tapped(connection)
    impossible = ["", "x" * 65, "é" * 33, "\ud800", None, 5]
    ids = cast("Any", ["id3", "unknown", "id1", "id3", *impossible])
    io, state = io_of(variant, connection), connection.state("docs")
    assert list(await driven(variant, by_id.get_many(io, state, ids))) == ["id3", "id1"]
    assert [op.ids for op in sent] == [("id3", "unknown", "id1")]
    assert await driven(variant, by_id.get_many(io, state, cast("Any", impossible))) == {}
    assert len(sent) == 1
    with pytest.raises(InvalidInputError, match="list of ids; got 'id3'"):
        await driven(variant, by_id.get_many(io, state, "id3"))


async def all_of(pages: Any) -> list[str]:
    return [item async for item in pages]


@both_variants
@pytest.mark.parametrize(("page_size", "pages"), [(1_000, 1), (RECORDS, 1), (129, 2), (40, 4)])
async def test_every_id_is_listed_once(
    variant: Variant, connection: Connection, page_size: int, pages: int
) -> None:
    sent = tapped(connection)
    io, state = io_of(variant, connection), connection.state("docs")
    listed = await driven(variant, all_of(by_id.iter_ids(io, state, page_size=page_size)))
    assert sorted(listed) == sorted(vector.id for vector in VECTORS)
    assert len(sent) == pages


@both_variants
@pytest.mark.parametrize("page_size", [0, 1_001])
async def test_an_impossible_page_size_is_refused(
    variant: Variant, connection: Connection, page_size: int
) -> None:
    io, state = io_of(variant, connection), connection.state("docs")
    with pytest.raises(InvalidInputError, match=f"at (least 1|most 1000); got {page_size}"):
        await driven(variant, all_of(by_id.iter_ids(io, state, page_size=page_size)))


def _expiring(at_calls: set[int]) -> Callable[[Op[Any]], None]:
    calls = 0

    def before(op: Op[Any]) -> None:
        nonlocal calls
        if isinstance(op, ListVectors):
            calls += 1
            if calls in at_calls:
                assert op.cursor is not None
                raise BadRequestError("ListVectors(docs)", 400)

    return before


@both_variants
@pytest.mark.parametrize("at_calls", [{2}, {4}, {2, 4, 6}])
async def test_an_expired_cursor_repeats_and_loses_no_id(
    variant: Variant, connection: Connection, at_calls: set[int]
) -> None:
    sent = tapped(connection, _expiring(at_calls))
    io, state = io_of(variant, connection), connection.state("docs")
    listed = await driven(variant, all_of(by_id.iter_ids(io, state, page_size=40)))
    assert sorted(listed) == sorted(vector.id for vector in VECTORS)
    restarts = sum(op.cursor is None for op in sent) - 1
    assert restarts == len(at_calls)


@both_variants
async def test_a_listing_that_never_gets_on_gives_up(
    variant: Variant, connection: Connection
) -> None:
    sent = tapped(connection, _expiring({2, 4, 6, 8, 10}))
    io, state = io_of(variant, connection), connection.state("docs")
    with pytest.raises(BadRequestError):
        await driven(variant, all_of(by_id.iter_ids(io, state, page_size=40)))
    assert len(sent) == 8


@both_variants
async def test_an_index_deleted_while_it_is_listed_is_an_error(variant: Variant) -> None:
    connection = made("cosine", VECTORS[:50])
    io, state = io_of(variant, connection), connection.state("docs")

    def before(op: Op[Any]) -> None:
        if isinstance(op, ListVectors) and op.cursor is not None:
            cast("Any", connection.executor).service.delete_index("docs")

    sent = tapped(connection, before)
    with pytest.raises(IndexNotFoundError):
        await driven(variant, all_of(by_id.iter_ids(io, state, page_size=40)))
    assert len(sent) == 3
    connection.close()


def test_a_read_of_one_request_starts_no_thread() -> None:
    """Starting one takes longer than all else that a search computes."""
    threads = []
    with VectorizeClient.local(on_event=lambda _: threads.append(current_thread())) as client:
        client.create_index("i", dimensions=DIMENSIONS)
        index = client.index("i")
        index.upsert(VECTORS)
        threads.clear()
        assert len(index.query(QUERY, 10)) == 10
        assert len(index.get(["id1", "id2"])) == 2
    assert threads == [current_thread()] * 2


def test_a_refused_filter_is_one_error_not_two() -> None:
    """It was refused once more by what the index is now; the first time is nobody's concern."""
    with VectorizeClient.local() as client:
        client.create_index("i", dimensions=DIMENSIONS)
        with pytest.raises(UnindexedPropertyError) as caught:
            client.index("i").query(QUERY, filter={"unknown": 1})
    assert caught.value.__context__ is None
