"""What is recorded of the service must hold on it, and on the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.live.conftest import VECTORS, Target
from tests.server.helpers import NDJSON, ONES, axis, lines, record

pytestmark = pytest.mark.timeout(1_800)
REFUSED: dict[str, tuple[str, Any, int]] = {
    "another length": ("query", {"vector": [1.0]}, 40006),
    "21 ids to get": ("get_by_ids", {"ids": [str(n) for n in range(21)]}, 40007),
    "101 ids to delete": ("delete_by_ids", {"ids": [str(n) for n in range(101)]}, 40007),
    "51 with values": ("query", {"vector": ONES, "topK": 51, "returnValues": True}, 40025),
    "51 with metadata": ("query", {"vector": ONES, "topK": 51, "returnMetadata": "all"}, 40025),
    "a boolean": ("query", {"vector": ONES, "returnMetadata": False}, 40026),
}
UNWRITABLE: dict[str, tuple[bytes, int]] = {
    "a long id": (lines(record("x" * 65)), 40008),
    "another length": (lines(record("a", [1.0])), 40012),
    "large metadata": (lines(record("a", metadata={"t": "x" * 10_240})), 40016),
    "a lone surrogate": (lines(record("a", metadata={"t": "\ud835"})), 40023),
    "no NDJSON": (b'"x"', 40023),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_against_a_limit_has_its_code(target: Target, case: str) -> None:
    call, body, code = REFUSED[case]
    assert target.peer.fault("POST", f"/{target.docs}/{call}", body)[:2] == (400, code)


@pytest.mark.parametrize("case", UNWRITABLE)
def test_a_write_that_breaks_a_rule_has_its_code(target: Target, case: str) -> None:
    content, code = UNWRITABLE[case]
    fault = target.peer.fault("POST", f"/{target.docs}/upsert", content=content, kind=NDJSON)
    assert fault[:2] == (400, code)


def test_another_content_type_is_1005(target: Target) -> None:
    body = {"content": lines(record("a")), "kind": "application/json"}
    assert target.peer.fault("POST", f"/{target.docs}/insert", **body)[:2] == (400, 1005)


def test_a_used_name_is_3002(target: Target) -> None:
    body = {"name": target.docs, "config": {"dimensions": 32, "metric": "cosine"}}
    assert target.peer.fault("POST", "", body)[:2] == (400, 3002)


def test_an_index_is_shown_as_it_was_made(target: Target) -> None:
    index = target.peer.result("GET", f"/{target.docs}")
    assert (index["name"], index["description"]) == (target.docs, "")
    assert index["config"] == {"dimensions": 32, "metric": "cosine"}
    assert target.docs in [one["name"] for one in target.peer.result("GET", "")]


def test_metadata_index_types_have_capitals(target: Target) -> None:
    listed = target.peer.result("GET", f"/{target.docs}/metadata_index/list")["metadataIndexes"]
    assert {i["propertyName"]: i["indexType"] for i in listed} == {
        "s": "String",
        "n": "Number",
        "a.s": "String",
    }


def test_vectors_come_back_as_they_were_written(target: Target) -> None:
    wanted = VECTORS[-5]
    body = {"ids": [wanted["id"], "not there"]}
    (found,) = target.peer.result("POST", f"/{target.docs}/get_by_ids", body)
    assert (found["id"], found["values"]) == (wanted["id"], wanted["values"])
    assert found["metadata"] == wanted["metadata"]


def test_a_namespace_and_a_filter_narrow_a_query(target: Target) -> None:
    def found(**options: Any) -> str:
        return target.peer.found(target.docs, topK=50, **options)

    assert found(namespace="space") == "space"
    assert found(namespace="unknown") == ""
    assert found(filter={"s": "text"}, namespace="space") == "space"
    assert found(filter={"s": {"$gte": "tex", "$lt": "tey"}}) == "spacetext"
    assert found(filter={}, namespace="space") == "space"


def test_a_query_gives_what_it_is_asked_for(target: Target) -> None:
    (match,) = target.peer.query(
        target.docs, vector=axis(3), topK=1, returnValues=True, returnMetadata="all"
    )
    assert (match["id"], match["values"]) == ("text", axis(3))
    assert match["metadata"] == {"s": "text", "n": 1}
    assert match["score"] == pytest.approx(1.0, abs=0.01)


def test_a_listing_holds_every_id_once(target: Target) -> None:
    seen: list[str] = []
    params = {"count": "4"}
    while True:
        page = target.peer.result("GET", f"/{target.docs}/list", params=params)
        seen += [vector["id"] for vector in page["vectors"]]
        if not page["isTruncated"]:
            break
        params = {"count": "4", "cursor": page["nextCursor"]}
    assert sorted(seen) == sorted(vector["id"] for vector in VECTORS)


def test_vectors_are_inserted_replaced_and_deleted(target: Target) -> None:
    name = target.create("euclidean")
    target.write(name, record("a", axis(0), metadata={"v": 1}))
    target.peer.write(record("a", axis(0), metadata={"v": 2}), name=name, verb="insert")
    target.write(name, record("b", axis(1)))

    def stored() -> Any:
        return target.peer.result("POST", f"/{name}/get_by_ids", {"ids": ["a"]})

    # The insert was processed before the vector that has been seen since.
    assert stored()[0]["metadata"] == {"v": 1}
    target.peer.write(record("a", axis(0)), name=name)
    target.until(lambda: not stored()[0].get("metadata"))
    target.peer.result("POST", f"/{name}/delete_by_ids", {"ids": ["a"]})
    target.until(lambda: not stored())
    target.peer.result("DELETE", f"/{name}")
    status = target.peer.send("GET", f"/{name}").status_code
    assert status in (404, 410)
