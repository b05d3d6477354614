"""Pages of what is iterated over: so many records that they fit into memory at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Final, TypeVar

from vectorize_core.transport.io import Io

T = TypeVar("T")
_MOST: Final = 2_000
_MOST_CHARACTERS: Final = 1 << 24


async def pages(
    io: Io, records: Iterable[T], size: Callable[[T], int]
) -> AsyncGenerator[list[T], None]:
    """``records`` a page at a time: two thousand, or fewer of a larger ``size`` in characters.

    They are read off the event loop, in one thread after the other.
    """
    iterator = iter(records)
    while page := await io.offload(lambda: _next(iterator, size)):
        yield page


def _next(records: Iterator[T], size: Callable[[T], int]) -> list[T]:
    page: list[T] = []
    characters = 0
    for record in records:
        page.append(record)
        characters += size(record)
        if len(page) == _MOST or characters >= _MOST_CHARACTERS:
            break
    return page
