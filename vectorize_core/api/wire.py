"""The bytes of the Vectorize API: what is sent, and the envelope in which a result comes.

Written by hand against https://developers.cloudflare.com/api/resources/vectorize/, and for failures
that arrive with status 200. `answers` reads results, `headers` what comes with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from vectorize_core.api.crowded import is_crowded
from vectorize_core.api.headers import request_id, retry_after
from vectorize_core.errors import ApiMessage, UnexpectedAnswerError, error_from_answer, shown
from vectorize_core.jsontext import STRICT, as_dict
from vectorize_core.models import Vector

JSON = "application/json"
NDJSON = "application/x-ndjson"
_SLICE = 64
_MOST_MESSAGES = 100
_MOST_CHARACTERS = 10_000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_WITH_ARRAYS = STRICT | orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request below ``/accounts/{account_id}`` and ``area``.

    ``body`` is encoded in slices while it is iterated over, so a large write is never held whole.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    body: Iterable[bytes] = ()
    area: str = "/vectorize/v2/indexes"


def json_body(value: Any) -> tuple[bytes]:
    """A JSON body; float32 values are written in the shortest form that reads back the same."""
    return (orjson.dumps(value, default=as_dict, option=_WITH_ARRAYS),)


def vector_line(vector: Vector) -> bytes:
    """One line of NDJSON, without the line's end."""
    line: dict[str, Any] = {"id": vector.id, "values": vector.values}
    if vector.namespace is not None:
        line["namespace"] = vector.namespace
    if vector.metadata is not None:
        line["metadata"] = vector.metadata
    return orjson.dumps(line, default=as_dict, option=_WITH_ARRAYS)


@dataclass(frozen=True, slots=True)
class NdjsonBody:
    """Vectors as NDJSON, encoded a slice at a time."""

    vectors: Sequence[Vector]

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.vectors), _SLICE):
            lines = list(map(vector_line, self.vectors[start : start + _SLICE]))
            lines.append(b"")
            yield b"\n".join(lines)


def read_answer(
    operation: str, status: int, headers: Mapping[str, str], content: bytes | bytearray
) -> tuple[Any, tuple[ApiMessage, ...]]:
    """The ``result`` and the ``messages`` of an answer, or the error it carries."""
    envelope: Any = None
    why = ""
    if is_crowded(content):
        if 200 <= status < 300:
            raise UnexpectedAnswerError(
                f"{operation}: HTTP {status}, whose {len(content):,} bytes hold more values than "
                f"any answer of the Vectorize API; it begins {bytes(content[:80])!r}"
            )
    else:
        try:
            envelope = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            why = _why_not_json(error)
    success = envelope.get("success") if isinstance(envelope, dict) else None
    if 200 <= status < 300:
        if success is True:
            return envelope.get("result"), _messages(envelope.get("messages"))
        if success is None:
            raise UnexpectedAnswerError(
                f"{operation}: HTTP {status} without the envelope of the Cloudflare API{why}; it "
                f"begins {bytes(content[:80])!r}. Does base_url point at the API?"
            )
        if success is not False:
            raise UnexpectedAnswerError(
                f"{operation}: HTTP {status}, whose success is {shown(success)}, not true or false"
            )
    errors = _messages(envelope.get("errors")) if isinstance(envelope, dict) else ()
    raise error_from_answer(
        operation,
        status,
        errors,
        request_id=request_id(headers),
        retry_after=retry_after(headers),
        rate_limit={name: value for name, value in headers.items() if "ratelimit" in name},
    )


def _why_not_json(error: orjson.JSONDecodeError) -> str:
    near = error.doc[max(error.pos - 40, 0) : error.pos + 20]
    return f" (it is no JSON: {error.msg}, in {near!r})" if near.strip() else ""


def _messages(entries: Any) -> tuple[ApiMessage, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple([_message(entry) for entry in entries[:_MOST_MESSAGES]])


def _message(entry: Any) -> ApiMessage:
    if not isinstance(entry, dict):
        return ApiMessage(None, one_line(entry))
    code, source = entry.get("code"), entry.get("source")
    url = entry.get("documentation_url")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    return ApiMessage(
        code if type(code) is int else None,
        one_line(entry.get("message", "")),
        None if url is None else one_line(url),
        None if pointer is None else one_line(pointer),
    )


def one_line(said: Any) -> str:
    """What an answer says, for errors and the log: in one line, and not endless."""
    if not isinstance(said, str):
        return shown(said)
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], said[:_MOST_CHARACTERS])
