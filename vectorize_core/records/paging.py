"""Records by ids or a filter, a page of them, in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError
from vectorize_core.models import Id
from vectorize_core.reads.selection import SelectOptions
from vectorize_core.records.reading import Found, find, find_stored, iter_named
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing


async def page(
    io: Io,
    records: RecordStore,
    *,
    ids: Sequence[Id] | None = None,
    limit: int | None = None,
    offset: int | None = None,
    return_values: bool = False,
    **options: Unpack[SelectOptions],
) -> list[Found]:
    """At most ``limit`` records that a filter matches, after the first ``offset``.

    In the order of ``ids``, if these are given, else in that of all ids: the service has no order
    of its own, so the ids of all that match are listed for each page.
    """
    most = None if limit is None else validation.whole_number("limit", limit)
    first = 0 if offset is None else validation.whole_number("offset", offset)
    end = None if most is None else first + most
    if ids is not None and options.get("vectorize_filter") is not None:
        raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
    if ids is not None or (limit is None and offset is None):
        found = await find(io, records, ids=ids, return_values=return_values, **options)
        if ids is None:
            found.sort(key=lambda one: one.record.id)
        return found[first:end]
    async with aclosing(iter_named(io, records, **options)) as every:
        listed = sorted([named async for named in every])
    # A record of a tenant's that no view wrote is stored under the id that it has.
    return await find_stored(
        io,
        records,
        [stored_id for _, stored_id in listed[first:end]],
        namespace=options.get("namespace"),
        return_values=return_values,
    )
