"""Reading any number of vectors by id, and listing the ids of an index."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from hashlib import blake2b
from typing import Final

from vectorize_core import limits
from vectorize_core.api import validation
from vectorize_core.api.operations import GetByIds, GetInfo, ListVectors
from vectorize_core.errors import BadRequestError, NotFoundError, UnexpectedAnswerError, shown
from vectorize_core.models import IdPage, Match, Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.transport.io import Io, each
from vectorize_core.transport.workers import aclosing

DEFAULT_CONCURRENCY = 4
_MOST_EMPTY: Final = 100
"""Pages in a row without a new id: room for a service that pages over 100,000 deleted ids."""
_MORE: Final = 1_000
"""How many more than twice the vectors of an index may be found, as others may be adding some."""


async def get_many(io: Io, state: IndexState, ids: Sequence[str]) -> dict[str, Vector]:
    """The vectors with these ids, in the order of ``ids``; missing ones are left out.

    Twenty ids a request. Ids that cannot exist (too long, empty) are no error either.
    """
    validation.check_id_list(ids)
    unique = list(dict.fromkeys(i for i in ids if validation.possible_id(i)))

    async def get(chunk: tuple[str, ...]) -> tuple[Vector, ...]:
        return await io.call(GetByIds(state.name, chunk))

    step = limits.MAX_IDS_PER_GET
    chunks = [tuple(unique[at : at + step]) for at in range(0, len(unique), step)]
    found: dict[str, Vector] = {}
    limit = max(min(DEFAULT_CONCURRENCY, len(chunks)), 1)
    async with aclosing(io.map(get, each(chunks), limit=limit)) as outcomes:
        async for done in outcomes:
            found.update((vector.id, vector) for vector in done.result())
    await check_dimensions(io, state, "GetByIds", found.values())
    return {i: found[i] for i in unique if i in found}


async def check_dimensions(
    io: Io, state: IndexState, operation: str, found: Collection[Vector | Match]
) -> None:
    """As many values in each as in the others, and as the index has dimensions, where known."""
    lengths = {one.id: len(one.values) for one in found if one.values is not None}
    known = set() if state.details is None else {state.details.config.dimensions}
    if len(known.union(lengths.values())) < 2:
        return
    # Another client may have made the index anew.
    dimensions = (await get_details(io, state, refresh=True)).config.dimensions
    for vector_id, length in lengths.items():
        if length != dimensions:
            raise UnexpectedAnswerError(
                f"{operation}({state.name}): the vector {vector_id!r} came with {length} values, "
                f"and the index has {dimensions} dimensions"
            )


async def iter_ids(
    io: Io, state: IndexState, *, page_size: int = limits.MAX_LIST_COUNT, holding: bool = True
) -> AsyncGenerator[str, None]:
    """The id of every vector, out of a snapshot; a thousand a request.

    A cursor lives for a limited time. When it is gone, the listing starts again and yields only
    what it has not yielded yet. `UnexpectedAnswerError` if the listing would not end.

    Unless it is ``holding`` all ids, it takes the same memory for any number of them, and does not
    start again by itself.
    """
    most = limits.MAX_LIST_COUNT
    page_size = validation.whole_number("page_size", page_size, least=1, most=most)
    walk = _Walk(state.name, holding=holding)
    yielded: set[str] = set()
    restarts = 3
    while True:
        try:
            page = await io.call(ListVectors(state.name, page_size, walk.cursor))
        except (BadRequestError, NotFoundError):
            if walk.cursor is None or not restarts or not holding:
                raise
            yielded |= walk.ids
            walk, restarts = _Walk(state.name, holding=True), restarts - 1
            continue
        for vector_id in walk.follow(page):
            if vector_id not in yielded:
                yield vector_id
        if walk.cursor is None:
            return
        if has_too_many(walk.listed, walk.expected):
            walk.expected = (await io.call(GetInfo(state.name))).vector_count
            if has_too_many(walk.listed, walk.expected):
                raise walk.endless(f"{walk.listed} ids were listed of {walk.expected} vectors")


def has_too_many(found: int, count: int) -> bool:
    """Whether far more was found than an index of ``count`` vectors can hold."""
    return found > 2 * count + _MORE


class _Walk:
    """One walk along the pages of a listing. It ends, whatever a service answers.

    ``cursor`` is that of the next page, ``ids`` are those listed, if it is ``holding`` them,
    ``listed`` is how many, and ``expected`` how many vectors there are. Of the cursors passed,
    which may be long, digests are kept.
    """

    def __init__(self, index: str, *, holding: bool) -> None:
        self.cursor: str | None = None
        self.ids: set[str] = set()
        self.listed = 0
        self.expected = 0
        self._holding = holding
        self._index = index
        self._passed: set[bytes] = set()
        self._empty = 0

    def follow(self, page: IdPage) -> list[str]:
        """The ids of a page that were not listed before; the next page is the one after it."""
        fresh = [vector_id for vector_id in page.ids if vector_id not in self.ids]
        self.listed += len(fresh)
        if self._holding:
            self.ids.update(fresh)
        self.expected = max(self.expected, page.total_count)
        self._empty = 0 if fresh else self._empty + 1
        self.cursor = page.next_cursor
        if self.cursor is not None:
            digest = blake2b(self.cursor.encode(), digest_size=16).digest()
            if digest in self._passed:
                raise self.endless(f"the cursor {shown(self.cursor)} has come before")
            if self._empty == _MOST_EMPTY:
                raise self.endless(f"{_MOST_EMPTY} pages in a row have no new id")
            self._passed.add(digest)
        return fresh

    def endless(self, why: str) -> UnexpectedAnswerError:
        """The error of a listing that does not get on."""
        return UnexpectedAnswerError(
            f"ListVectors({self._index}): the listing does not end: {why}. It cannot be told which "
            "ids there are"
        )
