"""A record that was found."""

from __future__ import annotations

from typing import NamedTuple

from vectorize_core.layout import Record
from vectorize_core.models import Match


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match
