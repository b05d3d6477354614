"""`Moved`: what an export, an import or a copy has done."""

from dataclasses import dataclass
from typing import Self

from vectorize_core.moving.parcel import Tally


@dataclass(frozen=True, slots=True)
class Moved:
    """How many ``records`` were moved, of which ``texts`` stand outside their vectors.

    ``digest`` is the same for the same records in any order, 32 hexadecimal digits.
    """

    records: int
    texts: int
    digest: str

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """What was counted."""
        return cls(tally.records, tally.texts, tally.digest)
