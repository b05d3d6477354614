"""Searches of a `RecordStore` by ids: near to a record that is stored, and among given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import scoring
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError
from vectorize_core.models import Id, as_match
from vectorize_core.reads import search
from vectorize_core.reads.selection import MAX_SEARCH_REQUESTS, SelectOptions, allowance, check_ids
from vectorize_core.records.hit import Hit
from vectorize_core.records.reading import selected
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io


async def search_like(
    io: Io,
    records: RecordStore,
    record_id: Id,
    k: int,
    *,
    score_threshold: float | None = None,
    **options: Unpack[SelectOptions],
) -> list[Hit]:
    """The ``k`` records nearest to one that is stored, itself left out; best first."""
    k = validation.whole_number("k", k)
    score_threshold = validation.score_threshold(score_threshold)
    chosen = await records.select(io, options, claim="best", max_requests=MAX_SEARCH_REQUESTS)
    namespace = records.in_namespace(options.get("namespace"))
    record_id = validation.as_id(record_id)
    vectors = await records.vectors(io, [record_id], namespace)
    if not vectors:
        raise InvalidInputError(
            f"no record of the index {records.index.name!r} has the id {record_id!r}"
        )
    if chosen is None:
        return []
    values = vectors[0].values
    hits = await records.nearest(io, values, k + 1, chosen, score_threshold=score_threshold)
    return [hit for hit in hits if hit.match.id != vectors[0].id][:k]


async def search_among(
    io: Io,
    records: RecordStore,
    ids: Sequence[str],
    query: ArrayLike,
    k: int,
    *,
    refs: Sequence[str] | None = None,
    **options: Unpack[SelectOptions],
) -> list[Hit]:
    """The ``k`` of the records with these ids that are nearest to a vector; best first.

    The service cannot restrict a search to ids: their vectors are fetched, and filtered and scored
    here.
    """
    k = validation.whole_number("k", k)
    check_ids(ids, allowance(options, MAX_SEARCH_REQUESTS, records.state))
    if options.get("vectorize_filter") is not None:
        raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
    namespace = records.in_namespace(options.get("namespace"))
    vectors = await selected(
        io, records, ids, options.get("filter"), refs=refs, namespace=namespace
    )
    if not vectors:
        return []
    target = validation.query_vector(query)
    await search.check_query(io, records.state, target)
    matrix = np.stack([vector.values for vector in vectors])
    best, scores = scoring.nearest(await records.index.metric_of(io), matrix, target, k)
    matches = [
        as_match(vectors[at], score)
        for at, score in zip(best, scoring.shortest(scores), strict=True)
    ]
    return await records.hits(io, matches)
