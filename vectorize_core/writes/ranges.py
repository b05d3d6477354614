"""Positions in the input of a write, kept as ranges: there may be millions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import overload


def runs(positions: Sequence[int]) -> Iterator[range]:
    """Ascending positions as ranges."""
    if positions and positions[-1] - positions[0] + 1 == len(positions):
        # Nearly always. To look at each takes as long as all else that is noted of a record.
        yield range(positions[0], positions[-1] + 1)
        return
    for _, run in groupby(enumerate(positions), key=lambda pair: pair[1] - pair[0]):
        members = [position for _, position in run]
        yield range(members[0], members[-1] + 1)


class Positions(Sequence[int]):
    """Ascending positions without duplicates; equal to any sequence of the same integers."""

    __slots__ = ("_offsets", "_ranges")

    def __init__(self, parts: Iterable[range] = ()) -> None:
        """The union of ``parts``, in any order."""
        merged: list[range] = []
        for part in sorted((part for part in parts if part), key=lambda part: part.start):
            if merged and part.start <= merged[-1].stop:
                merged[-1] = range(merged[-1].start, max(merged[-1].stop, part.stop))
            else:
                merged.append(part)
        self._ranges = tuple(merged)
        self._offsets = tuple(accumulate(map(len, merged), initial=0))

    @property
    def ranges(self) -> tuple[range, ...]:
        """The same positions as ranges that do not touch."""
        return self._ranges

    def missing(self, stop: int) -> Positions:
        """The positions from 0 to ``stop`` that are not among these."""
        edges = [0, *(edge for r in self._ranges for edge in (r.start, r.stop)), stop]
        return Positions(range(*pair) for pair in zip(edges[::2], edges[1::2], strict=True))

    def __len__(self) -> int:
        return self._offsets[-1]

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> list[int]: ...
    def __getitem__(self, at: int | slice) -> int | list[int]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(f"there are {len(self)} positions; got {at}")
        at %= len(self)
        which = bisect_right(self._offsets, at) - 1
        return self._ranges[which][at - self._offsets[which]]

    def __iter__(self) -> Iterator[int]:
        for part in self._ranges:
            yield from part

    def __contains__(self, position: object) -> bool:
        if not isinstance(position, int):
            return False
        which = bisect_right(self._ranges, position, key=lambda part: part.start) - 1
        return which >= 0 and position in self._ranges[which]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Positions):
            return self._ranges == other._ranges
        if isinstance(other, Sequence):
            return len(self) == len(other) and all(map(int.__eq__, self, other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __repr__(self) -> str:
        parts = (str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in self._ranges)
        return f"Positions({', '.join(parts)})"
