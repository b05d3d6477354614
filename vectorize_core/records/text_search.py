"""Searching records by their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from vectorize_core import jsontext, limits
from vectorize_core.errors import ConfigurationError, InvalidInputError
from vectorize_core.filters import sql
from vectorize_core.filters.plan import Plan
from vectorize_core.layout import Record
from vectorize_core.models import Vector, as_match
from vectorize_core.reads.by_id import get_many
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import RequestLimit, Selection, SelectOptions
from vectorize_core.records.hit import Hit
from vectorize_core.texts.indexing import Rows
from vectorize_core.texts.puts import is_put_of
from vectorize_core.texts.reading import TextReading
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.texts.text_index import TextHit
from vectorize_core.transport.io import Io

_MOST_AT_ONCE: Final = 1_000
_MOST_BYTES: Final = 1_000_000
"""Of ids that the SQL is given; of more, what it finds is compared with them here."""


@dataclass(frozen=True, slots=True)
class TextSearch:
    """Searches by words in the records of an index."""

    rows: Rows
    reading: TextReading

    @classmethod
    def of(cls, rows: Rows | None, reading: TextReading, options: SelectOptions) -> Self:
        """The searches of a store with a text index; an error without one."""
        if rows is None:
            raise ConfigurationError(
                "a search by words needs a text index: give the store text_index=True if it is "
                "embedded, else text_index=D1TextIndex(database_id) or SqliteTextIndex(directory)"
            )
        if options.get("vectorize_filter") is not None:
            raise InvalidInputError(
                "vectorize_filter= is in the service's own language, which only the service "
                "evaluates, and it does not search by words: give a filter of this library's own"
            )
        return cls(rows, reading)

    async def explain(self, io: Io, query: str) -> TextExplanation:
        """Which words of a query are searched for, and how many texts have each."""
        return await self.rows.index.explain(io, self.rows.state.name, query)

    async def find(
        self, io: Io, query: str, k: int, selection: Selection, ids: Sequence[str] | None = None
    ) -> list[Hit]:
        """The ``k`` of the selected records whose texts have the words of ``query``; best first.

        Of those stored under ``ids``, unless None. Candidates are read and evaluated until there
        are ``k``: a row counts only if its vector is there, and has the text of the row. Fewer
        only if fewer match. `TooManyRequestsNeededError` if it takes more requests than the
        selection allows.
        """
        await self.rows.check_complete(io)
        request_limit = selection.request_limit(f"a search by words of {k} matches")
        verifying = _Verifying(self, selection, request_limit, ids)
        where = _condition(selection.plan, ids)
        offset, size = 0, _whole_requests(min(k, _MOST_AT_ONCE))
        while len(verifying.hits) < k:
            request_limit.charge()
            found = await self.rows.index.find(
                io,
                self.rows.state.name,
                query,
                namespace=selection.namespace,
                where=where,
                limit=size,
                offset=offset,
            )
            await verifying.add(io, found)
            if len(found) < size:
                break
            offset, size = offset + size, min(2 * size, _MOST_AT_ONCE)
        if not verifying.hits:
            # The table may have been found to be gone.
            await self.rows.check_complete(io)
        return verifying.hits[:k]


class _Verifying:
    """The hits of one search, of candidates that were read and evaluated."""

    def __init__(
        self,
        search: TextSearch,
        selection: Selection,
        request_limit: RequestLimit,
        ids: Sequence[str] | None,
    ) -> None:
        self.hits: list[Hit] = []
        self._ids = None if ids is None else frozenset(ids)
        self._search = search
        self._namespace = selection.namespace
        self._post_filter = PostFilter(selection.plan, selection.read)
        self._request_limit = request_limit
        self._read: dict[str, tuple[Vector, Record] | None] = {}

    async def add(self, io: Io, found: Sequence[TextHit]) -> None:
        """Add those that are matches, each once: a record may have several rows for a while."""
        found = [hit for hit in found if self._ids is None or hit.id in self._ids]
        await self._read_vectors(io, [hit.id for hit in found if hit.id not in self._read])
        for hit in found:
            candidate = self._read[hit.id]
            if candidate is not None and is_put_of(hit.put, candidate[1].text):
                vector, record = candidate
                self.hits.append(Hit(record, as_match(vector, hit.score)))
                self._read[hit.id] = None

    async def _read_vectors(self, io: Io, ids: Sequence[str]) -> None:
        ids = list(dict.fromkeys(ids))
        self._request_limit.charge(math.ceil(len(ids) / limits.MAX_IDS_PER_GET))
        vectors = await get_many(io, self._search.rows.state, ids)
        passing = await self._post_filter.select(io, list(vectors.values()), self._namespace)
        self._read |= dict.fromkeys(ids)
        for vector, record in await self._search.reading.records(io, passing):
            self._read[vector.id] = vector, record


def _whole_requests(count: int) -> int:
    """``count`` and as many more as are read with the same requests."""
    per_request = limits.MAX_IDS_PER_GET
    return max(math.ceil(count / per_request), 1) * per_request


def _condition(plan: Plan, ids: Sequence[str] | None) -> sql.Condition | None:
    found = sql.condition(plan)
    if ids is None:
        return found
    # The column has ids as JSON.
    quoted = jsontext.dumps([jsontext.dumps(one).decode() for one in ids])
    if len(quoted) > _MOST_BYTES:
        return found
    listed = sql.Condition("id IN (SELECT value FROM json_each(?))", (quoted.decode(),))
    if found is None:
        return listed
    return sql.Condition(f"{listed.sql} AND {found.sql}", (*listed.parameters, *found.parameters))
