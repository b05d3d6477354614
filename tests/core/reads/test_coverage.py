"""Metadata indexes that do not hold every vector: what answers claim of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from tests.stores import METRICS, Recorder, recorded
from vectorize_core import (
    F,
    Index,
    PartialIndexError,
    PartialIndexWarning,
    UnindexedPropertyError,
    Vector,
    VectorizeClient,
    layout,
)
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.operations import (
    GetByIds,
    GetIndex,
    GetInfo,
    ListMetadataIndexes,
    ListVectors,
    Query,
)
from vectorize_core.connection import Connection
from vectorize_core.errors import VectorizeError
from vectorize_core.local import Behavior
from vectorize_core.transport.capabilities import CLOUDFLARE

pytestmark = pytest.mark.covering(2)

DIMENSIONS = 32
NEAR = np.eye(DIMENSIONS, dtype=np.float32)[0]
RANDOM = np.random.default_rng(7)
VALUES: dict[str, Callable[[int], Any]] = {
    "number": lambda i: i % 7,
    "string": lambda i: f"group {i % 7}",
    "boolean": lambda i: i % 2 == 0,
}


def vectors(start: int, stop: int, kind: str = "number", *, bucketed: bool = True) -> list[Vector]:
    made = []
    for i in range(start, stop):
        metadata: dict[str, Any] = {"p": VALUES[kind](i), "nested": {"p": VALUES[kind](i)}}
        if bucketed:
            metadata |= {"_vs_bucket": layout.bucket(f"{i}"), "_vs_own": True}
        made.append(Vector(f"{i}", RANDOM.standard_normal(DIMENSIONS), metadata=metadata))
    return made


Place = Callable[..., tuple[Index, Recorder]]


@pytest.fixture(params=["embedded", "over REST"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An index, of which an embedded service can tell what its metadata indexes hold."""
    with ExitStack() as stack:

        def make(**behavior: Any) -> tuple[Index, Recorder]:
            client = VectorizeClient.local(behavior=Behavior(**behavior))
            client = stack.enter_context(client)
            if request.param != "embedded":
                client.connection.capabilities = CLOUDFLARE
            sent = recorded(client)
            return client.index("docs"), sent

        yield make


def other(index: Index) -> Index:
    """The same index as another process knows it: not at all."""
    connection = Connection(index.connection.executor, capabilities=index.connection.capabilities)
    return connection_index(connection)


def connection_index(connection: Connection) -> Index:
    return Index(connection, "docs")


def create(index: Index, **options: Any) -> None:
    client = object.__new__(VectorizeClient)
    client._connection = index.connection
    client.create_index("docs", dimensions=DIMENSIONS, **options)


CLAIMS: dict[str, Callable[..., Any]] = {
    "count": lambda index, **given: index.count(**given),
    "iter_ids": lambda index, **given: len(list(index.iter_ids(**given))),
    "iter": lambda index, **given: len(list(index.iter(**given))),
    "delete": lambda index, **given: len(index.delete(**given)),
    "delete, verified": lambda index, **given: len(index.delete(verify=True, **given)),
}
everywhere = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
SAID = r"'p'.*reindex_metadata\(\).*unindexed='scan'"


@everywhere
@pytest.mark.parametrize("note", [True, False])
@pytest.mark.parametrize(("old", "new"), [(5, 0), (30, 30), (75, 0), (150, 0)])
@pytest.mark.covering(2)
def test_an_index_made_late_is_not_taken_for_complete(
    place: Place, claim: Any, note: bool, old: int, new: int
) -> None:
    index, _ = place()
    create(index, record_layout=note)
    index.upsert(vectors(0, old, bucketed=note))
    index.create_metadata_index("p", "number")
    index.upsert(vectors(old, old + new, bucketed=note))
    for client in (index, other(index)):
        with pytest.raises(PartialIndexError, match=SAID) as caught:
            claim(client, filter={"p": 3})
        assert isinstance(caught.value, UnindexedPropertyError)
        with pytest.raises(PartialIndexError, match=r"'p'.*reindex_metadata\(\)") as caught:
            claim(client, vectorize_filter={"p": 3})
        # Such a filter only the service can evaluate.
        assert "scan" not in str(caught.value)
    assert index.count() == old + new


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("path", ["p", "nested.p"])
@pytest.mark.parametrize("count", [12, 130])
def test_reading_everything_is_complete_and_reindexing_makes_it_cheap(
    place: Place, kind: str, path: str, count: int
) -> None:
    index, sent = place()
    create(index)
    index.upsert(vectors(0, count, kind))
    index.create_metadata_index(path, kind)  # type: ignore[arg-type]
    value = VALUES[kind](3)
    expected = sum(VALUES[kind](i) == value for i in range(count))
    assert index.count(filter=F(path) == value, unindexed="scan") == expected
    assert index.reindex_metadata() == count
    before = len(sent.ops)
    assert index.count(filter=F(path) == value) == expected
    # What this client has done itself it need not find out.
    kinds = {type(op) for op in sent.ops[before:]}
    assert ListVectors not in kinds
    # Another one finds out once, and then knows.
    fresh = other(index)
    assert fresh.count(filter=F(path) == value) == expected
    before = len(sent.ops)
    assert fresh.count(filter=F(path) == value) == expected
    few = {GetIndex, ListMetadataIndexes, Query, GetInfo, CountUncovered}
    assert {type(op) for op in sent.ops[before:]} <= few
    index.delete(filter=F(path) == value, verify=True)
    assert index.count() == count - expected


def test_finding_out_takes_few_requests(place: Place) -> None:
    index, sent = place()
    create(index)
    index.upsert(vectors(0, 2_500))
    index.create_metadata_index("p", "number")
    index.reindex_metadata()
    fresh, before = other(index), len(sent.ops)
    # A search needs no more than the reasons for a warning, which there are none of.
    fresh.query(NEAR, filter={"p": 3})
    extra = [op for op in sent.ops[before:] if not isinstance(op, (GetIndex, ListMetadataIndexes))]
    assert len(extra) <= 1 + 12
    before = len(sent.ops)
    fresh.query(NEAR, filter={"p": 3})
    assert [type(op) for op in sent.ops[before:]] == [Query]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("bucketed", [True, False])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.covering(2)
def test_some_old_vectors_among_many_are_noticed(
    place: Place, share: float, bucketed: bool, metric: Any
) -> None:
    index, _ = place()
    create(index, record_layout=bucketed, metric=metric)
    old = int(1_500 * share)
    index.upsert(vectors(0, old, bucketed=bucketed))
    index.create_metadata_index("p", "number")
    index.upsert(vectors(old, 1_500, bucketed=bucketed))
    with pytest.raises(PartialIndexError, match=SAID):
        other(index).count(filter={"p": 3})


def test_a_search_warns_once_for_an_index_and_property(place: Place) -> None:
    index, sent = place()
    create(index)
    index.upsert(vectors(0, 30))
    index.create_metadata_index("p", "number")
    with pytest.warns(PartialIndexWarning, match=r"'p'.*'docs'.*reindex_metadata\(\)") as warned:
        assert index.query(NEAR, filter={"p": 3}) == []
    assert [warning.filename for warning in warned] == [__file__]
    before = len(sent.ops)
    assert index.query(NEAR, filter={"p": 3}) == []
    assert [type(op) for op in sent.ops[before:]] == [Query]
    index.create_metadata_index("nested.p", "number")
    with pytest.warns(PartialIndexWarning, match=r"'nested.p'"):
        index.query(NEAR, vectorize_filter={"nested.p": 3})
    index.reindex_metadata()
    assert index.query(NEAR, filter={"p": 3})
    index.explain_filter({"p": 3})


@everywhere
@pytest.mark.parametrize("by", ["this client", "another"])
def test_what_the_note_names_takes_no_sample(place: Place, claim: Any, by: str) -> None:
    index, sent = place()
    create(index, metadata_indexes={"p": "number"})
    index.upsert(vectors(0, 60))
    index = index if by == "this client" else other(index)
    claim(index, filter={"p": 3})
    index.query(NEAR, filter={"p": 4})
    assert ListVectors not in {type(op) for op in sent.ops}


@everywhere
def test_an_index_made_before_the_first_vector_is_complete(place: Place, claim: Any) -> None:
    """Though its note does not say so, as of one made by other tools."""
    for note in (True, False):
        index, _ = place()
        create(index, record_layout=note)
        index.create_metadata_index("p", "number")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert index.count(filter={"p": 3}) == 0
            index.upsert(vectors(0, 40, bucketed=note))
            fresh = other(index)
            assert fresh.query(NEAR, filter={"p": 3})
            assert claim(fresh, filter={"p": 3}) > 0


def test_values_that_no_index_holds_do_not_count_against_it(place: Place) -> None:
    index, _ = place()
    create(index)
    index.create_metadata_index("p", "number")
    odd: list[Any] = ["text", None, True, [1], {"a": 1}, "", "x" * 100]
    metadata = [{"p": value, "_vs_bucket": 1, "_vs_own": True} for value in [*odd, *range(30)]]
    made = [
        Vector(f"{i}", RANDOM.standard_normal(DIMENSIONS), metadata=each)
        for i, each in enumerate(metadata)
    ]
    index.upsert(made)
    assert other(index).count(filter={"p": {"$gte": 0}}) == 30


def test_duplicates_and_what_search_overlooks_do_not_count_against_it(place: Place) -> None:
    index, _ = place(overlooked=0.2)
    create(index)
    index.create_metadata_index("p", "number")
    same = vectors(0, 200)
    index.upsert([Vector(v.id, NEAR, metadata=v.metadata) for v in same])
    assert other(index).count(filter={"p": 3}) == sum(i % 7 == 3 for i in range(200))


def test_a_metadata_index_that_was_deleted_and_made_again_is_not_trusted(place: Place) -> None:
    index, _ = place()
    create(index, metadata_indexes={"p": "number"})
    index.upsert(vectors(0, 60))
    assert index.count(filter={"p": 3}) == 9
    index.delete_metadata_index("p")
    with pytest.raises(UnindexedPropertyError):
        index.count(filter={"p": 3})
    index.create_metadata_index("p", "number")
    with pytest.raises(PartialIndexError, match=SAID):
        index.count(filter={"p": 3})
    index.reindex_metadata()
    assert index.count(filter={"p": 3}) == 9


@everywhere
@pytest.mark.parametrize("knew", [True, False])
def test_an_embedded_service_knows_what_another_client_made_again(claim: Any, knew: bool) -> None:
    """Though the note names it, and a list of metadata indexes is as it was."""
    client = VectorizeClient.local()
    client.create_index("docs", dimensions=DIMENSIONS, metadata_indexes={"p": "number"})
    index = client.index("docs")
    index.upsert(vectors(0, 60))
    if knew:
        assert index.count(filter={"p": 3}) == 9
    again = other(index)
    again.delete_metadata_index("p")
    again.create_metadata_index("p", "number")
    with pytest.raises(PartialIndexError, match=SAID):
        claim(index, filter={"p": 3})
    with pytest.warns(PartialIndexWarning, match=SAID):
        assert index.query(NEAR, filter={"p": 3}) == []
    again.reindex_metadata()
    assert claim(index, filter={"p": 3}) > 0


@pytest.mark.parametrize("top_k", [4, 75])
@pytest.mark.parametrize("old", [30, 60])
def test_a_search_that_may_read_all_finds_what_is_older(place: Place, top_k: int, old: int) -> None:
    index, sent = place()
    create(index)
    index.upsert(vectors(0, old))
    index.create_metadata_index("p", "number")
    index.upsert(vectors(old, 80))
    expected = index.query(NEAR, top_k=top_k, filter=F("p").isin(range(4)), unindexed="scan")
    searches: list[Callable[[], Any]] = [
        lambda: index.query(NEAR, top_k=top_k, filter={"p": {"$lt": 4}}, unindexed="scan"),
        lambda: index.query_by_id("3", top_k=top_k, filter={"p": {"$lt": 4}}, unindexed="scan"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, by_id = (search() for search in searches)
    count = sum(i % 7 < 4 for i in range(80))
    assert len(first) == len(by_id) == min(top_k, count)
    assert [match.id for match in first] == [match.id for match in expected]
    # What was found out once is not looked for again.
    before = len(sent.ops)
    searches[0]()
    assert not {type(op) for op in sent.ops[before:]} & {CountUncovered, ListVectors}
    with pytest.warns(PartialIndexWarning, match=SAID):
        index.query(NEAR, filter={"p": 3})


def test_reindexing_waits_for_what_this_client_has_just_created(place: Place) -> None:
    index, _ = place(metadata_index_delay=0.3)
    create(index, record_layout=False)
    index.upsert(vectors(0, 30))
    index.create_metadata_index("p", "number")
    assert index.reindex_metadata() == 30
    assert index.count(filter={"p": 3}) == 4


def test_a_replaced_index_is_not_taken_for_the_old_one(place: Place) -> None:
    index, _ = place()
    create(index)
    index.upsert(vectors(0, 30))
    index.create_metadata_index("p", "number")
    index.reindex_metadata()
    assert index.count(filter={"p": 3}) == 4
    again = other(index)
    with VectorizeClient.local() as client:
        client._connection, kept = again.connection, client._connection
        client.delete_index("docs")
        client.create_index("docs", dimensions=DIMENSIONS)
        client._connection = kept
    again.upsert(vectors(0, 30))
    again.create_metadata_index("p", "number")
    index._state.own_writes.forget()
    with pytest.raises(PartialIndexError, match=SAID):
        index.count(filter={"p": 3})


def test_only_an_embedded_service_can_be_asked() -> None:
    with pytest.raises(VectorizeError, match="embedded"):
        CountUncovered("docs", "p").request()
    assert GetByIds("docs", ("a",)).kind == CountUncovered("docs", "p").kind


def test_what_is_known_of_tenants_is_bounded(place: Place) -> None:
    index, _ = place()
    create(index)
    state = index.connection.state("docs")
    state.coverage_of("first").covering.add("p")
    assert state.uncertain(["p"], "first") == set()
    assert state.uncertain(["p"], "other") == state.uncertain(["p"]) == {"p"}
    for number in range(3_000):
        state.coverage_of(f"{number}")
    assert len(state.tenants) <= 1_000
    state.coverage_of("first").covering.add("p")
    state.forget_coverage("p")
    assert state.uncertain(["p"], "first") == {"p"}
