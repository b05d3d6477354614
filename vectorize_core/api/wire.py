"""The bytes of the Vectorize API: what is sent, and how an answer is read into models.

Written by hand against https://developers.cloudflare.com/api/resources/vectorize/ and tolerant
where the service differs from its own pages: capitalised index types, null results, failures
that arrive with status 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, cast

import orjson

from vectorize_core.errors import ApiMessage, UnexpectedAnswerError, error_from_answer
from vectorize_core.jsontext import STRICT, as_dict
from vectorize_core.models import (
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    IndexType,
    Match,
    MetadataIndex,
    Metric,
    Mutation,
    QueryResult,
    Vector,
    as_values,
)

JSON = "application/json"
NDJSON = "application/x-ndjson"
_SLICE = 64
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
            lines = [vector_line(vector) for vector in self.vectors[start : start + _SLICE]]
            lines.append(b"")
            yield b"\n".join(lines)


def read_answer(
    operation: str, status: int, headers: Mapping[str, str], content: bytes
) -> tuple[Any, tuple[ApiMessage, ...]]:
    """The ``result`` and the ``messages`` of an answer, or the error it carries."""
    try:
        envelope = orjson.loads(content)
    except orjson.JSONDecodeError:
        envelope = None
    well_formed = isinstance(envelope, dict) and "success" in envelope
    if 200 <= status < 300 and well_formed and envelope["success"] is not False:
        return envelope.get("result"), _messages(envelope.get("messages"))
    if 200 <= status < 300 and not well_formed:
        raise UnexpectedAnswerError(
            f"{operation}: HTTP {status} without the envelope of the Cloudflare API; it begins "
            f"{content[:80]!r}. Does base_url point at the API?"
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


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id that Cloudflare's support asks for."""
    return headers.get("cf-ray")


class Quota(NamedTuple):
    """Requests ``left`` of a rate limit; in ``seconds`` it starts again with ``quota``."""

    name: str
    left: int
    seconds: float
    quota: int | None


def quotas(headers: Mapping[str, str]) -> list[Quota]:
    """The rate limits in an answer's headers; none if they are missing or malformed.

    They are in ``Ratelimit`` and ``Ratelimit-Policy`` (a draft of the IETF), or in the older
    ``x-ratelimit-limit``, ``-remaining`` and ``-reset``.
    https://developers.cloudflare.com/fundamentals/api/reference/limits/
    """
    try:
        if limited := headers.get("ratelimit"):
            policies = _items(headers.get("ratelimit-policy", ""))
            return [
                Quota(name, int(item["r"]), int(item["t"]), _int(policies.get(name, {}).get("q")))
                for name, item in _items(limited).items()
            ]
        if left := headers.get("x-ratelimit-remaining"):
            seconds, quota = headers["x-ratelimit-reset"], headers.get("x-ratelimit-limit")
            return [Quota("", int(left), _delay(seconds), _int(quota))]
    except (KeyError, ValueError):
        pass
    return []


def _items(header: str) -> dict[str, dict[str, str]]:
    """``"a";r=1;t=2, "b";r=3`` as a dict of dicts."""
    items = {}
    for item in filter(None, header.split(",")):
        name, *parameters = (part.strip() for part in item.split(";"))
        items[name] = dict(parameter.split("=", 1) for parameter in parameters)
    return items


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the service asks to wait: ``Retry-After``, else until a used-up limit starts again.

    A ``Retry-After`` that is a date is compared with the answer's own.
    """
    asked = headers.get("retry-after")
    if asked is not None:
        with suppress(ValueError):
            return _delay(asked)
        with suppress(ValueError, TypeError):
            date = headers.get("date")
            now = datetime.now(UTC) if date is None else parsedate_to_datetime(date)
            seconds = (parsedate_to_datetime(asked) - now).total_seconds()
            return _delay(str(max(seconds, 0.0)))
    limits = quotas({"x-ratelimit-remaining": "0", **headers})
    return max((limit.seconds for limit in limits if limit.left <= 0), default=None)


def _delay(text: str) -> float:
    seconds = float(text)
    # A larger number is a point in time rather than a delay.
    if not 0 <= seconds <= 3_600:
        raise ValueError(text)
    return seconds


def _messages(entries: Any) -> tuple[ApiMessage, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple(_message(entry) for entry in entries)


def _message(entry: Any) -> ApiMessage:
    if not isinstance(entry, dict):
        return ApiMessage(None, str(entry))
    code, source = entry.get("code"), entry.get("source")
    return ApiMessage(
        code if isinstance(code, int) else None,
        str(entry.get("message", "")),
        entry.get("documentation_url"),
        source.get("pointer") if isinstance(source, dict) else None,
    )


def read_index(result: Any) -> IndexDetails:
    """An index in the answers of creating, getting and listing."""
    config = result["config"]
    return IndexDetails(
        name=result["name"],
        config=IndexConfig(int(config["dimensions"]), cast("Metric", config["metric"])),
        description=result.get("description") or "",
        created_on=_time(result.get("created_on")),
        modified_on=_time(result.get("modified_on")),
    )


def read_info(result: Any) -> IndexInfo:
    """The answer of ``/info``; its two ``processedUpTo`` are absent before the first mutation."""
    return IndexInfo(
        dimensions=int(result["dimensions"]),
        vector_count=int(result["vectorCount"]),
        processed_up_to_datetime=_time(result.get("processedUpToDatetime")),
        processed_up_to_mutation=result.get("processedUpToMutation"),
    )


def read_mutation(result: Any) -> Mutation:
    """The receipt of a write."""
    return Mutation((result or {}).get("mutationId"))


def read_query(result: Any) -> QueryResult:
    """The answer of ``/query``."""
    matches = tuple(_match(match) for match in (result or {}).get("matches") or ())
    return QueryResult(len(matches), matches)


def _match(match: Any) -> Match:
    values = match.get("values")
    return Match(
        id=match["id"],
        score=float(match["score"]),
        values=None if values is None else as_values(values),
        metadata=match.get("metadata"),
        namespace=match.get("namespace"),
    )


def read_vectors(result: Any) -> tuple[Vector, ...]:
    """The answer of ``/get_by_ids``."""
    return tuple(
        Vector(
            entry["id"], as_values(entry["values"]), entry.get("namespace"), entry.get("metadata")
        )
        for entry in result or ()
    )


def read_id_page(result: Any) -> IdPage:
    """The answer of ``/list``."""
    cursor = result.get("nextCursor") if result.get("isTruncated") else None
    ids = tuple(vector["id"] for vector in result.get("vectors") or ())
    return IdPage(
        ids,
        total_count=int(result.get("totalCount", len(ids))),
        next_cursor=cursor,
        cursor_expires=_time(result.get("cursorExpirationTimestamp")),
    )


def read_metadata_indexes(result: Any) -> tuple[MetadataIndex, ...]:
    """The answer of ``/metadata_index/list``; the service capitalises the types it was given."""
    return tuple(
        MetadataIndex(entry["propertyName"], cast("IndexType", entry["indexType"].lower()))
        for entry in (result or {}).get("metadataIndexes") or ()
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
