"""What ``doctor NAME`` finds out about an index, in at most five requests."""

from __future__ import annotations

from typing import Any

import numpy as np

from vectorize_core import layout, limits
from vectorize_core.cli import api_json
from vectorize_core.index import Index
from vectorize_core.models import IndexInfo


def examine(index: Index) -> dict[str, Any]:
    """Configuration, state, filterable properties and the record layout; and ``problems``."""
    details, state = index.details(), index.info()
    filterable = index.list_metadata_indexes()
    noted = layout.read_note(details.description).properties
    lost = sorted(noted - {m.property_name for m in filterable})
    problems = [
        f"the description of {index.name!r} says that {name!r} has a metadata index, and it has "
        "none: filters on it find nothing. Create it, then write the vectors again"
        for name in lost
    ]
    has_own = any(m.property_name == layout.OWN for m in filterable)
    return {
        **api_json.index(details),
        **api_json.info(state),
        "metadataIndexes": api_json.metadata_indexes(filterable),
        "coversEveryVector": sorted(noted),
        "withoutLayout": _without_layout(index, state) if has_own else None,
        "problems": problems,
    }


def lines(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """What `examine` found, as rows of a table."""
    config = found["config"]
    listed = ", ".join(f"{m['propertyName']} ({m['indexType']})" for m in found["metadataIndexes"])
    covers = ", ".join(found["coversEveryVector"])
    return [
        ("index", f"{found['name']}, {config['dimensions']} dimensions, {config['metric']}"),
        ("vectors", found["vectorCount"]),
        ("last mutation", found["processedUpToMutation"] or "none processed yet"),
        ("metadata indexes", listed or "none: nothing can be filtered on"),
        ("cover every vector", covers or "not known: vectorize-stores did not make this index"),
        ("without the record layout", _vectors_text(found["withoutLayout"])),
    ]


def _without_layout(index: Index, state: IndexInfo) -> dict[str, Any]:
    """How many vectors our stores did not write, by at most two queries.

    Our vectors have ``_vs_own``, and fewer than 100 of them can be counted. If there are more, a
    filter for its absence counts the others, as far as the service matches a missing property.
    """
    arbitrary = np.zeros(state.dimensions, np.float32)
    arbitrary[0] = 1.0
    limit = limits.MAX_TOP_K
    own = len(index.query(arbitrary, limit, vectorize_filter={layout.OWN: True}))
    if own < limit:
        return {"count": max(state.vector_count - own, 0), "exact": True}
    others = len(index.query(arbitrary, limit, vectorize_filter={layout.OWN: {"$ne": True}}))
    return {"count": others, "exact": False}


def _vectors_text(without: dict[str, Any] | None) -> str:
    if without is None:
        return f"not known: there is no metadata index on {layout.OWN}"
    if without["exact"]:
        return f"{without['count']} vectors"
    if without["count"]:
        return f"at least {without['count']} vectors"
    return "none seen"
