"""Listings that would never end: each ends with an error, and in few requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.core.helpers import Answer, Cloudflare, Variant, both_variants, failed, ok
from vectorize_core import UnexpectedAnswerError

Page = dict[str, Any]
EMPTY = range(0)


def page(ids: range, cursor: str | None, total: int = 3) -> Page:
    return {
        "count": len(ids),
        "totalCount": total,
        "isTruncated": cursor is not None,
        "nextCursor": cursor,
        "vectors": [{"id": f"id{n}"} for n in ids],
    }


def the_same_cursor(n: int) -> Page:
    return page(EMPTY if n else range(3), "again")


def the_same_page(n: int) -> Page:
    return page(range(3), "again")


def two_cursors_in_turn(n: int) -> Page:
    return page(range(3 * (n % 2), 3 * (n % 2) + 3), f"cursor {n % 2}")


def three_cursors_after_others(n: int) -> Page:
    return page(range(n, n + 1), f"cursor {n if n < 5 else 5 + n % 3}", 1_000)


def the_same_cursor_and_new_ids(n: int) -> Page:
    return page(range(n, n + 1), "again", 10**9)


def empty_pages(n: int) -> Page:
    return page(EMPTY, f"cursor {n}")


def empty_pages_after_full_ones(n: int) -> Page:
    return page(range(n, n + 1) if n < 3 else EMPTY, f"cursor {n}")


def the_same_ids(n: int) -> Page:
    return page(range(3), f"cursor {n}")


def long_cursors(n: int) -> Page:
    return page(EMPTY, f"{n}".rjust(8_000, "c"))


def new_ids_for_ever(n: int) -> Page:
    return page(range(1_000 * n, 1_000 * (n + 1)), f"cursor {n}")


ENDLESS = {
    made.__name__: made
    for made in (
        the_same_cursor,
        the_same_page,
        two_cursors_in_turn,
        three_cursors_after_others,
        the_same_cursor_and_new_ids,
        empty_pages,
        empty_pages_after_full_ones,
        the_same_ids,
        long_cursors,
        new_ids_for_ever,
    )
}


class Listing(Cloudflare):
    """Answers as made for the n-th request of a listing; of the index itself, the truth."""

    def __init__(self, pages: Iterator[Answer], count: int = 3) -> None:
        super().__init__()
        self.pages = pages
        self.info = ok({"dimensions": 32, "vectorCount": count})

    def _answer(self, request: Any) -> Any:
        answer = self.info if request.url.path.endswith("/info") else next(self.pages)
        self._answers = (answer,)
        return super()._answer(request)


async def listed(variant: Variant, listing: Listing, **options: Any) -> list[str]:
    client = variant.client(listing)
    ids = client.index("docs").list_ids(**options)
    try:
        return [i async for i in ids] if variant.is_async else list(ids)
    finally:
        await variant.close(client)


@both_variants
@pytest.mark.parametrize("made", ENDLESS.values(), ids=ENDLESS)
async def test_a_listing_that_does_not_get_on_ends_with_an_error(
    variant: Variant, made: Callable[[int], Page]
) -> None:
    listing = Listing(ok(made(n)) for n in itertools.count())
    with pytest.raises(UnexpectedAnswerError, match=r"ListVectors\(docs\): the listing does not"):
        await listed(variant, listing)
    assert len(listing.requests) <= 110


@both_variants
async def test_a_listing_may_have_empty_pages_and_fewer_ids_than_it_says(variant: Variant) -> None:
    pages = [
        page(range(2), "a", 9),
        *(page(EMPTY, f"b{n}", 9) for n in range(99)),
        page(range(5), None, 9),
    ]
    assert await listed(variant, Listing(map(ok, pages))) == [f"id{n}" for n in range(5)]


@both_variants
async def test_more_ids_than_were_counted_at_first_are_listed(variant: Variant) -> None:
    pages = [page(range(n * 1_000, n * 1_000 + 1_000), f"c{n}", 0) for n in range(4)]
    listing = Listing(map(ok, [*pages, page(EMPTY, None, 0)]), count=4_000)
    assert len(await listed(variant, listing)) == 4_000
    assert listing.calls.count("GET /docs/info") == 1


@both_variants
async def test_a_listing_that_starts_again_may_pass_the_same_cursors(variant: Variant) -> None:
    gone = failed(400, 1)
    pages = [ok(page(range(2), "a")), gone, ok(page(range(2), "a")), ok(page(range(2, 4), None))]
    assert await listed(variant, Listing(iter(pages))) == ["id0", "id1", "id2", "id3"]
