"""The bytes: NDJSON on the way out, envelopes and their errors on the way in."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any

import numpy as np
import pytest

from tests.core.helpers import RAY, SECRET, Answer, Cloudflare, Variant, both_variants, failed, ok
from vectorize_core import (
    ApiError,
    ApiMessage,
    AuthenticationError,
    BadRequestError,
    IndexExistsError,
    IndexNotFoundError,
    NotFoundError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    Vector,
    VectorizeError,
)
from vectorize_core.api.operations import GetInfo, ListIndexes
from vectorize_core.api.wire import NdjsonBody, json_body, vector_line
from vectorize_core.models import as_values

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"


def vectors(count: int) -> list[Vector]:
    rng = np.random.default_rng(0)
    return [Vector(f"id{i}", rng.standard_normal(8), metadata={"i": i}) for i in range(count)]


@pytest.mark.parametrize("value", ["58.8", "0.1", "-0.33333334", "16777216.0", "1e-45"])
def test_a_float32_is_written_in_its_shortest_exact_form(value: str) -> None:
    assert vector_line(Vector("a", [float(value)])) == b'{"id":"a","values":[%b]}' % value.encode()


def test_every_float32_reads_back_the_same() -> None:
    bits = np.random.default_rng(1).integers(0, 2**32, 5_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    sent = json.loads(vector_line(Vector("a", values)))["values"]
    assert np.array_equal(np.array(sent, np.float32), values)


def test_a_whole_number_is_still_a_float() -> None:
    assert vector_line(Vector("a", [1, 0])) == b'{"id":"a","values":[1.0,0.0]}'


@pytest.mark.parametrize(
    ("vector", "rest"),
    [
        (Vector("a", [1]), b""),
        (Vector("a", [1], "n"), b',"namespace":"n"'),
        (Vector("a", [1], metadata={}), b',"metadata":{}'),
        (
            Vector("a", [1], "n", {"k": [True, None]}),
            b',"namespace":"n","metadata":{"k":[true,null]}',
        ),
    ],
)
def test_namespace_and_metadata_are_left_out_when_there_are_none(
    vector: Vector, rest: bytes
) -> None:
    assert vector_line(vector) == b'{"id":"a","values":[1.0]' + rest + b"}"


@pytest.mark.parametrize("text", ["two\nlines", "\u2028 and \u2029", "\r\n", '"quoted"', "\x00"])
def test_no_text_can_break_a_line(text: str) -> None:
    line = vector_line(Vector(text, [1], text, {"t": text}))
    assert b"\n" not in line
    assert json.loads(line)["metadata"] == {"t": text}


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_ndjson_in_slices_is_the_lines_one_after_the_other(count: int) -> None:
    body = NdjsonBody(vectors(count))
    expected = b"".join(vector_line(vector) + b"\n" for vector in body.vectors)
    assert b"".join(body) == expected
    assert b"".join(body) == expected, "a body can be sent again"


def test_a_large_body_is_encoded_a_slice_at_a_time() -> None:
    slices = list(NdjsonBody(vectors(200)))
    assert [part.count(b"\n") for part in slices] == [64, 64, 64, 8]


def test_json_bodies_take_arrays_in_the_shortest_form_too() -> None:
    assert json_body({"vector": as_values([58.8, 0.1])}) == (b'{"vector":[58.8,0.1]}',)


FAILURES: dict[str, tuple[Answer, type[ApiError], int | None]] = {
    "400": (failed(400, 40012), BadRequestError, 40012),
    "401": (failed(401, 10000), AuthenticationError, 10000),
    "403 with another code": (failed(403, 9109), AuthenticationError, 9109),
    "400 that is about authentication": (failed(400, 10000), AuthenticationError, 10000),
    "404, no such index": (failed(404, 3000), IndexNotFoundError, 3000),
    "400, no such index": (failed(400, 3000), IndexNotFoundError, 3000),
    "404, no such route": (failed(404, 7003), NotFoundError, 7003),
    "410, a deleted index": (failed(410, 3005), IndexNotFoundError, 3005),
    "410 without a code": (failed(410), IndexNotFoundError, None),
    "400, a duplicate name": (failed(400, 3002), IndexExistsError, 3002),
    "409 without a code we know": (failed(409, 1), ApiError, 1),
    "429": (failed(429, 971), RateLimitError, 971),
    "400, too many mutations": (failed(400, 40041), RateLimitError, 40041),
    "408": (failed(408), ServerError, None),
    "500": (failed(500, 1000), ServerError, 1000),
    "503": (failed(503), ServerError, None),
    "200 that failed": (failed(200, 40012), ApiError, 40012),
    "200 that failed, no such index": (failed(200, 3000), IndexNotFoundError, 3000),
    "the second error decides": (failed(400, 1001, 3002), IndexExistsError, 1001),
    "502 that is a page": (Answer(502, BAD_GATEWAY, {"cf-ray": RAY}), ServerError, None),
    "502 that is empty": (Answer(502, b"", {"cf-ray": RAY}), ServerError, None),
    "500 that is a list": (Answer(500, b"[]", {"cf-ray": RAY}), ServerError, None),
    "errors null": (
        Answer(400, b'{"success":false,"errors":null}', {"cf-ray": RAY}),
        BadRequestError,
        None,
    ),
    "301": (Answer(301, b"", {"cf-ray": RAY, "location": "/"}), ApiError, None),
}


@both_variants
@pytest.mark.parametrize(("answer", "kind", "code"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_is_the_typed_error_with_all_that_was_said(
    variant: Variant, answer: Answer, kind: type[ApiError], code: int | None
) -> None:
    with pytest.raises(ApiError) as caught:
        await variant.send(Cloudflare(answer).executor(), GetInfo("docs"))
    error = caught.value
    assert type(error) is kind
    assert error.status == answer.status
    assert error.code == code
    assert error.message == (f"said {code}" if code else "no error message was given")
    assert error.request_id == RAY
    for part in ("GetInfo(docs)", f"HTTP {answer.status}", error.message, RAY):
        assert part in str(error)
    assert SECRET not in str(error) + repr(error)


MANY = failed(
    400,
    {
        "code": 40012,
        "message": "invalid vector",
        "documentation_url": "https://developers.cloudflare.com/x",
        "source": {"pointer": "/vectors/3"},
    },
    {"code": 40016, "message": "oversized metadata", "source": None},
    {"message": "no code"},
    {"code": "text", "message": "code of another type"},
    "only text",
)


@both_variants
async def test_every_error_of_an_answer_is_kept(
    variant: Variant,
) -> None:
    with pytest.raises(BadRequestError) as caught:
        await variant.send(Cloudflare(MANY).executor(), GetInfo("docs"))
    error = caught.value
    assert error.errors == (
        ApiMessage(40012, "invalid vector", "https://developers.cloudflare.com/x", "/vectors/3"),
        ApiMessage(40016, "oversized metadata"),
        ApiMessage(None, "no code"),
        ApiMessage(None, "code of another type"),
        ApiMessage(None, "only text"),
    )
    assert (error.code, error.message) == (40012, "invalid vector")
    assert error.documentation_url == "https://developers.cloudflare.com/x"
    assert error.pointer == "/vectors/3"
    assert (
        "invalid vector [code 40012] at /vectors/3, see https://developers.cloudflare.com/x; "
        "oversized metadata [code 40016]; no code; code of another type; only text"
    ) in str(error)


@both_variants
async def test_an_error_pickles_whole(variant: Variant) -> None:
    with pytest.raises(BadRequestError) as caught:
        await variant.send(Cloudflare(MANY).executor(), GetInfo("docs"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (BadRequestError, str(caught.value))
    assert copy.errors == caught.value.errors
    assert copy.request_id == RAY


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (1005, "application/x-ndjson"),
        (3000, "client.create_index"),
        (3002, "exist_ok=True"),
        (3005, "create it again"),
        (10000, "API token"),
    ],
)
async def test_an_error_with_a_known_fix_says_it(code: int, fix: str) -> None:
    with pytest.raises(ApiError, match=fix):
        Cloudflare(failed(400, code)).executor().send(GetInfo("docs"))


NOT_THE_ENVELOPE = {
    "a page": b"<html>Welcome to nginx</html>",
    "nothing": b"",
    "a bare result": b'{"dimensions":32,"vectorCount":1}',
    "a list": b"[]",
    "text": b'"ok"',
    "not UTF-8": b'{"success":true,"result":"\xff"}',
    "torn": b'{"success":true,"result":{"dimen',
}


@both_variants
@pytest.mark.parametrize("content", NOT_THE_ENVELOPE.values(), ids=NOT_THE_ENVELOPE)
async def test_a_200_that_is_not_the_envelope_is_no_success(
    variant: Variant, content: bytes
) -> None:
    with pytest.raises(UnexpectedAnswerError, match="base_url") as caught:
        await variant.send(Cloudflare(Answer(200, content)).executor(), GetInfo("docs"))
    assert repr(content[:80]) in str(caught.value)


@both_variants
async def test_a_broken_compression_is_an_error_of_ours(variant: Variant) -> None:
    broken = Answer(200, b"not gzip", {"content-encoding": "gzip"})
    with pytest.raises(VectorizeError):
        await variant.send(Cloudflare(broken).executor(), GetInfo("docs"))


@both_variants
async def test_messages_of_a_success_are_logged(
    variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    message: dict[str, Any] = {"code": 1, "message": "this index is old"}
    with caplog.at_level(logging.WARNING, "vectorize_core"):
        await variant.send(Cloudflare(ok([], message)).executor(), ListIndexes())
    assert [record.message for record in caplog.records] == [
        "ListIndexes: this index is old [code 1]"
    ]
