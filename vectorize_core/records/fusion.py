"""One ranking out of two: by nearness, and by words. Pure.

Only the first `COMPARED` of each leg add to a fused score; the others come after them, by the
better of both ranks, and what only a leg without a weight holds comes last. So legs may be of any
length: a longer one changes nothing of what comes first, and every answer is the beginning of a
longer one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from vectorize_core.api import validation

Fusion: TypeAlias = Literal["relative", "rrf"]
"""``"relative"``: scores, each leg's scaled to 0 to 1. ``"rrf"``: reciprocal ranks, unweighted."""
Leg: TypeAlias = Sequence[tuple[str, float]]
"""Ids with scores, best first; larger is better."""

DEFAULT_ALPHA: Final = 0.6
"""The weight of nearness."""
COMPARED: Final = 20
"""How many of each leg are compared by their scores; each leg is asked for at least as many."""
_RRF_K: Final = 60


def check(alpha: float, fusion: Fusion) -> float:
    """``alpha`` as a float: a weight from 0 to 1. ``fusion`` is one of the two ways."""
    validation.one_of("fusion", fusion, tuple(_WAYS))
    return validation.number("alpha", alpha, least=0.0, most=1.0)


def fused(near: Leg, by_words: Leg, *, alpha: float, fusion: Fusion) -> list[tuple[str, float]]:
    """All ids of both legs with their fused scores, best first.

    ``alpha`` is the weight of nearness where scores are added; ranks count the same in both legs.
    """
    scores: dict[str, float] = {}
    places: dict[str, tuple[bool, int, int]] = {}
    weights = (alpha, 1.0 - alpha) if fusion == "relative" else (1.0, 1.0)
    for number, (leg, weight) in enumerate(zip((near, by_words), weights, strict=True)):
        parts = _WAYS[fusion]([score for _, score in leg[:COMPARED]])
        for rank, (record_id, _) in enumerate(leg):
            part = weight * parts[rank] if rank < len(parts) else 0.0
            scores[record_id] = scores.get(record_id, 0.0) + part
            place = not weight, rank, number
            places[record_id] = min(places.get(record_id, place), place)
    order = sorted(scores, key=lambda record_id: (-scores[record_id], places[record_id]))
    return [(record_id, scores[record_id]) for record_id in order]


def _relative(scores: Sequence[float]) -> list[float]:
    """1 for the best, 0 for the last; 1 for all if they are equal."""
    if not scores:
        return []
    best, last = scores[0], scores[-1]
    if best <= last:
        return [1.0] * len(scores)
    return [min(max((score - last) / (best - last), 0.0), 1.0) for score in scores]


def _reciprocal(scores: Sequence[float]) -> list[float]:
    return [1.0 / (_RRF_K + rank) for rank in range(1, len(scores) + 1)]


_WAYS: Final[dict[Fusion, Callable[[Sequence[float]], list[float]]]] = {
    "relative": _relative,
    "rrf": _reciprocal,
}
