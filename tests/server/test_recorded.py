"""What others recorded of the real service, row by row.

Each test is a finding tagged LIVE, DOC or CODE in the project's dossier on Vectorize; texts are
word for word. See also test_faults.py for 40041 and test_bodies.py for what a write may look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.helpers import DIMENSIONS, MARK, NDJSON, ONES, Clock, Peer, axis, lines, record

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
Serve = Callable[..., Peer]

# The control plane


def test_a_created_index_shows_microseconds_and_an_empty_description(peer: Peer) -> None:
    config = {"dimensions": 1024, "metric": "cosine"}
    created = peer.result("POST", "", {"name": "test_temp_index", "config": config})
    assert created.keys() == {"created_on", "modified_on", "name", "description", "config"}
    assert (created["name"], created["description"]) == ("test_temp_index", "")
    assert created["config"] == config
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", created["created_on"])
    assert created["modified_on"] == created["created_on"]
    assert peer.result("GET", "/test_temp_index") == created
    assert peer.result("GET", "") == [created]


def test_a_description_and_a_preset_are_taken(peer: Peer) -> None:
    body = {"name": "p", "description": "d", "config": {"preset": "@cf/baai/bge-base-en-v1.5"}}
    created = peer.result("POST", "", body)
    assert created["description"] == "d"
    assert created["config"] == {"dimensions": 768, "metric": "cosine"}


def test_an_index_that_never_was_is_404_and_3000(peer: Peer) -> None:
    expected = 404, 3000, 'vectorize.index.not_found - Index name "X"'
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/info"), ("GET", "/list")):
        assert peer.fault(method, f"/X{path}") == expected
    assert peer.fault("POST", "/X/query", {"vector": ONES}) == expected
    assert peer.fault("POST", "/X/upsert", content=lines(record("a")), kind=NDJSON) == expected
    assert peer.fault("GET", "/X/metadata_index/list") == expected


def test_a_taken_name_is_400_and_3002(docs: Peer) -> None:
    body = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
    expected = 400, 3002, 'vectorize.index.duplicate_name - Index name "docs"'
    assert docs.fault("POST", "", body) == expected


def test_a_deleted_index_is_410_and_3005_until_its_name_is_used_again(docs: Peer) -> None:
    docs.result("POST", "/docs/metadata_index/create", {"propertyName": "a", "indexType": "string"})
    assert docs.result("DELETE", "/docs") is None
    expected = 410, 3005, 'vectorize.index.deleted - Index name "docs"'
    for path in ("", "/info", "/metadata_index/list"):
        assert docs.fault("GET", f"/docs{path}") == expected
    docs.create()
    assert docs.count() == 0
    assert docs.result("GET", "/docs/metadata_index/list") == {"metadataIndexes": []}


@pytest.mark.parametrize("dimensions", [31, 1537, 0, -1])
def test_dimensions_out_of_range_name_the_range(peer: Peer, dimensions: int) -> None:
    config = {"dimensions": dimensions, "metric": "cosine"}
    status, _, message = peer.fault("POST", "", {"name": "docs", "config": config})
    assert status == 400
    assert message == "vectorize.index.invalid_config - Dimensions must be in range: [32, 1536]"


def test_an_index_needs_a_config(peer: Peer) -> None:
    status, _, message = peer.fault("POST", "", {"name": "docs"})
    assert (status, message) == (
        400,
        "vectorize.index.invalid_config - Config must be provided",
    )


def test_a_failure_is_exactly_the_recorded_envelope(peer: Peer) -> None:
    # mastra#3444
    error = {"code": 3000, "message": 'vectorize.index.not_found - Index name "X"'}
    expected = {"result": None, "success": False, "errors": [error], "messages": []}
    assert peer.send("GET", "/X").json() == expected


def test_the_deprecated_first_version_is_not_served(docs: Peer) -> None:
    url = docs.url("/docs").replace("/v2", "")
    assert docs.http.get(url).status_code == 404


# Info


def test_a_fresh_index_has_no_processed_mutation(docs: Peer) -> None:
    assert docs.result("GET", "/docs/info") == {"dimensions": DIMENSIONS, "vectorCount": 0}


def test_a_processed_mutation_has_a_uuid_and_milliseconds(docs: Peer) -> None:
    mutation_id = docs.write(record("a"))
    assert UUID.fullmatch(mutation_id)
    info = docs.result("GET", "/docs/info")
    assert info.pop("processedUpToDatetime").partition(".")[2][3:] == "Z"
    assert info == {
        "dimensions": DIMENSIONS,
        "vectorCount": 1,
        "processedUpToMutation": mutation_id,
    }


def test_the_mutation_of_a_metadata_index_shows_in_the_info(docs: Peer) -> None:
    body = {"propertyName": "indexVersion", "indexType": "string"}
    made = docs.result("POST", "/docs/metadata_index/create", body)
    info = docs.result("GET", "/docs/info")
    assert (info["vectorCount"], info["processedUpToMutation"]) == (0, made["mutationId"])


# Metadata indexes


def test_metadata_index_types_are_listed_with_capitals(docs: Peer) -> None:
    for name, kind in (("s", "string"), ("n", "number"), ("b", "boolean"), ("a.n", "number")):
        body = {"propertyName": name, "indexType": kind}
        docs.result("POST", "/docs/metadata_index/create", body)
    assert docs.result("GET", "/docs/metadata_index/list")["metadataIndexes"] == [
        {"propertyName": "s", "indexType": "String"},
        {"propertyName": "n", "indexType": "Number"},
        {"propertyName": "b", "indexType": "Boolean"},
        {"propertyName": "a.n", "indexType": "Number"},
    ]
    docs.result("POST", "/docs/metadata_index/delete", {"propertyName": "n"})
    assert len(docs.result("GET", "/docs/metadata_index/list")["metadataIndexes"]) == 3


def test_ten_metadata_indexes_fit_an_index(docs: Peer) -> None:
    create = "/docs/metadata_index/create"
    for number in range(10):
        docs.result("POST", create, {"propertyName": f"p{number}", "indexType": "string"})
    assert len(docs.result("GET", "/docs/metadata_index/list")["metadataIndexes"]) == 10
    more = {"propertyName": "p10", "indexType": "string"}
    status, _, message = docs.fault("POST", create, more)
    assert (status, message.startswith(MARK)) == (400, True)


def test_a_metadata_index_covers_vectors_some_time_later(serve: Serve, clock: Clock) -> None:
    peer = serve(metadata_index_delay=90.0, clock=clock)
    peer.create(kind="string")
    peer.write(record("a", metadata={"kind": "x"}))
    assert peer.result("GET", "/docs/metadata_index/list") == {"metadataIndexes": []}
    clock.now += 90
    assert len(peer.result("GET", "/docs/metadata_index/list")["metadataIndexes"]) == 1
    peer.write(record("b", metadata={"kind": "x"}))
    assert peer.found(filter={"kind": "x"}) == "b"


# Reads


def test_ids_that_are_not_there_are_left_out(docs: Peer) -> None:
    docs.write(record("a", namespace="n", metadata={"k": 1}), record("b"))
    found = docs.result("POST", "/docs/get_by_ids", {"ids": ["b", "missing", "a"]})
    assert found == [record("b"), record("a", namespace="n", metadata={"k": 1})]
    docs.result("POST", "/docs/delete_by_ids", {"ids": ["a", "b", "missing"]})
    assert docs.result("POST", "/docs/get_by_ids", {"ids": ["a", "b"]}) == []


def test_values_come_back_as_float32(docs: Peer) -> None:
    docs.write(record("a", [58.8] * DIMENSIONS))
    (vector,) = docs.result("POST", "/docs/get_by_ids", {"ids": ["a"]})
    assert vector["values"] == [pytest.approx(58.79999923706055, abs=1e-6)] * DIMENSIONS


@pytest.mark.parametrize(("call", "most"), [("get_by_ids", 20), ("delete_by_ids", 100)])
def test_a_payload_of_too_many_ids_is_40007(docs: Peer, call: str, most: int) -> None:
    ids = [str(number) for number in range(most)]
    docs.result("POST", f"/docs/{call}", {"ids": ids})
    message = f"too many ids in payload; max id count is {most}, got {most + 10}"
    body = {"ids": [*ids, *map(str, range(1000, 1010))]}
    assert docs.fault("POST", f"/docs/{call}", body) == (400, 40007, message)


def test_a_query_vector_of_another_length_is_40006(peer: Peer) -> None:
    peer.result("POST", "", {"name": "docs", "config": {"dimensions": 1536, "metric": "cosine"}})
    message = "invalid query vector, expected 1536 dimensions, and got 768 dimensions"
    assert peer.fault("POST", "/docs/query", {"vector": [0.5] * 768}) == (400, 40006, message)


@pytest.mark.parametrize("payload", [{"returnValues": True}, {"returnMetadata": "all"}])
def test_more_than_50_with_payload_is_40025(docs: Peer, payload: dict[str, Any]) -> None:
    docs.query(topK=50, **payload)
    message = (
        "with returnValues=true or returnMetadata=all, max top K is 50, but got 60; for a top K up "
        "to 100, retry with returnValues=false and returnMetadata=indexed"
    )
    fault = docs.fault("POST", "/docs/query", {"vector": ONES, "topK": 60, **payload})
    assert fault == (400, 40025, message)


def test_a_hundred_matches_come_with_indexed_metadata(docs: Peer) -> None:
    docs.write(*(record(str(number)) for number in range(120)))
    assert len(docs.query(topK=100, returnMetadata="indexed")) == 100
    assert docs.fault("POST", "/docs/query", {"vector": ONES, "topK": 101})[0] == 400
    assert docs.fault("POST", "/docs/query", {"vector": ONES, "topK": 0})[0] == 400
    assert len(docs.query()) == 5


def test_a_boolean_for_return_metadata_is_40026(docs: Peer) -> None:
    message = "Failed to parse the request body as JSON: returnMetadata: expected value"
    fault = docs.fault("POST", "/docs/query", {"vector": ONES, "returnMetadata": False})
    assert fault == (400, 40026, message)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("POST", "/docs/query"), ("POST", "/docs/get_by_ids")],
)
def test_a_json_call_without_its_content_type_is_40026(docs: Peer, method: str, path: str) -> None:
    message = "Expected request with `Content-Type: application/json`"
    assert docs.fault(method, path, content=b"{}") == (400, 40026, message)
    assert docs.fault(method, path, content=b"{}", kind="text/plain")[1] == 40026


def test_an_unknown_namespace_finds_nothing_and_none_finds_all(docs: Peer) -> None:
    docs.write(record("a", namespace="n"), record("b", namespace="m"), record("c"))
    assert docs.query(namespace="unknown") == []
    assert docs.found(namespace="n") == "a"
    assert docs.found() == "abc"


def test_matches_leave_out_what_was_not_asked_for(docs: Peer) -> None:
    docs.write(record("a", namespace="n", metadata={"k": 1}))
    assert docs.query() == [{"id": "a", "score": 1.0, "namespace": "n"}]
    (match,) = docs.query(returnValues=True, returnMetadata="all")
    assert (match["values"], match["metadata"]) == (ONES, {"k": 1})


def test_a_query_by_id_is_one_by_its_vector(docs: Peer) -> None:
    docs.write(record("a", axis(0)), record("b", axis(1)))
    assert [match["id"] for match in docs.query(vectorId="b")] == ["b", "a"]


def test_scores_are_cosine_distance_and_negative_dot_product(peer: Peer) -> None:
    expected = {
        "cosine": [("b", 1.0), ("a", 0.0)],
        "euclidean": [("b", 1.0), ("a", 5**0.5)],
        "dot-product": [("b", -2.0), ("a", 0.0)],
    }
    for metric, best_first in expected.items():
        peer.create(metric, metric)
        peer.write(record("a", axis(0)), record("b", axis(1)), name=metric)
        matches = peer.query(metric, vector=axis(1, 2.0))
        assert [(m["id"], pytest.approx(m["score"])) for m in matches] == best_first


def test_a_zero_vector_is_taken_as_a_query(docs: Peer) -> None:
    docs.write(record("a"))
    assert docs.found(vector=[0.0] * DIMENSIONS) == "a"


# Filters


def test_an_empty_filter_is_no_filter(docs: Peer) -> None:
    docs.write(record("a"))
    assert docs.found(filter={}) == docs.found(filter=None) == "a"


@pytest.mark.parametrize(
    "wrong",
    [
        {'field"name': 1},
        {"$field": 1},
        {"": 1},
        {"x" * 513: 1},
        {"field": {}},
        {"field": {"$gt": []}},
        {"field": {"$gt": 1, "$ne": 2}},
        {"field": {"$exists": True}},
        {"$or": [{"field": 1}]},
        {"field": "x" * 2048},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_a_filter_that_is_none_is_refused(docs: Peer, wrong: dict[str, Any]) -> None:
    status, _, message = docs.fault("POST", "/docs/query", {"vector": ONES, "filter": wrong})
    assert (status, message.startswith(f"{MARK}invalid filter: ")) == (400, True)


def test_a_filter_without_a_metadata_index_is_no_error(docs: Peer) -> None:
    docs.write(record("a", metadata={"field": 7}))
    assert docs.query(filter={"field": {"$gt": 5, "$lt": 10}}) == []


def test_there_is_no_backfill(docs: Peer) -> None:
    docs.write(record("a", metadata={"kind": "x"}))
    body = {"propertyName": "kind", "indexType": "string"}
    docs.result("POST", "/docs/metadata_index/create", body)
    docs.write(record("b", metadata={"kind": "x"}))
    assert docs.found(filter={"kind": "x"}) == "b"
    docs.write(record("a", metadata={"kind": "x"}))
    assert docs.found(filter={"kind": "x"}) == "ab"


def test_values_of_another_type_are_read_as_the_index_type(peer: Peer) -> None:
    peer.create(s="string", price="number")
    for vector_id, value in (("a", "string value"), ("b", 10), ("c", False), ("d", True)):
        peer.write(record(vector_id, metadata={"s": value}))
    assert peer.found(filter={"s": {"$in": ["string value", 10, None]}}) == "ab"
    peer.write(record("e", metadata={"price": 200}), record("f", metadata={"price": 100}))
    assert peer.found(filter={"price": {"$gt": "150"}}) == "e"


def test_not_null_matches_vectors_that_lack_the_property(peer: Peer) -> None:
    peer.create(optional="string")
    peer.write(
        record("a", metadata={"optional": "x"}),
        record("b", metadata={"optional": None}),
        record("c", metadata={}),
        record("d"),
    )
    assert peer.found(filter={"optional": {"$ne": None}}) == "abcd"


def test_a_long_text_is_taken_in_a_list_of_values(peer: Peer) -> None:
    peer.create(s="string")
    peer.write(record("a", metadata={"s": "x" * 400}))
    assert peer.found(filter={"s": {"$in": ["x" * 400]}}) == "a"


def test_a_prefix_is_searched_with_two_bounds(peer: Peer) -> None:
    peer.create(k="string", **{"a.n": "number"})
    peer.write(record("a", metadata={"k": "network"}), record("b", metadata={"k": "neu"}))
    peer.write(record("c", metadata={"a": {"n": 1}}))
    assert peer.found(filter={"k": {"$gte": "net", "$lt": "neu"}}) == "a"
    assert peer.found(filter={"a.n": 1}) == "c"


# Writes


def test_insert_keeps_what_is_there_and_upsert_replaces_it(docs: Peer) -> None:
    docs.write(record("a", metadata={"v": 1}), verb="insert")
    assert UUID.fullmatch(docs.write(record("a", metadata={"v": 2}), verb="insert"))
    assert docs.query(returnMetadata="all")[0]["metadata"] == {"v": 1}
    docs.write(record("a", namespace="n"))
    assert docs.query(returnMetadata="all") == [{"id": "a", "score": 1.0, "namespace": "n"}]
    assert docs.count() == 1


LONG_ID = "x" * 74
REFUSED = {
    "40008": (
        record(LONG_ID),
        (400, 40008, "id too long; max is 64 bytes, got 74 bytes"),
    ),
    "40012": (
        record("test.txt-chunk-0", [0.5] * 64),
        (
            400,
            40012,
            (
                'invalid vector for id="test.txt-chunk-0", '
                "expected 32 dimensions, and got 64 dimensions"
            ),
        ),
    ),
    "40016": (
        record("big", metadata={"text": "x" * 21_315}),
        (
            400,
            40016,
            (
                'oversized metadata for vector id="big"; the compact JSON representation of the '
                "metadata must not exceed 10240 bytes, got 21326 bytes"
            ),
        ),
    ),
}


@pytest.mark.parametrize("verb", ["insert", "upsert"])
@pytest.mark.parametrize("code", REFUSED)
def test_one_bad_vector_refuses_the_whole_batch(docs: Peer, code: str, verb: str) -> None:
    vector, fault = REFUSED[code]
    assert docs.write_fault(record("good"), vector, verb=verb) == fault
    assert docs.count() == 0


def test_metadata_of_10240_bytes_and_ids_of_64_are_taken(docs: Peer) -> None:
    docs.write(record("é" * 32, metadata={"t": "x" * (10_240 - 8)}))
    assert docs.count() == 1
    message = "id too long; max is 64 bytes, got 66 bytes"
    assert docs.write_fault(record("é" * 33)) == (400, 40008, message)


def test_a_lone_surrogate_poisons_the_whole_batch_with_40023(docs: Peer) -> None:
    status, code, message = docs.write_fault(record("a"), record("b", metadata={"t": "\ud835"}))
    assert (status, code) == (400, 40023)
    assert message.startswith(
        "vectorize.upstream_error - failed to parse upsert vectors request in ndjson format: "
        "line Some(1) was not expected format"
    )
    assert docs.count() == 0


def test_a_vector_under_a_wrong_key_is_invalid(docs: Peer) -> None:
    assert docs.write_fault({"id": "a", "vector": ONES})[:2] == (400, 40023)
    assert docs.count() == 0


def test_a_null_namespace_and_empty_metadata_are_taken(docs: Peer) -> None:
    docs.write(record("a", namespace=None, metadata={}))
    assert docs.found() == "a"


def test_five_thousand_vectors_fit_a_write(docs: Peer) -> None:
    docs.write(*({"id": str(n), "values": axis(0)} for n in range(5_000)))
    assert docs.count() == 5_000
    status, _, message = docs.write_fault(*({"id": str(n), "values": [1]} for n in range(5_001)))
    assert (status, message.startswith(f"{MARK}too many vectors in payload")) == (400, True)


def test_processed_is_not_yet_visible(serve: Serve, clock: Clock) -> None:
    peer = serve(process_delay=30.0, propagate_delay=5.0, clock=clock)
    peer.create()
    mutation_id = peer.write(record("a"))
    assert "processedUpToMutation" not in peer.result("GET", "/docs/info")
    clock.now += 30
    assert peer.result("GET", "/docs/info")["processedUpToMutation"] == mutation_id
    assert (peer.count(), peer.found()) == (1, "")
    clock.now += 5
    assert peer.found() == "a"


# Listing


def test_a_listing_walks_the_ids_as_they_were_at_its_first_page(docs: Peer) -> None:
    docs.write(*(record(letter) for letter in "abcde"))
    first = docs.result("GET", "/docs/list", params={"count": "2"})
    assert (first["count"], first["totalCount"], first["isTruncated"]) == (2, 5, True)
    assert first["cursorExpirationTimestamp"].endswith("+00:00")
    docs.write(record("f"))
    docs.result("POST", "/docs/delete_by_ids", {"ids": ["c"]})
    seen = [vector["id"] for vector in first["vectors"]]
    page = first
    while page["nextCursor"]:
        params = {"count": "2", "cursor": page["nextCursor"]}
        page = docs.result("GET", "/docs/list", params=params)
        seen += [vector["id"] for vector in page["vectors"]]
    assert sorted(seen) == list("abcde")
    assert (page["isTruncated"], page["cursorExpirationTimestamp"]) == (False, None)
    assert docs.result("GET", "/docs/list")["totalCount"] == 5


def test_a_page_holds_a_hundred_ids_or_up_to_a_thousand(docs: Peer) -> None:
    docs.write(*({"id": str(n), "values": axis(0)} for n in range(150)))
    assert docs.result("GET", "/docs/list")["count"] == 100
    assert docs.result("GET", "/docs/list", params={"count": "1000"})["count"] == 150


def test_no_answer_has_more_than_its_content_type_and_length_say(docs: Peer) -> None:
    response: httpx.Response = docs.send("GET", "/docs")
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["content-length"]) == len(response.content)
