"""The records of an index, a page after the other; after an interruption it goes on where it was.

A service that can be scanned (`ScanVectors`) gives its vectors in pieces of a thousand. Any other
one lists the ids of what is wanted first, into a file; then they are read by id.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from vectorize_core import layout, paths
from vectorize_core.api.operations import GetInfo
from vectorize_core.api.scan import ScanVectors
from vectorize_core.errors import BadRequestError, NotFoundError
from vectorize_core.filters.parse import parse
from vectorize_core.filters.plan import Unindexed
from vectorize_core.models import Vector
from vectorize_core.moving.parcel import Parcel
from vectorize_core.reads import by_id, enumeration
from vectorize_core.reads.post_filter import PostFilter
from vectorize_core.reads.selection import AnyFilter, Selection, SelectOptions
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import get_details
from vectorize_core.texts.reading import name_outside
from vectorize_core.texts.store import is_intact, text_name
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.transport.workers import aclosing

_SCANNED: Final = 1_000
_READ: Final = 500
_LISTED: Final = 1_000
_TEXTS: Final = 50

Read = tuple[Sequence[Vector], str | None]
"""Some vectors, and the cursor behind them."""


class GoneError(Exception):
    """What was read so far is no beginning any more: the index was compacted, or made again."""


class Page(NamedTuple):
    """Some records, and where to go on behind them; ``cursor`` is None where nothing can go on."""

    parcels: list[Parcel]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Departing:
    """The records of ``store`` that are ``chosen``, unless it is known that there are ``none``.

    ``listing`` is the file of their ids, if they are listed. With ``texts``, those outside their
    vectors come along.
    """

    store: RecordStore
    chosen: Selection
    listing: Path
    texts: bool = True
    none: bool = False

    async def pages(self, io: Io, cursor: str | None) -> AsyncGenerator[Page, None]:
        """The pages from ``cursor`` on. `GoneError` if all has to be read again."""
        if self.none:
            return
        read = self._scanned(io, cursor) if _can_scan(self.store) else self._listed(io, cursor)
        async with aclosing(read) as some:
            async for vectors, after in some:
                *parts, last = self._parts(vectors)
                for part in parts:
                    yield Page(await self.parcels(io, part), None)
                yield Page(await self.parcels(io, last), after)

    def _parts(self, vectors: Sequence[Vector]) -> list[list[Vector]]:
        """Vectors in parts with so many texts outside of them that these fit into memory."""
        parts: list[list[Vector]] = [[]]
        texts = 0
        for vector in vectors:
            texts += layout.text_name_of(vector) is not None
            if texts > _TEXTS:
                parts.append([])
                texts = 1
            parts[-1].append(vector)
        return parts

    async def count(self, io: Io) -> int | None:
        """How many there are, where one request tells it."""
        if self.none or not self.chosen.is_everything:
            return None
        return (await io.call(GetInfo(self.store.index.name))).vector_count

    def forget(self) -> None:
        """Remove the listing."""
        with self._explained():
            self.listing.unlink(missing_ok=True)

    def _explained(self) -> AbstractContextManager[None]:
        return paths.explained("a list of ids", str(self.listing))

    async def parcels(self, io: Io, vectors: Sequence[Vector]) -> list[Parcel]:
        """Those of ``vectors`` that are selected, as they leave."""
        store, chosen = self.store, self.chosen
        if chosen.plan.everything:
            inside = [v for v in vectors if chosen.namespace in (None, v.namespace)]
        else:
            post_filter = PostFilter(chosen.plan, chosen.read)
            inside = await post_filter.select(io, vectors, chosen.namespace)
        texts = await outside(io, store, inside) if self.texts else {}
        return [self._parcel(vector, texts.get(vector.id)) for vector in inside]

    def _parcel(self, vector: Vector, text: str | None) -> Parcel:
        store = self.store
        name = layout.text_name_of(vector)
        if text is not None and (name is None or not is_intact(name, text)):
            # Kept by another client under the vector's id; or lost, and taken for empty.
            name = text_name(store.index.name, vector.id, text)
            vector = layout.readdressed(vector, vector.id, text_key=store.text_key, x=name)
        if store.bound:
            vector = self.departed(vector, store.reading.reader.name(vector))
        return Parcel(vector, text)

    def departed(self, vector: Vector, name: str) -> Vector:
        """A tenant's record as it stands where nobody is a tenant, under its own ``name``."""
        left = layout.readdressed(vector, name, id=None)
        return Vector(name, left.values, None, left.metadata)

    async def _scanned(self, io: Io, cursor: str | None) -> AsyncGenerator[Read, None]:
        state, namespace = self.store.state, self.chosen.namespace
        while True:
            try:
                page = await io.call(ScanVectors(state.name, _SCANNED, cursor, namespace))
            except BadRequestError:
                if cursor is None:
                    raise
                raise GoneError from None
            cursor = page.next_cursor
            yield page.vectors, cursor
            if cursor is None:
                return

    async def _listed(self, io: Io, cursor: str | None) -> AsyncGenerator[Read, None]:
        if cursor is None:
            await self._list(io)
        at = _place(cursor)
        while True:
            ids, at = await io.offload(partial(self._ids, at))
            if not ids:
                return
            found = await by_id.get_many(io, self.store.state, ids)
            yield list(found.values()), str(at)

    async def _list(self, io: Io) -> None:
        """Write the ids of all that is selected to the listing, a line each."""
        state, chosen = self.store.state, self.chosen
        for is_last in (False, False, True):
            await io.offload(lambda: self._add([], "wb"))
            if chosen.is_everything:
                ids = by_id.iter_ids(io, state, holding=False)
            else:
                ids = enumeration.matching_ids(io, state, chosen, settled=True)
            try:
                async with aclosing(ids) as every:
                    async for some in in_batches(every, _LISTED):
                        await io.offload(partial(self._add, some, "ab"))
            except (BadRequestError, NotFoundError):
                # The cursor of a listing lives for a limited time.
                if is_last:
                    raise
            else:
                await io.offload(self._sync)
                return

    def _sync(self) -> None:
        # Notes of how far its lines were read are believed; a loss of power must not cut it then.
        with self._explained(), self.listing.open("rb+") as file:
            os.fsync(file.fileno())

    def _add(self, ids: Sequence[str], mode: str) -> None:
        with self._explained(), self.listing.open(mode) as file:
            file.write(b"".join(b"%b\n" % orjson.dumps(i) for i in ids))

    def _ids(self, at: int) -> tuple[list[str], int]:
        """The next ids of the listing, and the place behind them."""
        with self._explained():
            # It may have been lost, or changed by hand.
            if not self.listing.exists() or at > self.listing.stat().st_size:
                raise GoneError
            with self.listing.open("rb") as file:
                file.seek(at)
                lines = [*islice(file, _READ)]
        try:
            ids = [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError:
            ids = [None]
        if any(type(one) is not str for one in ids):
            raise GoneError
        return ids, at + sum(map(len, lines))


async def departing(
    io: Io,
    store: RecordStore,
    listing: Path,
    *,
    filter: AnyFilter | None = None,
    namespace: str | None = None,
    unindexed: Unindexed | None = None,
    texts: bool = True,
) -> Departing:
    """The records that are selected.

    `IndexNotFoundError`, also where a store would create the index.
    """
    await get_details(io, store.state, refresh=True)
    options = SelectOptions(filter=filter, namespace=namespace, max_requests=None)
    if unindexed is not None:
        options["unindexed"] = unindexed
    # What is scanned is all read and compared here, so no metadata index can leave out anything.
    chosen = await store.select(io, options, claim=None if _can_scan(store) else "all")
    await store.await_writes(io, purpose="reading all records")
    if chosen is None:
        return Departing(store, Selection(), listing, none=True)
    return Departing(store, chosen, listing, texts)


def _place(cursor: str | None) -> int:
    """How far a listing was read. `GoneError` for what is no such number."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise GoneError
    return int(cursor)


def everything(store: RecordStore, *, texts: bool = True) -> Departing:
    """All that a store holds, to be compared by id; a tenant's view, all of the tenant's."""
    namespace = store.namespace if store.bound else None
    return Departing(store, Selection(namespace=namespace), Path(), texts)


async def identity(
    io: Io, store: RecordStore, filter: AnyFilter | None, namespace: str | None
) -> dict[str, Any]:
    """What tells the records of one call from those of another, as JSON."""
    details = await get_details(io, store.state)
    return {
        "index": store.index.name,
        "place": store.state.place,
        "created": str(details.created_on),
        "namespace": store.in_namespace(namespace),
        "filter": None if filter is None else repr(parse(filter)),
    }


async def outside(io: Io, store: RecordStore, vectors: Sequence[Vector]) -> dict[str, str]:
    """The texts of records that stand outside their vectors, by the vectors' ids.

    `MissingTextError` for one that is not there, unless such texts are to be empty.
    """
    reading = store.reading
    if store.long_texts is not None and store.long_texts.plain_ids:
        read = reading.reader.read
        some = [v for v in vectors if name_outside(v.id, read(v), plain_ids=True) is not None]
    else:
        some = [v for v in vectors if layout.text_name_of(v) is not None]
    found = await reading.records(io, some) if some else []
    return {vector.id: record.text for vector, record in found if record.text is not None}


def _can_scan(store: RecordStore) -> bool:
    return ScanVectors in store.connection.capabilities.operations
