"""Cursors of listings: all pages show the ids as they were when the first one was read.

https://developers.cloudflare.com/vectorize/best-practices/list-vectors/
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from vectorize_core import forks
from vectorize_core.local import faults
from vectorize_core.local.catalog import as_datetime
from vectorize_core.models import IdPage

MAX_LISTINGS: Final = 100
"""Unfinished listings at once; beyond that the oldest ends, and its cursors become invalid."""
MAX_IDS: Final = 4_000_000
"""Of all of them together, some 90 bytes each; the latest listing may be larger alone."""


@dataclass(frozen=True, slots=True)
class _Listing:
    index_id: int
    ids: list[str]
    expires: float


class Cursors:
    """The unfinished listings, each by an opaque token."""

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._listings: dict[str, _Listing] = {}
        self._lock = forks.lock()

    def first(self, index_id: int, ids: list[str], count: int, now: float) -> IdPage:
        """The first page of ``ids``, a list that must not change afterwards."""
        listing = _Listing(index_id, ids, now + self._lifetime)
        token = uuid.uuid4().hex
        if len(ids) > count:
            with self._lock:
                self._make_room(len(ids), now)
                self._listings[token] = listing
        return _page(token, listing, 0, count)

    def next(self, index_id: int, cursor: str, count: int, now: float) -> IdPage:
        """The page of ``cursor``; the same cursor gives the same page again."""
        token, _, offset = cursor.partition("-")
        with self._lock:
            listing = self._listings.get(token)
        # Not int() alone, which takes "1_0", and no number of a thousand digits.
        is_offset = offset.isascii() and offset.isdecimal() and len(offset) < 10
        if listing is None or listing.index_id != index_id or not is_offset:
            raise faults.unknown_cursor()
        if listing.expires <= now:
            raise faults.refused("the cursor has expired; start the listing again")
        return _page(token, listing, int(offset), count)

    def _make_room(self, size: int, now: float) -> None:
        size += sum(len(listing.ids) for listing in self._listings.values())
        for token, listing in list(self._listings.items()):
            if listing.expires <= now or len(self._listings) >= MAX_LISTINGS or size > MAX_IDS:
                size -= len(self._listings.pop(token).ids)


def _page(token: str, listing: _Listing, offset: int, count: int) -> IdPage:
    end = offset + count
    ids, total = tuple(listing.ids[offset:end]), len(listing.ids)
    if end >= total:
        return IdPage(ids, total)
    return IdPage(ids, total, f"{token}-{end}", as_datetime(listing.expires))
