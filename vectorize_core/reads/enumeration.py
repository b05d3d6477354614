"""All that a filter matches: to list, count, read or delete it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Literal, TypeAlias

from vectorize_core.api.operations import GetInfo
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.plan import ALL, Plan
from vectorize_core.models import Match, ReturnMetadata, Vector
from vectorize_core.reads import exhaustive
from vectorize_core.reads.partition_search import (
    Best,
    CannotDivideError,
    OverlookedError,
    Question,
    Survey,
    anywhere,
)
from vectorize_core.reads.post_filter import ReadRecord, Sieve, raw_record
from vectorize_core.reads.request_limit import MAX_ENUMERATION_REQUESTS, Ceiling
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.transport.io import Io

Precision: TypeAlias = Literal["normal", "high"]


async def iter_matching(
    io: Io,
    state: IndexState,
    *,
    plan: Plan = ALL,
    read: ReadRecord = raw_record,
    namespace: str | None = None,
    return_metadata: ReturnMetadata = "none",
    return_values: bool = False,
    precision: Precision = "normal",
    max_requests: int = MAX_ENUMERATION_REQUESTS,
) -> AsyncGenerator[list[Match], None]:
    """Every record that a plan's filter matches, once, in no order; some at a time.

    Waits first until this client's own writes are visible. Scores mean nothing here.

    The service's search is approximate. Up to 50 matches come out of one exactly scored answer,
    which by its documentation finds all. Beyond that, the first 50 must also be in what the
    faster answers found, or everything is asked for again as exactly. ``precision="high"``
    (and ``return_values``) asks so from the start: twice the requests, and nothing left to chance.
    """
    ceiling = Ceiling(max_requests, "finding all that the filter matches")
    if precision not in ("normal", "high"):
        raise InvalidInputError(f"precision is 'normal' or 'high'; got {precision!r}")
    if plan.impossible:
        return
    await waiting.wait_for_own(io, state)
    sieve = Sieve(plan, read)
    metadata = return_metadata if return_metadata == "all" else sieve.needs
    question = Question(
        sieve=sieve,
        vector=anywhere((await get_details(io, state)).config.dimensions),
        namespace=namespace,
        # With whole metadata an answer is no shorter for having values too.
        return_values=return_values or precision == "high" or metadata == "all",
        return_metadata=metadata,
    )
    yielded: set[str] = set()
    try:
        async with aclosing(_surveyed(io, state, question, ceiling)) as rounds:
            async for found in rounds:
                fresh = [match for match in found if match.id not in yielded]
                yielded.update(match.id for match in fresh)
                yield fresh
    except CannotDivideError:
        vectors = exhaustive.every_vector(io, state, sieve, namespace, ceiling)
        async with aclosing(vectors) as batches:
            async for batch in batches:
                yield [_match(vector) for vector in batch if vector.id not in yielded]


async def _surveyed(
    io: Io, state: IndexState, question: Question, ceiling: Ceiling
) -> AsyncGenerator[list[Match], None]:
    for exact in (False, True):
        asked = replace(question, return_values=question.return_values or exact)
        survey = Survey(io, state, asked, Best(None), ceiling)
        try:
            async with aclosing(survey.rounds(precise_start=True)) as rounds:
                async for found in rounds:
                    yield found
        except OverlookedError:
            continue
        else:
            return
    raise CannotDivideError


async def matching_ids(
    io: Io,
    state: IndexState,
    *,
    plan: Plan = ALL,
    read: ReadRecord = raw_record,
    namespace: str | None = None,
    precision: Precision = "normal",
    max_requests: int = MAX_ENUMERATION_REQUESTS,
) -> AsyncGenerator[str, None]:
    """The id of every record that a plan's filter matches. See `iter_matching`."""
    rounds = iter_matching(
        io,
        state,
        plan=plan,
        read=read,
        namespace=namespace,
        precision=precision,
        max_requests=max_requests,
    )
    async with aclosing(rounds) as found:
        async for some in found:
            for match in some:
                yield match.id


async def count(
    io: Io,
    state: IndexState,
    *,
    plan: Plan = ALL,
    read: ReadRecord = raw_record,
    namespace: str | None = None,
    precision: Precision = "normal",
    max_requests: int = MAX_ENUMERATION_REQUESTS,
) -> int:
    """How many records a plan's filter matches. See `iter_matching`.

    All records of an index are counted by the service, in one request.
    """
    if plan.everything and namespace is None:
        await waiting.wait_for_own(io, state)
        return (await io.call(GetInfo(state.name))).vector_count
    ids = matching_ids(
        io,
        state,
        plan=plan,
        read=read,
        namespace=namespace,
        precision=precision,
        max_requests=max_requests,
    )
    async with aclosing(ids) as found:
        return len([None async for _ in found])


def _match(vector: Vector) -> Match:
    return Match(vector.id, math.nan, vector.values, vector.metadata, vector.namespace)
