"""Clients: made when needed, one a variant, never shared across processes, closed once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.core.helpers import (
    ACCOUNT,
    ASYNC,
    CREDENTIALS,
    SECRET,
    SYNC,
    Cloudflare,
    Variant,
    both_variants,
    ok,
    settled,
)
from tests.core.transport.raw_server import RawRequest, RawServer, answer, ok_body
from vectorize_core import ConfigurationError, UnexpectedAnswerError, Vector, VectorizeError
from vectorize_core.api.operations import (
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
from vectorize_core.models import IndexConfig
from vectorize_core.transport import http_clients
from vectorize_core.transport.direct_client import AsyncDirectClient, DirectClient
from vectorize_core.transport.http import HttpExecutor

NONE = ListIndexes()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Client | httpx.AsyncClient]:
    """The httpx clients that were made, in order."""
    clients: list[httpx.Client | httpx.AsyncClient] = []

    class Client(DirectClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            clients.append(self)

    class AsyncClient(AsyncDirectClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            clients.append(self)

    monkeypatch.setattr(http_clients, "DirectClient", Client)
    monkeypatch.setattr(http_clients, "AsyncDirectClient", AsyncClient)
    return clients


def vector_count_is_in_the_name(request: httpx.Request) -> httpx.Response:
    count = int(request.url.path.split("/")[-2])
    result = {"dimensions": 32, "vectorCount": count}
    return httpx.Response(200, json={"success": True, "result": result})


@both_variants
async def test_a_client_is_made_by_the_first_call_and_kept(
    variant: Variant, made: list[Any]
) -> None:
    executor = Cloudflare(ok([])).executor()
    assert made == []
    for _ in range(3):
        await variant.send(executor, NONE)
    (client,) = made
    assert isinstance(client, httpx.AsyncClient if variant.is_async else httpx.Client)


async def test_each_variant_has_its_own_client_of_one_executor(made: list[Any]) -> None:
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


@both_variants
async def test_an_injected_client_is_used_as_it_is_and_never_closed(
    variant: Variant, made: list[Any]
) -> None:
    cloudflare = Cloudflare(ok([]))
    headers = {"X-Mine": "1", "User-Agent": "me"}
    with httpx.Client(transport=cloudflare, headers=headers) as client:
        async with httpx.AsyncClient(transport=cloudflare, headers=headers) as async_client:
            mine = list(made)
            executor = HttpExecutor(CREDENTIALS, http_client=client, async_http_client=async_client)
            await variant.send(executor, NONE)
            await variant.close(executor)
            await executor.aclose()
            assert made == mine
            assert not client.is_closed
            assert not async_client.is_closed
    (request,) = cloudflare.requests
    assert (request.headers["x-mine"], request.headers["user-agent"]) == ("1", "me")
    assert request.headers["authorization"] == CREDENTIALS.headers.reveal()["Authorization"]


@both_variants
async def test_an_injected_client_that_its_owner_has_closed_is_an_error(variant: Variant) -> None:
    client, async_client = httpx.Client(), httpx.AsyncClient()
    executor = HttpExecutor(CREDENTIALS, http_client=client, async_http_client=async_client)
    for each in (client, async_client):
        await settled(each.close() if isinstance(each, httpx.Client) else each.aclose())
    with pytest.raises(VectorizeError, match=r"^(async_)?http_client, .* is closed: close it only"):
        await variant.send(executor, NONE)


@both_variants
async def test_a_client_injected_for_the_other_variant_is_an_error(
    variant: Variant, made: list[Any]
) -> None:
    cloudflare = Cloudflare(ok([]))
    with httpx.Client(transport=cloudflare) as client:
        async with httpx.AsyncClient(transport=cloudflare) as async_client:
            mine = list(made)
            executor = (
                HttpExecutor(CREDENTIALS, http_client=client)
                if variant.is_async
                else HttpExecutor(CREDENTIALS, async_http_client=async_client)
            )
            needed = r"need async_http_client=" if variant.is_async else r"need http_client="
            with pytest.raises(ConfigurationError, match=needed):
                await variant.send(executor, NONE)
            assert (made, cloudflare.requests) == (mine, [])


@both_variants
@pytest.mark.parametrize("used", [True, False])
async def test_closing_twice_is_closing_once(variant: Variant, made: list[Any], used: bool) -> None:
    executor = Cloudflare(ok([])).executor()
    if used:
        await variant.send(executor, NONE)
    await variant.close(executor)
    await variant.close(executor)
    assert [client.is_closed for client in made] == [True] * used


@both_variants
async def test_a_closed_executor_carries_nothing_out(variant: Variant, made: list[Any]) -> None:
    cloudflare = Cloudflare(ok([]))
    executor = cloudflare.executor()
    await variant.close(executor)
    for closed in (executor.send, executor.asend):
        with pytest.raises(VectorizeError, match="closed"):
            await settled(closed(NONE))
    assert (made, cloudflare.requests) == ([], [])


@both_variants
async def test_a_closed_client_and_its_indexes_carry_nothing_out(variant: Variant) -> None:
    cloudflare = Cloudflare(ok([]))
    client = variant.client(cloudflare)
    index = client.index("docs")
    await variant.close(client)
    for use in (client.list_indexes, index.info):
        with pytest.raises(VectorizeError, match="closed"):
            await settled(use())
    assert cloudflare.requests == []


def test_with_closes_a_client() -> None:
    with SYNC.client(Cloudflare(ok([]))) as client:
        assert client.list_indexes() == ()
    with pytest.raises(VectorizeError, match="closed"):
        client.list_indexes()


async def test_async_with_closes_a_client() -> None:
    async with ASYNC.client(Cloudflare(ok([]))) as client:
        assert await client.list_indexes() == ()
    with pytest.raises(VectorizeError, match="closed"):
        await client.list_indexes()


THREADS, CALLS = 16, 20


@both_variants
def test_threads_may_share_an_executor(variant: Variant) -> None:
    transport = httpx.MockTransport(vector_count_is_in_the_name)
    executor = HttpExecutor(CREDENTIALS, transport=transport, async_transport=transport)
    together = threading.Barrier(THREADS)

    async def calls(first: int) -> list[int]:
        together.wait()
        infos = [await variant.send(executor, GetInfo(f"{first + i}")) for i in range(CALLS)]
        return [info.vector_count for info in infos]

    with ThreadPoolExecutor(THREADS) as pool:
        firsts = range(0, THREADS * CALLS, CALLS)
        counts = list(pool.map(lambda first: asyncio.run(calls(first)), firsts))
    assert counts == [list(range(first, first + CALLS)) for first in firsts]
    executor.close()


def test_event_loops_one_after_the_other_each_have_their_client(made: list[Any]) -> None:
    executor = Cloudflare(ok([])).executor()

    async def calls() -> None:
        await asyncio.gather(*(executor.asend(NONE) for _ in range(5)))

    for _ in range(3):
        asyncio.run(calls())
    assert len(made) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_the_child_makes_its_own_clients() -> None:
    program = """
        import asyncio, os
        from tests.core.helpers import Cloudflare, ok
        from vectorize_core.api.operations import ListIndexes
        from vectorize_core.transport import http_clients as made_in

        made = []

        def recorded(kind):
            class Client(kind):
                def __init__(self, transport):
                    super().__init__(transport)
                    made.append((kind.__name__, os.getpid()))
            return Client

        made_in.DirectClient = recorded(made_in.DirectClient)
        made_in.AsyncDirectClient = recorded(made_in.AsyncDirectClient)
        executor = Cloudflare(ok([])).executor()
        loop = asyncio.new_event_loop()

        def calls():
            for _ in range(2):
                executor.send(ListIndexes())
                loop.run_until_complete(executor.asend(ListIndexes()))

        def expected():
            return [(name, os.getpid()) for name in ("DirectClient", "AsyncDirectClient")]

        calls()
        before = expected()
        assert made == before, made
        child = os.fork()
        if child == 0:
            try:
                calls()
                assert made == before + expected(), made
                loop.run_until_complete(executor.aclose())
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        calls()
        assert made == before, "the parent's clients were closed or replaced"
        loop.run_until_complete(executor.aclose())
        loop.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


VECTORS = (Vector("a", [1.0]),)
TIMEOUTS: dict[str, tuple[Op[Any], float]] = {
    "list": (NONE, 10),
    "get": (GetIndex("docs"), 10),
    "query": (Query("docs", vector_id="a"), 10),
    "get by ids": (GetByIds("docs", ("a",)), 10),
    "list vectors": (ListVectors("docs"), 10),
    "insert": (Insert("docs", VECTORS), 60),
    "upsert": (Upsert("docs", VECTORS), 60),
    "delete by ids": (DeleteByIds("docs", ("a",)), 60),
    "create": (CreateIndex("docs", IndexConfig(32)), 60),
    "delete": (DeleteIndex("docs"), 60),
}


async def timeout_of(variant: Variant, op: Op[Any], **options: Any) -> dict[str, float | None]:
    cloudflare = Cloudflare(ok([]))
    with suppress(UnexpectedAnswerError):
        await variant.send(cloudflare.executor(**options), op)
    timeout: dict[str, float | None] = cloudflare.requests[0].extensions["timeout"]
    return timeout


@both_variants
@pytest.mark.parametrize(("op", "seconds"), TIMEOUTS.values(), ids=TIMEOUTS)
async def test_reads_have_less_time_than_writes(
    variant: Variant, op: Op[Any], seconds: float
) -> None:
    timeout = await timeout_of(variant, op)
    assert timeout == dict.fromkeys(("connect", "read", "write", "pool"), seconds)


@both_variants
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3.5, {"connect": 3.5, "read": 3.5, "write": 3.5, "pool": 3.5}),
        (
            httpx.Timeout(9, connect=1),
            {"connect": 1, "read": 9, "write": 9, "pool": 9},
        ),
    ],
)
async def test_a_timeout_that_is_given_holds_for_all(
    variant: Variant, given: float | httpx.Timeout, expected: dict[str, float]
) -> None:
    for op in (NONE, Upsert("docs", VECTORS)):
        assert await timeout_of(variant, op, timeout=given) == expected


async def test_the_event_loop_runs_while_a_large_write_is_encoded() -> None:
    turns = 0
    sent_at: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        sent_at.append(turns)
        return httpx.Response(200, json={"success": True, "result": None})

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    executor = HttpExecutor(CREDENTIALS, async_transport=httpx.MockTransport(answer))
    task = asyncio.create_task(others())
    await executor.asend(Upsert("docs", VECTORS * 640))
    task.cancel()
    assert sent_at[0] >= 10


@both_variants
async def test_a_transport_for_the_other_variant_alone_is_an_error(
    variant: Variant,
) -> None:
    one_sided = (
        {"transport": httpx.HTTPTransport()}
        if variant.is_async
        else {"async_transport": httpx.AsyncHTTPTransport()}
    )
    needed = "async_transport=" if variant.is_async else " transport="
    with pytest.raises(ConfigurationError, match=needed):
        await variant.send(HttpExecutor(CREDENTIALS, **one_sided), NONE)


@both_variants
@pytest.mark.parametrize("argument", ["transport", "async_transport"])
async def test_a_transport_that_is_both_need_be_given_only_once(
    variant: Variant, argument: str
) -> None:
    cloudflare = Cloudflare(ok([]))
    executor = HttpExecutor(CREDENTIALS, **{argument: cloudflare})
    assert await variant.send(executor, NONE) == ()
    assert len(cloudflare.requests) == 1


async def test_an_injected_client_keeps_its_own_timeout() -> None:
    cloudflare = Cloudflare(ok([]))
    with httpx.Client(transport=cloudflare, timeout=7) as client:
        HttpExecutor(CREDENTIALS, http_client=client).send(NONE)
    assert cloudflare.requests[0].extensions["timeout"]["read"] == 7


# Redirects


@both_variants
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["elsewhere", "the same server", "TLS"])
@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("secret", [{"api_token": SECRET}, {"api_key": SECRET, "email": "a@b.c"}])
@pytest.mark.covering(2)
async def test_no_redirect_is_followed(
    variant: Variant, status: int, to: str, injected: bool, secret: dict[str, str]
) -> None:
    """A client that follows them would send the key to wherever it is sent."""

    def moved(request: RawRequest) -> bytes:
        places = {
            "elsewhere": elsewhere.base_url,
            "the same server": request.path.replace("docs", "moved"),
            "TLS": elsewhere.base_url.replace("http:", "https:"),
        }
        return answer(status=f"{status} Moved", location=places[to])

    with RawServer(answer(ok_body([]))) as elsewhere, RawServer(moved) as server:
        clients: dict[str, Any] = {}
        if injected:
            clients = {
                "http_client": httpx.Client(follow_redirects=True),
                "async_http_client": httpx.AsyncClient(follow_redirects=True),
            }
        client = variant.client_class(ACCOUNT, base_url=server.base_url, **clients, **secret)
        with pytest.raises(VectorizeError, match="redirects to"):
            await settled(client.get_index("docs"))
        await variant.close(client)
        for each in clients.values():
            await settled(each.aclose() if isinstance(each, httpx.AsyncClient) else each.close())
        assert not elsewhere.requests
        (request,) = server.requests
    assert SECRET in str(request.headers)


@both_variants
async def test_hooks_and_authentication_of_an_injected_client_see_the_headers(
    variant: Variant,
) -> None:
    seen: list[httpx.Headers] = []

    class Signing(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, Any, None]:
            request.headers["X-Signature"] = request.headers["Authorization"].upper()
            yield request

    async def hook(request: httpx.Request) -> None:
        seen.append(request.headers)

    cloudflare = Cloudflare(ok([]))
    options: dict[str, Any] = {"transport": cloudflare, "auth": Signing()}
    with httpx.Client(
        **options, event_hooks={"request": [lambda r: seen.append(r.headers)]}
    ) as one:
        async with httpx.AsyncClient(**options, event_hooks={"request": [hook]}) as other:
            executor = HttpExecutor(CREDENTIALS, http_client=one, async_http_client=other)
            await variant.send(executor, NONE)
    (request,) = cloudflare.requests
    assert seen == [request.headers]
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["x-signature"] == f"Bearer {SECRET}".upper()
