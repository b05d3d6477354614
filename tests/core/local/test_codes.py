"""Codes say between which bounds each score lies, and what is missing or damaged is made again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.local.coded import codes_of, cut_rows, norms_of, small_is_large, store_of
from tests.nightly import examples
from vectorize_core import scoring
from vectorize_core.local import candidates, codes, exact_search
from vectorize_core.local.code_products import products
from vectorize_core.local.code_ranking import CodeRanking
from vectorize_core.local.matrix import Rows
from vectorize_core.local.ranking import GROUP, Ranking
from vectorize_core.models import METRICS, Metric

KINDS = (
    "random",
    "clustered",
    "constant",
    "sparse",
    "one large",
    "near ties",
    "grid",
    "mixed",
    "all in the first",
    "all in the rest",
    "rests alike",
)
CUTS = [pytest.param(nullcontext, id="whole"), pytest.param(cut_rows, id="cut")]
Cutting = Callable[[], AbstractContextManager[None]]
SLOTS = np.arange(7, 10)


def rows_of(kind: str, count: int, dimensions: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, dimensions))
    if kind == "clustered":
        rows = rows[random.integers(0, min(5, count), count)] + 0.05 * rows
    elif kind == "constant":
        rows[:] = rows[:1]
    elif kind == "sparse":
        rows *= random.random(rows.shape) < 0.05
    elif kind == "one large":
        # The scale is that of one number, so all others are lost.
        rows[:, 0] = 1_000
    elif kind == "near ties":
        rows = rows[:1] + 1e-6 * rows
    elif kind == "grid":
        # As far from the codes as can be.
        rows = (random.integers(-127, 127, rows.shape) + 0.5) / 127
        rows[:, 0] = 1
    elif kind == "mixed":
        rows *= 10.0 ** random.integers(-14, 14, (count, 1))
    elif kind == "all in the first":
        rows[:, dimensions * 2 // 3 :] = 0
    elif kind == "all in the rest":
        rows[:, : dimensions * 2 // 3] *= 1e-9
    elif kind == "rests alike":
        # Each adds as much as it can, or takes as much away.
        rows[:, dimensions * 2 // 3 :] = rows[0, dimensions * 2 // 3 :]
        rows *= random.choice([-1, 1], (count, 1))
    return rows.astype(np.float32)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Rows, Rows]:
    dimensions = draw(st.sampled_from([1, 2, 17, 96]))
    seed = draw(st.integers(0, 2**32 - 1))
    size = draw(st.sampled_from([1e-14, 1e-6, 1.0, 1.0, 1e6, 1e13]))
    rows = rows_of(draw(st.sampled_from(KINDS)), 60, dimensions, seed) * np.float32(size)
    query = rows_of(draw(st.sampled_from(KINDS)), 1, dimensions, seed + 1)[0]
    if draw(st.booleans()):
        query = rows[draw(st.integers(0, 59))]
    return rows, query


def exact_keys(metric: Metric, rows: Rows, query: Rows) -> Rows:
    """What keys stand for, in long arithmetic."""
    wide, asked = rows.astype(np.longdouble), query.astype(np.longdouble)
    products = (wide * asked).sum(axis=1)
    lengths = np.sqrt((wide * wide).sum(axis=1))
    if metric == "euclidean":
        return 2 * products - lengths**2
    products = products / np.sqrt((asked * asked).sum())
    if metric == "dot-product":
        return products
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


@pytest.mark.parametrize("cutting", CUTS)
@pytest.mark.parametrize("metric", METRICS)
@given(problem=problems())
@examples(100)
def test_the_interval_of_a_row_contains_its_score(
    metric: Metric, cutting: Cutting, problem: tuple[Rows, Rows]
) -> None:
    rows, query = problem
    length = float(np.linalg.norm(query.astype(np.float64)))
    if not 1e-15 <= length <= 1e15:
        return
    asked = query.astype(np.float64)
    every = slice(0, len(rows))
    with cutting():
        coded = codes_of(metric, rows).of(store_of(rows), norms_of(metric, rows.shape[1]))
        assert coded is not None
        ranking = CodeRanking(metric, coded, asked if metric == "euclidean" else asked / length)
        keys = np.empty(len(rows), np.float32)
        (block,) = (block for _, block in coded.matrix.blocks(len(rows)))
        ranking.score(block, every, keys)
        assert codes.covers(block, rows).all()
    exact = exact_keys(metric, rows, query) / ranking.unit

    def contained(ranking: Ranking) -> None:
        known = np.isfinite(keys)
        off = np.abs(keys.astype(np.longdouble) - exact)
        assert (off <= ranking.errors(every))[known].all()
        greatest = np.repeat(ranking.group_errors(), GROUP)[: len(rows)]
        assert (greatest >= ranking.errors(every))[known].all()
        # All but rows whose length float32 cannot compute are known.
        assert (known == ~np.isnan(block["length"])).all()

    contained(ranking)
    parts, whole = ranking.parts(), keys.copy()
    assert (parts is not None) == (cutting is cut_rows and rows.shape[1] > 1)
    for part in parts[:2] if parts else ():
        (read,) = (block for _, block in part.matrix.blocks(len(rows)))
        part.score(read, every, keys)
        contained(part)
    assert np.array_equal(keys, whole, equal_nan=True)


@pytest.mark.parametrize("cutting", CUTS)
@pytest.mark.parametrize("metric", METRICS)
@given(
    problem=problems(),
    k=st.sampled_from([1, 5, 30]),
    part=st.sampled_from([0.2, 0.6, None]),
    rest_of=st.sampled_from([0.0, 0.3, 1.0]),
)
@examples(50)
def test_the_answer_is_that_of_scoring_every_row(
    metric: Metric,
    cutting: Cutting,
    problem: tuple[Rows, Rows],
    k: int,
    part: float | None,
    rest_of: float,
) -> None:
    rows, query = problem
    mask = None if part is None else np.random.default_rng(len(rows[0])).random(60) < part
    expected, scores = scoring.nearest(metric, rows, query, k, mask)
    with small_is_large() as patch, cutting():
        patch.setattr(candidates, "_REST_OF", rest_of)
        known = norms_of(metric, rows.shape[1]), codes_of(metric, rows, 16)
        # The second time both parts of the rows are read if the first ones left too many.
        for _ in range(2):
            found = exact_search.nearest(metric, store_of(rows, 16), *known, query, k, mask)
            assert found.slots.tolist() == expected.tolist()
            assert found.scores.tolist() == scores.tolist()


@pytest.mark.parametrize("dimensions", [1, 16, 384, 1_536])
def test_residuals_are_tight(dimensions: int) -> None:
    multiplied = products()
    assert multiplied is not None
    for kind in ("random", "one large", "sparse"):
        rows = rows_of(kind, 50, dimensions, 3)
        made = codes.encoded(rows, 0, 0, multiplied)
        whole = made["codes"].astype(np.float64) - codes.ZERO
        wide = rows - whole * made["scale"][:, np.newaxis]
        lost = np.linalg.norm(wide, axis=1)
        room = 4e-5 * np.sqrt(dimensions) * made["scale"] + 3e-4 * lost
        assert (made["residual"] >= lost).all()
        assert (made["residual"] <= lost + room).all()


@given(st.integers(1, 1_536), st.integers(0, 2**32 - 1), st.data())
@examples(100)
def test_any_flipped_bit_and_any_other_place_shows(
    dimensions: int, seed: int, data: st.DataObject
) -> None:
    multiplied = products()
    assert multiplied is not None
    rows = codes.encoded(rows_of("random", 3, dimensions, seed), SLOTS[0], 5, multiplied)
    assert codes.intact(rows, SLOTS, 5, multiplied).all()
    assert not codes.intact(rows, SLOTS + 1, 5, multiplied).any()
    assert not codes.intact(rows, SLOTS, 6, multiplied).any()
    assert not codes.intact(np.zeros_like(rows), SLOTS, 5, multiplied).any()
    fields = [*range(dimensions), *range(rows.dtype.fields["scale"][1], rows.dtype.itemsize)]
    bytes_ = bytearray(rows.tobytes())
    place = rows.dtype.itemsize + data.draw(st.sampled_from(fields))
    bytes_[place] ^= 1 << data.draw(st.integers(0, 7))
    flipped = np.frombuffer(bytes(bytes_), rows.dtype)
    assert codes.intact(flipped, SLOTS, 5, multiplied).tolist() == [True, False, True]


def test_codes_of_other_values_do_not_cover_them() -> None:
    rows = rows_of("random", 9, 40, 1)
    multiplied = products()
    assert multiplied is not None
    made = codes.encoded(rows, 0, 0, multiplied)
    others = rows.copy()
    others[3] *= 2
    others[5, 7] += 0.5
    assert np.flatnonzero(~codes.covers(made, others)).tolist() == [3, 5]


@pytest.mark.parametrize("metric", METRICS)
def test_hostile_rows_are_left_to_float32(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of("near ties", 4_000, 32, 2)
    coded = codes_of(metric, rows).of(store_of(rows), norms_of(metric, 32))
    assert coded is not None
    query = rows[0].astype(np.float64)
    query /= 1.0 if metric == "euclidean" else np.linalg.norm(query)
    monkeypatch.setattr(candidates, "_SAMPLED_FROM", 4_000)
    assert not candidates.are_few(CodeRanking(metric, coded, query), 10)
    rows = rows_of("random", 4_000, 32, 2)
    coded = codes_of(metric, rows).of(store_of(rows), norms_of(metric, 32))
    assert coded is not None
    assert candidates.are_few(CodeRanking(metric, coded, query), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_are_hostile_if_those_that_pass_the_filter_are(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of("random", 4_000, 32, 2)
    alike = np.arange(4_000) % 2 == 0
    rows[alike] = rows_of("near ties", 4_000, 32, 2)[alike]
    coded = codes_of(metric, rows).of(store_of(rows), norms_of(metric, 32))
    assert coded is not None
    query = rows[1].astype(np.float64)
    query /= 1.0 if metric == "euclidean" else np.linalg.norm(query)
    monkeypatch.setattr(candidates, "_SAMPLED_FROM", 4_000)
    ranking = CodeRanking(metric, coded, query)
    assert candidates.are_few(ranking, 10)
    assert candidates.are_few(ranking, 10, ~alike)
    assert not candidates.are_few(ranking, 10, alike)
