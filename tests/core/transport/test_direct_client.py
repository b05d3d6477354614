"""Clients that send what they are given: the same requests as httpx's, and nothing kept."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from vectorize_core import VectorizeError
from vectorize_core.transport.direct_client import AsyncDirectClient, DirectClient

URL = httpx.URL("https://api.test/client/v4/accounts/one/vectorize/v2/indexes/docs/query")
OPTIONS: dict[str, Any] = {
    "method": "POST",
    "url": URL,
    "headers": {"Accept-Encoding": "gzip", "Content-Type": "application/json"},
    "timeout": httpx.Timeout(3, read=4),
    "extensions": {"deadline": 5.0, "more_time": 0.5},
}


def answered(request: httpx.Request) -> httpx.Response:
    headers = {"Location": "https://elsewhere.test/", "Set-Cookie": "a=b"}
    return httpx.Response(307, headers=headers)


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("down")


@pytest.mark.parametrize("params", [None, {"unparsable-behavior": "error"}])
@pytest.mark.parametrize("content", [b"", b'{"topK": 5}'])
def test_a_request_is_the_one_that_httpx_makes(
    params: dict[str, str] | None, content: bytes
) -> None:
    options = {**OPTIONS, "params": params, "content": content}
    agent = {"User-Agent": "vectorize-stores"}
    with httpx.Client(headers=agent) as usual, DirectClient(httpx.MockTransport(answered)) as ours:
        made, expected = ours.build_request(**options), usual.build_request(**options)
    assert (made.method, made.url, made.read()) == ("POST", expected.url, content)
    assert sorted(made.headers.multi_items()) == sorted(expected.headers.multi_items())
    assert made.extensions == expected.extensions


async def both(handle: Any, *, closed: bool = False) -> list[Any]:
    """What sending ends with, by the clients of both kinds."""
    transport, outcomes = httpx.MockTransport(handle), list[Any]()
    client, async_client = DirectClient(transport), AsyncDirectClient(transport)
    request = client.build_request(**OPTIONS, params=None, content=b"{}")
    if closed:
        client.close()
        await async_client.aclose()
    try:
        outcomes.append(client.send(request))
    except Exception as error:
        outcomes.append(error)
    try:
        outcomes.append(await async_client.send(request))
    except Exception as error:
        outcomes.append(error)
    return [*outcomes, request]


def test_an_answer_comes_as_it_is() -> None:
    *answers, request = asyncio.run(both(answered))
    assert [answer.status_code for answer in answers] == [307, 307]
    assert all(answer.request is request for answer in answers)


def test_an_error_names_its_request() -> None:
    *errors, request = asyncio.run(both(refused))
    assert [type(error) for error in errors] == [httpx.ConnectError] * 2
    assert all(error.request is request for error in errors)


def test_nothing_is_sent_once_it_is_closed() -> None:
    *errors, _ = asyncio.run(both(answered, closed=True))
    assert [type(error) for error in errors] == [VectorizeError] * 2
