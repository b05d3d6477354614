"""What was never recorded, asked of the service and of the emulator; see the report.

Against Cloudflare a difference is news and not a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.live.conftest import LIVE, Report, Target
from tests.server.helpers import NDJSON, ONES, Peer, axis, lines, record

QUESTIONS: dict[str, Callable[[Target], Any]] = {}


def question(text: str) -> Callable[[Callable[[Target], Any]], Callable[[Target], Any]]:
    def add(ask: Callable[[Target], Any]) -> Callable[[Target], Any]:
        QUESTIONS[text] = ask
        return ask

    return add


def told(peer: Peer, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """Status and code of an answer; the result too if it is one."""
    answer = peer.send(method, path, body, **more)
    envelope = answer.json()
    if answer.is_success:
        return {"status": answer.status_code, "result": _plain(envelope["result"])}
    return {"status": answer.status_code, "code": [e["code"] for e in envelope["errors"]]}


def _plain(result: Any) -> Any:
    if isinstance(result, dict) and "mutationId" in result:
        return "a mutation"
    if isinstance(result, dict) and "matches" in result:
        return sorted(match["id"] for match in result["matches"])
    return result


def ask(target: Target, **options: Any) -> Any:
    body = {"vector": ONES, "topK": 50, **options}
    return told(target.peer, "POST", f"/{target.docs}/query", body)


@question("status of creating, result of deleting an index; status of a used and of a new name")
def _(target: Target) -> Any:
    name = f"{target.docs}-x"
    body = {"name": name, "config": {"dimensions": 32, "metric": "cosine"}}
    created = target.peer.send("POST", "", body).status_code
    deleted = told(target.peer, "DELETE", f"/{name}")
    paths = [told(target.peer, "GET", f"/{name}{rest}") for rest in ("", "/info", "/list")]
    never = [told(target.peer, "GET", f"/{name}-never{rest}") for rest in ("", "/info", "/list")]
    return [created, deleted, paths, never, told(target.peer, "DELETE", f"/{name}-never")]


for _name, _body in {
    "no dimensions": {"metric": "cosine"},
    "31 dimensions": {"dimensions": 31, "metric": "cosine"},
    "an unknown metric": {"dimensions": 32, "metric": "manhattan"},
    "an unknown preset": {"preset": "x"},
}.items():
    QUESTIONS[f"creating an index with {_name}"] = lambda target, config=_body: told(  # type: ignore[misc]
        target.peer, "POST", "", {"name": f"{target.docs}-y", "config": config}
    )

for _name, _filter in {
    "an unknown operator": {"s": {"$exists": True}},
    "three operators": {"n": {"$gt": 1, "$lt": 3, "$ne": 2}},
    "an empty test": {"s": {}},
    "null": None,
    "2,048 bytes": {"s": "x" * 2_041},
    "no metadata index, $eq": {"other": 1},
    "no metadata index, $ne": {"other": {"$ne": 1}},
    "no metadata index, range": {"other": {"$gt": 0}},
    "$eq null": {"s": None},
    "null in a list": {"s": {"$in": [None, "text"]}},
    "$ne null": {"s": {"$ne": None}},
    "$nin": {"s": {"$nin": ["text"]}},
    "more than 64 bytes": {"s": "x" * 64 + "2"},
    "an array's element": {"s": "y"},
    "a text for a number": {"n": {"$gte": "1"}},
    "a number for a text": {"s": 10},
    "a bar in the name": {"a|b": 1},
}.items():
    QUESTIONS[f"a filter with {_name}"] = lambda target, given=_filter: ask(target, filter=given)  # type: ignore[misc]

for _name, _options in {
    "topK 0": {"topK": 0},
    "topK 101": {"topK": 101},
    "a namespace of 65 bytes": {"namespace": "x" * 65},
    "an empty namespace": {"namespace": ""},
    "both vector and id": {"vectorId": "text"},
    "neither vector nor id": {"vector": None},
    "an unknown id": {"vector": None, "vectorId": "unknown"},
    "its own id": {"vector": None, "vectorId": "text"},
    "zeros": {"vector": [0.0] * 32},
}.items():
    QUESTIONS[f"a query with {_name}"] = lambda target, given=_options: told(  # type: ignore[misc]
        target.peer,
        "POST",
        f"/{target.docs}/query",
        {k: v for k, v in {"vector": ONES, "topK": 50, **given}.items() if v is not None},
    )


@question("the shape of nested indexed metadata")
def _(target: Target) -> Any:
    options = {"vector": axis(7), "topK": 1, "returnMetadata": "indexed"}
    return [match.get("metadata") for match in target.peer.query(target.docs, **options)]


@question("the keys of a match, and of a vector without metadata")
def _(target: Target) -> Any:
    (match,) = target.peer.query(target.docs, vector=axis(0), topK=1, returnMetadata="all")
    (vector,) = target.peer.result("POST", f"/{target.docs}/get_by_ids", {"ids": ["plain"]})
    return [sorted(match), sorted(vector)]


@question("the order of a tie")
def _(target: Target) -> Any:
    return [match["id"] for match in target.peer.query(target.docs, vector=axis(9), topK=2)]


@question("the sign and order of dot-product scores")
def _(target: Target) -> Any:
    name = target.create("dot-product")
    target.write(name, record("near", axis(0, 3.0)), record("far", axis(0)))
    found = target.peer.query(name, vector=axis(0), returnValues=True)
    return [(match["id"], round(match["score"], 3)) for match in found]


@question("one id twice in a write: what insert and what upsert keep")
def _(target: Target) -> Any:
    name = target.create()
    kept = []
    for verb in ("insert", "upsert"):
        twice = [record(verb, axis(0), metadata={"v": v}) for v in (1, 2)]
        target.peer.write(*twice, name=name, verb=verb)
        body = {"ids": [verb]}
        found = target.until(
            lambda body=body: target.peer.result("POST", f"/{name}/get_by_ids", body)  # type: ignore[misc]
        )
        kept.append(found[0]["metadata"]["v"])
    return kept


for _name, _line in {
    "a line that is no JSON": b"{",
    "a vector of another length": lines(record("short", [1.0])),
}.items():
    for _behavior in ("", "error", "discard"):
        # Alone in its write, so that nothing is written whatever the answer.
        QUESTIONS[f"{_name}, unparsable-behavior {_behavior or 'not said'}"] = (
            lambda target, line=_line, wish=_behavior: told(  # type: ignore[misc]
                target.peer,
                "POST",
                f"/{target.docs}/upsert",
                content=line,
                kind=NDJSON,
                params={"unparsable-behavior": wish} if wish else None,
            )
        )

for _name, _key in {
    "a dot": "a.b",
    "a quote": 'a"b',
    "a dollar": "$a",
    "nothing": "",
}.items():
    for _where, _metadata in {"": {_key: 1}, " inside an object": {"a": {_key: 1}}}.items():
        # Beside a vector of a wrong length, so that it is refused in any case.
        QUESTIONS[f"a metadata key with {_name}{_where}"] = lambda target, given=_metadata: told(  # type: ignore[misc]
            target.peer,
            "POST",
            f"/{target.docs}/upsert",
            content=lines(record("key", axis(0), metadata=given), record("short", [1.0])),
            kind=NDJSON,
        )

for _call in ("get_by_ids", "delete_by_ids"):
    for _name, _ids in {
        "no ids": {"ids": []},
        "nothing": {},
        "an unknown id": {"ids": ["?"]},
    }.items():
        QUESTIONS[f"{_call} with {_name}"] = lambda target, call=_call, body=_ids: told(  # type: ignore[misc]
            target.peer, "POST", f"/{target.docs}/{call}", body
        )

for _name, _params in {
    "count 0": {"count": "0"},
    "count 1001": {"count": "1001"},
    "a cursor that is none": {"cursor": "x"},
}.items():
    QUESTIONS[f"a listing with {_name}"] = lambda target, params=_params: told(  # type: ignore[misc]
        target.peer, "GET", f"/{target.docs}/list", params=params
    )


@question("a metadata index again, of a type with a capital, and the end of one that is not there")
def _(target: Target) -> Any:
    name = target.create()
    target.index_properties(name, s="string")
    path = f"/{name}/metadata_index"
    bodies = [{"propertyName": "s", "indexType": kind} for kind in ("string", "number")]
    bodies.append({"propertyName": "t", "indexType": "String"})
    again = [told(target.peer, "POST", f"{path}/create", body) for body in bodies]
    return [*again, told(target.peer, "POST", f"{path}/delete", {"propertyName": "missing"})]


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.timeout(1_800)
def test_the_emulator_and_the_service_are_asked(
    target: Target, emulator: Target, report: Report, text: str
) -> None:
    ours = QUESTIONS[text](emulator)
    try:
        theirs = QUESTIONS[text](target)
    except (AssertionError, TimeoutError) as error:
        if not LIVE:
            raise
        theirs = f"no such answer: {error}"[:300]
    report.rows[text] = ours, theirs
    # Names differ from run to run, and answers must not hold them.
    assert target.docs not in str(theirs)
    if not LIVE:
        assert ours == theirs
