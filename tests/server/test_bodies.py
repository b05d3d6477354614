"""What a write may look like on the wire."""

from __future__ import annotations

import gzip
import json
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.helpers import NDJSON, ONES, Peer, lines, record
from vectorize_core.local import Service
from vectorize_core.local.server import BackgroundServer, Settings, vectorize_routes

Serve = Callable[..., Peer]
A = lines(record("a"))
BOUNDARY = "----formdata-undici-015245113012"


@pytest.fixture(scope="module")
def lenient() -> Iterator[Peer]:
    with BackgroundServer(Settings(lenient=True)) as server:
        peer = Peer(server.base_url)
        yield peer
        peer.close()


def form(content: bytes, field: str = "vectors", boundary: str = BOUNDARY) -> bytes:
    """A form as wrangler (undici) sends it, byte for byte."""
    return (
        (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="vectors.ndjson"\r\n'
            "Content-Type: application/x-ndjson\r\n\r\n"
        ).encode()
        + content
        + f"\r\n--{boundary}--\r\n".encode()
    )


def send_form(peer: Peer, content: bytes, **options: str) -> tuple[int, int | None]:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    body = form(content, **options)
    answer = peer.send("POST", "/docs/upsert", content=body, kind=kind)
    errors = answer.json()["errors"]
    return answer.status_code, errors[0]["code"] if errors else None


def test_raw_ndjson_may_have_blank_lines(
    docs: Peer,
) -> None:
    a, b = lines(record("a")), lines(record("b"))
    for body in (a, a + b"\n", a + b"\r\n" + b + b"\r\n", b"\n\n" + a + b"\n\n  \n" + b):
        kind = "application/x-ndjson; charset=utf-8"
        docs.result("POST", "/docs/upsert", content=body, kind=kind)
    assert docs.found() == "ab"


def test_an_empty_write_is_a_mutation_of_nothing(docs: Peer) -> None:
    docs.result("POST", "/docs/upsert", content=b"", kind=NDJSON)
    assert docs.count() == 0


def test_a_form_is_taken_as_wrangler_sends_it(docs: Peer) -> None:
    assert send_form(docs, lines(record("a"), record("b"))) == (200, None)
    assert docs.found() == "ab"


def test_a_form_is_taken_as_the_documentation_sends_it(docs: Peer) -> None:
    files = {"vectors": ("vectors.ndjson", lines(record("a")) + b"\n")}
    answer = docs.http.post(docs.url("/docs/insert"), files=files)
    assert answer.json()["success"]
    assert docs.found() == "a"


def test_a_form_may_hold_what_looks_like_a_boundary_and_other_fields(docs: Peer) -> None:
    text = f"--{BOUNDARY[:-1]} \r\n--"
    files = [
        ("comment", (None, b"hello")),
        ("vectors", ("v", lines(record("a", metadata={"t": text})))),
    ]
    assert docs.http.post(docs.url("/docs/upsert"), files=files).is_success  # type: ignore[arg-type]
    (match,) = docs.query(returnMetadata="all")
    assert match["metadata"] == {"t": text}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream", ""])
def test_another_content_type_is_1005_unless_the_server_is_lenient(
    docs: Peer, serve: Serve, kind: str
) -> None:
    body = lines(record("a"))
    fault = docs.fault("POST", "/docs/insert", content=body, kind=kind)
    assert fault == (400, 1005, "vectorize.unknown_content_type")
    lenient = serve(lenient=True)
    lenient.create()
    lenient.result("POST", "/docs/insert", content=body, kind=kind)
    assert lenient.found() == "a"


LENIENT = {
    "as curl sends a form under a type that it is told": (
        f"application/x-ndjson; boundary={BOUNDARY}",
        form(lines(record("a")), field="body"),
    ),
    "a form under a type without a boundary": (NDJSON, form(lines(record("a")))),
    "a form under no type": ("", b"\r\n" + form(lines(record("a")), field="")),
    "a form without a boundary": ("multipart/form-data", form(lines(record("a")))),
    "a form of another kind": (
        f"multipart/mixed; boundary={BOUNDARY}",
        form(lines(record("a"))),
    ),
    "a string as JSON": ("application/json", json.dumps(lines(record("a")).decode()).encode()),
    "a string with line ends": (
        NDJSON,
        json.dumps("\r\n" + lines(record("a")).decode() + "\n").encode(),
    ),
    "a string with spaces around it": (
        "text/plain",
        b" \n" + json.dumps(lines(record("a")).decode()).encode() + b"\n",
    ),
    "a string in a form": (
        f"multipart/form-data; boundary={BOUNDARY}",
        form(json.dumps(lines(record("a")).decode()).encode()),
    ),
    "NDJSON with a boundary": (f"application/x-ndjson; boundary={BOUNDARY}", lines(record("a"))),
}


@pytest.mark.parametrize(("kind", "body"), LENIENT.values(), ids=LENIENT)
def test_a_lenient_server_takes_ndjson_however_it_is_sent(
    docs: Peer, lenient: Peer, kind: str, body: bytes
) -> None:
    for verb in ("insert", "upsert"):
        lenient.create(verb)
        lenient.result("POST", f"/{verb}/{verb}", content=body, kind=kind)
        assert lenient.found(verb) == "a"
        lenient.result("DELETE", f"/{verb}")
    if body != lines(record("a")):
        assert docs.fault("POST", "/docs/upsert", content=body, kind=kind)[0] == 400 or (
            kind.startswith("multipart/form-data; boundary")
        )


@pytest.mark.parametrize(
    "body",
    [
        b'"',
        b'"\\',
        b'"\\ud800"',
        b'"x" "y"',
        b'"nothing"',
        json.dumps(json.dumps(record("a")) + "\n{").encode(),
        b'""x',
        b"--",
        b"-- \r\n",
        b"--x",
        b"--x--",
        b"--x\r\n--x--",
        form(lines(record("a")))[:-10],
        form(b"[]"),
    ],
)
def test_a_lenient_server_refuses_what_it_cannot_read(lenient: Peer, body: bytes) -> None:
    lenient.create("strict")
    for kind in (NDJSON, "application/json", f"{NDJSON}; boundary={BOUNDARY}"):
        fault = lenient.fault("POST", "/strict/upsert", content=body, kind=kind)
        assert fault[:2] in ((400, 40023), (400, 49999))
    assert lenient.count("strict") == 0
    lenient.result("DELETE", "/strict")


def test_json_in_quotes_is_40023(docs: Peer) -> None:
    # cloudflare-typescript#2646
    fault = docs.fault("POST", "/docs/upsert", content=b'"{\\"id\\": 1}"', kind=NDJSON)
    assert fault[:2] == (400, 40023)
    assert fault[2].startswith(
        "vectorize.upstream_error - failed to parse upsert vectors request in ndjson format: "
        "line Some(0) was not expected format"
    )


UNPARSABLE = {
    "no JSON": b"{",
    "an array": b"[]",
    "no id": b'{"values": [1]}',
    "an id that is a number": b'{"id": 1, "values": [1]}',
    "no values": b'{"id": "x"}',
    "values that are text": b'{"id": "x", "values": "1"}',
    "a value that is text": b'{"id": "x", "values": ["1"]}',
    "a value that is true": b'{"id": "x", "values": [true]}',
    "a value that is null": b'{"id": "x", "values": [null]}',
    "nested values": b'{"id": "x", "values": [[1]]}',
    "NaN": b'{"id": "x", "values": [NaN]}',
    "Infinity": b'{"id": "x", "values": [-Infinity]}',
    "1e400": b'{"id": "x", "values": [1e400]}',
    "ten to the 400th": b'{"id": "x", "values": [1' + b"0" * 400 + b"]}",
    "a namespace that is a number": b'{"id": "x", "values": [1], "namespace": 1}',
    "metadata that are a list": b'{"id": "x", "values": [1], "metadata": []}',
    "wrong UTF-8": b'{"id": "\xff", "values": [1]}',
    "a lone surrogate": b'{"id": "\\ud800", "values": [1]}',
    "metadata nested too deep": b'{"id": "x", "values": %s, "metadata": {"a": %s1%s}}'
    % (json.dumps(ONES).encode(), b"[" * 101, b"]" * 101),
    "deep JSON": b'{"id": "x", "values": [1], "metadata": {"a": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("line", UNPARSABLE.values(), ids=UNPARSABLE)
def test_an_unparsable_line_refuses_the_write_or_is_discarded(docs: Peer, line: bytes) -> None:
    body = b"\n".join([b"", lines(record("a")), line, lines(record("b"))])
    for params in (None, {"unparsable-behavior": "error"}):
        fault = docs.fault("POST", "/docs/upsert", content=body, kind=NDJSON, params=params)
        assert fault[:2] == (400, 40023)
        assert "line Some(2)" in fault[2]
    assert docs.count() == 0
    params = {"unparsable-behavior": "discard"}
    docs.result("POST", "/docs/upsert", content=body, kind=NDJSON, params=params)
    assert docs.found() == "ab"


def test_unparsable_behavior_is_one_of_two(docs: Peer) -> None:
    params = {"unparsable-behavior": "ignore"}
    body = lines(record("a"))
    assert docs.fault("POST", "/docs/upsert", content=body, kind=NDJSON, params=params)[0] == 400


def test_discarding_does_not_drop_what_can_be_read(docs: Peer) -> None:
    params = {"unparsable-behavior": "discard"}
    body = lines(record("a"), record("b", [1.0]))
    fault = docs.fault("POST", "/docs/upsert", content=body, kind=NDJSON, params=params)
    assert fault[:2] == (400, 40012)
    assert docs.count() == 0


def test_a_number_beyond_float32_is_refused(docs: Peer) -> None:
    assert docs.write_fault(record("a", [1e39, *ONES[1:]]))[:2] == (400, 40023)
    assert docs.count() == 0


# Hints


def test_a_filter_that_finds_too_little_says_why(
    docs: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    docs.write(record("a", metadata={"kind": "x"}))
    body = {"vector": ONES, "filter": {"kind": "x"}}

    def said() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "vectorize_core.server"):
            messages = docs.send("POST", "/docs/query", body).json()["messages"]
        for message in messages:
            assert message["code"] == 49998
            assert f"query of index 'docs': {message['message']}" in caplog.messages
        return [message["message"] for message in messages]

    (hint,) = said()
    assert "no metadata index on 'kind'" in hint
    assert said() == [hint]
    wanted = {"propertyName": "kind", "indexType": "string"}
    docs.result("POST", "/docs/metadata_index/create", wanted)
    (hint,) = said()
    assert "1 vectors with 'kind' were written before its metadata index" in hint
    docs.write(record("a", metadata={"kind": "x"}))
    assert said() == []
    assert docs.found(filter={"kind": "x"}) == "a"


def test_hints_on_a_search_of_one_namespace_count_no_vectors_of_others(docs: Peer) -> None:
    docs.write(record("a", namespace="mine"), record("b", metadata={"kind": "x"}))
    docs.write(*(record(f"{n}", namespace="other", metadata={"kind": "x"}) for n in range(3)))
    wanted = {"propertyName": "kind", "indexType": "string"}
    docs.result("POST", "/docs/metadata_index/create", wanted)
    for namespace, counted in ((None, ["4 vectors"]), ("mine", []), ("other", ["3 vectors"])):
        body = {"vector": ONES, "filter": {"kind": "x"}, "namespace": namespace}
        said = docs.send("POST", "/docs/query", {k: v for k, v in body.items() if v}).json()
        assert [one["message"][:9] for one in said["messages"]] == counted


def looks_for_hints(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is looked for from now on."""
    looked: list[object] = []
    look = Service.filter_hints

    def noted(self: Service, *args: Any) -> tuple[str, ...]:
        looked.append(args)
        return look(self, *args)

    monkeypatch.setattr(Service, "filter_hints", noted)
    return looked


def test_hints_are_looked_for_once_between_mutations(
    docs: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = looks_for_hints(monkeypatch)
    docs.write(record("a", metadata={"kind": "x"}))
    for _ in range(3):
        assert docs.found(filter={"kind": "x"}) == ""
    assert len(looked) == 1
    docs.write(record("b"))
    docs.found(filter={"kind": "x"})
    assert len(looked) == 2
    docs.found(filter={"other": "x"})
    assert len(looked) == 3
    docs.found(filter={})
    docs.found(filter={"kind": {"$ne": "x"}}, topK=1)
    assert len(looked) == 3


@pytest.mark.parametrize(("long", "looks"), [(-1.0, 1), (math.inf, 3)])
def test_hints_that_took_long_are_not_looked_for_after_each_write(
    docs: Peer, monkeypatch: pytest.MonkeyPatch, long: float, looks: int
) -> None:
    monkeypatch.setattr(vectorize_routes, "_LONG", long)
    monkeypatch.setattr(vectorize_routes, "_TIMES", 1e9)
    looked = looks_for_hints(monkeypatch)
    for name in "abc":
        docs.write(record(name, metadata={"kind": "x"}))
        assert docs.found(filter={"kind": "x"}) == ""
    assert len(looked) == looks


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b"--x\r\n\r\n" + A + b"\r\n--x--", "leave out its Content-Type"),
        (json.dumps(A.decode()).encode(), "it is a JSON string"),
        (b"[" + A + b"]", "each on a line"),
        (gzip.compress(A), "it is compressed"),
        (A.decode().encode("utf-8-sig"), "byte order mark"),
        (A + A, "--data-binary"),
    ],
    ids=["a form", "a string", "an array", "gzip", "a byte order mark", "one line"],
)
def test_a_body_that_is_no_ndjson_at_all_is_explained_in_the_log(
    docs: Peer, caplog: pytest.LogCaptureFixture, body: bytes, advice: str
) -> None:
    with caplog.at_level(logging.WARNING, "vectorize_core.server"):
        assert docs.fault("POST", "/docs/upsert", content=body, kind=NDJSON)[:2] == (400, 40023)
    assert advice in caplog.text
