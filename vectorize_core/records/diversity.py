"""Searches for records that are near to a query, and repeat each other little."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core.api import validation
from vectorize_core.reads.selection import SelectOptions
from vectorize_core.records.hit import Hit
from vectorize_core.records.store import RecordStore
from vectorize_core.scoring import choose_diverse
from vectorize_core.transport.io import Io


async def search_diverse(
    io: Io,
    records: RecordStore,
    query: ArrayLike | str,
    k: int,
    *,
    fetch_k: int,
    lambda_mult: float,
    refs: Sequence[str] | None = None,
    score_threshold: float | None = None,
    **options: Unpack[SelectOptions],
) -> list[Hit]:
    """Of the ``fetch_k`` nearest records, the ``k`` that maximal marginal relevance chooses.

    In the order in which they are chosen, with their values and scores. ``lambda_mult`` weighs
    nearness to the query against diversity: 1 gives the nearest, 0 the most diverse ones.
    """
    k, fetch_k = validation.whole_number("k", k), validation.whole_number("fetch_k", fetch_k)
    lambda_mult = validation.number("lambda_mult", lambda_mult, least=0.0, most=1.0)
    score_threshold = validation.score_threshold(score_threshold)
    if isinstance(query, str):
        embedded = await records.embed_query(io, query, **options)
        if embedded is None:
            return []
        query = embedded
    target = validation.query_vector(query)
    hits = await records.search(
        io,
        target,
        max(k, fetch_k),
        refs=refs,
        return_values=True,
        score_threshold=score_threshold,
        **options,
    )
    if not hits:
        return []
    matrix = np.stack([values for hit in hits if (values := hit.match.values) is not None])
    metric = await records.index.metric_of(io)
    # With many records this takes long enough to block an event loop.
    chosen = await io.offload(partial(choose_diverse, metric, matrix, target, lambda_mult, k))
    return [hits[position] for position in chosen]
