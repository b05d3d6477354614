"""Any filter, any number of matches: the answer is that of the evaluator and an exact search."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.filters.strategies import (
    BEHAVIORS,
    INDEXED,
    SOME_NUMBERS,
    SOME_TEXTS,
    expressions,
)
from tests.executors import Open
from tests.nightly import examples
from tests.stores import METRICS, Recorder
from vectorize_core import (
    IncompleteAnswerError,
    InvalidInputError,
    PartialIndexError,
    TooManyRequestsNeededError,
    UnindexedPropertyError,
    VectorizeClient,
    layout,
    scoring,
)
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.operations import GetIndex, ListMetadataIndexes, ListVectors, Op, Query
from vectorize_core.filters import F
from vectorize_core.filters.ast import EVERYTHING, Expression
from vectorize_core.filters.evaluate import matcher
from vectorize_core.filters.parse import parse
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.layout import Record
from vectorize_core.local import Behavior
from vectorize_core.models import Metric, QueryResult, Vector

DIMENSIONS = 32
RNG = np.random.default_rng(11)
QUERY = RNG.standard_normal(DIMENSIONS).astype(np.float32)


def in_bucket(vector_id: str) -> dict[str, Any]:
    return {"_vs_bucket": layout.bucket(vector_id), "_vs_own": True}


def odd_vectors(count: int) -> list[Vector]:
    """Metadata of every type under every name, in three namespaces."""
    rng = random.Random(3)

    def value() -> Any:
        scalars: list[Any] = [None, True, False, rng.choice(SOME_TEXTS), rng.choice(SOME_NUMBERS)]
        chosen = rng.choice(scalars)
        return [chosen, rng.choice(SOME_TEXTS)] if rng.random() < 0.15 else chosen

    made = []
    for i in range(count):
        metadata: dict[str, Any] = {name: value() for name in "snbu" if rng.random() < 0.8}
        if rng.random() < 0.7:
            metadata["x"] = rng.choice([{"y": value()}, value()])
        if rng.random() < 0.5:
            metadata["a"] = {"b": value()}
        namespace = rng.choice([None, "one", "two"])
        values = RNG.standard_normal(DIMENSIONS)
        made.append(Vector(f"id-{i}", values, namespace, {**metadata, **in_bucket(f"id-{i}")}))
    return made


ODD = odd_vectors(230)


def made(vectors: list[Vector], metric: Metric = "cosine", **options: Any) -> Index:
    behavior = options.pop("behavior", Behavior())
    client = VectorizeClient.local(behavior=behavior)
    given = {"metadata_indexes": INDEXED, **options}
    client.create_index("docs", dimensions=DIMENSIONS, metric=metric, **given)
    client.index("docs").upsert(vectors)
    return client.index("docs")


def tapped(index: Index) -> tuple[Index, Recorder]:
    """The same index, and a record of what is sent to it."""
    recorder = Recorder(index.connection.executor)
    connection = copy.copy(index.connection)
    connection.executor = recorder
    return Index(connection, index.name), recorder


class Indexes:
    """One index for each behavior, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[int, Index] = {}

    def __call__(self, number: int) -> tuple[Index, Metric]:
        metric = METRICS[number % 3]
        if number not in self._made:
            self._made[number] = made(ODD, metric, behavior=BEHAVIORS[number])
        return self._made[number], metric

    def close(self) -> None:
        for index in self._made.values():
            index.connection.close()


@pytest.fixture(scope="module")
def indexes() -> Iterator[Indexes]:
    made = Indexes()
    yield made
    made.close()


def expected(
    vectors: list[Vector], expression: Expression | None, namespace: str | None
) -> list[Vector]:
    matches = matcher(expression if expression is not None else EVERYTHING)
    return [
        vector
        for vector in vectors
        if (namespace is None or vector.namespace == namespace)
        and matches(Record(vector.id, None, dict(vector.metadata or {})))
    ]


def check_best(matches: list[Any], among: list[Vector], metric: Metric, k: int) -> None:
    """``matches`` are the ``k`` best of ``among``, but for ties at the end."""
    ids = [match.id for match in matches]
    assert len(ids) == len(set(ids)) == min(k, len(among))
    if not ids:
        return
    scores = scoring.scores(metric, np.stack([vector.values for vector in among]), QUERY)
    of_id = dict(zip([vector.id for vector in among], scoring.shortest(scores), strict=True))
    best = sorted(of_id.values(), reverse=metric == "cosine")[:k]
    assert [match.score for match in matches] == best
    assert [of_id[i] for i in ids] == best


@examples(70)
@given(
    st.integers(0, len(BEHAVIORS) - 1),
    expressions,
    st.sampled_from([1, 5, 50, 60, 100, 101, 180, 500]),
    st.sampled_from([None, None, "one"]),
    st.sampled_from(["none", "all"]),
    st.booleans(),
)
def test_a_search_is_exact_whatever_the_service_does(
    indexes: Indexes,
    number: int,
    expression: Expression,
    k: int,
    namespace: str | None,
    metadata: Any,
    awaited: bool,
) -> None:
    index, metric = indexes(number)
    options: Any = {
        "filter": expression,
        "namespace": namespace,
        "unindexed": "scan",
        "return_metadata": metadata,
        "max_requests": 1_000,
    }
    if awaited:
        awaiting = AsyncIndex(index.connection, index.name)
        matches = asyncio.run(awaiting.query(QUERY, k, **options))
    else:
        matches = index.query(QUERY, k, **options)
    among = expected(ODD, expression, namespace)
    check_best(matches, among, metric, k)
    stored = {vector.id: vector.metadata for vector in ODD}
    assert all(m.metadata == (stored[m.id] if metadata == "all" else None) for m in matches)


@examples(50)
@given(
    st.integers(0, len(BEHAVIORS) - 1),
    expressions,
    st.sampled_from([None, None, "two"]),
    st.sampled_from(["normal", "high"]),
    st.booleans(),
)
def test_an_enumeration_is_complete_whatever_the_service_does(
    indexes: Indexes,
    number: int,
    expression: Expression,
    namespace: str | None,
    precision: Any,
    awaited: bool,
) -> None:
    index, _ = indexes(number)
    options: Any = {"filter": expression, "namespace": namespace, "unindexed": "scan"}
    check_all(index, expected(ODD, expression, namespace), precision, awaited, options)


def check_all(
    index: Index, among: list[Vector], precision: Any, awaited: bool, options: dict[str, Any]
) -> None:
    """Whichever way all that matches is asked for, it is ``among``."""
    if awaited:
        ids, count, vectors = asyncio.run(_all_awaited(index, precision, options))
    else:
        ids = list(index.iter_ids(precision=precision, **options))
        count = index.count(precision=precision, **options)
        vectors = list(index.iter(**options))
    assert len(ids) == len(set(ids))
    assert set(ids) == {vector.id for vector in among}
    assert count == len(among)
    assert sorted(vectors, key=lambda vector: vector.id) == sorted(
        among, key=lambda vector: vector.id
    )


async def _all_awaited(
    index: Index, precision: Any, options: dict[str, Any]
) -> tuple[list[str], int, list[Vector]]:
    awaiting = AsyncIndex(index.connection, index.name)
    return (
        [vector_id async for vector_id in awaiting.iter_ids(precision=precision, **options)],
        await awaiting.count(precision=precision, **options),
        [vector async for vector in awaiting.iter(**options)],
    )


LOSSES = [(0.02, "high"), (0.3, "high"), (0.3, "normal"), (1.0, "normal")]


@pytest.fixture(scope="module")
def lossy() -> Iterator[dict[float, Index]]:
    made_of = {
        fraction: made(ODD, METRICS[i], behavior=Behavior(overlooked=fraction))
        for i, fraction in enumerate((0.02, 0.3, 1.0))
    }
    yield made_of
    for index in made_of.values():
        index.connection.close()


@examples(40)
@given(
    st.sampled_from(LOSSES),
    expressions,
    st.sampled_from([None, None, "two"]),
    st.sampled_from([5, 50, 180]),
    st.booleans(),
)
def test_all_that_matches_is_found_despite_overlooked_records(
    lossy: dict[float, Index],
    loss: tuple[float, str],
    expression: Expression,
    namespace: str | None,
    k: int,
    awaited: bool,
) -> None:
    index, among = lossy[loss[0]], expected(ODD, expression, namespace)
    options: Any = {"filter": expression, "namespace": namespace, "unindexed": "scan"}
    check_all(index, among, loss[1], awaited, options)
    metric = index.details().config.metric
    exactly = index.query(QUERY, k, return_values=True, max_requests=1_000, **options)
    check_best(exactly, among, metric, k)
    roughly = index.query(QUERY, k, max_requests=1_000, **options)
    assert {match.id for match in roughly} <= {vector.id for vector in among}


# What it costs


def reads(sent: Recorder) -> list[Op[Any]]:
    """All that was sent but for the configuration, which is asked for once."""
    looks = (GetIndex, ListMetadataIndexes, CountUncovered)
    return [op for op in sent.ops if not isinstance(op, looks)]


MANY = 3_000
BULK = [
    Vector(
        f"bulk-{i}",
        RNG.standard_normal(DIMENSIONS),
        "odd" if i % 2 else "even",
        {
            "n": i,
            "s": f"group {i % 10}",
            "b": i % 4 == 0,
            "u": i % 7,
            "tags": ["all", f"tag {i % 5}"],
            "long": "y" * 70 + str(i % 3),
            **in_bucket(f"bulk-{i}"),
        },
    )
    for i in range(MANY)
]
BULK_INDEXES = {"n": "number", "s": "string", "b": "boolean", "long": "string"}


@pytest.fixture(scope="module")
def bulk() -> Iterator[Index]:
    index = made(BULK, metadata_indexes=BULK_INDEXES)
    index.wait()
    yield index
    index.connection.close()


EVEN_GROUPS = F("s").isin([f"group {i}" for i in range(0, 10, 2)])
THREE_WAYS = (F("n") < 300) | (F("s") == "group 3") | (F("b") == True)  # noqa: E712
NESTED = (F("n") >= 1_000) & ((F("s") == "group 1") | ((F("b") == True) & ~(F("n") > 2_000)))  # noqa: E712
SEARCHES: dict[str, tuple[Any, int, int]] = {
    "no filter": (None, 4, 1),
    "an equality": (F("s") == "group 3", 4, 1),
    "an equality, 100": (F("s") == "group 3", 100, 1),
    "more than match": (F("n") < 30, 500, 1),
    "OR over three properties": (THREE_WAYS, 4, 3),
    "OR over three properties, 100": (THREE_WAYS, 100, 3),
    "nested": (NESTED, 4, 2),
    "NOT over a range": (~(F("n") > 500), 4, 6),
    "not equal": (F("s") != "group 3", 4, 1),
    "a long string": (F("long") == "y" * 70 + "1", 4, 2),
    "5,000 values": (F("n").isin(range(0, 10_000, 2)), 4, 64),
    "5,000 strings": (F("s").isin([f"group {i}" for i in range(5_000)]), 4, 64),
    "a range with a part that is not pushed": ((F("n") < 300) & (F("u") == 3), 4, 2),
    "1,000 without a filter": (None, 1_000, 20),
    "1,000 of an equality": (EVEN_GROUPS, 1_000, 22),
    "a contradiction": ((F("n") > 5) & (F("n") < 3), 4, 0),
}


@pytest.mark.parametrize(("expression", "k", "most"), SEARCHES.values(), ids=list(SEARCHES))
def test_a_search_takes_no_more_requests_than_promised(
    bulk: Index, expression: Expression | None, k: int, most: int
) -> None:
    index, sent = tapped(bulk)
    matches = index.query(QUERY, k, filter=expression, unindexed="scan")
    check_best(matches, expected(BULK, expression, None), "cosine", k)
    assert len(reads(sent)) <= most


ENUMERATIONS: dict[str, tuple[Any, int]] = {
    "no more than 50": (F("n") < 49, 1),
    "no more than 100": (F("n") < 99, 2),
    "300": (F("s") == "group 3", 14),
    "1,500": (EVEN_GROUPS, 30),
    "everything": (None, 48),
    "OR over three properties": (THREE_WAYS, 42),
    "nested": (NESTED, 30),
    "NOT over a range": (~(F("n") > 500), 48),
    "an item of a list": (F("tags").contains("tag 2"), 95),
    "an item of a list, and a range": (F("tags").contains("tag 2") & (F("n") < 500), 24),
    "a property without an index": (F("u") == 3, 95),
    "a long string": (F("long") == "y" * 70 + "1", 100),
    "a contradiction": ((F("n") > 5) & (F("n") < 3), 0),
}


@pytest.mark.parametrize(("expression", "most"), ENUMERATIONS.values(), ids=list(ENUMERATIONS))
def test_an_enumeration_takes_no_more_requests_than_promised(
    bulk: Index, expression: Expression | None, most: int
) -> None:
    index, sent = tapped(bulk)
    ids = list(index.iter_ids(filter=expression, unindexed="scan"))
    assert sorted(ids) == sorted(vector.id for vector in expected(BULK, expression, None))
    assert len(reads(sent)) <= most


def test_all_records_are_counted_in_one_request(bulk: Index) -> None:
    index, sent = tapped(bulk)
    assert index.count() == MANY
    assert len(sent.ops) == 1
    assert index.count(namespace="odd") == MANY // 2


# Nothing is left out in silence


def test_a_search_that_takes_too_many_requests_is_an_error_at_once(bulk: Index) -> None:
    index, sent = tapped(bulk)
    with pytest.raises(
        TooManyRequestsNeededError, match=r"2500 matches.*max_requests=20"
    ) as caught:
        index.query(QUERY, 2_500, max_requests=20)
    assert caught.value.allowed == 20
    assert not sent.of(Query)
    assert len(index.query(QUERY, 2_500, max_requests=60)) == 2_500


def test_an_enumeration_gives_up_early(bulk: Index) -> None:
    index, sent = tapped(bulk)
    with pytest.raises(TooManyRequestsNeededError, match="max_requests=20 allows fewer"):
        list(index.iter_ids(max_requests=20))
    assert len(sent.of(Query)) < 10
    assert list(index.iter_ids(filter=F("n") < 5, max_requests=1))


@pytest.mark.parametrize("most", [0, -1, True, 2.5])
def test_an_impossible_limit_is_refused(bulk: Index, most: Any) -> None:
    with pytest.raises(
        InvalidInputError, match=r"max_requests is (at least 1|a whole number); got"
    ):
        bulk.query(QUERY, max_requests=most)


def foreign(count: int, *, unbucketed: Callable[[int], bool]) -> list[Vector]:
    return [
        Vector(
            f"v-{i}",
            RNG.standard_normal(DIMENSIONS),
            metadata={"n": i, **({} if unbucketed(i) else in_bucket(f"v-{i}"))},
        )
        for i in range(count)
    ]


SOME = F("n") < 280
UNBUCKETED: dict[str, Callable[[int], bool]] = {
    "all": lambda _: True,
    "half": lambda i: i % 2 == 0,
    "a few": lambda i: i % 30 == 0,
    "one": lambda i: i == 279,
    "none": lambda _: False,
}


@pytest.mark.parametrize("finds_missing", [True, False])
@pytest.mark.parametrize("record_layout", [True, False])
@pytest.mark.parametrize("unbucketed", UNBUCKETED.values(), ids=list(UNBUCKETED))
@pytest.mark.covering(1)
def test_records_in_no_bucket_are_found_too(
    unbucketed: Callable[[int], bool], record_layout: bool, finds_missing: bool
) -> None:
    vectors = foreign(300, unbucketed=unbucketed)
    index = made(
        vectors,
        record_layout=record_layout,
        behavior=Behavior(negation_matches_missing=finds_missing),
    )
    among = expected(vectors, SOME, None)
    assert set(index.iter_ids(filter=SOME)) == {vector.id for vector in among}
    for k in (100, 150, 400):
        check_best(index.query(QUERY, k, filter=SOME), among, "cosine", k)
    with pytest.raises(TooManyRequestsNeededError):
        index.query(QUERY, 200, filter=SOME, max_requests=3)
    index.connection.close()


def test_more_records_in_one_bucket_than_an_answer_holds_are_found() -> None:
    vectors = [
        Vector(f"v-{i}", RNG.standard_normal(DIMENSIONS), None, {"_vs_bucket": 5, "_vs_own": True})
        for i in range(130)
    ]
    index, sent = tapped(made(vectors))
    assert set(index.iter_ids()) == {vector.id for vector in vectors}
    assert sent.of(ListVectors)
    check_best(index.query(QUERY, 120), vectors, "cosine", 120)
    index.connection.close()


def test_records_older_than_the_bucket_index_are_found() -> None:
    vectors = foreign(150, unbucketed=lambda _: False)
    index = made(vectors, record_layout=False)
    for name, kind in layout.METADATA_INDEXES.items():
        index.create_metadata_index(name, kind)
    assert set(index.iter_ids()) == {vector.id for vector in vectors}
    assert index.reindex_metadata(wait=True) == 150
    index, sent = tapped(index)
    assert set(index.iter_ids()) == {vector.id for vector in vectors}
    assert not sent.of(ListVectors)
    index.connection.close()


def test_the_services_own_filter_needs_buckets_to_go_on() -> None:
    index = made(foreign(150, unbucketed=lambda _: True))
    with pytest.raises(IncompleteAnswerError, match="vectorize_filter"):
        list(index.iter_ids(vectorize_filter={"n": {"$gte": 0}}))
    assert len(list(index.iter_ids(vectorize_filter={"n": {"$lt": 99}}))) == 99
    index.connection.close()


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_what_the_approximate_search_overlooks_is_enumerated(fraction: float) -> None:
    index = made(ODD, behavior=Behavior(overlooked=fraction))
    index.wait()
    everything = {vector.id for vector in ODD}
    index, sent = tapped(index)
    assert set(index.iter_ids()) == everything
    # It is noticed at the second answer.
    assert len(reads(sent)) <= 16
    few = parse({"n": {"$gte": 0}})
    assert set(index.iter_ids(filter=few)) == {v.id for v in expected(ODD, few, None)}
    for k in (5, 50, 150):
        matches = index.query(QUERY, k, return_values=True, max_requests=200)
        check_best(matches, ODD, "cosine", k)
    index.connection.close()


class Losing(Open):
    """An executor that leaves some records out of answers that are not exactly scored.

    Out of all of them, or only out of those for a range of buckets.
    """

    def __init__(self, inner: Any, lost: set[str], *, only_in_parts: bool = False) -> None:
        self._inner = inner
        self._lost = lost
        self._only_in_parts = only_in_parts

    def send(self, op: Op[Any]) -> Any:
        answer = self._inner.send(op)
        whole = isinstance(op, Query) and layout.BUCKET not in (op.filter or {})
        if isinstance(op, Query) and not op.return_values and not (whole and self._only_in_parts):
            kept = tuple(m for m in answer.result.matches if m.id not in self._lost)
            return answer._replace(result=QueryResult(len(kept), kept))
        return answer


def test_what_the_parts_of_a_partition_miss_is_asked_for_again() -> None:
    index = made(ODD)
    lost = {vector.id for vector in ODD[::3]}
    connection = index.connection
    connection.executor = Losing(connection.executor, lost, only_in_parts=True)  # type: ignore[assignment]
    assert set(Index(connection, index.name).iter_ids()) == {vector.id for vector in ODD}


@pytest.mark.parametrize("rare", [1, 3, 40])
def test_a_deletion_that_is_verified_leaves_nothing(rare: int) -> None:
    index = made(BULK[:1_000], metadata_indexes=BULK_INDEXES)
    lost = {vector.id for vector in BULK[: rare * 20 : 20]}
    index.connection.executor = Losing(index.connection.executor, lost)  # type: ignore[assignment]
    losing = Index(index.connection, index.name)
    losing.delete(filter=F("b") == True, verify=True)  # noqa: E712
    left = {vector.id for vector in BULK[:1_000] if (vector.metadata or {})["b"] is not True}
    assert set(losing.iter_ids(precision="high")) == left


# The grammar of a delete, and what is refused


def test_a_delete_has_ids_or_a_filter_that_excludes_something(bulk: Index) -> None:
    index, sent = tapped(bulk)
    nothing: list[dict[str, Any]] = [{}, {"filter": None}, {"filter": {}}, {"filter": {"$and": []}}]
    for options in [*nothing, {"vectorize_filter": {}}]:
        with pytest.raises(InvalidInputError, match="ids, or a filter"):
            index.delete(**options)
    with pytest.raises(InvalidInputError, match="not both"):
        index.delete(["a"], filter=F("n") == 1)
    with pytest.raises(UnindexedPropertyError, match="'u'"):
        index.delete(filter=F("u") == 1)
    assert index.delete(filter={"n": {"$in": []}}) == ()
    assert not sent.changes


def test_an_unindexed_property_is_an_error_at_any_size() -> None:
    index = made(BULK[:3], metadata_indexes=BULK_INDEXES)
    for read in (
        lambda: index.query(QUERY, filter={"u": 1}),
        lambda: list(index.iter_ids(filter={"u": 1})),
        lambda: index.count(filter={"u": 1}),
        lambda: index.explain_filter({"u": 1}),
    ):
        with pytest.raises(UnindexedPropertyError, match=r"create_metadata_index\('u'"):
            read()
    index.connection.close()


def test_a_metadata_index_that_another_client_made_is_noticed() -> None:
    index = made(BULK[:3], record_layout=False, metadata_indexes=None)
    with pytest.raises(UnindexedPropertyError):
        index.count(filter={"n": 1})
    index.connection.executor.service.create_metadata_index("docs", "n", "number")  # type: ignore[attr-defined]
    with pytest.raises(PartialIndexError, match=r"'n'.*does not hold 3.*reindex_metadata\(\)"):
        index.count(filter={"n": 1})
    assert index.reindex_metadata() == 3
    assert index.count(filter={"n": 1}) == 1
    index.connection.close()


def test_a_plan_says_what_it_will_do_and_cost(bulk: Index) -> None:
    index, sent = tapped(bulk)
    told = index.explain_filter(
        {"$or": [{"n": {"$lt": 5}}, {"s": "group 1"}], "u": 3}, unindexed="scan"
    )
    assert len(told.branches) == 2
    assert not sent.of(Query)
    for part in ("'n': {'$lt': 5}", "'s': 'group 1'", "{'u': 3}", "about 2", "3000 vectors"):
        assert part in str(told)
    assert told.estimated_requests == 2 < told.most_requests < 2 * MANY / 10
    assert f"; {2 * (3 + MANY // 40)} if everything is read, bucket by bucket" in str(told)
    impossible = index.explain_filter({"n": {"$in": []}})
    assert (impossible.most_requests, str(impossible)) == (
        0,
        "Nothing can match; no request is sent.",
    )
    thousand = index.explain_filter(None, 1_000)
    assert 20 <= thousand.estimated_requests <= 30
    everything = index.explain_filter({"s": {"$like": "%"}}, None)
    assert MANY / 100 <= everything.estimated_requests <= everything.most_requests


class Shuffling(Recorder):
    """Gives the matches of every query in any order."""

    chance = random.Random(7)

    def send(self, op: Op[Any], /) -> Any:
        answer = super().send(op)
        if isinstance(op, Query):
            matches = list(answer.result.matches)
            self.chance.shuffle(matches)
            answer = answer._replace(result=QueryResult(len(matches), tuple(matches)))
        return answer


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("k", [1, 20, 100, 101, 150, 229])
def test_the_order_of_an_answer_is_not_relied_on(indexes: Indexes, number: int, k: int) -> None:
    index, metric = indexes(number)
    connection = copy.copy(index.connection)
    connection.executor = Shuffling(index.connection.executor)
    matches = Index(connection, index.name).query(QUERY, k)
    check_best(matches, ODD, metric, k)
    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=metric == "cosine")
