"""A store that is used in many event loops: what each leaves behind, and how each is closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import Kind, both_stores
from tests.patience import until
from tests.stores import async_call, sync_call
from vectorize_core import VectorizeError
from vectorize_core.local.server import BackgroundServer
from vectorize_core.transport.http_clients import MOST_LOOPS, HttpClients

FDS = Path("/proc/self/fd")
Run = Callable[[Awaitable[Any]], Any]


def open_sockets() -> int:
    """Sockets of this process: of stores, and of servers that run in it."""
    found = 0
    for entry in FDS.iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(entry).startswith("socket:")
    return found


def files_below(folder: Path) -> list[str]:
    """Files of a folder that this process has open."""
    found = []
    for entry in FDS.iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(entry))
    return [name for name in found if name.startswith(f"{folder}{os.sep}")]


def settled_sockets(most: int) -> int:
    """How many sockets there are once there are no more than ``most``, or after a while.

    A server in this process notices a moment later that a client has closed its end.
    """
    end = time.monotonic() + 10
    while (count := open_sockets()) > most and time.monotonic() < end:
        time.sleep(0.01)
    return count


def in_a_loop_that_is_only_closed(coming: Any) -> Any:
    """Unlike `asyncio.run` it ends no async generators."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coming)
    finally:
        loop.close()


def in_a_thread(coming: Any) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(coming)))
    thread.start()
    thread.join()
    return results[0]


def clients(store: Any) -> HttpClients:
    return store._records.index.target.connection.executor._clients


@pytest.fixture(params=["memory", "directory", "http"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes stores of a kind, in one place."""
    made: list[Any] = []
    options: dict[str, Any] = {"path": tmp_path / "data"}
    if request.param == "memory":
        options["path"] = ":memory:"

    def of(kind: Kind) -> Any:
        made.append(kind.make(index_name="docs", **options))
        return made[-1]

    with ExitStack() as stack:
        if request.param == "http":
            server = stack.enter_context(BackgroundServer())
            options = {"base_url": server.base_url, "create_index": True}
        yield of
        for store in made:
            store.close()


@both_stores
@pytest.mark.skipif(not FDS.exists(), reason="nothing lists the sockets of this process")
@pytest.mark.parametrize(
    "run", [asyncio.run, in_a_loop_that_is_only_closed, in_a_thread], ids=lambda run: run.__name__
)
def test_loops_one_after_the_other_leave_no_socket_behind(
    kind: Kind, run: Run, no_credentials: pytest.MonkeyPatch
) -> None:
    with BackgroundServer() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        store = kind.make(index_name="docs", base_url=server.base_url, create_index=True)
        asyncio.run(kind.add(async_call, store, "a", "b"))
        run(kind.search(async_call, store, "a"))
        before = open_sockets()
        for _ in range(20):
            assert run(kind.search(async_call, store, "a")) == ["a", "b"]
        gc.collect()
        assert settled_sockets(before) <= before
        assert len(clients(store)._loops) <= 1
        store.close()
        assert clients(store)._loops == {}


@contextmanager
def loops_in_threads(count: int) -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Event loops that run, each in a thread, until the block ends."""
    loops = [asyncio.new_event_loop() for _ in range(count)]
    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield loops
    finally:
        for loop, thread in zip(loops, threads, strict=True):
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


@both_stores
@pytest.mark.parametrize("running", [True, False])
def test_clients_of_many_open_loops_are_bounded_and_made_again(
    kind: Kind, running: bool, no_credentials: pytest.MonkeyPatch
) -> None:
    with BackgroundServer() as server:
        store = kind.make(index_name="docs", base_url=server.base_url, create_index=True)
        kind_clients = clients(store)
        asyncio.run(kind.add(async_call, store, "a", "b"))
        count = MOST_LOOPS + 5
        if running:
            with loops_in_threads(count) as loops:
                for _ in range(2):
                    for loop in loops:
                        coming = kind.search(async_call, store, "a")
                        found = asyncio.run_coroutine_threadsafe(coming, loop).result(30)
                        assert found == ["a", "b"]
                    end = time.monotonic() + 10
                    while len(kind_clients._loops) > MOST_LOOPS and time.monotonic() < end:
                        time.sleep(0.01)
                    assert len(kind_clients._loops) <= MOST_LOOPS
        else:
            loops = [asyncio.new_event_loop() for _ in range(count)]
            for _ in range(2):
                for loop in loops:
                    coming = kind.search(async_call, store, "a")
                    assert loop.run_until_complete(coming) == ["a", "b"]
                assert len(kind_clients._loops) <= MOST_LOOPS
            for loop in loops:
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
        store.close()


@both_stores
def test_aclose_ends_the_use_in_its_own_loop_only(kind: Kind, make: Callable[..., Any]) -> None:
    store = make(kind)

    async def use_and_leave() -> None:
        await kind.add(async_call, store, "a")
        assert await kind.search(async_call, store, "a") == ["a"]
        await store.aclose()
        await store.aclose()
        for call in (sync_call, async_call):
            with pytest.raises(VectorizeError, match=r"closed in this event loop.*aclose"):
                await kind.search(call, store, "a")
        # Code beside the loop is not concerned.
        assert await asyncio.to_thread(lambda: used(kind.search(sync_call, store, "a"))) == ["a"]

    for _ in range(3):
        asyncio.run(use_and_leave())
        assert used(kind.search(sync_call, store, "a")) == ["a"]
    store.close()
    with pytest.raises(VectorizeError, match="closed"):
        used(kind.search(sync_call, store, "a"))
    with pytest.raises(VectorizeError, match="closed"):
        asyncio.run(kind.search(async_call, store, "a"))


@both_stores
def test_a_loop_that_leaves_does_not_disturb_others(kind: Kind, make: Callable[..., Any]) -> None:
    store = make(kind)
    used(kind.add(sync_call, store, "a"))

    async def search(times: int) -> None:
        for _ in range(times):
            assert await kind.search(async_call, store, "a") == ["a"]

    async def come_and_go() -> None:
        async with store:
            await search(1)

    with loops_in_threads(1) as (other,):
        going = asyncio.run_coroutine_threadsafe(search(30), other)
        while not going.done():
            asyncio.run(come_and_go())
            assert used(kind.search(sync_call, store, "a")) == ["a"]
        going.result(30)
        asyncio.run_coroutine_threadsafe(store.aclose(), other).result(30)


@both_stores
@pytest.mark.skipif(not FDS.exists(), reason="nothing lists the sockets of this process")
def test_close_closes_the_sockets_of_every_loop(
    kind: Kind, no_credentials: pytest.MonkeyPatch
) -> None:
    with BackgroundServer() as server, loops_in_threads(3) as loops:
        before = open_sockets()
        store = kind.make(index_name="docs", base_url=server.base_url, create_index=True)
        used(kind.add(sync_call, store, "a"))
        for loop in loops:
            coming = kind.search(async_call, store, "a")
            assert asyncio.run_coroutine_threadsafe(coming, loop).result(30) == ["a"]
        assert open_sockets() > before
        store.close()
        assert settled_sockets(before) <= before


@both_stores
@pytest.mark.skipif(not FDS.exists(), reason="nothing lists the sockets of this process")
@pytest.mark.parametrize("seconds", [None, 0, 0.003, 0.006, 0.01, 0.02])
def test_a_loop_goes_on_after_a_store_was_closed_beside_it(
    kind: Kind, seconds: float | None, no_credentials: pytest.MonkeyPatch
) -> None:
    # As asyncio_run of LlamaIndex, and scripts, use one loop again and again. The sockets of the
    # next store have the numbers of those that were closed.
    async def search(store: Any) -> list[Any]:
        calls = (kind.search(async_call, store, "a") for _ in range(5))
        return await asyncio.gather(*calls, return_exceptions=True)

    with BackgroundServer() as server, contextlib.closing(asyncio.new_event_loop()) as loop:
        with kind.make(index_name="docs", base_url=server.base_url, create_index=True) as store:
            used(kind.add(sync_call, store, "a"))
        before = open_sockets()
        for _ in range(3):
            store = kind.make(index_name="docs", base_url=server.base_url)
            under_way = loop.create_task(search(store))
            # Not at all, or until all answers are there.
            loop.run_until_complete(
                under_way if seconds is None else asyncio.sleep(seconds)  # type: ignore[arg-type]
            )
            store.close()
            for found in loop.run_until_complete(under_way):
                assert found == ["a"] or "closed" in str(found), found
            assert clients(store)._loops == {}
        assert settled_sockets(before) <= before
        loop.run_until_complete(loop.shutdown_default_executor())


@both_stores
@pytest.mark.skipif(not FDS.exists(), reason="nothing lists the sockets of this process")
def test_aclose_leaves_no_socket_of_an_async_program(
    kind: Kind, no_credentials: pytest.MonkeyPatch
) -> None:
    async def program() -> None:
        async with kind.make(index_name="docs", base_url=url, create_index=True) as store:
            await kind.add(async_call, store, "a")
            # One sync call, too: its connection is closed as well, since nobody uses it.
            assert await kind.search(sync_call, store, "a") == ["a"]

    with BackgroundServer() as server:
        url = server.base_url
        before = open_sockets()
        asyncio.run(program())
        assert settled_sockets(before) <= before


@both_stores
def test_aclose_closes_the_files_of_a_directory(kind: Kind, tmp_path: Path) -> None:
    async def program() -> None:
        async with kind.make(index_name="docs", path=tmp_path / "data") as store:
            await kind.add(async_call, store, "a")
            await kind.search(async_call, store, "a")

    before = set(threading.enumerate())
    asyncio.run(program())
    # With the event loop its threads end.
    gc.collect()
    if FDS.exists():
        assert files_below(tmp_path) == []
    until(lambda: set(threading.enumerate()) <= before)


def used(coming: Any) -> Any:
    """The result of a call of `sync_call`, without an event loop."""
    try:
        coming.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a sync call has suspended")
