"""Which hits of a search count, while others write.

Between a search and the look at the versions of what it has found, a vector may be written again:
the row that was found is the newest no more, and the newest was not there to be found. A vector
that is always there must not be missing then. So it is searched again, and a row counts that was
the newest of its vector at any moment of the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from vectorize_core.local import faults
from vectorize_core.lynse import rows
from vectorize_core.lynse.checks import MOST_HITS
from vectorize_core.lynse.models import Hits, Id
from vectorize_core.lynse.table import Stored, Table

_ATTEMPTS: Final = 20


class Found(NamedTuple):
    """Hits, the places of those that count, and the rows of their vectors if asked for."""

    hits: Hits
    places: list[int]
    stored: Mapping[Id, Stored]


async def search(
    table: Table,
    ask: Callable[[int], Awaitable[Hits]],
    wanted: int,
    asked: int,
    *,
    with_values: bool,
) -> Found:
    """The hits of ``ask``, called with ``asked`` and more until ``wanted`` of them count."""
    seen: dict[str, int] = {}
    searches = 0
    while True:
        hits = await ask(asked)
        ids = {rows.split(one)[0] for one in hits.ids}
        stored = await table.stored(ids) if with_values else {}
        there = stored.keys() if with_values else {*await table.rows_of_vectors(ids)}
        newest = rows.newest(there)
        places = _places(hits.ids, there, newest, seen)
        seen |= newest
        if places is None:
            searches += 1
            if searches == _ATTEMPTS:
                raise faults.refused("other clients keep writing to the same records")
        elif len(places) >= wanted or len(hits.ids) < asked or asked == MOST_HITS:
            return Found(hits, places[:wanted], stored)
        else:
            asked = min(4 * asked, MOST_HITS)


def _places(
    hits: Sequence[Id], there: Collection[Id], newest: Mapping[str, int], seen: Mapping[str, int]
) -> list[int] | None:
    """The hits that count; None if a search may have missed what was written meanwhile.

    ``newest`` are the versions after the search, ``seen`` those known before it.
    """
    best = rows.newest(hits)
    found = []
    for place, row in enumerate(hits):
        vector_id, version = rows.split(row)
        now = newest.get(vector_id, 1)
        if version < best[vector_id] or version % 2 or now % 2:
            # One of two rows while it is written, or deleted meanwhile.
            continue
        if version == now or (row in there and version >= seen.get(vector_id, now)):
            found.append(place)
        elif vector_id not in seen or row not in there:
            return None
    return found
