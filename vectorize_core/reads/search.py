"""The best matches of a vector: any number of them, under any filter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vectorize_core import limits, scoring
from vectorize_core.api import validation
from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import NotFoundError
from vectorize_core.models import Match, Metric, ReturnMetadata, Values, Vector, as_match
from vectorize_core.reads import exhaustive
from vectorize_core.reads.by_id import check_dimensions, get_many
from vectorize_core.reads.partition_search import Best, CannotDivideError, PartitionSearch, Question
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import RequestLimit, Selection
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing


async def search(
    io: Io,
    state: IndexState,
    query: Values | str,
    k: int,
    selection: Selection,
    *,
    return_values: bool = False,
    return_metadata: ReturnMetadata = "none",
    score_threshold: float | None = None,
) -> list[Match]:
    """The ``k`` best of the selected records, best first; none worse than ``score_threshold``.

    ``query`` is a vector, or the id of a stored one. Fewer than ``k`` only if fewer match. One
    search has one scoring: exact with ``return_values`` (but from 51 to 100), or where everything
    had to be read by id; else the service's approximate one. From 51 to 100 with values or whole
    metadata, these are fetched by id after the search; a record deleted in between is left out.

    `TooManyRequestsNeededError` if it takes more requests than the selection allows.
    """
    request_limit = selection.request_limit(f"a search of {k} matches")
    plan, namespace = selection.plan, selection.namespace
    if k == 0 or plan.impossible:
        return []
    if not isinstance(query, str):
        await check_query(io, state, query)
    if score_threshold is None:
        await _check_price(io, state, selection, k, request_limit)
    metric = (await get_details(io, state)).config.metric
    goal = Best(k, metric, score_threshold=score_threshold)
    post_filter = PostFilter(plan, selection.read)
    wants_payload = return_values or return_metadata == "all"
    fetches = wants_payload and limits.MAX_TOP_K_WITH_PAYLOAD < k <= limits.MAX_TOP_K
    question = Question(
        post_filter=post_filter,
        vector=None if isinstance(query, str) else query,
        vector_id=query if isinstance(query, str) else None,
        namespace=namespace,
        return_values=return_values and not fetches,
        return_metadata=_metadata(return_metadata, post_filter, fetches=fetches),
    )
    if post_filter.passes_all and len(plan.branches) == 1 and k <= question.cap and not fetches:
        # Nearly always: all of it is in one answer, and nothing has to be taken out.
        request_limit.charge()
        result = await io.call(question.ask(state.name, k, plan.branches[0]))
        if isinstance(query, str):
            # How many values a vector has is known of one that is given.
            await check_dimensions(io, state, "Query", result.matches)
        return _best(result.matches, goal)
    partitions = PartitionSearch(io, state, question, goal, request_limit)
    found: list[Match] = []
    # A residual that takes out next to nothing is no reason to ask for more than k.
    top_k = k if plan.precise else None
    try:
        async with aclosing(partitions.rounds(top_k=top_k)) as rounds:
            async for passed in rounds:
                found += passed
    except CannotDivideError:
        found = await _scored(io, state, question, k, metric, request_limit)
        fetches = False
    best = _best(found, goal)[:k]
    if fetches:
        known, whole = partitions.fetched, return_metadata == "all"
        best = await _fetched(io, state, best, known, request_limit, whole=whole)
    return [_only(match, return_values, return_metadata) for match in best]


def _best(matches: Iterable[Match], goal: Best) -> list[Match]:
    """Those that are good, best first; the service's own order is not relied on."""
    if goal.score_threshold is not None:
        matches = [match for match in matches if goal.is_good(match.score)]
    return sorted(matches, key=lambda match: match.score, reverse=goal.metric == "cosine")


async def check_query(io: Io, state: IndexState, query: Values) -> None:
    """As many values as the index has dimensions."""
    details = await get_details(io, state)
    if details.config.dimensions != len(query):
        details = await get_details(io, state, refresh=True)
        expected = details.config.dimensions
        validation.check_dimensions("the query vector", expected, len(query), index=state.name)


def _metadata(wanted: ReturnMetadata, post_filter: PostFilter, *, fetches: bool) -> ReturnMetadata:
    """The metadata to ask for: what is wanted and what the residual needs."""
    if fetches and wanted != "indexed":
        return post_filter.needs if post_filter.needs != "all" else "none"
    if post_filter.passes_all or wanted == "all":
        return wanted
    return post_filter.needs if post_filter.plan.precise else "all"


async def _check_price(
    io: Io, state: IndexState, selection: Selection, k: int, request_limit: RequestLimit
) -> None:
    """Refuse at once what cannot be afforded."""
    least = math.ceil(k / limits.MAX_TOP_K)
    if not request_limit.allowed.allows(least) and selection.is_everything:
        request_limit.charge()
        count = (await io.call(GetInfo(state.name))).vector_count
        request_limit.expect(math.ceil(min(k, count) / limits.MAX_TOP_K))


async def _scored(
    io: Io,
    state: IndexState,
    asked: Question,
    k: int,
    metric: Metric,
    request_limit: RequestLimit,
) -> list[Match]:
    """The ``k`` best, every vector being read and scored here."""
    target = asked.vector
    if asked.vector_id is not None:
        request_limit.charge()
        stored = await get_many(io, state, [asked.vector_id])
        if asked.vector_id not in stored:
            raise NotFoundError(f"query by id {asked.vector_id!r}", 404)
        target = stored[asked.vector_id].values
    assert target is not None
    best: list[tuple[float, Vector]] = []
    vectors = exhaustive.every_vector(io, state, asked.post_filter, asked.namespace, request_limit)
    async with aclosing(vectors) as batches:
        async for batch in batches:
            if not batch:
                continue
            scores = scoring.scores(metric, np.stack([v.values for v in batch]), target)
            best += zip(scoring.shortest(scores), batch, strict=True)
            best.sort(key=lambda pair: pair[0], reverse=metric == "cosine")
            del best[k:]
    return [as_match(vector, score) for score, vector in best]


async def _fetched(
    io: Io,
    state: IndexState,
    matches: Sequence[Match],
    known: Mapping[str, Vector],
    request_limit: RequestLimit,
    *,
    whole: bool,
) -> list[Match]:
    """Matches with their values, and if ``whole`` with all metadata; ``known`` are read already."""
    missing = [match.id for match in matches if match.id not in known]
    request_limit.charge(math.ceil(len(missing) / limits.MAX_IDS_PER_GET))
    stored = {**known, **await get_many(io, state, missing)}
    return [
        dataclasses.replace(
            match,
            values=vector.values,
            metadata=vector.metadata if whole else match.metadata,
            namespace=vector.namespace,
        )
        for match in matches
        if (vector := stored.get(match.id)) is not None
    ]


def _only(match: Match, values: bool, metadata: ReturnMetadata) -> Match:
    """The match with what was asked for."""
    return dataclasses.replace(
        match,
        values=match.values if values else None,
        metadata=match.metadata if metadata != "none" else None,
    )
