"""A search by words as a flow over a `Table`."""

from __future__ import annotations

from typing import Final

from vectorize_core.api.by_words import TextQuery
from vectorize_core.local import faults, validation
from vectorize_core.lynse import current, filters, rows
from vectorize_core.lynse.checks import MOST_HITS
from vectorize_core.lynse.table import Table
from vectorize_core.models import QueryResult, as_match

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
    found = await current.search(
        table,
        lambda limit: table.search_words(op.text, limit, where),
        op.top_k,
        asked,
        with_values=True,
    )
    matches = []
    for place in found.places:
        row, score = found.hits.ids[place], float(found.hits.scores[place])
        vector = rows.vector_of(rows.split(row)[0], *found.stored[row], header)
        matches.append(as_match(vector, score))
    return QueryResult(len(matches), tuple(matches))
