import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core import scoring
from vectorize_core.local import Service
from vectorize_core.models import METRICS, IndexConfig, Metric, Vector

DIMENSIONS = 32


def row(*values: float) -> np.ndarray:
    return np.array([*values, *[0.0] * (DIMENSIONS - len(values))], dtype=np.float32)


MATRIX = np.stack([row(1.0), row(3.0, 4.0), row(0.0), row(-2.0)])


@pytest.mark.parametrize("metric", METRICS)
@given(st.floats(1e-6, 1.0))
def test_a_similarity_has_a_score(metric: Metric, similar: float) -> None:
    assert scoring.similarity(metric, scoring.score_of(metric, similar)) == pytest.approx(similar)


def test_no_distance_is_so_far_that_nothing_is_similar() -> None:
    assert scoring.score_of("euclidean", 0.0) == scoring.score_of("euclidean", -1.0) == math.inf


def test_cosine_is_similarity_and_zero_for_a_zero_vector():
    got = scoring.scores("cosine", MATRIX, row(2.0))
    assert got.tolist() == pytest.approx([1.0, 0.6, 0.0, -1.0])
    assert scoring.scores("cosine", MATRIX, row(0.0)).tolist() == [0.0] * 4


def test_euclidean_is_the_distance_not_its_square():
    assert scoring.scores("euclidean", MATRIX, row(0.0)).tolist() == [1.0, 5.0, 0.0, 2.0]


def test_dot_product_is_negative_so_that_smaller_is_better():
    got = scoring.scores("dot-product", MATRIX, row(2.0))
    assert got.tolist() == [-2.0, -6.0, 0.0, 4.0]
    assert not np.signbit(got[2])


@pytest.mark.parametrize(
    ("metric", "best_first"),
    [("cosine", [0, 1, 2, 3]), ("euclidean", [0, 2, 3, 1]), ("dot-product", [1, 0, 2, 3])],
)
def test_best_comes_first_whatever_the_metric(metric: Metric, best_first: list[int]):
    positions, scores = scoring.nearest(metric, MATRIX, row(1.0), 4)
    assert positions.tolist() == best_first
    assert scores.tolist() == scoring.scores(metric, MATRIX, row(1.0))[best_first].tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 7, 40, 100])
def test_ties_are_stable_by_insertion_or_the_other_way_round(metric: Metric, k: int):
    scored = np.tile(np.array([1.0, 2.0, 3.0, 2.0], dtype=np.float32), 10)
    sign = -1.0 if metric == "cosine" else 1.0
    for newest_first in (False, True):
        got = scoring.top(metric, scored, k, newest_first=newest_first).tolist()
        order = range(40)[:: -1 if newest_first else 1]
        assert got == sorted(order, key=lambda i: sign * scored[i])[:k]


def test_k_may_exceed_the_rows_and_there_may_be_none():
    assert len(scoring.nearest("cosine", MATRIX, row(1.0), 9)[0]) == 4
    assert len(scoring.nearest("cosine", MATRIX[:0], row(1.0), 9)[0]) == 0
    assert len(scoring.nearest("cosine", MATRIX, row(1.0), 9, np.zeros(4, dtype=bool))[0]) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [33, 384, 1536])
def test_a_rows_score_does_not_depend_on_its_neighbours(metric: Metric, dimensions: int):
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((700, dimensions)).astype(np.float32)
    query = rng.standard_normal(dimensions).astype(np.float32)
    whole = scoring.scores(metric, matrix, query)
    for start in range(0, 700, 31):
        assert scoring.scores(metric, matrix[start:], query)[0] == whole[start]
        assert scoring.scores(metric, matrix[start : start + 1], query)[0] == whole[start]
    mask = rng.random(700) < 0.3
    positions, scores = scoring.nearest(metric, matrix, query, 50, mask)
    assert mask[positions].all()
    assert (scores == whole[positions]).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-40, 1e-20, 3e38])
def test_tiny_and_huge_values_give_finite_scores(metric: Metric, size: float):
    matrix = np.full((2, DIMENSIONS), size, dtype=np.float32)
    matrix[1] *= -1
    scores = scoring.scores(metric, matrix, matrix[0])
    assert np.isfinite(scores).all()
    if metric == "cosine":
        assert scores.tolist() == [1.0, -1.0]


# Few numbers, so that ties and zero vectors are common, and of exact sums in any order.
components = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -3.0])
short = st.lists(components, min_size=3, max_size=3)
records = st.lists(
    st.tuples(
        short, st.sampled_from([None, "a", "b"]), st.sampled_from([None, 1, 2]), st.booleans()
    ),
    max_size=25,
)


def reference(metric: Metric, a: np.ndarray, b: np.ndarray) -> np.float32:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return np.float32(np.sqrt(((a - b) ** 2).sum()))
    if metric == "dot-product":
        return np.float32(-(a * b).sum())
    lengths = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return np.float32((a * b).sum() / lengths if lengths else 0.0)


@examples(60)
@given(
    metric=st.sampled_from(METRICS),
    given_records=records,
    query=short,
    top_k=st.integers(1, 30),
    namespace=st.sampled_from([None, "a", "none such"]),
    number=st.sampled_from([None, {"$eq": 1}, {"$ne": 1}, {"$gte": 1, "$lt": 2}]),
    flag=st.sampled_from([None, True, {"$in": [True, False]}]),
)
def test_a_query_equals_a_naive_search(
    metric, given_records, query, top_k, namespace, number, flag
):
    service = Service()
    service.create_index("i", IndexConfig(DIMENSIONS, metric))
    service.create_metadata_index("i", "number", "number")
    service.create_metadata_index("i", "flag", "boolean")
    vectors = [
        Vector(str(i), row(*values), space, {"number": n, "flag": f})
        for i, (values, space, n, f) in enumerate(given_records)
    ]
    service.upsert("i", vectors)
    conditions = {"number": number, "flag": flag}
    result = service.query(
        "i",
        vector=row(*query),
        top_k=top_k,
        namespace=namespace,
        filter={name: test for name, test in conditions.items() if test is not None},
    )
    service.close()

    def passes(vector: Vector) -> bool:
        n = vector.metadata["number"]
        by_number = {"None": True, "{'$eq': 1}": n == 1, "{'$ne': 1}": n != 1}
        return (
            namespace in (None, vector.namespace)
            and by_number.get(str(number), n == 1)
            and (flag is not True or vector.metadata["flag"])
        )

    scored = [(reference(metric, v.values, row(*query)), v) for v in vectors if passes(v)]
    scored.sort(key=lambda pair: -pair[0] if metric == "cosine" else pair[0])
    assert [match.id for match in result.matches] == [v.id for _, v in scored[:top_k]]
    assert [match.score for match in result.matches] == [float(str(s)) for s, _ in scored[:top_k]]
    assert result.count == len(result.matches)
