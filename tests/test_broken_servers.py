"""The calls of both stores end in time, with an error of this library, whatever the server does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.core.transport.broken_answers import BIG, SLOW, WRONG
from tests.core.transport.raw_server import RawServer, Script
from tests.core.transport.test_broken_servers import SLACK
from tests.kinds import Kind, both_stores
from tests.nightly import sized
from tests.stores import Call, both_ways
from vectorize_core import RetryPolicy, VectorizeError

TIMEOUT, DEADLINE = 0.2, 0.3
SCRIPTS: dict[str, Script] = {
    **SLOW,
    **{how: script for how, (script, _) in {**BIG, **WRONG}.items()},
}
FEW = ("drips header lines", "drips the body", "gzip", "closes in a chunk", "HTML")
Use = Callable[[Kind, Call, Any], Awaitable[Any]]
CALLS: dict[str, Use] = {
    "add": lambda kind, call, store: kind.add(call, store, "a", "b"),
    "search": lambda kind, call, store: kind.search(call, store, "a"),
    "delete by a filter": lambda kind, call, store: kind.delete_where(call, store, "x", 1),
    "get": lambda kind, call, store: kind.get(call, store, ["a"]),
    "delete": lambda kind, call, store: kind.delete(call, store, ["a"]),
    "delete all": lambda kind, call, store: kind.clear(call, store),
}


@pytest.mark.covering(1)
@pytest.mark.parametrize("how", FEW)
@pytest.mark.parametrize("name", CALLS)
@both_stores
@both_ways
async def test_all_calls_of_a_store_end_in_time(
    kind: Kind, call: Call, name: str, how: str
) -> None:
    await check(kind, call, name, how)


@pytest.mark.parametrize("how", sized(FEW, tuple(SCRIPTS)))
@both_stores
@both_ways
async def test_a_search_ends_in_time(kind: Kind, call: Call, how: str) -> None:
    await check(kind, call, "search", how)


@pytest.mark.parametrize("how", sized(FEW[:2], tuple(SCRIPTS)))
@both_stores
@both_ways
async def test_a_write_ends_in_time(kind: Kind, call: Call, how: str) -> None:
    await check(kind, call, "add", how)


async def check(kind: Kind, call: Call, name: str, how: str) -> None:
    with RawServer(SCRIPTS[how]) as server:
        store = kind.make(
            index_name="docs",
            account_id="account",
            api_token="token",
            base_url=server.base_url,
            timeout=TIMEOUT,
            max_answer_bytes=2**20,
            retry=RetryPolicy(DEADLINE, DEADLINE, first_delay=0.05),
        )
        began = time.monotonic()
        with pytest.raises(VectorizeError):
            await CALLS[name](kind, call, store)
        assert time.monotonic() - began < DEADLINE + SLACK
        await call(store, "close")
