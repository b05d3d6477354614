"""Models as the JSON objects of Cloudflare's API, for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vectorize_core.models import IndexDetails, IndexInfo, Match, MetadataIndex, Vector


def index(details: IndexDetails) -> dict[str, Any]:
    """An index, as the control plane describes it."""
    return {
        "name": details.name,
        "description": details.description,
        "config": {"dimensions": details.config.dimensions, "metric": details.config.metric},
        "created_on": details.created_on,
        "modified_on": details.modified_on,
    }


def info(state: IndexInfo) -> dict[str, Any]:
    """How far an index has got."""
    return {
        "vectorCount": state.vector_count,
        "processedUpToDatetime": state.processed_up_to_datetime,
        "processedUpToMutation": state.processed_up_to_mutation,
    }


def metadata_indexes(listed: Iterable[MetadataIndex]) -> list[dict[str, Any]]:
    """The properties that filters can use."""
    return [{"propertyName": m.property_name, "indexType": m.index_type} for m in listed]


def match(found: Match) -> dict[str, Any]:
    """A match of a query, without what the query did not ask for."""
    return {"id": found.id, "score": found.score, **_stored(found)}


def vector(found: Vector) -> dict[str, Any]:
    """A stored vector."""
    return {"id": found.id, **_stored(found)}


def _stored(record: Match | Vector) -> dict[str, Any]:
    parts = {
        "namespace": record.namespace,
        "metadata": record.metadata,
        "values": record.values,
    }
    return {name: value for name, value in parts.items() if value is not None}
