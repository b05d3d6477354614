"""`Moved`: what an export, an import or a copy has done."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moved:
    """How many ``records`` were moved, of which ``texts`` stand outside their vectors.

    ``digest`` is the same for the same records in any order, 32 hexadecimal digits.
    """

    records: int
    texts: int
    digest: str
