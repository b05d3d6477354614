"""The proxy itself: what each fault does to a request, and whether the server has acted on it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from itertools import chain, islice, repeat

import httpx
import pytest

from tests.faults.corpus import DIMENSIONS, Target
from tests.faults.proxy import Fault, FaultProxy, mixed
from tests.patience import until

LINE = json.dumps({"id": "a", "values": [1.0] * DIMENSIONS}).encode()
NDJSON = {"Content-Type": "application/x-ndjson"}
REFUSALS = {
    Fault.LIMITED_WITH_DELAY: 429,
    Fault.LIMITED: 429,
    Fault.LIMITED_AS_400: 400,
    Fault.UNAVAILABLE: 503,
    Fault.HTML: 500,
}
BREAKS = {
    Fault.RESET_UNSENT: httpx.TransportError,
    Fault.RESET_IN_BODY: httpx.TransportError,
    Fault.LOST: httpx.TransportError,
    Fault.TRUNCATED: httpx.TransportError,
    Fault.SILENT: httpx.ReadTimeout,
}
UNSENT = {*REFUSALS, Fault.RESET_UNSENT, Fault.RESET_IN_BODY}


@pytest.fixture
def path(index: str) -> str:
    return f"accounts/local/vectorize/v2/indexes/{index}"


def client(proxy: FaultProxy, timeout: float = 30.0) -> httpx.Client:
    return httpx.Client(
        base_url=proxy.base_url, headers=NDJSON, trust_env=False, verify=False, timeout=timeout
    )


def upserted(http: httpx.Client, path: str, body: bytes | Iterator[bytes]) -> httpx.Response:
    return http.post(f"{path}/upsert", content=body)


async def test_without_a_fault_bodies_of_both_framings_pass(
    target: Target, index: str, path: str
) -> None:
    async with FaultProxy(target.base_url, repeat(None)) as proxy:
        with client(proxy) as http:
            streams = []
            for body in (LINE, iter([LINE[:10], LINE[10:]])):
                answer = upserted(http, path, body)
                assert answer.json()["success"]
                streams.append(answer.extensions["network_stream"])
            assert http.get(f"{path}/info").json()["result"]["vectorCount"] == 1
    assert streams[0] is streams[1]
    assert not proxy.dealt


@pytest.mark.parametrize("fault", Fault)
async def test_a_fault_harms_one_request_and_no_other(
    target: Target, index: str, path: str, fault: Fault
) -> None:
    async with FaultProxy(target.base_url, chain([fault], repeat(None))) as proxy:
        with client(proxy) as http, client(proxy, 0.5) as hasty:
            if fault in BREAKS:
                with pytest.raises(BREAKS[fault]):
                    upserted(hasty if fault is Fault.SILENT else http, path, LINE)
            else:
                answer = upserted(http, path, LINE)
                assert answer.status_code == REFUSALS.get(fault, 200)
                assert ("retry-after" in answer.headers) == (fault is Fault.LIMITED_WITH_DELAY)
                whole = answer.content.startswith(b"{") and answer.content.endswith(b"}")
                assert whole == (fault not in {Fault.HTML, Fault.CUT_JSON})
            until(lambda: target.service.index_info(index).vector_count == (fault not in UNSENT))
            assert upserted(http, path, LINE).json()["success"]
    assert proxy.dealt == {fault: 1}


async def test_a_large_body_is_broken_off_midway(target: Target, index: str, path: str) -> None:
    async with FaultProxy(target.base_url, repeat(Fault.RESET_IN_BODY)) as proxy:
        with client(proxy) as http, pytest.raises(httpx.TransportError):
            upserted(http, path, (LINE + b"\n") * 20_000)
    assert target.service.index_info(index).vector_count == 0


async def test_requests_that_do_not_match_pass(target: Target, index: str, path: str) -> None:
    faults = repeat(Fault.UNAVAILABLE)
    async with FaultProxy(target.base_url, faults, match="/upsert") as proxy:
        with client(proxy) as http:
            assert http.get(f"{path}/info").is_success
            assert upserted(http, path, LINE).status_code == 503


async def test_what_is_wrong_behind_the_proxy_is_no_fault_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    proxy = FaultProxy(f"http://127.0.0.1:{port}", repeat(None))
    await proxy.__aenter__()
    with client(proxy) as http, pytest.raises(httpx.TransportError):
        http.get("")
    with pytest.raises(RuntimeError, match="behind the proxy"):
        await proxy.__aexit__(None, None, None)


def test_a_seed_decides_the_mix() -> None:
    weights = {Fault.LOST: 3.0, Fault.LIMITED: 1.0}
    first, again, other = (list(islice(mixed(0.4, seed, weights), 10_000)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.count(None) == pytest.approx(6_000, rel=0.05)
    assert first.count(Fault.LOST) == pytest.approx(3_000, rel=0.1)
