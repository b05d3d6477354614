"""Ctrl-C at any step of a client's call leaves nothing behind that a later one would wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.held_time import HeldClock
from tests.interrupting import everywhere, in_time, interrupted
from tests.kinds import LANGCHAIN
from tests.nightly import sized
from vectorize_core import (
    AsyncVectorizeClient,
    RetryPolicy,
    SqliteTexts,
    Vector,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.holds import Call
from vectorize_core.index import AsyncIndex
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.local.open_files import OpenFiles
from vectorize_core.transport.io import run
from vectorize_core.writes.batching import Batch, Entry

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]
ONES = np.ones(32, np.float32)
LONG = "word " * 2_500


def failing() -> Iterator[Vector]:
    yield from (Vector("a", ONES), Vector("b", ONES))
    raise LookupError


CALLS = {
    "upsert": lambda index: index.upsert([Vector("a", ONES)]),
    "query": lambda index: index.query(vector=ONES),
    "delete": lambda index: index.delete(["c"]),
    "upsert of what fails": lambda index: index.upsert(failing(), batch_size=1, concurrency=1),
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[VectorizeClient]:
    with VectorizeClient.local(path=tmp_path) as client:
        client.create_index("docs", dimensions=32)
        yield client


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_a_client(client: VectorizeClient, name: str) -> None:
    index = client.index("docs")

    def use() -> None:
        index.upsert([Vector("a", ONES)], wait=True)
        assert index.query(vector=ONES)[0].id == "a"

    use()
    # Each write looks at those before it, so that the steps become more.
    everywhere(lambda: CALLS[name](index), use, day=31, night=23)
    executor = client.connection.executor
    assert isinstance(executor, EmbeddedExecutor)
    assert not executor._busy_here().operations


ACALLS: dict[str, Callable[[AsyncIndex], Coroutine[Any, Any, Any]]] = {
    "upsert": lambda index: index.upsert([Vector("a", ONES)]),
    "query": lambda index: index.query(vector=ONES),
}


@pytest.mark.parametrize("name", ACALLS)
def test_a_call_in_an_event_loop(name: str) -> None:
    """Its loop runs again: nothing waits for ever, and no task raises the Ctrl-C once more."""
    loop, client = asyncio.new_event_loop(), AsyncVectorizeClient.local()
    # Of tasks that it has left in their middle.
    loop.set_exception_handler(lambda *_: None)
    index = client.index("docs")

    async def used() -> None:
        await index.upsert([Vector("a", ONES)], wait=True)
        assert (await index.query(vector=ONES))[0].id == "a"

    def use() -> None:
        loop.run_until_complete(used())

    loop.run_until_complete(client.create_index("docs", dimensions=32))
    use()
    day = 3 if name == "query" else 19
    everywhere(lambda: loop.run_until_complete(ACALLS[name](index)), use, day=day)
    loop.run_until_complete(client.aclose())
    loop.close()


@pytest.mark.parametrize("place", ["v", ":memory:"])
@pytest.mark.parametrize("outer", ["add", "search"])
@pytest.mark.parametrize("inner", ["add", "search"])
@pytest.mark.covering(1)
def test_a_signals_handler_calls_a_store_in_the_middle_of_a_call(
    tmp_path: Path, place: str, outer: str, inner: str
) -> None:
    """It works, or says that it cannot: nothing is waited for that the call below holds."""
    store = LANGCHAIN.local(path=place if place == ":memory:" else tmp_path / place)
    numbers, ended = count(), set[str]()
    calls: dict[str, Callable[[], object]] = {
        "add": lambda: store.add_texts([f"{next(numbers)} {LONG}"], ids=["a"]),
        "search": lambda: store.similarity_search("a", k=1),
    }

    def handler() -> None:
        try:
            calls[inner]()
        except VectorizeError as error:
            ended.add(str(error))

    calls["add"]()
    step = came = 1
    while came >= step:
        reached: list[Any] = []
        in_time(lambda: reached.append(interrupted(calls[outer], step, handler)))  # noqa: B023
        (came,) = reached
        in_time(lambda: (calls["add"](), calls["search"]()))
        step += sized(97, 13)
    assert all("in the middle of" in each for each in ended)
    assert store.get_by_ids(["a"])[0].page_content.endswith(LONG)
    store.close()


def test_a_write_that_is_neither_accepted_nor_lost(client: VectorizeClient) -> None:
    """What may be read of its records does not become more with each later write of them."""
    index, own_writes = client.index("docs"), client.connection.state("docs").own_writes
    left = own_writes.begin("upsert", {"a": Vector("a", ONES)})
    most = 0
    for number in range(12):
        index.upsert([Vector("a", ONES * number)], wait=True)
        known = [
            probe for write in (left, *own_writes.pending()) for probe in write.probes.values()
        ]
        most = max([most, *(len(probe.expected) for probe in known)])
    assert 1 < most <= 8


@pytest.mark.parametrize("begun", [False, True])
def test_ids_that_a_write_has_taken(
    client: VectorizeClient, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seconds = HeldClock(), 60.0
    clock.rule(monkeypatch)
    # One that was sent may arrive late, and so count as the last one.
    client.connection.retry = RetryPolicy(request_lifetime=seconds)
    index, in_flight = client.index("docs"), client.connection.state("docs").in_flight

    def leave() -> None:
        in_flight.take(
            Batch(sent={"a": Entry(0, "a", None, size=0, made_up=False)}, call=Call(), begun=begun),
            ["a"],
        )

    leave()
    in_time(lambda: index.upsert([Vector("b", ONES)]))
    began = clock.now
    in_time(lambda: index.upsert([Vector("a", ONES)]))
    assert (clock.now >= began + seconds) is begun


def test_an_index_that_is_created(client: VectorizeClient) -> None:
    def use() -> None:
        client.create_index("docs", dimensions=32, exist_ok=True)

    everywhere(use, use, day=7)


def test_a_long_text(tmp_path: Path) -> None:
    texts, io = SqliteTexts(tmp_path), VectorizeClient.local().connection.io()

    def use() -> None:
        run(texts.put(io, "docs", {"a": "text"}))
        assert run(texts.get(io, "docs", ["a"])) == {"a": "text"}

    everywhere(use, use, day=23)
    texts.close()


def test_databases_of_which_one_may_be_open(tmp_path: Path) -> None:
    databases = D1Databases(tmp_path, OpenFiles(1))
    statements = [("CREATE TABLE IF NOT EXISTS t (a)", ()), ("INSERT INTO t VALUES (1)", ())]

    def use() -> None:
        for name in ("a", "b"):
            databases.run(name, statements)

    use()
    everywhere(use, use, day=29, night=3)
    assert not any(databases._databases._users.values())
    databases.close()
