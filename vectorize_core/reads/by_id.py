"""Reading any number of vectors by id, and listing the ids of an index."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from vectorize_core import limits
from vectorize_core.api import validation
from vectorize_core.api.operations import GetByIds, ListVectors
from vectorize_core.errors import (
    BadRequestError,
    NotFoundError,
)
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState
from vectorize_core.transport.io import Io, each

DEFAULT_CONCURRENCY = 4


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
    return {i: found[i] for i in unique if i in found}


async def iter_ids(
    io: Io, state: IndexState, *, page_size: int = limits.MAX_LIST_COUNT
) -> AsyncGenerator[str, None]:
    """The id of every vector, out of a snapshot; a thousand a request.

    A cursor lives for a limited time. When it is gone, the listing starts again and yields only
    what it has not yielded yet.
    """
    most = limits.MAX_LIST_COUNT
    page_size = validation.whole_number("page_size", page_size, least=1, most=most)
    cursor: str | None = None
    yielded: set[str] = set()
    restarts = 3
    while True:
        try:
            page = await io.call(ListVectors(state.name, page_size, cursor))
        except (BadRequestError, NotFoundError):
            if cursor is None or not restarts:
                raise
            cursor, restarts = None, restarts - 1
            continue
        for vector_id in page.ids:
            if vector_id not in yielded:
                yielded.add(vector_id)
                yield vector_id
        cursor = page.next_cursor
        if cursor is None:
            return
