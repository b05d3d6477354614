"""How much is measured: the sizes of the indexes, and what part each of them plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Size:
    """So many vectors of so many numbers."""

    count: int
    dimensions: int

    def __str__(self) -> str:
        return f"{self.count:,} x {self.dimensions:,}"


class Sizes(NamedTuple):
    """The sizes of a run. Figures and goals name them by their part."""

    little: Size = Size(10_000, 384)
    middle: Size = Size(100_000, 384)
    wide: Size = Size(100_000, 1_536)
    large: Size = Size(1_000_000, 384)

    def scaled(self, scale: float) -> Sizes:
        """The same with fewer or more vectors."""
        return Sizes(*(Size(max(1, round(s.count * scale)), s.dimensions) for s in self))

    def parts(self) -> dict[str, Size]:
        """The sizes by their parts."""
        return self._asdict()
