"""One ranking out of two."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.errors import InvalidInputError
from vectorize_core.records.fusion import COMPARED, Fusion, Leg, check, fused

FUSIONS: list[Fusion] = ["relative", "rrf"]


@st.composite
def legs(draw: st.DrawFn) -> list[tuple[str, float]]:
    ids = draw(st.lists(st.integers(0, 90), unique=True, max_size=70))
    # Few values, so that many are equal.
    scores = draw(st.lists(st.integers(-3, 12), min_size=len(ids), max_size=len(ids)))
    best_first = sorted(map(float, scores), reverse=True)
    return [(str(i), score) for i, score in zip(ids, best_first, strict=True)]


@examples(30)
@given(
    legs(),
    legs(),
    st.floats(0, 1),
    st.sampled_from(FUSIONS),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_every_answer_is_the_beginning_of_a_longer_one(
    near: Leg, by_words: Leg, alpha: float, fusion: Fusion, k: int, more: int
) -> None:
    def answer(most: int) -> list[tuple[str, float]]:
        asked = max(most, COMPARED)
        found = fused(near[:asked], by_words[:asked], alpha=alpha, fusion=fusion)
        return found[:most]

    assert answer(k + more)[:k] == answer(k)
    there = {i for i, _ in near} | {i for i, _ in by_words}
    assert len(answer(k)) >= min(k, len(near), len(there))
    assert len(answer(k)) >= min(k, len(by_words))
    assert len({i for i, _ in answer(k)}) == len(answer(k))


@examples(30)
@given(legs(), legs())
def test_without_a_weight_a_leg_only_follows_the_other(near: Leg, by_words: Leg) -> None:
    for alpha, first in ((1.0, near), (0.0, by_words)):
        found = [i for i, _ in fused(near, by_words, alpha=alpha, fusion="relative")]
        assert found[: len(first)] == [i for i, _ in first]


@examples(30)
@given(legs(), legs(), st.floats(0, 1), st.sampled_from(FUSIONS))
def test_nothing_is_lost_or_invented(
    near: Leg, by_words: Leg, alpha: float, fusion: Fusion
) -> None:
    found = fused(near, by_words, alpha=alpha, fusion=fusion)
    assert {i for i, _ in found} == {i for i, _ in near} | {i for i, _ in by_words}
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 or math.isclose(score, 1.0) for score in scores)


NEAR: Leg = [("a", 0.9), ("b", 0.8), ("c", 0.5)]
BY_WORDS: Leg = [("c", 12.0), ("d", 2.0)]


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, {"a": 1.0, "b": 0.75, "c": 0.0, "d": 0.0}),
        (0.6, {"a": 0.6, "b": 0.45, "c": 0.4, "d": 0.0}),
        (0.5, {"a": 0.5, "c": 0.5, "b": 0.375, "d": 0.0}),
        (0.0, {"c": 1.0, "d": 0.0, "a": 0.0, "b": 0.0}),
    ],
)
def test_scores_are_scaled_and_added_by_weight(alpha: float, expected: dict[str, float]) -> None:
    found = fused(NEAR, BY_WORDS, alpha=alpha, fusion="relative")
    assert [i for i, _ in found] == list(expected)
    assert dict(found) == pytest.approx(expected)


def test_reciprocal_ranks_are_not_weighted() -> None:
    found = fused(NEAR, BY_WORDS, alpha=0.9, fusion="rrf")
    assert found == [("c", 1 / 63 + 1 / 61), ("a", 1 / 61), ("b", 1 / 62), ("d", 1 / 62)]


def test_what_stands_alone_keeps_its_order() -> None:
    assert fused(NEAR, [], alpha=0.5, fusion="relative") == [
        ("a", 0.5),
        ("b", pytest.approx(0.375)),
        ("c", 0.0),
    ]
    assert fused([], [("x", 3.0), ("y", 3.0)], alpha=0.5, fusion="relative") == [
        ("x", 0.5),
        ("y", 0.5),
    ]
    assert fused([], [], alpha=0.5, fusion="rrf") == []


def test_beyond_the_compared_the_better_rank_decides() -> None:
    near = [(f"n{i}", 100.0 - i) for i in range(30)]
    words = [("n29", 40.0)] + [(f"w{i}", 39.0 - i) for i in range(1, 30)]
    found = [i for i, _ in fused(near, words, alpha=0.5, fusion="relative")]
    assert found[40:] == [i for at in range(20, 30) for i in (f"n{at}", f"w{at}") if i != "n29"]
    assert found.index("n29") < 20


@pytest.mark.parametrize(
    ("alpha", "fusion"),
    [(-0.1, "rrf"), (1.1, "rrf"), (math.nan, "rrf"), (0.5, "RRF"), ("a", "rrf")],
)
def test_what_is_no_weight_or_way_is_refused(alpha: Any, fusion: Any) -> None:
    with pytest.raises(InvalidInputError):
        check(alpha, fusion)
