"""What holds whatever is stored and asked: diversity, relevance, and documents as they were."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from langchain_vectorize.relevance import relevance_by
from tests.nightly import examples
from tests.stores import METRICS, Embedder, raw_scores
from vectorize_core import VectorizeClient
from vectorize_core.models import Metric

every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


# Diversity

ROWS = npst.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(32)),
    elements=st.integers(-8, 8).map(float),
).map(lambda rows: rows + np.eye(*rows.shape, dtype=np.float32) / 4)


def nearness(metric: Metric, one: Any, rows: Any) -> list[float]:
    """Larger is nearer: the cosine, the dot product, or 1 / (1 + distance)."""
    scores = raw_scores(metric, one, rows)
    if metric == "cosine":
        return scores
    return [-s for s in scores] if metric == "dot-product" else [1 / (1 + s) for s in scores]


@pytest.fixture(scope="module")
def holding(client: VectorizeClient) -> Any:
    """Makes a store hold these rows and no others."""
    embedder = Embedder()
    stores = {
        metric: VectorizeVectorStore(
            embedder, index_name=metric, client=client, create_index=True, metric=metric
        )
        for metric in METRICS
    }

    def hold(metric: Metric, rows: Any) -> VectorizeVectorStore:
        store = stores[metric]
        store.delete(delete_all=True)
        names = [str(n) for n in range(len(rows))]
        store.add_embeddings(names, rows, ids=names)
        return store

    return hold


@every_metric
@examples(15)
@given(rows=ROWS, query=st.integers(0, 100), k=st.integers(0, 14), fetch_k=st.integers(0, 14))
def test_all_nearness_and_no_novelty_is_the_ranking(
    holding: Any, metric: Metric, rows: Any, query: int, k: int, fetch_k: int
) -> None:
    store, target = holding(metric, rows), np.random.default_rng(query).standard_normal(32).tolist()
    found = store.max_marginal_relevance_search_by_vector(target, k, fetch_k, 1.0)
    near = nearness(metric, target, rows)
    chosen = [near[int(document.id)] for document in found]
    assert len({document.id for document in found}) == len(found) == min(k, len(rows))
    assert chosen == pytest.approx(sorted(near, reverse=True)[:k], rel=1e-4, abs=1e-5)


@every_metric
@examples(15)
@given(rows=ROWS, query=st.integers(0, 100), weight=st.sampled_from((0.0, 0.25, 0.5, 0.75)))
def test_each_choice_is_worth_most_beside_those_before_it(
    holding: Any, metric: Metric, rows: Any, query: int, weight: float
) -> None:
    store, target = holding(metric, rows), np.random.default_rng(query).standard_normal(32).tolist()
    found = store.max_marginal_relevance_search_by_vector(target, len(rows), lambda_mult=weight)
    chosen = [int(document.id) for document in found]
    assert sorted(chosen) == list(range(len(rows)))
    near = nearness(metric, target, rows)
    assert near[chosen[0]] == pytest.approx(max(near), rel=1e-4, abs=1e-5)
    alike = np.array([nearness(metric, row, rows) for row in rows])
    for position in range(1, len(chosen)):
        before, rest = chosen[:position], chosen[position:]
        worth = {i: weight * near[i] - (1 - weight) * alike[i][before].max() for i in rest}
        assert worth[chosen[position]] == pytest.approx(max(worth.values()), rel=1e-3, abs=1e-3)


# Relevance

SCORES = st.floats(allow_nan=False, width=32)


@every_metric
@given(one=SCORES, other=SCORES, query=st.none() | st.lists(SCORES, min_size=1, max_size=3))
def test_relevance_rises_with_the_score_from_0_to_1(
    metric: Metric, one: float, other: float, query: list[float] | None
) -> None:
    if metric == "euclidean":
        one, other = abs(one), abs(other)
    if query is not None and not np.isfinite(query).all():
        return
    relevance = relevance_by(metric, None if query is None else np.array(query, np.float32))
    worse, better = sorted((one, other), reverse=metric != "cosine")
    low, high = relevance(worse), relevance(better)
    assert 0.0 <= low <= high <= 1.0


# Documents as they were


class Level(enum.Enum):
    LOW = "low"
    PAIR = (0, "pair")


ZONES = st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=30))))
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "none": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers(),
    "float": st.floats(allow_nan=False),
    "text": st.text(max_size=10),
    "datetime": st.datetimes() | st.datetimes(timezones=ZONES),
    "date": st.dates(),
    "time": st.times() | st.times(timezones=ZONES),
    "timedelta": st.timedeltas(),
    "uuid": st.uuids(),
    "decimal": st.decimals(allow_nan=False),
    "bytes": st.binary(max_size=10),
    "enum": st.sampled_from(Level),
}
ANY_SCALAR = st.one_of(*SCALARS.values())
SETS = st.sets(ANY_SCALAR, max_size=3) | st.frozensets(ANY_SCALAR, max_size=3)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )


TYPES = {
    **SCALARS,
    "set": SETS,
    "JSON": st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    "nested": st.recursive(ANY_SCALAR | SETS, nested, max_leaves=8),
}


def typed(value: Any) -> Any:
    """``value`` with the types of all that is in it."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [typed(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), {typed(item) for item in value}
    return type(value), value


@pytest.mark.parametrize("tenant", [False, True], ids=["store", "tenant"])
@pytest.mark.parametrize("kind", TYPES)
@examples(8)
@given(data=st.data())
@pytest.mark.covering(1)
def test_metadata_of_every_type_comes_back_by_every_way(
    client: VectorizeClient, kind: str, tenant: bool, data: st.DataObject
) -> None:
    metadata = data.draw(st.dictionaries(st.text(max_size=20), TYPES[kind], min_size=1, max_size=3))
    before = typed(metadata)
    whole = VectorizeVectorStore(Embedder(), index_name="types", client=client, create_index=True)
    store = whole.with_namespace("a") if tenant else whole
    document = Document("body", id="a", metadata=metadata)
    store.add_documents([document])
    ways = (
        store.get_by_ids(["a"]),
        store.similarity_search("body", 1),
        store.max_marginal_relevance_search("body", 1),
        store.as_retriever(search_kwargs={"k": 1}).invoke("body"),
        [*store.iter_documents()],
    )
    assert typed(metadata) == before
    for (back,) in ways:
        assert (back.id, back.page_content, typed(back.metadata)) == ("a", "body", before)
    store.update_metadata(["a"], {"added": 1})
    (changed,) = store.get_by_ids(["a"])
    assert typed(changed.metadata) == {**before, "added": (int, 1)}
    whole.delete(delete_all=True)
