"""Parsing request bodies: JSON, and NDJSON however clients send it.

A body is parsed as a whole before the service is called, so a refused body writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from vectorize_core import jsontext, limits
from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server import multipart
from vectorize_core.local.server.endpoints import Call
from vectorize_core.models import Vector

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MULTIPART: Final = "multipart/form-data"
_KINDS: Final = {
    str: "a string",
    int: "an integer",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
}
_MOST_VALUES: Final = 10_000_000
_MOST_CONTAINERS: Final = 2_000_000
# Not splitlines(), which would make a list of all lines of a hundred megabytes.
_LINE: Final = re.compile(rb"\S[^\n]*")


def json_object(call: Call) -> Mapping[str, Any]:
    """The body of a request that must be a JSON object with the content type of JSON."""
    if call.media_type != JSON:
        raise faults.no_json_type()
    return body_object(call.body)


def ndjson(call: Call, *, lenient: bool) -> bytes:
    """The NDJSON of a write: the body, or the file of a form."""
    kind, body = call.headers.get("content-type", ""), call.body
    if lenient:
        # Whatever the content type is: curl keeps the one it is told although it sends a form.
        if call.media_type == MULTIPART or multipart.looks_like_form(body):
            body = multipart.file_content(kind, body, guess_boundary=True)
        return _unquoted(body)
    if call.media_type == MULTIPART:
        return multipart.file_content(kind, body)
    if call.media_type != NDJSON:
        raise ServiceFault(400, 1005, "vectorize.unknown_content_type")
    return body


def _unquoted(body: bytes) -> bytes:
    """The text in a JSON string, as Cloudflare's SDKs send NDJSON that is a string."""
    if body[:1_000].lstrip().startswith(b'"'):
        try:
            text = orjson.loads(body)
        except orjson.JSONDecodeError:
            return body
        return text.encode() if isinstance(text, str) else body
    return body


def json_value(body: bytes) -> Any:
    """A body as JSON, whatever its content type."""
    try:
        return _loads(body)
    except orjson.JSONDecodeError as error:
        raise faults.unparsable_body("body", str(error)) from None


def _loads(text: bytes) -> Any:
    """JSON as Python's objects, which can take thirty times the memory of their text."""
    if len(text) > _MOST_CONTAINERS and (
        text.count(b",") > _MOST_VALUES or text.count(b"[") + text.count(b"{") > _MOST_CONTAINERS
    ):
        raise faults.refused(
            f"a JSON text with more than {_MOST_VALUES:,} values, or {_MOST_CONTAINERS:,} arrays "
            "and objects",
            status=413,
        )
    return orjson.loads(text)


def body_object(body: bytes) -> Mapping[str, Any]:
    """A body as a JSON object, whatever its content type."""
    value = json_value(body)
    if not isinstance(value, dict):
        raise faults.unparsable_body("body", "expected an object")
    return value


def field(body: Mapping[str, Any], wire_name: str, kind: type) -> Any:
    """A field of a JSON object, None if it is absent or null; a fault if its type is wrong."""
    value = body.get(wire_name)
    if kind is int:
        value = whole(value)
    # In Python a bool is an int, in JSON it is not.
    if value is not None and (
        not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    ):
        raise faults.unparsable_body(wire_name, f"expected {_KINDS[kind]}")
    return value


def whole(value: Any) -> Any:
    """3.0 as 3, because JSON does not tell them apart; any other value as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def numbers(body: Mapping[str, Any], wire_name: str) -> list[float] | None:
    """A field that is an array of numbers. Stricter than numpy, which also reads strings."""
    value = field(body, wire_name, list)
    if value is not None and not _are_numbers(value):
        raise faults.unparsable_body(wire_name, "expected an array of numbers")
    return value  # type: ignore[no-any-return]


def ids(body: Mapping[str, Any]) -> list[str]:
    """The field ``ids``, empty if it is absent."""
    given: list[str] | None = field(body, "ids", list)
    return given if given is not None else []


def parse_vectors(body: bytes, verb: str, *, discard: bool = False) -> list[Vector]:
    """The vectors of NDJSON. A line without a vector is a fault; ``discard`` leaves it out."""
    found = []
    for line in _LINE.finditer(body):
        try:
            found.append(_vector(line[0]))
        except _UnparsableError as error:
            if not discard:
                number = body.count(b"\n", 0, line.start())
                reason = _mistake(body) or str(error)
                raise faults.unparsable_vectors(verb, number, reason) from None
        if len(found) > limits.MAX_VECTORS_PER_WRITE:
            # The service refuses so many, so the rest need not be parsed.
            break
    return found


def _mistake(body: bytes) -> str | None:
    """What a body is that is no NDJSON as a whole, and what to do."""
    begin = body[:1_000].lstrip()
    for start, mistake in {
        b"--": "it is a form; leave out its Content-Type, or start the server with --lenient",
        b'"': "it is a JSON string; send its text, or start the server with --lenient",
        b"[": "it is a JSON array; send its objects, each on a line",
        b"\x1f\x8b": "it is compressed; send it as it is",
        b"\xef\xbb\xbf": "it begins with a byte order mark; leave that out",
    }.items():
        if begin.startswith(start):
            return mistake
    if b"\n" not in body and b"}{" in body:
        return "its objects are on one line; of curl, --data-binary keeps line breaks, -d does not"
    return None


class _UnparsableError(Exception):
    pass


def _vector(line: bytes) -> Vector:
    try:
        record = _loads(line)
    except orjson.JSONDecodeError as error:
        raise _UnparsableError(str(error)) from None
    if not isinstance(record, dict):
        raise _UnparsableError("expected an object")
    vector_id, values = record.get("id"), record.get("values")
    namespace, metadata = record.get("namespace"), record.get("metadata")
    if not isinstance(vector_id, str):
        raise _UnparsableError("id: expected a string")
    if not isinstance(values, list) or not _are_numbers(values):
        raise _UnparsableError("values: expected an array of numbers")
    if namespace is not None and not isinstance(namespace, str):
        raise _UnparsableError("namespace: expected a string")
    if metadata is not None and not isinstance(metadata, dict):
        raise _UnparsableError("metadata: expected an object")
    # Of what could be parsed, nothing else than the depth makes it no JSON for the service.
    if metadata and line.count(b"{") + line.count(b"[") > 100 and jsontext.problem(metadata):
        raise _UnparsableError("metadata: nested too deep")
    try:
        return Vector(vector_id, values, namespace, metadata)
    except (ValueError, OverflowError) as error:
        raise _UnparsableError(f"values: {error}") from None


def _are_numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)
