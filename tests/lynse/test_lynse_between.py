"""What others do, or fail to do, between two requests of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import numpy as np
import pytest

from tests.lynse.servers import KEY, Lynse
from vectorize_core import ConnectionFailedError, RetryPolicy, Vector
from vectorize_core.lynse import LynseClient

ONES = np.ones(32, np.float32)
QUICK = RetryPolicy(read_deadline=0.3, write_deadline=0.3, first_delay=0.05)


class Between(httpx.HTTPTransport):
    """Does something before each request to a path."""

    def __init__(self, path: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._path, self._act = path, act

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == self._path:
            self._act()
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
