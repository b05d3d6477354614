"""What a month on Cloudflare costs, by its published prices; asks nobody.

The prices are those of the plan Workers Paid, in US dollars a month, as read in September 2026 on
https://developers.cloudflare.com/vectorize/platform/pricing/ and
https://developers.cloudflare.com/d1/platform/pricing/. The rows of a text index are those that D1's
own runtime counted (docs/hybrid.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from vectorize_core.api.validation import whole_number


class _Price(NamedTuple):
    dollars: float
    per: int
    included: int

    def of(self, amount: int) -> float:
        return max(amount - self.included, 0) * self.dollars / self.per


STORED_DIMENSIONS: Final = _Price(0.05, per=100_000_000, included=10_000_000)
QUERIED_DIMENSIONS: Final = _Price(0.01, per=1_000_000, included=50_000_000)
ROWS_WRITTEN: Final = _Price(1.00, per=1_000_000, included=50_000_000)
ROWS_READ: Final = _Price(0.001, per=1_000_000, included=25_000_000_000)
BYTES_STORED: Final = _Price(0.75, per=1_000_000_000, included=5_000_000_000)

WRITTEN_BY_ADDING: Final = 1
WRITTEN_BY_REPLACING: Final = 2
READ_BY_ADDING: Final = 2
READ_BY_REPLACING: Final = 10
READ_BY_SEARCHING: Final = 220
"""For twenty candidates of a question of ten words."""
SIZE_OF_TEXT_INDEX: Final = 2
"""Bytes of the table for each byte of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a month takes: dimensions, and rows and bytes of D1; and its price in US dollars.

    What an account has free is taken off, as if nothing else used it. The fee of the plan itself,
    Workers, and embedding models are not in it.
    """

    stored_dimensions: int
    queried_dimensions: int
    rows_written: int = 0
    rows_read: int = 0
    bytes_stored: int = 0

    @property
    def vectorize(self) -> float:
        """Dollars for stored and queried dimensions."""
        stored = STORED_DIMENSIONS.of(self.stored_dimensions)
        return stored + QUERIED_DIMENSIONS.of(self.queried_dimensions)

    @property
    def d1(self) -> float:
        """Dollars for rows that are written and read, and for storage."""
        rows = ROWS_WRITTEN.of(self.rows_written) + ROWS_READ.of(self.rows_read)
        return rows + BYTES_STORED.of(self.bytes_stored)

    @property
    def total(self) -> float:
        """Dollars for all of it."""
        return self.vectorize + self.d1

    def __str__(self) -> str:
        return f"${self.total:.2f} a month: Vectorize ${self.vectorize:.2f}, D1 ${self.d1:.2f}"


def estimate_cost(
    vectors: int,
    dimensions: int,
    *,
    queries: int = 0,
    text_index: bool = False,
    added: int | None = None,
    replaced: int = 0,
    text_bytes: int = 1_000,
) -> CostEstimate:
    """What a month of an index costs on Cloudflare, on the plan Workers Paid.

    ``vectors`` are stored in it, and searched by ``queries`` requests: a search with ``k`` up to 50
    is one, `Explanation` and docs/many-results.md tell of others. With a ``text_index`` in D1, each
    of them is a search by words too, and texts have ``text_bytes`` bytes on average; ``added`` new
    records are written in that month (default: all), and ``replaced`` ones again. Writing vectors
    costs nothing. Raises `InvalidInputError` for what is no whole number, or negative.
    """
    vectors = whole_number("vectors", vectors)
    dimensions = whole_number("dimensions", dimensions, least=1)
    queries = whole_number("queries", queries)
    added = vectors if added is None else whole_number("added", added)
    replaced = whole_number("replaced", replaced)
    text_bytes = whole_number("text_bytes", text_bytes)
    stored = vectors * dimensions
    # Who asks nothing pays for no queries; else the stored vectors count once a month.
    queried = (queries + vectors) * dimensions if queries else 0
    if not text_index:
        return CostEstimate(stored_dimensions=stored, queried_dimensions=queried)
    return CostEstimate(
        stored_dimensions=stored,
        queried_dimensions=queried,
        rows_written=added * WRITTEN_BY_ADDING + replaced * WRITTEN_BY_REPLACING,
        rows_read=added * READ_BY_ADDING
        + replaced * READ_BY_REPLACING
        + queries * READ_BY_SEARCHING,
        bytes_stored=vectors * text_bytes * SIZE_OF_TEXT_INDEX,
    )
