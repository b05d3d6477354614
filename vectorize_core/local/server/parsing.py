"""Parsing request bodies: JSON, NDJSON and multipart forms.

A body is parsed as a whole before the service is called, so a refused body writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from python_multipart.multipart import MultipartParser, parse_options_header

from vectorize_core import limits
from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server.endpoints import Call
from vectorize_core.models import Vector

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MULTIPART: Final = "multipart/form-data"
_FIELD: Final = b"vectors"
# Not splitlines(), which would make a list of all lines of a hundred megabytes.
_LINE: Final = re.compile(rb"\S[^\n]*")


def json_object(call: Call) -> Mapping[str, Any]:
    """The body of a request that must be a JSON object with the content type of JSON."""
    if call.media_type != JSON:
        raise ServiceFault(400, 40026, "Expected request with `Content-Type: application/json`")
    return body_object(call.body)


def ndjson(call: Call, *, lenient: bool) -> bytes:
    """The NDJSON of a write: the body, or the field ``vectors`` of a form."""
    if call.media_type == MULTIPART:
        return _form_field(call.headers["content-type"], call.body)
    if call.media_type != NDJSON and not lenient:
        raise ServiceFault(400, 1005, "vectorize.unknown_content_type")
    return call.body


def json_value(body: bytes) -> Any:
    """A body as JSON, whatever its content type."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise faults.unparsable_body("body", str(error)) from None


def body_object(body: bytes) -> Mapping[str, Any]:
    """A body as a JSON object, whatever its content type."""
    value = json_value(body)
    if not isinstance(value, dict):
        raise faults.unparsable_body("body", "expected an object")
    return value


def field(body: Mapping[str, Any], wire_name: str, kind: type) -> Any:
    """A field of a JSON object, None if it is absent or null; a fault if its type is wrong."""
    value = body.get(wire_name)
    # In Python a bool is an int, in JSON it is not.
    if value is not None and (
        not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    ):
        # The service's own words, seen where returnMetadata is a boolean; so without the mark.
        text = f"Failed to parse the request body as JSON: {wire_name}: expected value"
        raise ServiceFault(400, 40026, text)
    return value


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
                raise faults.unparsable_vectors(verb, number, str(error)) from None
        if len(found) > limits.MAX_VECTORS_PER_WRITE:
            # The service refuses so many, so the rest need not be parsed.
            break
    return found


class _UnparsableError(Exception):
    pass


def _vector(line: bytes) -> Vector:
    try:
        record = orjson.loads(line)
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
    try:
        return Vector(vector_id, values, namespace, metadata)
    except (ValueError, OverflowError) as error:
        raise _UnparsableError(f"values: {error}") from None


def _are_numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)


def _form_field(header: str, body: bytes) -> bytes:
    """The content of the field ``vectors`` of a multipart form."""
    _, options = parse_options_header(header)
    name = b""
    headers: dict[bytes, bytes] = {}
    last_header = b""
    contents: dict[bytes, bytearray] = {}

    def content(data: bytes) -> None:
        contents[name].extend(data)

    def part(collect: Callable[[bytes], None]) -> Callable[[bytes, int, int], None]:
        return lambda data, start, end: collect(data[start:end])

    def header_field(data: bytes) -> None:
        nonlocal last_header
        last_header += data

    def header_value(data: bytes) -> None:
        headers[last_header.lower()] = headers.get(last_header.lower(), b"") + data

    def header_end() -> None:
        nonlocal last_header
        last_header = b""

    def headers_finished() -> None:
        nonlocal name
        _, found = parse_options_header(headers.get(b"content-disposition", b""))
        name = found.get(b"name", b"")
        contents[name] = bytearray()
        headers.clear()

    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_header_field": part(header_field),
                "on_header_value": part(header_value),
                "on_header_end": header_end,
                "on_headers_finished": headers_finished,
                "on_part_data": part(content),
            },
        )
        parser.write(body)
        parser.finalize()
        return bytes(contents[_FIELD])
    except (KeyError, ValueError):
        raise faults.refused("the form has no field 'vectors' that can be read") from None
