"""Every operation: the exact request it makes, and every documented answer, on both variants."""

from __future__ import annotations

import dataclasses
import inspect
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from tests.core.helpers import (
    ACCOUNT,
    PREFIX,
    SECRET,
    Cloudflare,
    Variant,
    both_variants,
    ok,
    plain,
)
from vectorize_core import InvalidInputError, UnexpectedAnswerError
from vectorize_core.api import operations
from vectorize_core.api.operations import (
    CreateIndex,
    CreateMetadataIndex,
    DeleteByIds,
    DeleteIndex,
    DeleteMetadataIndex,
    GetByIds,
    GetIndex,
    GetInfo,
    Insert,
    ListIndexes,
    ListMetadataIndexes,
    ListVectors,
    Op,
    Query,
    Upsert,
)
from vectorize_core.models import (
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    Match,
    MetadataIndex,
    Mutation,
    QueryResult,
    Vector,
    as_values,
)
from vectorize_core.secret import Secret
from vectorize_core.transport.credentials import Credentials
from vectorize_core.transport.http import HttpExecutor

JSON, NDJSON = "application/json", "application/x-ndjson"
MUTATION = "0f0a6b8e-4b7e-4a8a-9d0e-3f1c2b4a5d6e"
INDEX = {
    "created_on": "2026-04-30T13:24:56.907907Z",
    "modified_on": "2026-05-01T00:00:00Z",
    "name": "docs",
    "description": "",
    "config": {"dimensions": 1024, "metric": "cosine"},
}
DETAILS = IndexDetails(
    "docs",
    IndexConfig(1024, "cosine"),
    "",
    datetime(2026, 4, 30, 13, 24, 56, 907907, UTC),
    datetime(2026, 5, 1, tzinfo=UTC),
)
TWO = (
    Vector("a", [58.8, 1, -0.1], "en", {"year": 1999, "título": "é"}),
    Vector("b", [0, 16777216, -0.25]),
)
TWO_LINES = (
    '{"id":"a","values":[58.8,1.0,-0.1],"namespace":"en","metadata":{"year":1999,"título":"é"}}\n'
    '{"id":"b","values":[0.0,16777216.0,-0.25]}\n'
).encode()
ONE_VALUE = as_values([58.8])


class Sent(NamedTuple):
    op: Op[Any]
    method: str
    path: str
    content_type: str | None = None
    body: bytes = b""


REQUESTS = {
    "create index": Sent(
        CreateIndex("docs", IndexConfig(384, "dot-product")),
        "POST",
        "",
        JSON,
        b'{"name":"docs","config":{"dimensions":384,"metric":"dot-product"}}',
    ),
    "create index with a description": Sent(
        CreateIndex("docs", IndexConfig(32), "my texts"),
        "POST",
        "",
        JSON,
        b'{"name":"docs","config":{"dimensions":32,"metric":"cosine"},"description":"my texts"}',
    ),
    "create index with a preset": Sent(
        CreateIndex("docs", "@cf/baai/bge-small-en-v1.5"),
        "POST",
        "",
        JSON,
        b'{"name":"docs","config":{"preset":"@cf/baai/bge-small-en-v1.5"}}',
    ),
    "list indexes": Sent(ListIndexes(), "GET", ""),
    "get index": Sent(GetIndex("docs"), "GET", "/docs"),
    "delete index": Sent(DeleteIndex("docs"), "DELETE", "/docs"),
    "get info": Sent(GetInfo("docs"), "GET", "/docs/info"),
    "insert": Sent(Insert("docs", TWO), "POST", "/docs/insert", NDJSON, TWO_LINES),
    "upsert": Sent(Upsert("docs", TWO), "POST", "/docs/upsert", NDJSON, TWO_LINES),
    "insert, unparsable lines discarded": Sent(
        Insert("docs", TWO, "discard"),
        "POST",
        "/docs/insert?unparsable-behavior=discard",
        NDJSON,
        TWO_LINES,
    ),
    "upsert, unparsable lines refused": Sent(
        Upsert("docs", TWO, "error"),
        "POST",
        "/docs/upsert?unparsable-behavior=error",
        NDJSON,
        TWO_LINES,
    ),
    "query": Sent(
        Query("docs", as_values([58.8, 0.1])),
        "POST",
        "/docs/query",
        JSON,
        b'{"topK":5,"returnValues":false,"returnMetadata":"none","vector":[58.8,0.1]}',
    ),
    "query by id with every option": Sent(
        Query(
            "docs",
            vector_id="a",
            top_k=50,
            return_values=True,
            return_metadata="all",
            filter={"year": {"$gte": 1960, "$lt": 2000}, "lang": "en"},
            namespace="ns",
        ),
        "POST",
        "/docs/query",
        JSON,
        b'{"topK":50,"returnValues":true,"returnMetadata":"all",'
        b'"filter":{"year":{"$gte":1960,"$lt":2000},"lang":"en"},"namespace":"ns","vectorId":"a"}',
    ),
    "query with an empty filter": Sent(
        Query("docs", ONE_VALUE, filter={}, return_metadata="indexed"),
        "POST",
        "/docs/query",
        JSON,
        b'{"topK":5,"returnValues":false,"returnMetadata":"indexed","filter":{},"vector":[58.8]}',
    ),
    "get by ids": Sent(
        GetByIds("docs", ("a", "ü")),
        "POST",
        "/docs/get_by_ids",
        JSON,
        '{"ids":["a","ü"]}'.encode(),
    ),
    "delete by ids": Sent(
        DeleteByIds("docs", ("a", "b")), "POST", "/docs/delete_by_ids", JSON, b'{"ids":["a","b"]}'
    ),
    "list vectors": Sent(ListVectors("docs"), "GET", "/docs/list?count=100"),
    "list vectors, next page": Sent(
        ListVectors("docs", 1000, "eyJvIjox_-"), "GET", "/docs/list?count=1000&cursor=eyJvIjox_-"
    ),
    "create metadata index": Sent(
        CreateMetadataIndex("docs", "a.year", "number"),
        "POST",
        "/docs/metadata_index/create",
        JSON,
        b'{"propertyName":"a.year","indexType":"number"}',
    ),
    "list metadata indexes": Sent(ListMetadataIndexes("docs"), "GET", "/docs/metadata_index/list"),
    "delete metadata index": Sent(
        DeleteMetadataIndex("docs", "year"),
        "POST",
        "/docs/metadata_index/delete",
        JSON,
        b'{"propertyName":"year"}',
    ),
}

INFO = {"dimensions": 32, "vectorCount": 7}
AT = "2026-04-30T13:25:38.147Z"
PAGE = {"count": 2, "totalCount": 3, "vectors": [{"id": "a"}, {"id": "b"}]}
EXPIRY = "2025-08-13T20:32:52.469144957+00:00"
LAST_PAGE = {**PAGE, "isTruncated": False, "nextCursor": None, "cursorExpirationTimestamp": None}
QUERY = Query("docs", ONE_VALUE)
ENTRY = {"id": "a", "values": [58.79999923706055], "namespace": "en", "metadata": {"year": 1999}}

ANSWERS: dict[str, tuple[Op[Any], Any, Any]] = {
    "create index": (CreateIndex("docs", IndexConfig(1024)), INDEX, DETAILS),
    "list indexes": (
        ListIndexes(),
        [INDEX, {**INDEX, "name": "b"}],
        [DETAILS, dataclasses.replace(DETAILS, name="b")],
    ),
    "list indexes, none": (ListIndexes(), [], []),
    "get index": (GetIndex("docs"), INDEX, DETAILS),
    "get index without optional fields": (
        GetIndex("docs"),
        {"name": "docs", "config": {"dimensions": 32, "metric": "euclidean"}},
        IndexDetails("docs", IndexConfig(32, "euclidean")),
    ),
    "get index with nulls": (
        GetIndex("docs"),
        {**INDEX, "description": None, "created_on": None, "modified_on": None},
        IndexDetails("docs", IndexConfig(1024)),
    ),
    "delete index, null": (DeleteIndex("docs"), None, None),
    "delete index, object": (DeleteIndex("docs"), {}, None),
    "delete index, string": (DeleteIndex("docs"), "deleted", None),
    "info": (
        GetInfo("docs"),
        {**INFO, "processedUpToDatetime": AT, "processedUpToMutation": MUTATION},
        IndexInfo(32, 7, datetime(2026, 4, 30, 13, 25, 38, 147000, UTC), MUTATION),
    ),
    "info before the first mutation": (GetInfo("docs"), INFO, IndexInfo(32, 7)),
    "info with nulls": (
        GetInfo("docs"),
        {**INFO, "processedUpToDatetime": None, "processedUpToMutation": None},
        IndexInfo(32, 7),
    ),
    "insert": (Insert("docs", TWO), {"mutationId": MUTATION}, Mutation(MUTATION)),
    "insert, null": (Insert("docs", TWO), None, Mutation(None)),
    "upsert": (Upsert("docs", TWO), {"mutationId": MUTATION}, Mutation(MUTATION)),
    "upsert, null": (Upsert("docs", TWO), None, Mutation(None)),
    "query": (
        QUERY,
        {
            "count": 2,
            "matches": [
                {"id": "a", "score": 0.9, "values": [58.8], "metadata": {"x": 1}, "namespace": "n"},
                {"id": "b", "score": -1},
            ],
        },
        QueryResult(2, (Match("a", 0.9, as_values([58.8]), {"x": 1}, "n"), Match("b", -1.0, None))),
    ),
    "query, nulls in a match": (
        QUERY,
        {
            "count": 1,
            "matches": [
                {"id": "a", "score": 1, "values": None, "metadata": None, "namespace": None}
            ],
        },
        QueryResult(1, (Match("a", 1.0),)),
    ),
    "query, no matches": (QUERY, {"count": 0, "matches": []}, QueryResult(0, ())),
    "get by ids": (
        GetByIds("docs", ("a", "gone")),
        [ENTRY],
        [Vector("a", [58.8], "en", {"year": 1999})],
    ),
    "get by ids, bare": (
        GetByIds("docs", ("a",)),
        [{"id": "a", "values": [1]}],
        [Vector("a", [1.0])],
    ),
    "get by ids, nulls": (
        GetByIds("docs", ("a",)),
        [{**ENTRY, "namespace": None, "metadata": None}],
        [Vector("a", [58.8])],
    ),
    "get by ids, none": (GetByIds("docs", ("gone",)), [], []),
    "delete by ids": (DeleteByIds("docs", ("a",)), {"mutationId": MUTATION}, Mutation(MUTATION)),
    "delete by ids, null": (DeleteByIds("docs", ("a",)), None, Mutation(None)),
    "list, more to come": (
        ListVectors("docs", 2),
        {**PAGE, "isTruncated": True, "nextCursor": "c1", "cursorExpirationTimestamp": EXPIRY},
        IdPage(("a", "b"), 3, "c1", datetime(2025, 8, 13, 20, 32, 52, 469144, UTC)),
    ),
    "list, last page": (ListVectors("docs", 2, "c1"), LAST_PAGE, IdPage(("a", "b"), 3)),
    "list, a cursor although it is the last page": (
        ListVectors("docs"),
        {**LAST_PAGE, "nextCursor": "c1"},
        IdPage(("a", "b"), 3),
    ),
    "list, no vectors": (
        ListVectors("docs"),
        {"count": 0, "totalCount": 0, "isTruncated": False, "vectors": []},
        IdPage((), 0),
    ),
    "create metadata index": (
        CreateMetadataIndex("docs", "year", "number"),
        {"mutationId": MUTATION},
        Mutation(MUTATION),
    ),
    "create metadata index, null": (
        CreateMetadataIndex("docs", "year", "number"),
        None,
        Mutation(None),
    ),
    "list metadata indexes, capitalised": (
        ListMetadataIndexes("docs"),
        {
            "metadataIndexes": [
                {"propertyName": "Title", "indexType": "String"},
                {"propertyName": "year", "indexType": "Number"},
                {"propertyName": "draft", "indexType": "boolean"},
            ]
        },
        [
            MetadataIndex("Title", "string"),
            MetadataIndex("year", "number"),
            MetadataIndex("draft", "boolean"),
        ],
    ),
    "list metadata indexes, none": (ListMetadataIndexes("docs"), {"metadataIndexes": []}, []),
    "delete metadata index": (
        DeleteMetadataIndex("docs", "year"),
        {"mutationId": MUTATION},
        Mutation(MUTATION),
    ),
    "delete metadata index, null": (DeleteMetadataIndex("docs", "year"), None, Mutation(None)),
}


def every_operation() -> set[type]:
    return {
        cls
        for cls in vars(operations).values()
        if inspect.isclass(cls)
        and issubclass(cls, Op)
        and not inspect.isabstract(cls)
        and not cls.__name__.startswith("_")
    }


def test_there_are_fourteen_operations_and_the_tables_hold_them_all() -> None:
    operations_here = every_operation()
    assert len(operations_here) == 14
    assert {type(sent.op) for sent in REQUESTS.values()} == operations_here
    assert {type(op) for op, _, _ in ANSWERS.values()} == operations_here


@both_variants
@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
async def test_the_request_is_exactly_the_documented_one(variant: Variant, sent: Sent) -> None:
    cloudflare = Cloudflare(ok([]))
    with suppress(UnexpectedAnswerError):
        await variant.send(cloudflare.executor(), sent.op)
    (request,) = cloudflare.requests
    assert request.method == sent.method
    assert request.url.scheme == "https"
    assert request.url.host == "api.cloudflare.com"
    assert request.url.raw_path == (PREFIX + sent.path).encode()
    assert request.content == sent.body
    headers = dict(request.headers)
    assert headers["host"] == "api.cloudflare.com"
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["user-agent"] == "vectorize-stores"
    assert headers.get("content-type") == sent.content_type
    assert headers.get("content-length") == (str(len(sent.body)) if sent.body else None)
    assert "transfer-encoding" not in headers


@both_variants
@pytest.mark.parametrize(("op", "result", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_every_documented_answer_is_read(
    variant: Variant, op: Op[Any], result: Any, expected: Any
) -> None:
    answer = await variant.send(Cloudflare(ok(result)).executor(), op)
    assert plain(answer) == plain(expected)


@both_variants
async def test_a_created_index_may_be_answered_with_201(variant: Variant) -> None:
    cloudflare = Cloudflare(ok(INDEX, status=201))
    assert (
        await variant.send(cloudflare.executor(), CreateIndex("docs", IndexConfig(1024))) == DETAILS
    )


@both_variants
async def test_a_key_with_an_email_goes_into_its_two_headers(variant: Variant) -> None:
    cloudflare = Cloudflare(ok([]))
    headers = {"X-Auth-Email": "a@b.c", "X-Auth-Key": SECRET}
    credentials = Credentials(ACCOUNT, headers=Secret(headers))
    executor = HttpExecutor(credentials, transport=cloudflare, async_transport=cloudflare)
    await variant.send(executor, ListIndexes())
    (request,) = cloudflare.requests
    assert request.headers["x-auth-email"] == "a@b.c"
    assert request.headers["x-auth-key"] == SECRET
    assert "authorization" not in request.headers


@both_variants
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("my index", b"my%20index"),
        ("a/b", b"a%2Fb"),
        ("../other", b"..%2Fother"),
        ("100%", b"100%25"),
        ("%2e%2e", b"%252e%252e"),
        ("a?b#c", b"a%3Fb%23c"),
        ("ü", b"%C3%BC"),
        ("...", b"..."),
        ("a_b-C.9~", b"a_b-C.9~"),
    ],
)
@pytest.mark.parametrize(("make", "rest"), [(GetIndex, b""), (GetInfo, b"/info")])
async def test_the_name_of_an_index_is_one_segment_of_the_path(
    variant: Variant, name: str, path: bytes, make: Any, rest: bytes
) -> None:
    cloudflare = Cloudflare(ok({**INDEX, **INFO, "name": name}))
    await variant.send(cloudflare.executor(), make(name))
    assert cloudflare.requests[0].url.raw_path == f"{PREFIX}/".encode() + path + rest


IN_AN_INDEX = {
    type(sent.op).__name__: sent.op
    for sent in REQUESTS.values()
    if not isinstance(sent.op, (CreateIndex, ListIndexes))
}


@both_variants
@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize("op", IN_AN_INDEX.values(), ids=IN_AN_INDEX)
async def test_a_name_that_addresses_something_else_is_not_sent(
    variant: Variant, op: Any, name: str
) -> None:
    cloudflare = Cloudflare(ok(None))
    with pytest.raises(InvalidInputError, match="cannot be the name of an index"):
        await variant.send(cloudflare.executor(), dataclasses.replace(op, index=name))
    assert cloudflare.requests == []


@both_variants
async def test_a_cursor_arrives_as_it_was_given(variant: Variant) -> None:
    cloudflare = Cloudflare(ok(LAST_PAGE))
    await variant.send(cloudflare.executor(), ListVectors("docs", 10, "a+b/c==&d e%20"))
    assert dict(cloudflare.requests[0].url.params) == {"count": "10", "cursor": "a+b/c==&d e%20"}


@pytest.mark.parametrize("given", [{}, {"vector": ONE_VALUE, "vector_id": "a"}])
def test_a_query_takes_a_vector_or_an_id(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="a vector or a vector_id"):
        Query("docs", **given)


def test_what_may_be_sent_twice() -> None:
    not_repeatable = {op.__name__ for op in every_operation() if not op.repeatable}  # type: ignore[attr-defined]
    assert not_repeatable == {
        "CreateIndex",
        "DeleteIndex",
        "CreateMetadataIndex",
        "DeleteMetadataIndex",
    }


def test_errors_name_the_operation_and_its_index() -> None:
    assert [str(op) for op in (Upsert("docs", TWO), CreateIndex("d", IndexConfig(32)))] == [
        "Upsert(docs)",
        "CreateIndex(d)",
    ]
    assert str(ListIndexes()) == "ListIndexes"
