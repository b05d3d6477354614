"""What a month costs, by examples that Cloudflare has published and by some computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from vectorize_core import CostEstimate, InvalidInputError, estimate_cost
from vectorize_core.costs import QUERIED_DIMENSIONS, STORED_DIMENSIONS


@pytest.mark.parametrize(
    ("vectors", "dimensions", "queries", "dollars"),
    [
        (5_000, 384, 10_000, 0.06),
        (25_000, 768, 50_000, 0.59),
        (50_000, 768, 200_000, 1.94),
        (250_000, 768, 500_000, 5.86),
        (500_000, 1_536, 1_000_000, 23.42),
    ],
)
def test_the_examples_of_cloudflares_page_of_prices(
    vectors: int, dimensions: int, queries: int, dollars: float
) -> None:
    # They leave out what is included.
    found = estimate_cost(vectors, dimensions, queries=queries)
    stored = STORED_DIMENSIONS._replace(included=0).of(found.stored_dimensions)
    queried = QUERIED_DIMENSIONS._replace(included=0).of(found.queried_dimensions)
    assert round(stored + queried, 2) == dollars


def test_what_is_included_is_taken_off() -> None:
    # Stored: 20 M, of which 10 M are free: 0.1 x $0.05. Queried: 60 M, 50 M free: 10 x $0.01.
    found = estimate_cost(20_000, 1_000, queries=40_000)
    assert (found.stored_dimensions, found.queried_dimensions) == (20_000_000, 60_000_000)
    assert found.total == found.vectorize == pytest.approx(0.005 + 0.1)
    assert estimate_cost(10_000, 1_000, queries=40_000).total == 0


def test_an_index_that_nobody_searches_costs_its_storage_only() -> None:
    found = estimate_cost(1_000_000, 1_010)
    assert found.queried_dimensions == 0
    assert found.total == pytest.approx(0.50)


def test_the_rows_of_a_text_index() -> None:
    found = estimate_cost(
        60_000_000, 32, queries=200_000_000, text_index=True, replaced=1_000_000, text_bytes=100
    )
    # Written: 60 M + 2 x 1 M. Read: 2 x 60 M + 10 x 1 M + 220 x 200 M. Stored: 60 M x 100 x 2.
    assert found.rows_written == 62_000_000
    assert found.rows_read == 120_000_000 + 10_000_000 + 44_000_000_000
    assert found.bytes_stored == 12_000_000_000
    # 12 M x $1 / M, 19,130 M x $0.001 / M, 7 GB x $0.75.
    assert found.d1 == pytest.approx(12.00 + 19.13 + 5.25)
    assert found.total == found.vectorize + found.d1


def test_later_months_add_nothing() -> None:
    found = estimate_cost(1_000, 32, text_index=True, added=0)
    assert (found.rows_written, found.rows_read, found.bytes_stored) == (0, 0, 2_000_000)


def test_nothing_costs_nothing() -> None:
    assert estimate_cost(0, 32) == CostEstimate(stored_dimensions=0, queried_dimensions=0)


@pytest.mark.parametrize("name", ["vectors", "dimensions", "queries", "added", "replaced"])
@pytest.mark.parametrize("value", [-1, 0.5, "1", True])
def test_what_counts_nothing_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} is "):
        estimate_cost(**{"vectors": 1, "dimensions": 32, name: value})
