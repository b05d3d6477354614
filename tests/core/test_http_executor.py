"""Clients: made when needed, one a face, never shared across processes, closed once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.core.helpers import CREDENTIALS, Cloudflare, Face, both_faces, ok
from vectorize_core import ConfigurationError, Vector, VectorizeError
from vectorize_core.executors.http import HttpExecutor
from vectorize_core.models import IndexConfig
from vectorize_core.operations import (
    CreateIndex,
    DeleteByIds,
    DeleteIndex,
    GetByIds,
    GetIndex,
    GetInfo,
    Insert,
    ListIndexes,
    ListVectors,
    Op,
    Query,
    Upsert,
)

NONE = ListIndexes()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Client | httpx.AsyncClient]:
    """The httpx clients that were made, in order."""
    clients: list[httpx.Client | httpx.AsyncClient] = []

    class Client(httpx.Client):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            clients.append(self)

    class AsyncClient(httpx.AsyncClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            clients.append(self)

    monkeypatch.setattr(httpx, "Client", Client)
    monkeypatch.setattr(httpx, "AsyncClient", AsyncClient)
    return clients


def vector_count_is_in_the_name(request: httpx.Request) -> httpx.Response:
    count = int(request.url.path.split("/")[-2])
    result = {"dimensions": 32, "vectorCount": count}
    return httpx.Response(200, json={"success": True, "result": result})


@both_faces
async def test_a_client_is_made_by_the_first_call_and_kept(face: Face, made: list[Any]) -> None:
    executor = Cloudflare(ok([])).executor()
    assert made == []
    for _ in range(3):
        await face.send(executor, NONE)
    (client,) = made
    assert isinstance(client, httpx.AsyncClient if face.is_async else httpx.Client)


async def test_each_face_has_its_own_client_of_one_executor(made: list[Any]) -> None:
    executor = Cloudflare(ok([])).executor()
    for _ in range(2):
        executor.send(NONE)
        await executor.asend(NONE)
    assert [client.is_closed for client in made] == [False, False]
    await executor.aclose()
    assert [client.is_closed for client in made] == [True, True]


async def test_concurrent_calls_of_a_loop_share_one_client(made: list[Any]) -> None:
    executor = Cloudflare(ok([])).executor()
    await asyncio.gather(*(executor.asend(NONE) for _ in range(20)))
    assert len(made) == 1


@both_faces
async def test_an_injected_client_is_used_as_it_is_and_never_closed(
    face: Face, made: list[Any]
) -> None:
    cloudflare = Cloudflare(ok([]))
    headers = {"X-Mine": "1", "User-Agent": "me"}
    with httpx.Client(transport=cloudflare, headers=headers) as client:
        async with httpx.AsyncClient(transport=cloudflare, headers=headers) as async_client:
            mine = list(made)
            executor = HttpExecutor(
                CREDENTIALS, http_client=client, async_http_client=async_client
            )
            await face.send(executor, NONE)
            await face.close(executor)
            await executor.aclose()
            assert made == mine
            assert not client.is_closed
            assert not async_client.is_closed
    (request,) = cloudflare.requests
    assert (request.headers["x-mine"], request.headers["user-agent"]) == ("1", "me")
    assert request.headers["authorization"] == CREDENTIALS.headers["Authorization"]


@both_faces
async def test_a_client_injected_for_the_other_face_alone_is_an_error_that_names_the_argument(
    face: Face, made: list[Any]
) -> None:
    cloudflare = Cloudflare(ok([]))
    with httpx.Client(transport=cloudflare) as client:
        async with httpx.AsyncClient(transport=cloudflare) as async_client:
            mine = list(made)
            executor = (
                HttpExecutor(CREDENTIALS, http_client=client)
                if face.is_async
                else HttpExecutor(CREDENTIALS, async_http_client=async_client)
            )
            needed = r"need async_http_client=" if face.is_async else r"need http_client="
            with pytest.raises(ConfigurationError, match=needed):
                await face.send(executor, NONE)
            assert (made, cloudflare.requests) == (mine, [])


@both_faces
@pytest.mark.parametrize("used", [True, False])
async def test_closing_twice_is_closing_once(face: Face, made: list[Any], used: bool) -> None:
    executor = Cloudflare(ok([])).executor()
    if used:
        await face.send(executor, NONE)
    await face.close(executor)
    await face.close(executor)
    assert [client.is_closed for client in made] == [True] * used


@both_faces
async def test_a_closed_executor_carries_nothing_out(face: Face, made: list[Any]) -> None:
    cloudflare = Cloudflare(ok([]))
    executor = cloudflare.executor()
    await face.close(executor)
    for closed in (executor.send, executor.asend):
        with pytest.raises(VectorizeError, match="closed"):
            answer: Any = closed(NONE)
            await answer
    assert (made, cloudflare.requests) == ([], [])


@both_faces
async def test_a_closed_client_and_its_indexes_carry_nothing_out(face: Face) -> None:
    cloudflare = Cloudflare(ok([]))
    client = face.client(cloudflare)
    index = client.index("docs")
    await face.close(client)
    for use in (client.list_indexes, index.info):
        with pytest.raises(VectorizeError, match="closed"):
            await use()
    assert cloudflare.requests == []


def test_with_closes_a_client() -> None:
    with Face("sync", *_classes()).client(Cloudflare(ok([]))) as client:
        assert client.list_indexes() == ()
    with pytest.raises(VectorizeError, match="closed"):
        client.list_indexes()


async def test_async_with_closes_a_client() -> None:
    async with Face("async", *_classes(True)).client(Cloudflare(ok([]))) as client:
        assert await client.list_indexes() == ()
    with pytest.raises(VectorizeError, match="closed"):
        await client.list_indexes()
