"""HTTP responses: results and faults as the JSON of Cloudflare's API or of a Workers binding."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from starlette.responses import Response

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server.binding_paths import is_binding
from vectorize_core.models import (
    IdPage,
    IndexDetails,
    IndexInfo,
    Match,
    MetadataIndex,
    Mutation,
    QueryResult,
    Vector,
)

logger = logging.getLogger("vectorize_core.server")
HINT_CODE: Final = 49998
"""The code of a hint; Cloudflare is not known to use it."""
_BODY_UNREAD: Final = (408, 413)


class JsonResponse(Response):
    """JSON, with float32 arrays in their shortest form."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def success(result: Any, messages: Sequence[str] = (), status: int = 200) -> Response:
    """A result in the envelope; ``messages`` are hints that the real service does not give."""
    hints = [{"code": HINT_CODE, "message": message} for message in messages]
    return JsonResponse(
        {"success": True, "errors": [], "messages": hints, "result": result}, status_code=status
    )


def page(items: Sequence[Any], *, number: int, size: int, total: int) -> Response:
    """Page ``number`` (from 1) of a list of ``total`` items, in the envelope."""
    about = {
        "page": number,
        "per_page": size,
        "count": len(items),
        "total_count": total,
        "total_pages": -(-total // size),
    }
    return JsonResponse(
        {"success": True, "errors": [], "messages": [], "result": items, "result_info": about}
    )


def failure(fault: ServiceFault, path: str) -> Response:
    """A fault of a request to ``path``: in the envelope, or as a Workers binding expects it."""
    if is_binding(path):
        fault = faults.without_prefix(fault)
        content: dict[str, Any] = {"error": fault.message, "code": fault.code}
    else:
        error = {"code": fault.code, "message": fault.message}
        content = {"result": None, "success": False, "errors": [error], "messages": []}
    if fault.detail:
        logger.warning("%s: %r", fault.message, fault.detail)
    # The rest of the body, which nothing will read, may still arrive on this connection.
    headers = {"connection": "close"} if fault.status in _BODY_UNREAD else None
    return JsonResponse(content, status_code=fault.status, headers=headers)


def index(details: IndexDetails) -> dict[str, Any]:
    """An index object."""
    return {
        "created_on": _microseconds(details.created_on),
        "modified_on": _microseconds(details.modified_on),
        "name": details.name,
        "description": details.description,
        "config": {"dimensions": details.config.dimensions, "metric": details.config.metric},
    }


def info(state: IndexInfo) -> dict[str, Any]:
    """The answer of ``/info``; before the first mutation it has no ``processedUpTo`` fields."""
    answer: dict[str, Any] = {"dimensions": state.dimensions, "vectorCount": state.vector_count}
    if state.processed_up_to_mutation is not None:
        answer["processedUpToDatetime"] = _milliseconds(state.processed_up_to_datetime)
        answer["processedUpToMutation"] = state.processed_up_to_mutation
    return answer


def mutation(receipt: Mutation) -> dict[str, Any]:
    """The receipt of a write."""
    return {"mutationId": receipt.mutation_id}


def query(result: QueryResult) -> dict[str, Any]:
    """The answer of ``/query``."""
    return {"count": result.count, "matches": [_match(match) for match in result.matches]}


def _match(match: Match) -> dict[str, Any]:
    return {"id": match.id, "score": match.score, **_stored(match)}


def vectors(found: Sequence[Vector]) -> list[dict[str, Any]]:
    """The answer of ``/get_by_ids``."""
    return [{"id": vector.id, **_stored(vector)} for vector in found]


def _stored(record: Match | Vector) -> dict[str, Any]:
    parts = {"values": record.values, "metadata": record.metadata, "namespace": record.namespace}
    return {name: value for name, value in parts.items() if value is not None}


def id_page(page: IdPage) -> dict[str, Any]:
    """The answer of ``/list``."""
    expires = page.cursor_expires
    return {
        "count": len(page.ids),
        "totalCount": page.total_count,
        "isTruncated": page.next_cursor is not None,
        "nextCursor": page.next_cursor,
        "cursorExpirationTimestamp": None if expires is None else expires.isoformat(),
        "vectors": [{"id": vector_id} for vector_id in page.ids],
    }


def metadata_indexes(listed: Sequence[MetadataIndex]) -> dict[str, Any]:
    """The answer of ``/metadata_index/list``; the service capitalises the types."""
    return {
        "metadataIndexes": [
            {"propertyName": item.property_name, "indexType": item.index_type.capitalize()}
            for item in listed
        ]
    }


def _microseconds(moment: datetime | None) -> str | None:
    return None if moment is None else _utc(moment, "microseconds")


def _milliseconds(moment: datetime | None) -> str | None:
    return None if moment is None else _utc(moment, "milliseconds")


def _utc(moment: datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
