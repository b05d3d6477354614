"""Similarities as LlamaIndex has them, and what is chosen by them. Pure."""

from __future__ import annotations

from vectorize_core.errors import InvalidInputError
from vectorize_core.similarity import choose_diverse, similarity

__all__ = ["check_threshold", "choose_diverse", "similarity"]


def check_threshold(threshold: float) -> float:
    """A threshold of maximal marginal relevance."""
    if isinstance(threshold, bool) or not 0 <= threshold <= 1:
        raise InvalidInputError(f"mmr_threshold is from 0 (diverse) to 1 (near); got {threshold!r}")
    return float(threshold)
