"""Secrets that are looked for, and users of them."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.core.transport.raw_server import answer
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind
from tests.stores import Call, async_call, sync_call
from vectorize_core import AsyncVectorizeClient, RetryPolicy, VectorizeClient

TOKEN = "tok-3nWm9-OnlyHere"
KEY = "key-7rTq2-OnlyHere"
PASSWORD = "pa55word"
BASIC = b64encode(f"user:{PASSWORD}".encode()).decode()
SECRETS = (TOKEN, KEY, PASSWORD, BASIC)
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
WITH_TOKEN = {"api_token": TOKEN}
WITH_KEY = {"api_key": KEY, "email": "a@b.c"}
both_secrets = pytest.mark.parametrize("secret", [WITH_TOKEN, WITH_KEY], ids=["token", "key"])
ROOT = Path(__file__).parents[2]


def finish(call: Call, work: Coroutine[Any, Any, Any]) -> Any:
    """What ``work`` comes to: in an event loop, or without one, as sync code runs."""
    if call is async_call:
        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("sync code suspended")


User = Callable[..., Coroutine[Any, Any, Any]]


async def of_a_client(call: Call, **options: Any) -> None:
    kind = AsyncVectorizeClient if call is async_call else VectorizeClient
    made = kind("account", retry=ONCE, **options)
    try:
        found = made.get_index("docs")
        if call is async_call:
            await found
    finally:
        await (made.aclose() if call is async_call else sync_call(made, "close"))


def of_a_store(kind: Kind) -> User:
    async def use(call: Call, **options: Any) -> None:
        store = kind.make(index_name="docs", account_id="account", retry=ONCE, **options)
        try:
            await kind.add(call, store, "a", "b")
        finally:
            await (store.aclose() if call is async_call else sync_call(store, "close"))

    return use


USERS = {"client": of_a_client, **{k.name: of_a_store(k) for k in (LANGCHAIN, LLAMA_INDEX)}}
all_users = pytest.mark.parametrize("use", USERS.values(), ids=USERS)


def refused(status: int) -> bytes:
    said = b'{"success": false, "errors": [{"code": 1, "message": "no"}], "result": null}'
    return answer(said, f"{status} No")
