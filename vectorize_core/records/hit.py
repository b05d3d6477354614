"""A record that was found."""

from __future__ import annotations

from typing import NamedTuple

from vectorize_core.layout import Record
from vectorize_core.models import Match, Vector


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match


def match_of(vector: Vector, score: float) -> Match:
    """A vector that was read, as the match of a search that gave it a score."""
    return Match(vector.id, score, vector.values, vector.metadata, vector.namespace)
