"""Maps: the points are those of principal components, spread over the index, and kept."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.nightly import timed
from tests.page.helpers import DIMENSIONS, INDEXED, MANY, Browser, axis, fill
from vectorize_core import Metric, Vector, VectorizeClient, layout
from vectorize_core.api.scan import ScanStarts
from vectorize_core.layout import Record
from vectorize_core.page import create_page
from vectorize_core.page.projection import project


def points(drawn: dict[str, Any]) -> NDArray[np.float32]:
    x, y = (np.frombuffer(base64.b64decode(drawn[name]), "<f4") for name in ("x", "y"))
    return np.column_stack((x, y))


@pytest.mark.parametrize(("count", "dimensions"), [(3, 32), (200, 256), (8_500, 32)])
@pytest.mark.parametrize("directions_only", [False, True])
def test_points_are_those_of_an_exact_decomposition(
    count: int, dimensions: int, directions_only: bool
) -> None:
    rng = np.random.default_rng(7)
    spread = np.geomspace(3.0, 0.1, dimensions)
    given = (rng.standard_normal((count, dimensions)) * spread + 1.0).astype(np.float32)
    exact = given.astype(np.float64)
    if directions_only:
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    exact -= exact.mean(axis=0)
    left, sizes, _ = np.linalg.svd(exact, full_matrices=False)
    wanted = (left * sizes)[:, :2]
    found = project(given.copy(), directions_only=directions_only)
    ours = np.column_stack((found.x, found.y)).astype(np.float64)
    if not directions_only:
        # The size of the numbers is not that of the vectors', but the same for all.
        ours *= np.linalg.norm(wanted) / np.linalg.norm(ours)
    for one, other in zip(ours.T, wanted.T, strict=True):
        assert min(np.abs(one - other).max(), np.abs(one + other).max()) < 0.02 * np.ptp(other)
    assert found.explained == pytest.approx(tuple(sizes[:2] ** 2 / (sizes**2).sum()), rel=0.01)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 32)),
        np.ones((1, 32)),
        np.ones((5, 32)),
        np.zeros((5, 32)),
        np.eye(2, 32),
        np.eye(3, 32) * 3e38,
        np.eye(3, 32) * 1e-38,
        np.vstack([np.zeros((3, 32)), np.eye(1, 32)]),
    ],
    ids=["none", "one", "equal", "zero", "two", "huge", "tiny", "one apart"],
)
@pytest.mark.parametrize("directions_only", [False, True])
def test_vectors_that_hardly_vary(rows: NDArray[np.float64], directions_only: bool) -> None:
    found = project(rows.astype(np.float32), directions_only=directions_only)
    assert found.x.shape == found.y.shape == (len(rows),)
    assert np.isfinite([found.x, found.y]).all()
    assert all(0.0 <= part <= 1.001 for part in found.explained)


def test_one_huge_vector_leaves_the_directions_of_the_others() -> None:
    rows = np.random.default_rng(1).standard_normal((50, 32)).astype(np.float32)
    wanted = project(rows.copy(), directions_only=True)
    rows[7] *= np.float32(1e38)
    found = project(rows, directions_only=True)
    assert np.abs(found.x - wanted.x).max() < 1e-4
    assert np.abs(found.y - wanted.y).max() < 1e-4


@pytest.mark.parametrize("directions_only", [False, True])
def test_many_vectors_that_differ_by_little_lie_around_the_middle(directions_only: bool) -> None:
    rows = 1.0 + 1e-5 * np.random.default_rng(1).standard_normal((20_000, 32))
    found = project(rows.astype(np.float32), directions_only=directions_only)
    for along in (found.x, found.y):
        assert abs(along.mean(dtype=np.float64)) < 0.01 * along.std(dtype=np.float64)
    assert sum(found.explained) == pytest.approx(2 / 32, rel=0.2)


async def test_a_map(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    drawn = await browser.result("POST", "indexes/docs/map", {"points": 1_000, "color": "year"})
    assert (drawn["points"], drawn["of"]) == (MANY, MANY)
    assert drawn["ids"] == [f"r{n}" for n in range(MANY)]
    assert drawn["texts"][3] == "text 3"
    assert drawn["colors"] == {
        "property": "year",
        "kind": "number",
        "values": [1900 + n for n in range(MANY)],
    }
    assert sorted(drawn["properties"]) == ["note", "topic", "year"]
    assert points(drawn).shape == (MANY, 2)
    assert np.isfinite(points(drawn)).all()
    again = await browser.result("POST", "indexes/docs/map", {"points": 1_000, "color": "topic"})
    assert again["colors"]["kind"] == "category"
    assert again["x"] == drawn["x"]
    plain = await browser.result("POST", "indexes/docs/map", {"color": "none"})
    assert plain["colors"] == {"property": "none", "kind": None, "values": []}


async def test_of_a_namespace(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    drawn = await browser.result("POST", "indexes/docs/map", {"namespace": "even", "points": 10})
    assert drawn["points"] == 10
    assert all(int(one[1:]) % 2 == 0 for one in drawn["ids"])
    none = await browser.result("POST", "indexes/docs/map", {"namespace": "none"})
    assert (none["points"], none["x"], none["ids"]) == (0, "", [])


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot-product"])
async def test_few_points_of_many_come_from_all_over(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorize_core.page.maps._RUN", 10)
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS, metric=metric)
        client.index("docs").upsert([Vector(f"{n}", axis(n % 30 + 0.5)) for n in range(1_000)])
        # A third of the slots is dead, one stretch of them at the beginning.
        client.index("docs").delete([f"{n}" for n in range(300)])
        browser = Browser(create_page(client))
        drawn = await browser.result("POST", "indexes/docs/map", {"points": 100})
        assert (drawn["points"], drawn["of"]) == (100, 700)
        assert len(set(drawn["ids"])) == 100
        numbers = sorted(map(int, drawn["ids"]))
        assert numbers[0] < 350
        assert numbers[-1] > 900
        assert max(np.diff(numbers)) < 150


async def test_a_map_is_made_once_and_anew_after_a_write(
    client: VectorizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = project
    monkeypatch.setattr(
        "vectorize_core.page.maps.project", lambda *a, **k: made.append(1) or real(*a, **k)
    )
    browser = Browser(create_page(client))
    body = {"points": 100}
    await asyncio.gather(*(browser.result("POST", "indexes/docs/map", body) for _ in range(5)))
    assert len(made) == 1
    client.index("docs").upsert([Vector("new", axis(1))])
    assert "new" in (await browser.result("POST", "indexes/docs/map", body))["ids"]
    assert len(made) == 2
    # A bound number of them is kept.
    for number in range(10, 20):
        await browser.result("POST", "indexes/docs/map", {"points": number})
    await browser.result("POST", "indexes/docs/map", body)
    assert len(made) == 2 + 10 + 1


async def test_what_points_can_be_coloured_by_is_bounded() -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        metadata: dict[str, Any] = {f"p{n}": n for n in range(40)}
        metadata |= {"list": [1], "none": None}
        client.index("docs").upsert(
            [
                Vector("a", axis(1), metadata=layout.encode(Record("a", "x" * 5_000, metadata))),
                Vector("b", axis(2), metadata=layout.encode(Record("b", None, {"p0": "z" * 999}))),
                Vector("c", axis(3), metadata=layout.encode(Record("c", None, {"p1": True}))),
            ]
        )
        drawn = await Browser(create_page(client)).result(
            "POST", "indexes/docs/map", {"color": "p0"}
        )
        assert len(drawn["properties"]) == 20
        assert not {"list", "none"} & {*drawn["properties"]}
        values = drawn["colors"]["values"]
        assert (values[0], len(values[1]), values[2]) == (0, 161, None)
        assert drawn["colors"]["kind"] == "category"
        assert [len(text) if text else None for text in drawn["texts"]] == [161, None, None]


@pytest.mark.parametrize(
    "body", [{"points": 0}, {"points": 20_001}, {"points": "x"}, {"namespace": 1}, {"color": ["x"]}]
)
async def test_what_is_no_map_is_refused(still: VectorizeClient, body: Any) -> None:
    status, _ = await Browser(create_page(still)).error("POST", "indexes/docs/map", body)
    assert status == 400


async def test_the_price_here_is_none(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    price = await browser.result("GET", "indexes/docs/map/price", params={"points": 500})
    assert (price["points"], price["dollars"]) == (MANY, None)


def test_places_of_a_scan(still: VectorizeClient) -> None:
    def starts(count: int) -> tuple[str, ...]:
        executor: Any = still.connection.executor
        found: tuple[str, ...] = executor.send(ScanStarts("docs", count)).result
        return found

    slots = [[int(cursor.rpartition("-")[2]) for cursor in starts(n)] for n in (1, 4, 1_000)]
    assert slots == [[0], [0, 15, 30, 45], list(range(MANY))]


@timed
async def test_a_map_of_very_many_takes_two_seconds() -> None:
    with VectorizeClient.local() as client:
        fill(client)
        values = np.random.default_rng(0).standard_normal((5_000, DIMENSIONS)).astype(np.float32)
        for batch in range(20):
            client.index("docs").upsert(
                Vector(
                    f"m{batch}-{n}",
                    values[n],
                    metadata=layout.encode(Record(f"m{n}", f"text {n}"), indexed=INDEXED),
                )
                for n in range(5_000)
            )
        browser = Browser(create_page(client))
        drawn = await browser.result("POST", "indexes/docs/map", {"points": 20_000})
        assert drawn["points"] == 20_000
        assert drawn["seconds"] < 2.0
