"""A search by words as a flow over a `Table`."""

from __future__ import annotations

from typing import Final

from vectorize_core.api.by_words import TextQuery
from vectorize_core.local import faults, validation
from vectorize_core.lynse import filters, rows
from vectorize_core.lynse.checks import MOST_HITS
from vectorize_core.lynse.table import Table
from vectorize_core.models import Match, QueryResult

_SPARE: Final = 10
"""Hits beyond those wanted: a vector that is being written has two rows."""
_LEAST: Final = 100
"""Hits that are asked for: a shorter list may lack a better one."""


async def text_query(table: Table, op: TextQuery) -> QueryResult:
    """The vectors whose texts have words of a text, best first."""
    header = await table.open()
    table.check_words(header)
    if op.text_key != header.text_key:
        raise faults.refused(
            f"words of this index are those of the property {header.text_key!r}, not of "
            f"{op.text_key!r}: create it with LynseClient(text_key={op.text_key!r})"
        )
    wanted = [
        filters.joined(leaves)
        for one in op.filters
        if (leaves := filters.of_query(validation.conditions(one), op.namespace, header))
        is not None
    ]
    if not wanted or op.ids == ():
        return QueryResult(0, ())
    where = filters.either(wanted, op.ids)
    asked = min(max(op.top_k + _SPARE, _LEAST), MOST_HITS)
    while True:
        hits = await table.search_words(op.text, asked, where)
        found = [rows.split(one) for one in hits.ids]
        current = await table.vectors([vector_id for vector_id, _ in found])
        matches = []
        for (vector_id, version), score in zip(found, hits.scores.tolist(), strict=True):
            newest, values, field = current.get(vector_id, (None, None, {}))
            if version == newest and values is not None:
                vector = rows.vector_of(vector_id, values, field, header)
                matches.append(Match(vector_id, score, values, vector.metadata, vector.namespace))
        if len(matches) >= op.top_k or len(hits.ids) < asked or asked == MOST_HITS:
            del matches[op.top_k :]
            return QueryResult(len(matches), tuple(matches))
        asked = min(4 * asked, MOST_HITS)
