"""Partitions: parts of what a filter matches, each small enough for one answer of the service.

Records of our layout are spread evenly over 2^20 buckets. A *partition* is a branch of a plan,
narrowed to a range of buckets, or to the *unbucketed* records, which are in none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from vectorize_core import layout
from vectorize_core.models import Filter


@dataclass(frozen=True, slots=True)
class Partition:
    """Part of a branch, to be asked for.

    ``bound`` is its score bound: the best score that an unseen record in it can have, None if
    unlimited. ``top_k`` is how much to ask for, None for as much as an answer holds; ``precise``
    asks for exact scores. One that is ``full`` was asked for, its answer was full, and ``bound``
    is the last score in it.
    """

    branch: int
    part: Literal["whole", "buckets", "unbucketed"] = "whole"
    low: int = 0
    high: int = layout.BUCKETS
    bound: float | None = None
    top_k: int | None = None
    precise: bool = False
    full: bool = False

    @property
    def width(self) -> int:
        """How many buckets it has."""
        return self.high - self.low

    def filter(self, branch: Filter) -> Filter:
        """What the service is asked for."""
        if self.part == "whole":
            return branch
        if self.part == "unbucketed":
            return {**branch, layout.OWN: {"$ne": True}}
        # The outermost partitions are open: no bucket number falls beside them.
        ends: dict[str, Any] = {}
        if self.low > 0:
            ends["$gte"] = self.low
        if self.high < layout.BUCKETS:
            ends["$lt"] = self.high
        return {**branch, layout.BUCKET: ends}

    def has(self, vector_id: str) -> bool:
        """Whether a record of that id belongs here."""
        return self.part != "buckets" or self.low <= layout.bucket(vector_id) < self.high

    def cut(self, width: int) -> tuple[Partition, Partition | None]:
        """A first piece of about ``width`` buckets, one of equal pieces, and the others."""
        pieces = math.ceil(self.width / max(width, 1)) if self.part == "buckets" else 1
        if pieces < 2:
            return self, None
        at = self.low + max(self.width // pieces, 1)
        return replace(self, high=at), replace(self, low=at)

    def divided(self) -> list[Partition]:
        """What to ask for after a full answer; nothing if it cannot be divided further."""
        if self.part == "unbucketed" or self.width == 1:
            return []
        spread = Partition(self.branch, "buckets", self.low, self.high, self.bound)
        middle = (self.low + self.high) // 2
        halves = [replace(spread, high=middle), replace(spread, low=middle)]
        return halves if self.part == "buckets" else [*halves, replace(spread, part="unbucketed")]


@dataclass(slots=True)
class Density:
    """How many hits to expect in a bucket of a branch: not more than ``most``, nor than seen."""

    most: float = math.inf
    hits: int = 0
    width: int = 0

    def note(self, hits: int, width: int) -> None:
        """An answer that was not full."""
        self.hits += hits
        self.width += width

    @property
    def known(self) -> bool:
        """Whether anything has been seen."""
        return self.width > 0

    @property
    def cautious(self) -> float:
        """Hits in a bucket; after few of them, more than have been seen."""
        if not self.width:
            return self.most
        return min(self.most, (self.hits + 2 * math.sqrt(self.hits) + 1) / self.width)

    @property
    def likely(self) -> float:
        """Hits in a bucket, going by what has been seen."""
        return min(self.most, self.hits / self.width) if self.width else 0.0


def room(cap: int) -> float:
    """How many hits to aim for in an answer that holds ``cap``, so that few are full."""
    return cap - 2 * math.sqrt(cap)
