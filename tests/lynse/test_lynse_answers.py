"""Answers that are odd, and errors in each of the forms that servers have."""

from __future__ import annotations

import math
import struct
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.lynse.servers import KEY, NEW, OLD, Lynse
from vectorize_core import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    EngineError,
    IndexExistsError,
    NotFoundError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
    VectorizeError,
)
from vectorize_core.lynse import AsyncLynseClient, Item, LynseClient, LynseCollection
from vectorize_core.lynse.dialect import NEWEST

OPENAPI = {"info": {"version": NEW}, "paths": {path: {} for path in NEWEST.paths}}
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> LynseCollection:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/openapi.json":
            return httpx.Response(200, json=OPENAPI)
        return answer(request)

    transport = httpx.MockTransport(handle)
    client = LynseClient(
        "http://host", database="app", api_key=KEY, retry=ONCE, transport=transport
    )
    return client.collection("items")


def saying(status: int = 200, **answer: Any) -> LynseCollection:
    return answering(lambda _: httpx.Response(status, **answer))


def params(**found: Any) -> dict[str, Any]:
    return {"status": "success", "params": found}


@pytest.mark.parametrize(
    ("status", "answer", "kind", "said"),
    [
        (400, {"json": {"code": "invalid_argument", "error": "k"}}, BadRequestError, "HTTP 400: k"),
        (400, {"text": "Json deserialize error: missing"}, BadRequestError, "deserialize error"),
        (401, {"json": {"code": "unauthorized", "error": "U"}}, AuthenticationError, "--api-key"),
        (404, {"json": {"code": "not_found", "error": "gone"}}, NotFoundError, "HTTP 404: gone"),
        (404, {"content": b""}, NotFoundError, "Nothing of LynseDB is there: base_url is 'http://"),
        (409, {"json": {"code": "already_exists", "error": "x"}}, IndexExistsError, "409: x"),
        (409, {"json": {"code": "index_not_built", "error": "x"}}, ApiError, "HTTP 409: x"),
        (413, {"text": "A payload reached size limit"}, ApiError, "Send fewer records at once"),
        (500, {"json": {"code": "internal_error", "error": "SQL"}}, EngineError, "HTTP 500: SQL"),
        (500, {"json": {"error": "Database not found: a"}}, NotFoundError, "not found: a"),
        (500, {"json": {"error": "Collection already exists: a"}}, IndexExistsError, "exists: a"),
        (500, {"json": {"error": "Invalid argument: n"}}, BadRequestError, "argument: n"),
        (
            500,
            {"json": {"status": "error", "error": "RuntimeError: Dimension mismatch: 4"}},
            BadRequestError,
            "mismatch",
        ),
        (502, {"text": "<html>\x1b[31mBad gateway</html>"}, ServerError, r"\\x1b\[31mBad gateway"),
        (503, {"json": {"status": "error", "error": "standby"}}, ServerError, "standby"),
        (200, {"text": "<html>"}, UnexpectedAnswerError, "no answer of LynseDB.*base_url"),
        (200, {"json": {"status": "success"}}, UnexpectedAnswerError, "params is missing"),
        (200, {"json": {"success": True, "result": 1}}, UnexpectedAnswerError, "no answer of Ly"),
    ],
)
def test_each_form_of_error_is_one_of_ours(
    status: int, answer: dict[str, Any], kind: type[VectorizeError], said: str
) -> None:
    with pytest.raises(kind, match=said) as raised:
        saying(status, **answer).stats()
    assert type(raised.value) is kind


def test_an_engine_s_own_failure_is_not_tried_again_but_a_gateway_s_is() -> None:
    asked: list[str] = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if len(asked) == 1:
            return httpx.Response(502)
        return httpx.Response(500, json={"code": "internal_error", "error": "broken"})

    collection = answering(fail)
    collection._connection.retry = RetryPolicy(read_deadline=9, first_delay=0.01)
    with pytest.raises(EngineError, match="broken"):
        collection.stats()
    assert asked == ["/stats"] * 2


def test_a_write_that_is_refused_when_it_is_repeated_is_sent_once() -> None:
    asked: list[str] = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadError("reset")

    with pytest.raises(ConnectionFailedError, match="reset") as raised:
        answering(fail).add_item([1.0], id="a")
    assert raised.value.sent
    assert asked == ["/add"]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ({"ids": ["a"], "scores": [1.0, 2.0]}, r"items\.scores has 2 entries, not 1"),
        ({"ids": ["a"], "scores": ["1"]}, r"items\.scores\[0\] is '1' \(str\), not a number"),
        ({"ids": ["a"] * 3, "scores": [1.0] * 3}, "3 records, where 2 were asked for"),
        ({"ids": [1.5], "scores": [1.0]}, r"items\.ids\[0\] is 1\.5"),
        ({"ids": ["a"], "scores": [1.0], "fields": []}, r"items\.fields has 0 entries, not 1"),
        ({"ids": ["a"], "scores": [1.0], "fields": [7]}, r"items\.fields\[0\] is 7"),
    ],
)
def test_hits_that_cannot_be_right_are_an_error(items: dict[str, Any], said: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=said):
        saying(json=params(items=items)).search([1.0], 2, return_fields=True)


def test_a_score_that_json_cannot_express_is_nan() -> None:
    found = saying(json=params(items={"ids": ["a", 7], "scores": [None, 1]})).search([1.0], 2)
    assert found.ids == ("a", 7)
    assert math.isnan(found.scores[0])
    assert found.scores[1] == 1


def test_other_answers_that_cannot_be_right_are_errors() -> None:
    with pytest.raises(UnexpectedAnswerError, match="others than were sent"):
        saying(json=params(ids=["b"])).add_item([1.0], id="a")
    with pytest.raises(UnexpectedAnswerError, match="exists is missing or null"):
        saying(json=params()).is_collection_exists()
    with pytest.raises(UnexpectedAnswerError, match="vectors of one length"):
        saying(json=params(head=[[[1, 2], [1]], ["a", "b"], [{}, {}]])).head()
    with pytest.raises(UnexpectedAnswerError, match=r"results has 1 entries, not 2"):
        saying(json=params(results=[{}])).batch_search([[1.0], [2.0]])


HIT = struct.pack("<IQfI", 1, 2**64 - 1, 0.5, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "it ends after 0 bytes, too early"),
        (HIT[:-1], "it ends after 19 bytes, too early"),
        (HIT + b"x", "1 bytes follow its end"),
        (struct.pack("<I", 2**32 - 1), "4294967295 records, where 1 were asked for"),
        (HIT[:-4] + struct.pack("<I", 9), "too early"),
        (HIT[:-4] + struct.pack("<I", 3) + b"[{]", "the metadata is no JSON"),
        (HIT[:-4] + struct.pack("<I", 2) + b"[]", "the metadata has 0 entries, not 1"),
    ],
)
def test_bytes_that_cannot_be_right_are_an_error(body: bytes, said: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=said):
        saying(content=body).search_binary([1.0], 1)


def test_bytes_are_read_to_the_last() -> None:
    found = saying(content=HIT).search_binary([1.0], 1)
    assert (found.rows.tolist(), found.scores.tolist()) == ([2**64 - 1], [0.5])
    with pytest.raises(UnexpectedAnswerError, match="1 answers to 2 queries"):
        saying(content=struct.pack("<I", 1) + HIT).batch_search_binary([[1.0], [2.0]], 1)
    with pytest.raises(UnexpectedAnswerError, match="too early"):
        saying(content=struct.pack("<II", 1, 2**32 - 1)).head_binary()


def told(error: BaseException) -> str:
    """A traceback with the variables of all frames but the test's own."""
    assert error.__traceback__ is not None
    frames = error.with_traceback(error.__traceback__.tb_next)
    found = traceback.TracebackException.from_exception(frames, capture_locals=True)
    return "".join(found.format())


def coordinator(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/cluster_info":
        return httpx.Response(200, json=params(shards=[]))
    if request.url.path == "/bm25_search":
        return httpx.Response(200, json=params(items={"ids": ["a"], "scores": [1.0]}))
    return httpx.Response(404, json={"status": "error", "error": "Unsupported cluster endpoint"})


def test_a_coordinator_is_known_by_what_it_has() -> None:
    client = LynseClient("http://host", transport=httpx.MockTransport(coordinator))
    info = client.server_info()
    assert (info.version, info.is_coordinator) == (None, True)
    assert client.collection("items", database="app").text_search("word").ids == ("a",)


def test_another_server_at_the_address_is_no_lynsedb() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404))
    client = LynseClient("http://host", transport=transport)
    with pytest.raises(ConfigurationError, match="there is no LynseDB at this address"):
        client.collection("items", database="app").stats()


def test_a_server_that_was_replaced_is_asked_again_what_it_speaks() -> None:
    paths = [{"/add": {}}, {"/bulk_add_items": {}}]
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        if request.url.path == "/openapi.json":
            return httpx.Response(200, json={"info": {"version": "?"}, "paths": paths.pop(0)})
        if request.url.path == "/add":
            return httpx.Response(404)
        return httpx.Response(200, json=params(ids=[1]))

    client = LynseClient("http://host", database="app", transport=httpx.MockTransport(handle))
    collection = client.collection("items")
    with pytest.raises(NotFoundError, match="Nothing of LynseDB is there"):
        collection.add_item([1.0], id=1)
    collection.bulk_add_items([Item(1, [1.0])])
    assert sent == ["/openapi.json", "/add", "/openapi.json", "/bulk_add_items"]


@pytest.mark.parametrize("wrong", ["another-key-that-nobody-may-see", None])
async def test_a_wrong_key_is_told_and_shown_to_nobody(
    new_lynse: Lynse, wrong: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LYNSE_API_KEY", raising=False)
    async with AsyncLynseClient(new_lynse.url, api_key=wrong) as other:
        with pytest.raises(AuthenticationError):
            await other.list_databases()
    client = LynseClient(new_lynse.url, api_key=wrong)
    with client, pytest.raises(AuthenticationError, match="Check api_key=") as raised:
        client.list_databases()
    assert wrong is None or wrong not in told(raised.value)


def test_the_key_may_stand_in_the_environment(
    new_lynse: Lynse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYNSE_API_KEY", KEY)
    with LynseClient(new_lynse.url) as client:
        assert client.server_info().version == NEW
        assert isinstance(client.list_databases(), tuple)


def test_a_key_that_a_server_repeats_is_not_shown() -> None:
    def repeat(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, text=f"what is {request.headers['authorization']}?")

    with pytest.raises(BadRequestError) as raised:
        answering(repeat).stats()
    assert KEY not in told(raised.value)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_real_servers_errors(version: str, request: pytest.FixtureRequest) -> None:
    server: Lynse = request.getfixturevalue("old_lynse" if version == OLD else "new_lynse")
    with LynseClient(server.url, database="nowhere", api_key=KEY) as client:
        with pytest.raises(NotFoundError, match="Database not found: nowhere"):
            client.collection("items").required_collection(dim=4)
        client.database("errors").create_database()
        items = client.collection("items", database="errors")
        items.required_collection(dim=4)
        items.add_item([1, 0, 0, 0], id=1, field={"n": 1})
        with pytest.raises(BadRequestError, match="Dimension mismatch: expected 4, got 2"):
            items.search([1, 0])
        with pytest.raises(EngineError, match="Query parse error"):
            items.search([1, 0, 0, 0], where="n = = 1")
        assert client.server_info().version == version
