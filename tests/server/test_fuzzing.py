"""Bounded fuzzing: whatever is sent, an answer below 500 in the envelope, all or nothing.

Small by default; with ``VECTORIZE_NIGHTLY=1`` in the environment a thousand examples each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.nightly import sized
from tests.server.helpers import NDJSON, ONES, Peer, fault_of, lines, record, result_of
from tests.server.recorded import expected
from vectorize_core.local.server import BackgroundServer, Settings

bounded = settings(
    max_examples=sized(40, 1_000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=70)
    | st.sampled_from(["docs", "kept", "all", "indexed", "$eq", "kind", "cosine", 10**400])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
vectors = st.just(ONES) | st.lists(st.floats(width=32), min_size=30, max_size=34) | values
fields = {
    "name": values,
    "config": values | st.fixed_dictionaries({"dimensions": values, "metric": values}),
    "description": values,
    "vector": vectors,
    "vectorId": values,
    "topK": st.integers(-1, 120) | values,
    "returnValues": st.booleans() | values,
    "returnMetadata": values,
    "filter": values | st.dictionaries(st.sampled_from(["kind", "a.b", "$or", ""]), values),
    "namespace": values,
    "ids": st.lists(values) | values,
    "vectors": st.lists(values) | values,
    "propertyName": values,
    "indexType": values,
    "sql": values,
    "params": values,
    "batch": values,
}
CALLS = {
    "": ("name", "config", "description"),
    "/docs/query": (
        *("vector", "vectorId", "topK", "returnValues"),
        *("returnMetadata", "filter", "namespace"),
    ),
    "/docs/get_by_ids": ("ids",),
    "/docs/delete_by_ids": ("ids",),
    "/docs/metadata_index/create": ("propertyName", "indexType"),
    "/docs/metadata_index/delete": ("propertyName",),
    "~/client/v4/accounts/local/d1/database/fuzz/query": ("sql", "params", "batch"),
    "~/query": ("vector", "topK", "filter", "returnMetadata"),
    "~/getByIds": ("ids",),
    "~/deleteByIds": ("ids",),
    "~/upsert": ("vectors",),
}
BINDING = {path for path in CALLS if path.count("/") == 1 and path.startswith("~")}
bodies = st.sampled_from(sorted(CALLS)).flatmap(
    lambda path: st.tuples(
        st.just(path), st.fixed_dictionaries({}, optional={f: fields[f] for f in CALLS[path]})
    )
)
records = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=70) | values,
        "values": vectors,
        "namespace": values,
        "metadata": st.dictionaries(st.text(max_size=5), values, max_size=3) | values,
    },
)


@pytest.fixture(scope="module")
def target() -> Iterator[Peer]:
    settings = Settings(max_body=200_000, binding_index="docs")
    with BackgroundServer(settings) as server:
        peer = Peer(server.base_url)
        peer.create(kind="string")
        peer.write(record("kept", metadata={"kind": "x"}))
        yield peer
        try:
            # A request of any form may have dropped the metadata index.
            (kept,) = peer.result("POST", "/docs/get_by_ids", {"ids": ["kept"]})
            assert kept["metadata"] == {"kind": "x"}
        finally:
            peer.close()


def check(path: str, answer: Any) -> bool:
    """Whether the request was carried out; fails for any answer that is not a clean one."""
    assert answer.status_code < 500, answer.text
    if path in BINDING:
        assert answer.is_success or answer.json().keys() == {"error", "code"}
        told = () if answer.is_success else (answer.json()["code"], answer.json()["error"])
        assert not told or expected(answer.status_code, *told), told
    elif answer.is_success:
        result_of(answer) if not answer.json()["messages"] else None
    else:
        fault_of(answer)
    return bool(answer.is_success)


@bounded
@given(bodies)
def test_a_json_body_of_any_content_gets_a_clean_answer(
    target: Peer, given_body: tuple[str, dict[str, Any]]
) -> None:
    path, body = given_body
    content = json.dumps(body).encode()
    check(path, target.send("POST", path, content=content, kind="application/json"))


@bounded
@given(st.lists(records, max_size=4), st.sampled_from(["insert", "upsert"]))
def test_a_write_of_any_content_is_taken_whole_or_not_at_all(
    target: Peer, batch: list[dict[str, Any]], verb: str
) -> None:
    good = record("all-or-nothing")
    target.result("POST", "/docs/delete_by_ids", {"ids": ["all-or-nothing"]})
    content = lines(good, *batch)
    taken = check("", target.send("POST", f"/docs/{verb}", content=content, kind=NDJSON))
    found = target.result("POST", "/docs/get_by_ids", {"ids": ["all-or-nothing"]})
    assert bool(found) == taken
    target.result(
        "POST", "/docs/upsert", content=lines(record("kept", metadata={"kind": "x"})), kind=NDJSON
    )


@bounded
@given(st.binary(max_size=300), st.sampled_from([NDJSON, "multipart/form-data; boundary=x"]))
def test_a_write_of_any_bytes_gets_a_clean_answer(target: Peer, body: bytes, kind: str) -> None:
    check("", target.send("POST", "/docs/upsert", content=body, kind=kind))


@bounded
@given(
    st.lists(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=12), max_size=6
    )
)
def test_a_path_of_any_parts_gets_a_clean_answer(target: Peer, parts: list[str]) -> None:
    path = "/" + "/".join(part.replace("?", "").replace("#", "") for part in parts)
    answer = target.http.get(target.url(path))
    assert answer.status_code < 500
    if not answer.is_success:
        fault_of(answer)
