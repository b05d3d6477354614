"""Whether a metadata index holds every vector, or only those written since it is live.

The service's filters do not find the others, and it does not say so. What needs no request is in
`IndexState.uncertain`; here is what else shows it (docs/filters.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from vectorize_core import jsontext, layout, limits, scoring
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.operations import ListVectors, Query
from vectorize_core.errors import PartialIndexError, PartialIndexWarning, UnsupportedByBindingError
from vectorize_core.filters.advice import or_scan
from vectorize_core.filters.plan import Plan
from vectorize_core.layout.nested import lookup
from vectorize_core.models import (
    Filter,
    IdPage,
    IndexType,
    Match,
    Metric,
    Vector,
    as_values,
    as_vector,
)
from vectorize_core.reads.by_id import DEFAULT_CONCURRENCY, get_many
from vectorize_core.stacklevel import outside
from vectorize_core.state.index_state import IndexState, get_details, get_metadata_indexes
from vectorize_core.transport.capabilities import GATEWAY
from vectorize_core.transport.io import Io, each
from vectorize_core.transport.workers import aclosing

_SAMPLE: Final = 100
"""Vectors that are read to see whether a filter finds them; of fewer, all."""
_ENOUGH: Final = 20
"""So many of them must have the property, and be found, to stand for the others."""
_AT_ONCE: Final = 50
_ROUNDING: Final = 1e-3
_EXACT_BYTES: Final = 60
"""Longer strings are indexed by their beginning."""
_ADVICE: Final = (
    "The service's filters do not find the others, which were written before it was live. Call "
    "reindex_metadata() of the store or index once, which writes every vector again"
)
_DECLARED_ADVICE: Final = (
    "The service's filters do not find the others: the index has no such metadata index, whatever "
    "is declared of it, or they were written before it was live. Over REST, make it if it is "
    "missing and, once it is live, call reindex_metadata() of the store or index, which writes "
    "every vector again: VectorizeClient(account_id=..., api_token=...), without base_url="
)


async def uncovered(
    io: Io,
    state: IndexState,
    plan: Plan,
    *,
    tenant: str | None = None,
    known: Collection[str] = (),
) -> dict[str, str]:
    """The properties whose metadata indexes may leave out vectors; and why, in words.

    Only those that the plan looks up. For a ``tenant``, only its own vectors are looked at and
    named. Properties ``known`` to leave out some are not looked at again.
    """
    indexed = await get_metadata_indexes(io, state)
    coverage = state.coverage_of(tenant)
    found: dict[str, str] = {}
    for name in sorted(state.uncertain(plan.looked_up, tenant) - set(known)):
        # One without a metadata index at all is not this module's affair.
        if name in indexed:
            reason, is_shown = await _reason(io, state, tenant, name, indexed[name])
            if reason is not None:
                index = f"of the index {state.name!r} the metadata index on {name!r}"
                found[name] = coverage.partial[name] = f"{index} {reason}"
            elif is_shown:
                coverage.covering.add(name)
    return found


async def seen(
    io: Io, state: IndexState, plan: Plan, *, tenant: str | None = None
) -> dict[str, str]:
    """As `uncovered`, for a search: what was once found to leave out vectors still does."""
    partial = state.coverage_of(tenant).partial
    await uncovered(io, state, plan, tenant=tenant, known=partial)
    names = state.uncertain(plan.looked_up, tenant)
    return {name: reason for name, reason in partial.items() if name in names}


def warn(
    state: IndexState, found: Mapping[str, str], *, tenant: str | None = None, scannable: bool
) -> None:
    """Warn, once for an index, tenant and property, that a search may leave out better matches.

    ``scannable`` says whether reading all records instead would help.
    """
    warned = state.coverage_of(tenant).warned
    for name, reason in found.items():
        if name not in warned:
            warned.add(name)
            warnings.warn(
                f"a search with a filter on {name!r} may leave out matches: {reason}. "
                f"{_advice(state, scannable=scannable)}",
                PartialIndexWarning,
                stacklevel=outside(),
            )


def refuse(state: IndexState, found: Mapping[str, str], *, scannable: bool) -> None:
    """Raise that an answer that is to be complete would not be."""
    if found:
        name, reason = next(iter(found.items()))
        raise PartialIndexError(
            f"what a filter on {name!r} matches cannot be told completely: {reason}. "
            f"{_advice(state, scannable=scannable)}"
        )


def _advice(state: IndexState, *, scannable: bool) -> str:
    declared, indexed = state.capabilities.declared, state.metadata_indexes or ()
    advice = _DECLARED_ADVICE if declared else _ADVICE
    return f"{advice}; {or_scan(indexed, declared=declared)}" if scannable else advice


class _Verdict(NamedTuple):
    """Why a metadata index may not hold every vector; None if it does, as far as can be seen.

    The reason ends a sentence that begins with the metadata index. ``is_shown``: by vectors, or it
    is listed, so it will hold those that are written later, too.
    """

    reason: str | None
    is_shown: bool = True


async def _reason(
    io: Io, state: IndexState, tenant: str | None, name: str, index_type: IndexType
) -> _Verdict:
    """What can be seen of a metadata index."""
    sampled = state.coverage_of(tenant).sampled
    if state.knows_coverage:
        lacks = partial(layout.hides, path=name) if "." in name else None
        count = await io.call(CountUncovered(state.name, name, tenant, lacks))
        if count:
            return _Verdict(f"does not hold {count} vectors that have the property")
        if name != layout.REF or name in sampled:
            return _Verdict(None)
    sample = await _sample(io, state, tenant)
    outside = [vector for vector in sample.vectors if _is_outside(vector, name)]
    if outside:
        return _without(outside[0], tenant)
    if state.knows_coverage:
        sampled.add(name)
        return _Verdict(None)
    return await _queried(io, state, tenant, name, index_type, sample)


async def _queried(
    io: Io,
    state: IndexState,
    tenant: str | None,
    name: str,
    index_type: IndexType,
    sample: _Sample,
) -> _Verdict:
    """What filters on the values of a sample show of a metadata index."""
    having = [vector for vector in sample.vectors if _is_of_type(vector, name, index_type)]
    is_found = await _looked_up(io, state, tenant, name, index_type, having)
    missing = [vector for vector in having if is_found.get(vector.id) is False]
    if missing:
        return _without(missing[0], tenant)
    if len(is_found) >= (len(having) if sample.is_all else _ENOUGH):
        if tenant is not None and not is_found:
            # No sample of a tenant's shows whether ids are listed.
            await _ids(io, state, 1)
        # That no vector contradicts what is only declared says nothing of those to come.
        return _Verdict(None, bool(is_found) or not state.capabilities.declared)
    return _Verdict(
        "was not there before the first vector, as far as is known, and only "
        f"{len(is_found)} of {len(sample.vectors)} vectors that were read tell if it holds them"
    )


def _without(vector: Vector, tenant: str | None) -> _Verdict:
    # A tenant's vector is called what the tenant calls it.
    name = layout.RecordReader(bound=tenant is not None).name(vector)
    return _Verdict(f"does not hold the vector {name!r}, for one")


async def _ids(io: Io, state: IndexState, count: int) -> IdPage | None:
    """The first ids of an index; None if it cannot list them, which may turn out only here."""
    if state.capabilities.declared:
        return None
    try:
        return await io.call(ListVectors(state.name, count))
    except UnsupportedByBindingError:
        state.capabilities = GATEWAY
        return None


class _Sample(NamedTuple):
    vectors: Sequence[Vector]
    is_all: bool


async def _sample(io: Io, state: IndexState, tenant: str | None) -> _Sample:
    """Some of the vectors: spread over the beginning of the index's list, and over the space."""
    page = await _ids(io, state, limits.MAX_LIST_COUNT) if tenant is None else None
    if page is None:
        return await _sample_by_queries(io, state, tenant)
    is_all = page.next_cursor is None and len(page.ids) <= _SAMPLE
    most = _SAMPLE if is_all else _SAMPLE // 2
    step = max(len(page.ids) / most, 1.0)
    ids = [page.ids[int(n * step)] for n in range(min(most, len(page.ids)))]
    vectors = await get_many(io, state, ids)
    if vectors and not is_all:
        near = next(reversed(vectors.values())).values
        found = (await io.call(Query(state.name, vector=near, top_k=_SAMPLE // 2))).matches
        more = [match.id for match in found if match.id not in vectors]
        vectors |= await get_many(io, state, more)
    return _Sample([*vectors.values()], is_all)


async def _sample_by_queries(io: Io, state: IndexState, tenant: str | None) -> _Sample:
    """A sample of a tenant's vectors, or where ids are not listed: at two places of the space."""
    near = np.eye(1, (await get_details(io, state)).config.dimensions)[0]
    found: dict[str, Vector] = {}
    for _ in range(2):
        query = Query(
            state.name,
            vector=as_values(near),
            top_k=_AT_ONCE,
            return_values=True,
            return_metadata="all",
            namespace=tenant,
        )
        matches = (await io.call(query)).matches
        found.update((match.id, as_vector(match)) for match in matches)
        if len(matches) < _AT_ONCE:
            return _Sample([*found.values()], is_all=True)
        near = found[matches[-1].id].values
    return _Sample([*found.values()], is_all=False)


async def _looked_up(
    io: Io,
    state: IndexState,
    tenant: str | None,
    name: str,
    index_type: IndexType,
    having: Sequence[Vector],
) -> dict[str, bool]:
    """Whether a filter on its own value finds each vector; unclear ones are left out."""
    bucketed = not state.uncertain([layout.BUCKET], tenant)
    verdicts: dict[str, bool] = {}
    for at in range(0, len(having), _AT_ONCE):
        # One answer has room for some, and if it is asked for their buckets, for little else.
        group = having[at : at + _AT_ONCE]
        asked = dict(_hull(name, index_type, group))
        if bucketed:
            asked[layout.BUCKET] = {"$in": [layout.bucket(vector.id) for vector in group]}
        near = group[0].values
        most = limits.MAX_TOP_K
        query = Query(state.name, vector=near, top_k=most, filter=asked, namespace=tenant)
        verdicts.update((match.id, True) for match in (await io.call(query)).matches)
    metric = (await get_details(io, state)).config.metric

    async def is_found(vector: Vector) -> bool | None:
        asked = _hull(name, index_type, [vector])
        most = limits.MAX_TOP_K_WITH_PAYLOAD
        # With values it is exact.
        query = Query(
            state.name,
            vector=vector.values,
            top_k=most,
            return_values=True,
            filter=asked,
            namespace=tenant,
        )
        matches = (await io.call(query)).matches
        if any(match.id == vector.id for match in matches):
            return True
        if not _has_room(vector, matches, metric):
            return None
        # It may have been changed or deleted meanwhile.
        now = (await get_many(io, state, [vector.id])).get(vector.id)
        return False if now == vector else None

    doubted = [vector for vector in having if vector.id not in verdicts]
    some = doubted[:: max(len(doubted) // _ENOUGH, 1)]
    async with aclosing(io.map(is_found, each(some), limit=DEFAULT_CONCURRENCY)) as outcomes:
        async for done in outcomes:
            verdict = done.result()
            if verdict is not None:
                verdicts[done.item.id] = verdict
    return {vector.id: verdicts[vector.id] for vector in having if vector.id in verdicts}


def _has_room(vector: Vector, matches: Sequence[Match], metric: Metric) -> bool:
    """Whether these matches, the nearest to a vector, had room for the vector itself.

    They had if they are not full, or if one of them is worse.
    """
    if len(matches) < limits.MAX_TOP_K_WITH_PAYLOAD:
        return True
    own = float(scoring.scores(metric, vector.values[np.newaxis], vector.values)[0])
    scores = [match.score for match in matches]
    worse = own - min(scores) if metric == "cosine" else max(scores) - own
    return worse > _ROUNDING * max(abs(own), 1.0)


def _is_outside(vector: Vector, name: str) -> bool:
    """Whether a record has a property that its vector does not show to the metadata index."""
    if name != layout.REF:
        return layout.hides(vector.metadata, name)
    # Written only where it is indexed: a node that was there before does not even have it.
    if layout.REF in (vector.metadata or {}):
        return False
    return layout.decode(vector.id, vector.metadata, any_version=True).node is not None


def _is_of_type(vector: Vector, name: str, index_type: IndexType) -> bool:
    """Whether a vector has a value that its metadata index has to hold exactly."""
    value = lookup(vector.metadata or {}, name)
    if isinstance(value, str):
        return index_type == "string" and 0 < jsontext.utf8_size(value) <= _EXACT_BYTES
    if isinstance(value, bool):
        return index_type == "boolean"
    return index_type == "number" and isinstance(value, (int, float))


def _hull(name: str, index_type: IndexType, vectors: Iterable[Vector]) -> Filter:
    """A filter that all of these vectors match."""
    values: Collection[Any] = [lookup(vector.metadata or {}, name) for vector in vectors]
    if index_type == "boolean":
        return {name: {"$in": sorted(set(values))}}
    return {name: {"$gte": min(values), "$lte": max(values)}}
