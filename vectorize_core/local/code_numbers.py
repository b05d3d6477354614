"""`CodeNumbers`: what the search needs of each row of codes but the codes themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local import codes
from vectorize_core.local.code_products import Products
from vectorize_core.local.codes import CodeRows
from vectorize_core.local.matrix import Slots
from vectorize_core.models import Metric

Floats = NDArray[np.float32]

_UP: Final = np.float32(1 + 2**-20)
"""More than a few roundings to float32."""


@dataclass(frozen=True, slots=True)
class CodeNumbers:
    """The key of a row is ``factor * (product - shift)``, and for distances less ``square``.

    Its error is ``|q| loss + residual(q) (length + loss)``, as in `codes`: for cosines the row is
    one of length 1, for distances one twice as long, since these need ``2 q.x - |x|**2``.

    Where rows are cut, the product is one of the first part of the codes and one of the rest, each
    with a shift. Without the rest the error is greater by ``|rest of q| rest``.
    """

    is_cut: bool
    factors: Floats
    """NaN for a row that must be scored in any case."""
    losses: Floats
    lengths: Floats
    shifts: Floats
    """Of whole rows, or of the rest of them."""
    squares: Floats
    first_shifts: Floats
    rests: Floats
    """Lengths of the rest of each row, or more."""

    @classmethod
    def empty(cls, count: int, metric: Metric, *, is_cut: bool) -> CodeNumbers:
        """Room for ``count`` rows."""
        ones = np.broadcast_to(np.float32(1), count)
        return cls(
            is_cut,
            np.empty(count, np.float32),
            np.empty(count, np.float32),
            ones if metric == "cosine" else np.empty(count, np.float32),
            np.empty(count, np.float32),
            np.empty(count if metric == "euclidean" else 0, np.float32),
            np.empty(count if is_cut else 0, np.float32),
            np.empty(count if is_cut else 0, np.float32),
        )

    def upto(self, count: int) -> CodeNumbers:
        """Those of the first ``count`` rows."""
        return CodeNumbers(self.is_cut, *(each[:count] for each in self.arrays()))

    def copied(self, count: int, room: int, metric: Metric) -> CodeNumbers:
        """A copy of those of the first ``count`` rows, with room for more."""
        made = CodeNumbers.empty(room, metric, is_cut=self.is_cut)
        made.put(0, self.upto(count))
        return made

    def put(self, first: int, others: CodeNumbers) -> None:
        """Set those of rows in slots from ``first`` on, which ``others`` are of."""
        for own, new in zip(self.arrays(), others.arrays(), strict=True):
            if own.flags.writeable:  # else all are 1
                own[first : first + len(new)] = new

    def fill(self, metric: Metric, first: int, rows: CodeRows, multiplied: Products) -> None:
        """Set those of ``rows``, which are in slots from ``first`` on."""
        part = slice(first, first + len(rows))
        scales, losses, lengths = rows["scale"], rows["residual"], rows["length"]
        with np.errstate(all="ignore"):
            if metric == "cosine":
                # 0 for a row of zeros, NaN for one whose length is.
                inverse = np.divide(np.float32(1), lengths, out=lengths * 0, where=lengths != 0)
                self.factors[part] = scales * inverse
                per_length = inverse * _UP
                self.losses[part] = losses * per_length
            elif metric == "dot-product":
                per_length = np.ones_like(scales)
                self.factors[part], self.losses[part], self.lengths[part] = scales, losses, lengths
            else:
                per_length = np.full_like(scales, 2)
                self.factors[part], self.losses[part] = 2 * scales, 2 * losses
                self.lengths[part], self.squares[part] = 2 * lengths, lengths * lengths
            begin, rest = codes.cut(rows["codes"])
            self.shifts[part] = codes.shifts(rest, multiplied)
            if self.is_cut:
                self.first_shifts[part] = codes.shifts(begin, multiplied)
                self.rests[part] = rows["rest"] * per_length
            self.losses[part] += self.factors[part] * _rounding(rows)

    def are_of(
        self, metric: Metric, rows: CodeRows, slots: Slots, multiplied: Products
    ) -> NDArray[np.bool_]:
        """Which of ``rows``, in these slots, have these numbers."""
        own = CodeNumbers.empty(len(rows), metric, is_cut=self.is_cut)
        own.fill(metric, 0, rows, multiplied)
        same = np.ones(len(rows), np.bool_)
        for now, known in zip(own.arrays(), self.arrays(), strict=True):
            if len(known):
                same &= (now == known[slots]) | (np.isnan(now) & np.isnan(known[slots]))
        return same

    def arrays(self) -> tuple[Floats, ...]:
        """All of them."""
        return (
            self.factors,
            self.losses,
            self.lengths,
            self.shifts,
            self.squares,
            self.first_shifts,
            self.rests,
        )


def _rounding(rows: CodeRows) -> np.float32:
    """What the roundings of a product and of its shifts come to, for a query of length 1.

    Both are below 255**2 a dimension, and rounded to float32 five times in all, in units of the
    query's scale, which is at most a 127th of its length.
    """
    return np.float32(rows["codes"].shape[1] * 5 * 255**2 * 2.0**-24 / 127)
