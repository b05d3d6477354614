"""What others do, or fail to do, between two requests of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import httpx
import numpy as np
import pytest

from tests.lynse.servers import KEY, Lynse
from vectorize_core import (
    BadRequestError,
    ConnectionFailedError,
    IndexExistsError,
    RetryPolicy,
    Vector,
)
from vectorize_core.api.by_words import TextQuery
from vectorize_core.lynse import LynseClient
from vectorize_core.models import IndexDetails, Metric
from vectorize_core.transport.io import run

ONES = np.ones(32, np.float32)
QUICK = RetryPolicy(read_deadline=0.3, write_deadline=0.3, first_delay=0.05)


class Between(httpx.HTTPTransport):
    """Does something before each request to a path, or answers it."""

    def __init__(self, path: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._path, self._act = path, act

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == self._path and isinstance(done := self._act(), httpx.Response):
            return done
        return super().handle_request(request)


def once(act: Callable[[], object]) -> Callable[[], object]:
    left = [act]
    return lambda: left.pop()() if left else None


@contextmanager
def between(
    server: Lynse, lynse: LynseClient, path: str, act: Callable[[], object]
) -> Iterator[LynseClient]:
    """A client of the same database."""
    transport = Between(path, act)
    with LynseClient(
        server.url, database=str(lynse._database), api_key=KEY, transport=transport, retry=QUICK
    ) as client:
        yield client


def fail() -> None:
    raise httpx.ConnectError("no server")


@pytest.fixture
def made(lynse: LynseClient) -> LynseClient:
    lynse.indexes().create_index(
        "docs", dimensions=32, metric="cosine", metadata_indexes={"n": "number"}
    )
    return lynse


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_version_that_a_writer_left_behind_does_not_come_back(
    made: LynseClient, new_lynse: Lynse, is_deleted: bool
) -> None:
    """It ended after it had written a newer one; a compaction takes newer ones away."""
    index = made.index("docs")
    index.upsert([Vector(one, ONES, None, {"n": 1}) for one in ("a", "b")])
    with between(new_lynse, made, "/delete", fail) as other:
        for _ in range(2):
            with pytest.raises(ConnectionFailedError):
                other.index("docs").upsert([Vector("a", ONES, None, {"n": 2})])
        with suppress(ConnectionFailedError):
            other.index("docs").delete(["b"])
    if is_deleted:
        index.upsert([Vector("b", -ONES)])
        index.delete(["a", "b"])
    # All that is left: one version of what was not deleted.
    raw = made.collection("docs")
    raw.compact()
    assert raw.stats().n_vectors == (0 if is_deleted else 1)
    assert [*index.list_ids()] == ([] if is_deleted else ["a"])
    assert [one.metadata for one in index.get(["a", "b"])] == ([] if is_deleted else [{"n": 2}])


@pytest.mark.parametrize("with_values", [False, True])
@pytest.mark.parametrize("by_words", [False, True])
def test_a_record_that_is_always_rewritten_is_always_found(
    made: LynseClient, new_lynse: Lynse, by_words: bool, with_values: bool
) -> None:
    """Also if it is written anew after each search, before its versions are looked at."""
    index, n = made.index("docs"), count()

    def write() -> None:
        index.upsert([Vector("a", ONES, None, {"n": next(n), "text": "apple"})])

    write()
    path = "/query_vectors" if by_words or with_values else "/query"
    # The rows of before, which a search may still find, are no answer.
    with between(new_lynse, made, "/delete", fail) as left, suppress(ConnectionFailedError):
        left.index("docs").upsert([Vector("a", ONES, None, {"n": next(n), "text": "apple"})])
    with between(new_lynse, made, path, write) as other:
        for _ in range(2):
            before = next(n)
            if by_words:
                asked = TextQuery(index="docs", text="apple", text_key="text", top_k=1)
                found = run(other.connection.io().call(asked)).matches
            else:
                found = other.index("docs").query(ONES, top_k=1, return_values=with_values)
            (match,) = found
            assert match.id == "a"
            # It was the newest when the call began, or is newer.
            assert (match.metadata or {}).get("n", before) >= before - 1


def test_a_record_that_was_deleted_or_matches_no_more_is_not_found(
    made: LynseClient, new_lynse: Lynse
) -> None:
    index = made.index("docs")
    for change in (
        lambda: index.delete(["a"]),
        lambda: index.upsert([Vector("a", ONES, None, {"n": 2})]),
    ):
        index.upsert([Vector(one, ONES, None, {"n": 1}) for one in ("a", "b")])
        with between(new_lynse, made, "/query", once(change)) as other:
            found = other.index("docs").query(ONES, top_k=5, filter={"n": 1})
        assert [one.id for one in found] == ["b"]


@pytest.mark.parametrize(
    "path", ["/update_description", "/get_collection_config", "/stats", "/list_vector_fields"]
)
def test_a_metadata_index_holds_all_records_or_is_refused(
    made: LynseClient, new_lynse: Lynse, path: str
) -> None:
    """Whenever the first record is written meanwhile."""
    record = [Vector("a", ONES, None, {"year": 1})]
    with between(new_lynse, made, path, once(lambda: made.index("docs").upsert(record))) as other:
        index = other.index("docs")
        with suppress(BadRequestError):
            index.create_metadata_index("year", "number")
        check_year(made)


@pytest.mark.parametrize("path", ["/create_vector_field", "/add", "/query"])
def test_the_first_record_has_all_metadata_indexes(
    made: LynseClient, new_lynse: Lynse, path: str
) -> None:
    """Or a metadata index is refused that is made while it is written."""

    def make() -> None:
        with suppress(BadRequestError):
            made.index("docs").create_metadata_index("year", "number")

    with between(new_lynse, made, path, once(make)) as other:
        other.index("docs").upsert([Vector("a", ONES, None, {"year": 1})])
    check_year(made)


def check_year(client: LynseClient) -> None:
    index = client.index("docs")
    index.upsert([Vector("b", ONES, None, {"year": 1})])
    names = [one.property_name for one in index.list_metadata_indexes()]
    if "year" in names:
        assert len(index.query(ONES, top_k=5, filter={"year": 1})) == 2
        assert len(index.query(ONES, top_k=5, filter={"year": {"$ne": 1}})) == 0
    assert len({one.id for one in index.query(ONES, top_k=5, filter={"n": {"$ne": 1}})}) == 2


@pytest.mark.parametrize("path", ["/is_collection_exists", "/required_collection", "/build_index"])
@pytest.mark.parametrize("dimensions", [32, 64])
def test_of_two_who_make_an_index_one_does(
    lynse: LynseClient, new_lynse: Lynse, path: str, dimensions: int
) -> None:
    """Whenever the other one makes it; what is made is what the one was told."""
    made: list[IndexDetails] = []

    def make(client: LynseClient, dimensions: int, metric: Metric) -> None:
        with suppress(IndexExistsError):
            made.append(
                client.indexes().create_index(
                    "docs", dimensions=dimensions, metric=metric, record_layout=False
                )
            )

    first = once(lambda: make(lynse, 32, "cosine"))
    with between(new_lynse, lynse, path, first) as other:
        make(other, dimensions, "euclidean")
    (details,) = made
    assert lynse.indexes().get_index("docs") == details
    lynse.index("docs").upsert([Vector("a", np.ones(details.config.dimensions, np.float32))])
    assert [one.id for one in lynse.index("docs").query(np.ones(details.config.dimensions))] == [
        "a"
    ]


def test_a_compaction_outlasts_the_checkpoints_of_others(
    made: LynseClient, new_lynse: Lynse
) -> None:
    """A server refuses one while it makes another."""
    refused = {"code": "internal_error", "error": "Checkpoint: No such file or directory"}
    answers = [httpx.Response(500, json=refused) for _ in range(2)]
    made.index("docs").upsert([Vector(one, ONES) for one in ("a", "b")])
    made.index("docs").delete(["a"])
    with between(new_lynse, made, "/checkpoint", lambda: answers and answers.pop()) as other:
        assert other.collection("docs").compact() == 2
    assert not answers
    assert [*made.index("docs").list_ids()] == ["b"]
