"""What is found by nearness and what is found by words, side by side and as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from vectorize_core.models import Metric
from vectorize_core.records.fusion import Fusion, Leg, fused
from vectorize_core.records.hit import Hit
from vectorize_core.transport.io import Io, each
from vectorize_core.transport.workers import aclosing

T = TypeVar("T")


def both(
    near: Sequence[Hit],
    by_words: Sequence[Hit],
    k: int,
    *,
    metric: Metric,
    alpha: float,
    fusion: Fusion,
) -> list[Hit]:
    """The ``k`` best of both, with fused scores. See `fusion`."""
    sign = 1.0 if metric == "cosine" else -1.0
    hits = {hit.match.id: hit for hit in (*by_words, *near)}
    found = fused(_leg(near, sign), _leg(by_words, 1.0), alpha=alpha, fusion=fusion)
    return [
        hits[i]._replace(match=dataclasses.replace(hits[i].match, score=score))
        for i, score in found[:k]
    ]


def _leg(hits: Sequence[Hit], sign: float) -> Leg:
    return [(hit.match.id, sign * hit.match.score) for hit in hits]


async def together(io: Io, *flows: Callable[[], Coroutine[Any, Any, T]]) -> list[T]:
    """The results of ``flows`` that are run side by side."""
    results: dict[Callable[[], Coroutine[Any, Any, T]], T] = {}

    async def start(flow: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await flow()

    async with aclosing(io.map(start, each(flows), limit=len(flows))) as outcomes:
        async for done in outcomes:
            results[done.item] = done.result()
    return [results[flow] for flow in flows]
