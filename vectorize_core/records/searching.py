"""How records are found by nearness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import scoring
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.plan import Unindexed
from vectorize_core.layout import Record
from vectorize_core.models import Filter, Match, as_values
from vectorize_core.reads import by_id, search
from vectorize_core.reads.request_limit import MAX_SEARCH_REQUESTS
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.base import FindOptions, RecordBase
from vectorize_core.records.embedder import embed
from vectorize_core.state.pending import warn_of_pending_writes
from vectorize_core.transport.io import Io


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match


class SearchOptions(FindOptions, total=False):
    """As `FindOptions`, and the filter itself."""

    filter: AnyFilter | None


class Searching(RecordBase):
    """What `RecordStore` searches with."""

    __slots__ = ()

    async def search(
        self,
        io: Io,
        query: ArrayLike | str,
        k: int,
        *,
        filter: AnyFilter | None = None,
        vectorize_filter: Filter | None = None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
        unindexed: Unindexed = "error",
        max_requests: int = MAX_SEARCH_REQUESTS,
        return_values: bool = False,
    ) -> list[Hit]:
        """The ``k`` records nearest to a vector, or to the embedding of a text; best first."""
        by_id.check_k(k)
        namespace = self.in_namespace(namespace)
        plan = await self.plan(io, filter, vectorize_filter, refs=refs, unindexed=unindexed)
        if plan.impossible or not await self.index.exists(io):
            return []
        if isinstance(query, str):
            query = (await embed(io, self.embedder, [query], as_queries=True))[0]
        matches = await search.search(
            io,
            self._state,
            as_values(query),
            k,
            plan=plan,
            read=self._reader,
            return_values=return_values,
            return_metadata="all",
            namespace=namespace,
            max_requests=max_requests,
        )
        if k and not matches:
            await warn_of_pending_writes(io, self._state)
        return [Hit(record, match) for match, record in await self.whole(io, matches)]

    async def search_like(
        self, io: Io, record_id: str, k: int, **options: Unpack[SearchOptions]
    ) -> list[Hit]:
        """The ``k`` records nearest to one that is stored, itself left out; best first."""
        by_id.check_k(k)
        namespace = self.in_namespace(options.get("namespace"))
        vectors = await self._vectors(io, [record_id], namespace)
        if not vectors:
            raise InvalidInputError(
                f"no record of the index {self.index.name!r} has the id {record_id!r}"
            )
        hits = await self.search(io, vectors[0].values, k + 1, **options)
        return [hit for hit in hits if hit.match.id != vectors[0].id][:k]

    async def embed_query(
        self, io: Io, query: str, filter: AnyFilter | None, **options: Unpack[FindOptions]
    ) -> Sequence[float] | None:
        """The embedding of a query; None, and nothing embedded, if the search will find nothing."""
        plan, _, _ = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return None
        return (await embed(io, self.embedder, [query], as_queries=True))[0]

    async def search_among(
        self,
        io: Io,
        ids: Sequence[str],
        query: ArrayLike,
        k: int,
        *,
        filter: AnyFilter | None = None,
        vectorize_filter: Filter | None = None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[Hit]:
        """The ``k`` of the records with these ids that are nearest to a vector; best first.

        The service cannot restrict a search to ids: their vectors are fetched, and filtered and
        scored here.
        """
        by_id.check_k(k)
        if vectorize_filter is not None:
            raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
        namespace = self.in_namespace(namespace)
        vectors = await self._selected(io, ids, filter, refs, namespace)
        if not vectors:
            return []
        target = as_values(query)
        await by_id.check_query(io, self._state, target)
        matrix = np.stack([vector.values for vector in vectors])
        best, scores = scoring.nearest(await self.index.metric_of(io), matrix, target, k)
        matches = [
            Match(vectors[at].id, float(score), vectors[at].values, vectors[at].metadata)
            for at, score in zip(best, scores, strict=True)
        ]
        return [Hit(record, match) for match, record in await self.whole(io, matches)]
