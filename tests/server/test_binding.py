"""The protocol of a Worker's Vectorize binding: bare JSON, one index, direct or proxied."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.server.helpers import (
    DIMENSIONS,
    NDJSON,
    ONES,
    Peer,
    bare_fault_of,
    lines,
    record,
)
from tests.server.recorded import expected
from vectorize_core.local.server import BackgroundServer

Serve = Callable[..., Peer]
JSON = "application/json"


class Worker:
    """Speaks as workerd's built-in client does, or as Miniflare relays it to ``/proxy``."""

    def __init__(self, peer: Peer, index: str | None, proxied: bool) -> None:
        self.peer = peer
        self.headers = {} if index is None else {"x-vectorize-index": index}
        self.proxied = proxied

    def send(
        self, call: str, body: Any = None, *, content: bytes = b"", kind: str = JSON
    ) -> httpx.Response:
        method = "GET" if call == "info" else "POST"
        headers = dict(self.headers)
        if method == "POST":
            headers["content-type"] = kind
            content = content if body is None else json.dumps(body).encode()
        if call in ("insert", "upsert"):
            headers |= {"cf-vector-search-dim-width": "32", "cf-vector-search-dim-height": "1"}
        if not self.proxied:
            return self.peer.send(method, f"~/{call}", content=content, headers=headers)
        relayed = {f"MF-Header-{name}": value for name, value in headers.items()}
        relayed |= {"MF-URL": f"http://vector-search/{call}", "MF-Binding": "VECTORIZE"}
        return self.peer.send(method, "~/proxy", content=content, headers=relayed)

    def call(self, call: str, body: Any = None, **more: Any) -> Any:
        answer = self.send(call, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, call: str, body: Any = None, **more: Any) -> tuple[int, int]:
        answer = self.send(call, body, **more)
        assert answer.json().keys() == {"error", "code"}
        text = answer.json()["error"]
        assert expected(answer.status_code, answer.json()["code"], text), text
        assert not text.startswith("vectorize.upstream_error")
        return answer.status_code, answer.json()["code"]


@pytest.fixture(scope="module")
def main() -> Iterator[Peer]:
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        yield peer
        peer.close()


@pytest.fixture(params=[False, True], ids=["direct", "proxied"])
def worker(request: pytest.FixtureRequest, main: Peer) -> Worker:
    main.send("DELETE", "/docs")
    main.create(kind="string")
    return Worker(main, "docs", request.param)


def test_a_binding_writes_and_reads_bare_json(worker: Worker) -> None:
    assert worker.call("info") == {
        "dimensions": DIMENSIONS,
        "vectorCount": 0,
        **{k: v for k, v in worker.call("info").items() if k.startswith("processedUpTo")},
    }
    body = lines(record("a", metadata={"kind": "x"}), record("b", namespace="n"))
    written = worker.call("insert", content=body, kind=NDJSON)
    assert written.keys() == {"mutationId"}
    assert worker.call("info")["processedUpToMutation"] == written["mutationId"]
    worker.call("upsert", content=lines(record("b", namespace="m")), kind=NDJSON)
    found = worker.call("query", {"topK": 5, "returnMetadata": "all", "vector": ONES})
    assert found == {
        "count": 2,
        "matches": [
            {"id": "a", "score": 1.0, "metadata": {"kind": "x"}},
            {"id": "b", "score": 1.0, "namespace": "m"},
        ],
    }
    assert worker.call("query", {"vectorId": "b", "namespace": "m"})["count"] == 1
    assert worker.call("getByIds", {"ids": ["a", "missing"]}) == [
        record("a", metadata={"kind": "x"})
    ]
    assert worker.call("deleteByIds", {"ids": ["a"]}).keys() == {"mutationId"}
    assert worker.call("getByIds", {"ids": ["a"]}) == []


def test_the_older_form_of_a_write_is_taken_too(worker: Worker) -> None:
    vectors = [record("a", metadata={"kind": "x"}), record("b")]
    worker.call("upsert", {"vectors": vectors})
    assert worker.call("info")["vectorCount"] == 2
    assert worker.fault("upsert", {"vectors": 1}) == (400, 40023)
    assert worker.fault("upsert", {}) == (400, 40023)
    assert worker.fault("upsert", {"vectors": [1]}) == (400, 40023)


@pytest.mark.parametrize("depth", [101, 300, 900])
@pytest.mark.parametrize("field", ["id", "values", "namespace", "metadata"])
def test_what_is_nested_too_deep_is_no_vector_in_either_form(
    worker: Worker, field: str, depth: int
) -> None:
    deep = json.loads('{"a":' * depth + "1" + "}" * depth)
    vector = {**record("a"), field: deep}
    assert worker.fault("upsert", {"vectors": [vector]}) == (400, 40023)
    assert worker.fault("upsert", content=lines(vector), kind=NDJSON) == (400, 40023)


def test_a_failure_has_the_status_and_code_that_the_binding_shows(worker: Worker) -> None:
    assert worker.fault("query", {"vector": [1.0]}) == (400, 40006)
    assert worker.fault("query", {"vector": ONES, "returnMetadata": False}) == (400, 40026)
    assert worker.fault("query", {"vector": ONES, "topK": 60, "returnValues": True})[1] == 40025
    assert worker.fault("getByIds", {"ids": ["x"] * 21}) == (400, 40007)
    assert worker.fault("insert", content=b"nothing", kind=NDJSON) == (400, 40023)
    assert worker.fault("query", [1]) == (400, 49999)
    worker.headers["x-vectorize-index"] = "missing"
    assert worker.fault("info") == (404, 3000)


def test_a_hint_is_logged_where_it_cannot_be_told(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "vectorize_core.server"):
        assert worker.call("query", {"vector": ONES, "filter": {"other": 1}})["count"] == 0
    assert "no metadata index on 'other'" in caplog.text


def test_a_call_that_does_not_exist_is_no_route(main: Peer) -> None:
    headers = {"MF-URL": "http://vector-search/client/v4", "x-vectorize-index": "docs"}
    for url in ("http://vector-search/drop", "http://[", "", "http://vector-search"):
        answer = main.send("POST", "~/proxy", content=b"", headers={**headers, "MF-URL": url})
        assert (answer.status_code, answer.json()["code"]) == (404, 7003)
    assert main.send("GET", "~/query").status_code == 405


def test_without_a_header_it_is_the_servers_index_or_the_only_one(serve: Serve) -> None:
    peer = serve()
    bare = Worker(peer, None, proxied=False)
    assert bare.fault("info")[0] == 400
    peer.create("one")
    assert bare.call("info")["vectorCount"] == 0
    peer.create("two")
    assert "there are 2" in bare.send("info").json()["error"]
    named = serve(binding_index="two")
    named.create("one")
    named.create("two")
    named.write(record("a"), name="two")
    assert Worker(named, None, proxied=True).call("info")["vectorCount"] == 1
    assert Worker(named, "one", proxied=True).call("info")["vectorCount"] == 0


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, str], tuple[int, int]]] = {
    "many requests": ({"rate_limit": 1}, {}, (429, 971)),
    "many mutations": ({"rate_limit": 1, "rate_limit_status": 400}, {}, (400, 40041)),
    "a wrong token": ({"token": "right"}, {"authorization": "Bearer wrong"}, (401, 10000)),
    "a web page": ({}, {"origin": "https://page.example"}, (403, 49999)),
    "an injected fault": (
        {"faults": [{"status": 503, "code": 1000, "times": None}]},
        {},
        (503, 1000),
    ),
    "no index": ({"not_found_status": 400}, {}, (400, 3000)),
    "a large body": ({"max_body": 10}, {}, (413, 49999)),
}


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_whoever_refuses_a_call_does_so_without_an_envelope(
    serve: Serve, refusal: str, proxied: bool
) -> None:
    settings, headers, fault = REFUSALS[refusal]
    peer = serve(**settings)
    peer.http.headers.update(headers)
    worker = Worker(peer, "docs", proxied)
    answers = [worker.send("query", {"vector": ONES}) for _ in range(2)]
    told = answers[-1].json()
    assert told.keys() == {"error", "code"}
    assert (answers[-1].status_code, told["code"]) == fault


def test_rules_of_faults_match_the_calls_that_are_relayed(serve: Serve) -> None:
    for path in ("/proxy", "/proxy/", "/proxy/docs", "/proxy/docs/"):
        peer = serve(faults=[{"match": "/upsert", "status": 429, "code": 40041, "times": None}])
        peer.create()
        for call, status in {"upsert": 429, "insert": 200, "other": 404, "": 404}.items():
            headers = {"MF-URL": f"http://vector-search/{call}", "MF-Binding": "DOCS"}
            assert peer.send("POST", f"~{path}", headers=headers).status_code == status


# Which index


def names_of(peer: Peer, path: str, binding: str | None = None, index: str | None = None) -> str:
    """Which index a proxied call reaches: each has as many vectors as its name has letters."""
    headers = {"MF-URL": "http://vector-search/info"}
    headers |= {} if binding is None else {"MF-Binding": binding}
    headers |= {} if index is None else {"MF-Header-x-vectorize-index": index}
    answer = peer.send("GET", f"~{path}", headers=headers)
    if not answer.is_success:
        assert answer.json().keys() == {"error", "code"}
        return str(answer.json()["error"])
    return {3: "one", 5: "three", 6: "my-own"}[answer.json()["vectorCount"]]


def with_three(peer: Peer) -> Peer:
    for name in ("one", "three", "my-own"):
        peer.create(name)
        peer.write(*(record(f"{n}") for n in range(len(name))), name=name)
    return peer


@pytest.fixture(scope="module")
def several() -> Iterator[Peer]:
    with BackgroundServer() as server:
        peer = with_three(Peer(server.base_url))
        yield peer
        peer.close()


@pytest.mark.parametrize(
    "path", ["/proxy/three", "/proxy/three/", "/proxy?index=three", "/proxy/?index=three"]
)
def test_the_proxys_url_may_name_the_index(several: Peer, path: str) -> None:
    assert names_of(several, path, "VECTORIZE") == "three"
    assert names_of(several, path, "one") == "three"
    assert names_of(several, path, "VECTORIZE", "one") == "one"
    headers = {"MF-URL": "http://vector-search/query", "MF-Binding": "one"}
    body = json.dumps({"vector": ONES, "topK": 10}).encode()
    found = several.send("POST", f"~{path}", content=body, headers=headers).json()
    assert found["count"] == 5


@pytest.mark.parametrize("binding", ["three", "THREE", "Three"])
def test_an_index_may_have_the_bindings_name(several: Peer, binding: str) -> None:
    assert names_of(several, "/proxy", binding) == "three"
    assert names_of(several, "/proxy", "MY_OWN") == "my-own"


def test_bindings_may_be_given_their_indexes(serve: Serve) -> None:
    peer = with_three(serve(bindings={"VECTORIZE": "three", "ONE": "my-own"}, binding_index="one"))
    assert names_of(peer, "/proxy", "VECTORIZE") == "three"
    assert names_of(peer, "/proxy", "ONE") == "my-own"
    assert names_of(peer, "/proxy/three", "ONE") == "three"
    assert names_of(peer, "/proxy", "THREE") == "three"
    assert names_of(peer, "/proxy", "OTHER") == "one"
    assert names_of(peer, "/proxy") == "one"


def test_an_index_that_nothing_tells_is_an_error_with_the_choices(several: Peer) -> None:
    for binding in (None, "VECTORIZE", "", "x" * 5_000):
        said = names_of(several, "/proxy", binding)
        assert all(name in said for name in ("there are 3", "one", "three", "my-own"))
        assert "/proxy/NAME" in said
        assert "--binding" in said
        assert len(said) < 500


def test_an_index_in_the_url_that_does_not_exist_is_not_another_one(several: Peer) -> None:
    assert "vectorize.index.not_found" in names_of(several, "/proxy/two", "one")
    assert bare_fault_of(several.send("GET", "~/proxy/one/two"))[:2] == (404, 7003)


def test_of_two_indexes_that_a_binding_could_mean_none_is_taken(serve: Serve) -> None:
    peer = serve()
    peer.create("a-b")
    peer.create("a_b")
    headers = {"MF-URL": "http://vector-search/info", "MF-Binding": "A_B"}
    assert peer.send("GET", "~/proxy", headers=headers).status_code == 400
    assert peer.send("GET", "~/proxy", headers={**headers, "MF-Binding": "a_b"}).is_success
