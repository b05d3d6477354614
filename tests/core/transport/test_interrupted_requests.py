"""Ctrl-C at any step of a request takes no turn, number or connection from later ones."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.interrupting import everywhere
from tests.patience import until
from vectorize_core.api.operations import CreateIndex, Op, Query, Upsert
from vectorize_core.connection import Connection
from vectorize_core.local.server import BackgroundServer
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.secret import Secret
from vectorize_core.transport.credentials import Credentials
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.http_pool import Connection as PoolConnection
from vectorize_core.transport.io import run
from vectorize_core.transport.rate_limit import RateLimit, RateLimiter
from vectorize_core.transport.turns import Turns
from vectorize_core.transport.workers import is_shutting_down

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ONES = np.ones(32, np.float32)
CALLS: dict[str, Op[Any]] = {
    "query": Query("docs", vector=ONES),
    "upsert": Upsert("docs", (Vector("a", ONES),)),
}


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture
def connection(server: BackgroundServer) -> Iterator[Connection]:
    """One that sends one request at once."""
    credentials = Credentials(uuid.uuid4().hex, server.base_url, headers=Secret({}))
    limiter = RateLimiter(RateLimit(100_000, 1.0))
    made = Connection(HttpExecutor(credentials), limiter=limiter, turns=Turns(1))
    run(made.io().call(CreateIndex("docs", IndexConfig(32))))
    yield made
    made.close()


def caller(connection: Connection, awaited: bool) -> tuple[Callable[[Op[Any]], Any], Any]:
    if not awaited:
        return lambda op: run(connection.io().call(op)), None
    loop = asyncio.new_event_loop()
    io = connection.async_io()
    return lambda op: loop.run_until_complete(io.call(op)), loop


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_a_request_that_is_interrupted_anywhere(
    connection: Connection, name: str, awaited: bool
) -> None:
    send, loop = caller(connection, awaited)
    use = lambda: send(CALLS["query"])  # noqa: E731
    send(CALLS[name])
    everywhere(lambda: send(CALLS[name]), use, day=7)
    limiter = connection.limiter
    assert limiter is not None
    # Of what was left behind.
    until(lambda: (use(), not limiter._waiting and not limiter._in_flight)[1])
    assert not is_shutting_down()
    gc.collect()
    if loop is None:
        known = [one for one in gc.get_objects() if type(one) is PoolConnection]
        assert len(known) <= 2
    else:
        loop.run_until_complete(connection.aclose())
        loop.close()
