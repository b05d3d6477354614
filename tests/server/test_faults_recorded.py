"""Each error is, word for word, one that was recorded, or carries the mark.

`helpers.fault_of` holds every fault of the server's tests to that, those of test_fuzzing.py too;
here are the errors of each call one by one.
"""

from __future__ import annotations

import inspect
import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.helpers import MARK, NDJSON, ONES, Peer, axis, lines, record
from tests.server.recorded import RECORDED, expected
from vectorize_core.local import faults

Serve = Callable[..., Peer]
JSON = "application/json"
UNMARKED = (400, 49999)
FAULTS = [
    function
    for function in vars(faults).values()
    if inspect.isfunction(function) and function.__module__ == faults.__name__
]
ARGUMENTS: dict[str, list[Any]] = {
    "status": [404],
    "name": ["docs", 'a"b\n'],
    "verb": ["insert", "upsert"],
    "line": [0, 7, None],
    "most": [20, 100],
    "vector_id": ["a", "line\nbreak"],
    "expected": [32],
    "got": [0, 33],
    "size": [65],
    "top_k": [60],
    "field": ["ids"],
    "reason": ["whatever it is"],
    "fault": [faults.unparsable_vectors("insert", 0, "why"), faults.index_deleted("docs")],
}


@pytest.mark.parametrize("make", FAULTS, ids=lambda make: make.__name__)
def test_every_fault_is_recorded_or_marked(make: Callable[..., faults.ServiceFault]) -> None:
    names = [
        name
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.default is parameter.empty
    ]
    for values in itertools.product(*(ARGUMENTS[name] for name in names)):
        fault = make(*values)
        assert expected(fault.status, fault.code, fault.message), str(fault)


def test_a_text_that_is_neither_is_found() -> None:
    assert not expected(400, 49999, "wrong")
    assert not expected(400, 40026, f"{MARK}wrong")
    assert not expected(400, 40026, "Failed to parse the request body as JSON: ids: expected value")
    assert not expected(404, 40008, "id too long; max is 64 bytes, got 65 bytes")
    assert not expected(400, 40008, "id too long; max is 64 bytes, got 65 bytes!")
    assert len({known.text for known in RECORDED}) == len(RECORDED)


# JSON calls

WRONG_FIELDS = {
    "": {
        "name": [None, 1, True, [], {}, "", "a b"],
        "description": [1, True, [], {}],
        "config": [1, "cosine", True, [], {}],
    },
    "/docs/query": {
        "vector": ["x", 1, True, {}, ["1"], [True], [None], [[1.0]]],
        "vectorId": [1, True, [], {}],
        "topK": [2.5, -2.5, "3", True, False, [], {}, 0, -1, -1.0, 101, 1e300, 2**70],
        "returnValues": [0, 1, "true", [], {}],
        "returnMetadata": [0, 1, 2.5, [], {}, "some", "", "ALL"],
        "filter": [1, "x", True, [], ["a"], {"a": {}}, {"$or": 1}, {"a": {"$gt": None}}],
        "namespace": [1, True, [], {}, "n" * 65],
    },
    "/docs/get_by_ids": {"ids": ["a", 1, True, {}, [1], [None], [True], [["a"]], [{}], [2.5]]},
    "/docs/delete_by_ids": {"ids": ["a", 1, True, {}, [1], [None], [True], [["a"]], [{}]]},
    "/docs/metadata_index/create": {
        "propertyName": [None, 1, True, [], {}, "", "$a", 'a"b'],
        "indexType": [None, 1, True, [], {}, "String", "text"],
    },
    "/docs/metadata_index/delete": {"propertyName": [None, 1, True, [], {}, "unknown"]},
}
RIGHT_FIELDS: dict[str, dict[str, Any]] = {
    "": {"name": "other", "config": {"dimensions": 32, "metric": "cosine"}},
    "/docs/query": {"vector": ONES},
    "/docs/metadata_index/create": {"propertyName": "p", "indexType": "string"},
}


@pytest.mark.parametrize("path", WRONG_FIELDS)
def test_a_field_of_the_wrong_kind_is_marked(docs: Peer, path: str) -> None:
    for name, values in WRONG_FIELDS[path].items():
        for value in values:
            body = {**RIGHT_FIELDS.get(path, {}), name: value}
            if name == "vectorId":
                del body["vector"]
            status, code, text = docs.fault("POST", path, body)
            assert code == 49999, (name, value, text)
            assert status == (404 if value == "unknown" else 400)
            assert text.startswith(MARK), (name, value, text)
            call = path.removeprefix("/docs/")
            if call in BINDING_CALLS:
                answer = docs.send(
                    "POST", f"~/{BINDING_CALLS[call]}", body, headers=binding_of(docs)
                )
                assert_bare(answer, 400, 49999, text)


BINDING_CALLS = {"query": "query", "get_by_ids": "getByIds", "delete_by_ids": "deleteByIds"}


@pytest.mark.parametrize(
    "config",
    [
        {"metric": "cosine"},
        {"dimensions": None, "metric": "cosine"},
        {"dimensions": "32", "metric": "cosine"},
        {"dimensions": 32.5, "metric": "cosine"},
        {"dimensions": True, "metric": "cosine"},
        {"dimensions": [32], "metric": "cosine"},
        {"dimensions": 32},
        {"dimensions": 32, "metric": "hamming"},
        {"dimensions": 32, "metric": 1},
        {"preset": "unknown"},
        {"preset": 1},
    ],
)
def test_other_wrong_configurations_are_marked(peer: Peer, config: dict[str, Any]) -> None:
    status, code, text = peer.fault("POST", "", {"name": "docs", "config": config})
    assert ((status, code), text.startswith(MARK)) == (UNMARKED, True)
    assert peer.result("GET", "") == []


@pytest.mark.parametrize("dimensions", [16, 16.0, 0, -1, -0.0, 1537, 3072, 2**70, 1e300])
def test_dimensions_out_of_range_are_3003(peer: Peer, dimensions: float) -> None:
    text = "vectorize.index.invalid_config - Dimensions must be in range: [32, 1536]"
    config = {"dimensions": dimensions, "metric": "cosine"}
    assert peer.fault("POST", "", {"name": "docs", "config": config}) == (400, 3003, text)


def test_no_configuration_is_3003(peer: Peer) -> None:
    text = "vectorize.index.invalid_config - Config must be provided"
    for body in ({"name": "docs"}, {"name": "docs", "config": None}):
        assert peer.fault("POST", "", body) == (400, 3003, text)


@pytest.mark.parametrize("flag", [True, False])
def test_only_return_metadata_has_a_recorded_text_for_booleans(docs: Peer, flag: bool) -> None:
    text = "Failed to parse the request body as JSON: returnMetadata: expected value"
    body = {"vector": ONES, "returnMetadata": flag}
    assert docs.fault("POST", "/docs/query", body) == (400, 40026, text)
    answer = docs.send("POST", "~/query", body, headers=binding_of(docs))
    assert_bare(answer, 400, 40026, text)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"1", b"null", b"\xff", b"{}x"])
@pytest.mark.parametrize("path", ["", *(f"/docs/{call}" for call in BINDING_CALLS)])
def test_a_body_that_is_no_json_object_is_marked(docs: Peer, path: str, content: bytes) -> None:
    assert docs.fault("POST", path, content=content, kind=JSON)[:2] == UNMARKED


@pytest.mark.parametrize(
    "params",
    [{"count": text} for text in ("0", "1001", "2.0", "3.5", "x", "", "-1", "+1", "1e2", "9" * 99)],
    ids=lambda params: params["count"][:5],
)
def test_a_count_of_a_listing_is_marked(docs: Peer, params: dict[str, str]) -> None:
    assert docs.fault("GET", "/docs/list", params=params)[:2] == UNMARKED


def test_a_cursor_of_nobody_is_40052_and_an_expired_one_is_marked(serve: Serve) -> None:
    now = [1_800_000_000.0]
    peer = serve(clock=lambda: now[0], cursor_lifetime=60.0)
    peer.create()
    peer.write(record("a"), record("b"))
    page = peer.result("GET", "/docs/list", params={"count": "1"})
    corrupted = 400, 40052, "List vectors cursor appears to be corrupted"
    token = page["nextCursor"].split("-")[0]
    for cursor in ("", "x", "\u0661", token, f"{token}-", f"{token}-\u0661", f"{token}-{'9' * 99}"):
        assert peer.fault("GET", "/docs/list", params={"cursor": cursor}) == corrupted
    now[0] += 61
    expired = peer.fault("GET", "/docs/list", params={"cursor": page["nextCursor"]})
    assert expired[:2] == UNMARKED


# Writes

UNPARSABLE = {
    "text in quotes": b'"{}"',
    "an array": b"[{}]",
    "a typed array, which JavaScript writes as an object": b'{"id": "a", "values": {"0": 1.0}}',
    "a wrong key": b'{"id": "a", "vector": [1.0]}',
    "a lone surrogate": b'{"id": "a", "values": [1.0], "metadata": {"t": "\\ud835"}}',
    "a number beyond float32": b'{"id": "a", "values": [1e39]}',
    "metadata that are nested too deep": b'{"id": "a", "values": [1], "metadata": {"t": '
    + b"[" * 120
    + b"]" * 120
    + b"}}",
}
BARE = "failed to parse {} vectors request in ndjson format: line Some({}) was not expected format"
OLDER = "failed to parse {} vectors request in json format: line None was not expected format"


@pytest.mark.parametrize("verb", ["insert", "upsert"])
@pytest.mark.parametrize("line", UNPARSABLE.values(), ids=UNPARSABLE)
def test_vectors_that_cannot_be_parsed_have_the_text_of_their_way(
    docs: Peer, line: bytes, verb: str
) -> None:
    body = lines(record("good")) + b"\n" + line
    path, text = f"/docs/{verb}", BARE.format(verb, 1)
    upstream = f"vectorize.upstream_error - {text}"
    assert docs.fault("POST", path, content=body, kind=NDJSON) == (400, 40023, upstream)
    form = docs.http.post(docs.url(path), files={"vectors": ("v.ndjson", body, NDJSON)})
    assert form.json()["errors"] == [{"code": 40023, "message": text}]
    binding = binding_of(docs)
    answer = docs.send("POST", f"~/{verb}", content=body, kind=NDJSON, headers=binding)
    assert_bare(answer, 400, 40023, text)
    older = b'{"vectors": [' + body.replace(b"\n", b",") + b"]}"
    answer = docs.send("POST", f"~/{verb}", content=older, kind=JSON, headers=binding)
    assert_bare(answer, 400, 40023, OLDER.format(verb))
    assert docs.count() == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b"{}", b'{"vectors": 1}', b'{"vectors": {}}', b'{"vectors":""}'],
)
def test_an_older_write_without_vectors_is_40023_too(docs: Peer, body: bytes) -> None:
    answer = docs.send("POST", "~/upsert", content=body, kind=JSON, headers=binding_of(docs))
    assert_bare(answer, 400, 40023, OLDER.format("upsert"))


def test_what_is_wrong_with_a_vector_is_in_the_log(
    docs: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "vectorize_core.server"):
        docs.fault("POST", "/docs/upsert", content=b'{"id": "a", "values": "1"}', kind=NDJSON)
        older = {"vectors": [{"id": 1}]}
        docs.send("POST", "~/upsert", older, headers=binding_of(docs))
    assert "line Some(0) was not expected format: 'values: expected an array of n" in caplog.text
    assert "line None was not expected format: 'id: expected a string'" in caplog.text


def test_other_refusals_are_the_same_by_a_binding(docs: Peer) -> None:
    binding = binding_of(docs)
    for vector in (
        record("x" * 65),
        record("a", [1.0]),
        record("a", metadata={"t": "x" * 10_240}),
        record(""),
        record("a", namespace="n" * 65),
        record("a", metadata={"$a": 1}),
    ):
        told = docs.write_fault(vector)
        answer = docs.send("POST", "~/upsert", content=lines(vector), kind=NDJSON, headers=binding)
        assert_bare(answer, *told)
        answer = docs.send("POST", "~/upsert", {"vectors": [vector]}, headers=binding)
        assert_bare(answer, *told)


def binding_of(peer: Peer) -> dict[str, str]:
    """Bindings see one account, so its index has the account's name."""
    name = f"binding-{peer.account}"
    local = Peer(peer.base_url)
    try:
        if name not in [index["name"] for index in local.result("GET", "")]:
            local.create(name)
    finally:
        local.close()
    return {"x-vectorize-index": name}


def assert_bare(answer: httpx.Response, status: int, code: int, text: str) -> None:
    told = answer.status_code, answer.json()
    assert told == (status, {"error": text, "code": code})
    assert expected(status, code, text)


# Numbers


@pytest.mark.parametrize("three", ["3", "3.0", "3e0", "0.3e1", "30E-1"])
def test_an_integer_may_be_written_with_a_point(docs: Peer, three: str) -> None:
    docs.write(*(record(str(number), axis(number)) for number in range(5)))
    body = f'{{"vector": {json.dumps(axis(0))}, "topK": {three}}}'.encode()
    assert docs.result("POST", "/docs/query", content=body, kind=JSON)["count"] == 3
    body = f'{{"vector": {json.dumps(axis(0))}, "topK": {three}1}}'.encode()
    assert docs.send("POST", "/docs/query", content=body, kind=JSON).status_code == (
        200 if three in ("3", "3e0") and float(three + "1") <= 100 else 400
    )


def test_dimensions_and_rules_may_be_written_with_a_point(peer: Peer, serve: Serve) -> None:
    config = {"dimensions": 32.0, "metric": "cosine"}
    created = peer.result("POST", "", {"name": "docs", "config": config})
    assert json.dumps(created["config"]["dimensions"]) == "32"
    other = serve()
    other.put_faults({"match": "GET", "nth": 2.0, "times": 1.0, "status": 503.0, "code": 7.0})
    assert [other.send("GET", "").status_code for _ in range(3)] == [200, 503, 200]


def test_other_numbers_stay_as_they_are(docs: Peer) -> None:
    docs.write(record("a", metadata={"one": 1.0, "large": 1e300, "half": 2.5, "int": 7}))
    (match,) = docs.query(returnMetadata="all")
    assert json.dumps(match["metadata"]) == '{"one": 1.0, "large": 1e+300, "half": 2.5, "int": 7}'
