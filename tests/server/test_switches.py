"""Every switch, both ways, as a client of the server sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.helpers import ONES, Clock, Peer, axis, lines, record
from vectorize_core.local import Behavior
from vectorize_core.local.server import Settings

Serve = Callable[..., Peer]
LONG = "x" * 64


def filled(peer: Peer) -> Peer:
    peer.create(s="string", n="number", **{"a.s": "string"})
    peer.write(
        record("a", metadata={"s": f"{LONG}1", "n": 1}),
        record("b", metadata={"s": ["y", "z"], "n": "2"}),
        record("c", metadata={"a": {"s": "deep"}}),
    )
    return peer


def matching(**expression: Any) -> Callable[[Peer], str]:
    return lambda peer: peer.found(filter=expression)


def create_status(peer: Peer) -> int:
    body = {"name": "new", "config": {"dimensions": 32, "metric": "cosine"}}
    return peer.send("POST", "", body).status_code


def again(peer: Peer) -> int:
    body = {"propertyName": "s", "indexType": "string"}
    return peer.send("POST", "/docs/metadata_index/create", body).status_code


def dropped(peer: Peer) -> int:
    return peer.send("POST", "/docs/metadata_index/delete", {"propertyName": "x"}).status_code


def unknown_id(peer: Peer) -> int:
    return peer.send("POST", "/docs/query", {"vectorId": "unknown"}).status_code


def both(peer: Peer) -> int:
    return peer.send("POST", "/docs/query", {"vector": ONES, "vectorId": "a"}).status_code


def indexed(peer: Peer) -> Any:
    (match,) = peer.query(filter={"a.s": "deep"}, returnMetadata="indexed")
    return match["metadata"]


def dotted(peer: Peer) -> int:
    vector = record("d", metadata={"outer": {"in.ner": 1}})
    kind = "application/x-ndjson"
    return peer.send("POST", "/docs/upsert", content=lines(vector), kind=kind).status_code


def first_tie(peer: Peer) -> str:
    return str(peer.query(topK=1)[0]["id"])


def dot_product(peer: Peer) -> list[float]:
    peer.create("dots", "dot-product")
    peer.write(record("far", axis(0)), record("near", axis(0, 3.0)), name="dots")
    return [match["score"] for match in peer.query("dots", vector=axis(0))]


def duplicates(peer: Peer) -> list[int | str]:
    told: list[int | str] = []
    for verb in ("insert", "upsert"):
        body = lines(record(verb, metadata={"v": 1}), record(verb, metadata={"v": 2}))
        response = peer.send("POST", f"/docs/{verb}", content=body, kind="application/x-ndjson")
        if response.is_success:
            (vector,) = peer.result("POST", "/docs/get_by_ids", {"ids": [verb]})
            told.append(vector["metadata"]["v"])
        else:
            told.append("refused")
    return told


def discarding(peer: Peer) -> int | str:
    body = b"{\n" + lines(record("wrong", [1.0]), record("good"))
    kind, params = "application/x-ndjson", {"unparsable-behavior": "discard"}
    response = peer.send("POST", "/docs/upsert", content=body, kind=kind, params=params)
    return peer.count() if response.is_success else response.json()["errors"][0]["code"]


def not_told(peer: Peer) -> int:
    body = b"{\n" + lines(record("d"))
    kind = "application/x-ndjson"
    return peer.send("POST", "/docs/upsert", content=body, kind=kind).status_code


def not_found(peer: Peer) -> tuple[int, int]:
    return peer.fault("GET", "/nothing")[:2]


def deleted(peer: Peer) -> Any:
    return peer.result("DELETE", "/docs")


BOTH_WAYS: list[tuple[dict[str, Any], Callable[[Peer], Any], Any, Any]] = [
    # switch, what is asked, the answer by default, the answer with the switch
    ({"coerce_types": False}, matching(n="1"), "a", ""),
    ({"coerce_types": False}, matching(n={"$gt": 1}), "b", ""),
    ({"truncate_filter_values": False}, matching(s=f"{LONG}2"), "a", ""),
    ({"arrays": "elements"}, matching(s="y"), "", "b"),
    ({"negation_matches_missing": False}, matching(n={"$ne": 1}), "bc", "b"),
    ({"negation_matches_missing": False}, matching(unindexed={"$ne": 1}), "abc", ""),
    ({"eq_null": "missing"}, matching(n=None), "", "c"),
    ({"unknown_vector_id": "error"}, unknown_id, 200, 400),
    ({"duplicate_metadata_index": "accepted"}, again, 400, 200),
    ({"missing_metadata_index": "accepted"}, dropped, 404, 200),
    ({"indexed_metadata": "flat"}, indexed, {"a": {"s": "deep"}}, {"a.s": "deep"}),
    ({"nested_keys": "free"}, dotted, 400, 200),
    ({"dot_product": "positive"}, dot_product, [-3.0, -1.0], [3.0, 1.0]),
    ({"ties": "newest"}, first_tie, "a", "c"),
    ({"overlooked": 1.0}, lambda peer: peer.found(), "abc", ""),
    ({"create_status": 201}, create_status, 200, 201),
    ({"delete_result": "object"}, deleted, None, {}),
    ({"not_found_status": 400}, not_found, (404, 3000), (400, 3000)),
    ({"vector_and_id": "vector"}, both, 400, 200),
    ({"unparsable_default": "discard"}, not_told, 400, 200),
    ({"discards": "invalid"}, discarding, 40012, 4),
    ({"duplicate_ids": "reversed"}, duplicates, [1, 2], [2, 1]),
    ({"duplicate_ids": "error"}, duplicates, [1, 2], ["refused", "refused"]),
]


@pytest.mark.parametrize(
    ("switch", "ask", "usual", "other"), BOTH_WAYS, ids=[str(way[0]) for way in BOTH_WAYS]
)
def test_a_switch_changes_its_answer(
    peer: Peer,
    serve: Serve,
    switch: dict[str, Any],
    ask: Callable[[Peer], Any],
    usual: Any,
    other: Any,
) -> None:
    assert ask(filled(peer)) == usual
    assert ask(filled(serve(**switch))) == other


def test_every_switch_is_tested_here_or_by_the_clock() -> None:
    tested = {name for switch, *_ in BOTH_WAYS for name in switch}
    by_clock = {"process_delay", "propagate_delay", "metadata_index_delay"}
    by_clock |= {"cursor_lifetime", "processed_datetime", "overlooked_seed"}
    assert set(Behavior.__dataclass_fields__) <= tested | by_clock
    # What is no switch is tested in the other files.
    plain = {"data", "behavior", "token", "lenient", "rate_limit", "rate_limit_status", "faults"}
    plain |= {"binding_index", "max_body", "body_timeout", "clock"}
    plain |= {"bindings", "head_timeout", "max_connections", "hosts"}
    assert (
        set(Settings.__dataclass_fields__) == (tested - set(Behavior.__dataclass_fields__)) | plain
    )


def test_a_cursor_expires(serve: Serve, clock: Clock) -> None:
    peer = serve(cursor_lifetime=60.0, clock=clock)
    peer.create()
    peer.write(record("a"), record("b"))
    cursor = peer.result("GET", "/docs/list", params={"count": "1"})["nextCursor"]
    clock.now += 59
    peer.result("GET", "/docs/list", params={"cursor": cursor})
    clock.now += 1
    assert peer.fault("GET", "/docs/list", params={"cursor": cursor})[0] == 400


@pytest.mark.parametrize(("switch", "seconds"), [("processed", 30), ("submitted", 0)])
def test_the_processed_time_is_of_processing_or_submitting(
    serve: Serve, clock: Clock, switch: str, seconds: int
) -> None:
    peer = serve(processed_datetime=switch, process_delay=30.0, clock=clock)
    peer.create()
    peer.write(record("a"))
    clock.now += 30
    told = peer.result("GET", "/docs/info")["processedUpToDatetime"]
    assert told == f"2027-01-15T08:00:{seconds:02}.000Z"


def test_approximate_search_overlooks_the_same_fraction(
    serve: Serve,
) -> None:
    def found(**switches: Any) -> set[str]:
        peer = serve(overlooked=0.3, **switches)
        peer.create()
        peer.write(*(record(f"id-{n}") for n in range(100)))
        approximate = [{m["id"] for m in peer.query(topK=100)} for _ in range(2)]
        assert approximate[0] == approximate[1]
        # The values force the limit of 50, so each half is asked for by its namespace.
        assert len(peer.query(topK=50, returnValues=True)) == 50
        return approximate[0]

    first, same, other = found(), found(), found(overlooked_seed=1)
    assert 50 <= len(first) <= 90
    assert first == same != other


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_what_is_no_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="overlooked is a fraction"):
        Behavior(overlooked=fraction)
