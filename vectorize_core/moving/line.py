"""A vector as a line of NDJSON, as wrangler reads it; and a text as a line of the file beside.

https://developers.cloudflare.com/vectorize/best-practices/insert-vectors/
"""

from __future__ import annotations

from typing import Any

import orjson

from vectorize_core import jsontext
from vectorize_core.api.wire import vector_line
from vectorize_core.errors import InvalidInputError, VectorizeError, shown
from vectorize_core.models import Vector

__all__ = ["read_text", "read_vector", "text_line", "vector_line"]


def read_vector(line: bytes) -> Vector:
    """The vector of a line. `InvalidInputError` says what is wrong with it."""
    fields = _object(line)
    vector_id, values = fields.get("id"), fields.get("values")
    namespace, metadata = fields.get("namespace"), fields.get("metadata")
    if not isinstance(vector_id, str):
        raise InvalidInputError(f'"id" is a string; got {shown(vector_id)}')
    for name, value, is_right, kind in (
        ("values", values, isinstance(values, list), "a list of numbers"),
        ("namespace", namespace, namespace is None or isinstance(namespace, str), "a string"),
        ("metadata", metadata, metadata is None or isinstance(metadata, dict), "an object"),
    ):
        if not is_right:
            raise InvalidInputError(f'"{name}" of {vector_id!r} is {kind}; got {shown(value)}')
    try:
        return Vector(vector_id, values or [], namespace, metadata)
    except VectorizeError as error:
        raise InvalidInputError(str(error)) from None


def text_line(record_id: str, text: str) -> bytes:
    """The text of a record, which does not fit into its vector."""
    return jsontext.dumps({"id": record_id, "text": text})


def read_text(line: bytes) -> tuple[str, str]:
    """The id and the text of a line."""
    fields = _object(line)
    record_id, text = fields.get("id"), fields.get("text")
    if not isinstance(record_id, str) or not isinstance(text, str):
        raise InvalidInputError('"id" and "text" are strings')
    return record_id, text


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"it is no JSON ({error.msg}, at column {error.colno})") from None
    if not isinstance(fields, dict):
        raise InvalidInputError(f"it is no JSON object but {shown(fields)}")
    return fields
