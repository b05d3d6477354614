"""Searches of a `RecordStore` by words: alone, or together with nearness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from vectorize_core.api import validation
from vectorize_core.reads.selection import MAX_SEARCH_REQUESTS, SelectOptions
from vectorize_core.records.by_ids import search_among
from vectorize_core.records.engine_words import EngineWords
from vectorize_core.records.fusion import COMPARED, DEFAULT_ALPHA, Fusion
from vectorize_core.records.fusion import check as check_fusion
from vectorize_core.records.hit import Hit
from vectorize_core.records.hybrid import both, together
from vectorize_core.records.store import RecordStore
from vectorize_core.records.text_search import TextSearch
from vectorize_core.transport.io import Io


async def search_text(
    io: Io,
    records: RecordStore,
    query: str,
    k: int,
    *,
    ids: Sequence[str] | None = None,
    refs: Sequence[str] | None = None,
    **options: Unpack[SelectOptions],
) -> list[Hit]:
    """The ``k`` records whose texts have the words of a query, with values; best first, by BM25.

    Of the records with these ``ids``, and of the source documents ``refs``, unless None.
    """
    query, k = validation.text("query", query), validation.whole_number("k", k)
    text_search = searcher(records, options)
    if ids is not None:
        options["unindexed"] = "scan"
    chosen = await records.select(
        io, options, claim=None, refs=refs, max_requests=MAX_SEARCH_REQUESTS
    )
    if chosen is None or k == 0:
        return []
    hits = await text_search.find(io, query, k, chosen, _stored_ids(records, ids))
    if not hits:
        await records.warn_of_pending_writes(io)
    return hits


async def search_hybrid(
    io: Io,
    records: RecordStore,
    query: str,
    k: int,
    *,
    values: ArrayLike | None = None,
    alpha: float = DEFAULT_ALPHA,
    fusion: Fusion = "relative",
    near: int | None = None,
    by_words: int | None = None,
    ids: Sequence[str] | None = None,
    refs: Sequence[str] | None = None,
    return_values: bool = False,
    **options: Unpack[SelectOptions],
) -> list[Hit]:
    """The ``k`` best records by nearness and by words, with fused scores (`fusion`).

    ``values`` are the embedding of the query, which is embedded if None. ``near`` and ``by_words``
    are how many candidates either search gives; by default ``k``, at least 20. ``ids`` and ``refs``
    as of `search_text`. All have their values only with ``return_values``.
    """
    query, k = validation.text("query", query), validation.whole_number("k", k)
    alpha = check_fusion(alpha, fusion)
    counts = [
        max(k, COMPARED) if given is None else validation.whole_number(name, given)
        for name, given in (("near", near), ("by_words", by_words))
    ]
    target = None if values is None else validation.query_vector(values)
    text_search = searcher(records, options)
    if ids is not None:
        options["unindexed"] = "scan"
    chosen = await records.select(
        io, options, claim="best", refs=refs, max_requests=MAX_SEARCH_REQUESTS
    )
    if chosen is None or k == 0:
        return []

    async def nearest() -> list[Hit]:
        given = target if target is not None else await records.embedded(io, query)
        if ids is None:
            return await records.nearest(io, given, counts[0], chosen, return_values=return_values)
        return await search_among(io, records, ids, given, counts[0], refs=refs, **options)

    async def with_words() -> list[Hit]:
        return await text_search.find(io, query, counts[1], chosen, _stored_ids(records, ids))

    found_near, found_by_words = await together(io, nearest, with_words)
    metric = await records.index.metric_of(io)
    return both(found_near, found_by_words, k, metric=metric, alpha=alpha, fusion=fusion)


def searcher(records: RecordStore, options: SelectOptions) -> TextSearch | EngineWords:
    """What searches by words: the store's text index, else its engine; an error without either."""
    # Before an index of words is read, which goes on when a client is closed.
    records.connection.executor.check()
    if records.rows is None and records.engine_has_words:
        return EngineWords(records.state, records.reading)
    return TextSearch.of(records.rows, records.reading, options)


def _stored_ids(records: RecordStore, ids: Sequence[str] | None) -> list[str] | None:
    """The ids that records with these are stored under, without those that none can have."""
    if ids is None:
        return None
    stored = map(records.stored_id, validation.as_ids(ids))
    return [*filter(validation.possible_id, stored)]
