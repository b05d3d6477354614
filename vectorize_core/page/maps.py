"""Maps: vectors of an index as points, their texts and properties; made off the event loop."""

from __future__ import annotations

import asyncio
import base64
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import limits
from vectorize_core.api.operations import GetInfo, ListVectors
from vectorize_core.api.scan import ScanStarts, ScanVectors
from vectorize_core.layout import Record
from vectorize_core.models import Vector
from vectorize_core.page import records
from vectorize_core.page.account import Account
from vectorize_core.page.answers import cut, plain
from vectorize_core.page.asked import Asked
from vectorize_core.page.projection import Projection, project
from vectorize_core.reads.by_id import get_many
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import get_details
from vectorize_core.transport.workers import aclosing

MOST: Final = 20_000
DEFAULT: Final = 1_000
"""Points where requests are not free."""
_RUN: Final = 250
"""Vectors that are read in one go, which lie side by side."""
_IN_NAMESPACE: Final = 1_000
_SHORT: Final = 160
"""Characters of a text, or of a value, that a point shows."""
_MOST_PROPERTIES: Final = 20
_MOST_KEPT: Final = 4
"""Maps; one of 20,000 points takes about ten megabytes."""
_KEPT_FOR: Final = 600.0
"""Seconds, at most."""


@dataclass(frozen=True, slots=True)
class _Map:
    """The points of some vectors, and what is known of each."""

    projection: Projection
    ids: list[str]
    texts: list[str | None]
    columns: dict[str, list[Any]]
    of: int | None


@dataclass(slots=True)
class _Sample:
    """What is kept of the vectors that were read."""

    values: list[NDArray[np.float32]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def add(self, rows: Sequence[tuple[Vector, Record | None]]) -> None:
        """Keep vectors with their records, without those that are gone."""
        there = [(vector, record) for vector, record in rows if record is not None]
        if there:
            # A few arrays of many are put together without holding up other threads.
            self.values.append(np.stack([vector.values for vector, _ in there]))
        for vector, record in there:
            at = len(self.ids)
            self.seen.add(vector.id)
            self.ids.append(plain(vector.id))
            self.texts.append(None if record.text is None else plain(cut(record.text, _SHORT)))
            for key, value in record.metadata.items():
                shown = _shown(value)
                if type(key) is not str or shown is None:
                    continue
                if key not in self.columns:
                    if len(self.columns) >= _MOST_PROPERTIES:
                        continue
                    self.columns[key] = [None] * at
                column = self.columns[key]
                column.extend([None] * (at - len(column)))
                column.append(shown)
        for column in self.columns.values():
            column.extend([None] * (len(self.ids) - len(column)))


class Maps:
    """The maps of an account: one is made at a time, and the last few are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], _Map] = OrderedDict()
        self._turn = asyncio.Lock()

    async def price(self, account: Account, asked: Asked) -> Any:
        """What a map would take, before it is made."""
        store = await account.store(asked.index)
        points = asked.number("points", most_by_default(account), 1, MOST)
        info = await account.io.call(GetInfo(store.state.name))
        return _price(account, min(points, info.vector_count))

    async def draw(self, account: Account, asked: Asked) -> Any:
        """A map: x and y in float32, in base64, and what each point is."""
        store, io = await account.store(asked.index), account.io
        points = asked.whole("points", most_by_default(account), 1, MOST)
        namespace, color = asked.given("namespace", str) or None, asked.given("color", str)
        begun = io.now()
        async with self._turn:
            details, info = (
                await get_details(io, store.state, refresh=True),
                await io.call(GetInfo(store.state.name)),
            )
            seen = info.vector_count, info.processed_up_to_mutation
            # What is processed may be seen a little later.
            age = int(begun // _KEPT_FOR)
            key = details.name, details.created_on, *seen, points, namespace, age
            found = self._kept.pop(key, None)
            if found is None:
                cosine = details.config.metric == "cosine"
                total = info.vector_count
                found = await _make(account, store, points, namespace, total, cosine=cosine)
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        seconds = io.now() - begun
        return await io.offload(partial(_told, found, color, seconds))


async def _make(
    account: Account,
    store: RecordStore,
    points: int,
    namespace: str | None,
    total: int,
    *,
    cosine: bool,
) -> _Map:
    io, sample = account.io, _Sample()
    spread = total > points
    vectors = (
        _scanned(account, store, points, namespace, spread=spread)
        if account.scans
        else _listed(account, store, points, namespace)
    )
    async with aclosing(vectors) as parts:
        async for part in parts:
            fresh = [vector for vector in part if vector.id not in sample.seen]
            some = fresh[: points - len(sample.ids)]
            found = list(zip(some, await records.read(io, store, some), strict=True))
            await io.offload(partial(sample.add, found))
            if len(sample.ids) >= points:
                break

    def projected() -> Projection:
        if not sample.values:
            return project(np.zeros((0, 2), np.float32))
        return project(np.concatenate(sample.values), directions_only=cosine)

    of = total if namespace is None else None
    return _Map(await io.offload(projected), sample.ids, sample.texts, sample.columns, of)


async def _scanned(
    account: Account, store: RecordStore, points: int, namespace: str | None, *, spread: bool
) -> AsyncGenerator[Sequence[Vector], None]:
    """Vectors from all over the index if they are to be ``spread``, some side by side in each part.

    Then, if those were too few, all from the beginning: some may come twice.
    """
    io, name = account.io, store.state.name
    run = _RUN if namespace is None else _IN_NAMESPACE
    for start in await io.call(ScanStarts(name, math.ceil(points / _RUN))) if spread else ():
        yield (await io.call(ScanVectors(name, run, start, namespace))).vectors
    page = await io.call(ScanVectors(name, _IN_NAMESPACE, None, namespace))
    yield page.vectors
    while page.next_cursor is not None:
        page = await io.call(ScanVectors(name, _IN_NAMESPACE, page.next_cursor, namespace))
        yield page.vectors


async def _listed(
    account: Account, store: RecordStore, points: int, namespace: str | None
) -> AsyncGenerator[Sequence[Vector], None]:
    """The vectors that the service lists first; of a namespace those among so many."""
    io, cursor = account.io, None
    for _ in range(math.ceil(points / limits.MAX_LIST_COUNT)):
        listed = await io.call(ListVectors(store.state.name, min(points, 1_000), cursor))
        vectors = (await get_many(io, store.state, listed.ids)).values()
        yield [v for v in vectors if namespace in (None, v.namespace)]
        cursor = listed.next_cursor
        if cursor is None:
            return


def most_by_default(account: Account) -> int:
    """Points of a map that is asked for without saying how many."""
    return MOST if account.is_free else DEFAULT


def _price(account: Account, points: int) -> dict[str, Any]:
    lists = math.ceil(points / limits.MAX_LIST_COUNT)
    reads = math.ceil(points / limits.MAX_IDS_PER_GET)
    if account.is_free:
        free = f"{points} vectors, which cost nothing to read here"
        requests = math.ceil(points / _RUN) if account.scans else lists + reads
        return {"points": points, "requests": requests, "dollars": None, "text": free}
    minutes = account.io.least_seconds(lists + reads) / 60.0
    text = (
        f"{points} vectors take {lists + reads} requests: {lists} that list ids, and {reads} that "
        "read twenty vectors each. Vectorize bills neither (only queries and what is stored), but "
        "they count against the 1,200 requests that an account has in five minutes"
    )
    if minutes >= 1.0:
        text += f", so this takes {minutes:.0f} minutes or more"
    return {"points": points, "requests": lists + reads, "dollars": 0.0, "text": text}


def _shown(value: Any) -> Any:
    """A value that points can be coloured by; None for what is no single thing."""
    if isinstance(value, (bool, int, float)):
        return plain(value)
    if isinstance(value, (str, date, datetime)):
        return plain(cut(str(value), _SHORT))
    return None


def _kind(column: Sequence[Any]) -> str | None:
    """Whether the values of a property are numbers, or names of something."""
    given = [value for value in column if value is not None]
    if not given:
        return None
    numbers = all(type(value) in (int, float) for value in given)
    return "number" if numbers else "category"


def _told(found: _Map, color: str | None, seconds: float) -> dict[str, Any]:
    column = found.columns.get(color) if color is not None else None
    return {
        "points": len(found.ids),
        "of": found.of if found.of is not None else len(found.ids),
        "x": base64.b64encode(found.projection.x.astype("<f4").tobytes()).decode(),
        "y": base64.b64encode(found.projection.y.astype("<f4").tobytes()).decode(),
        "ids": found.ids,
        "texts": found.texts,
        "colors": {
            "property": color,
            "kind": None if column is None else _kind(column),
            "values": column if column is not None else [],
        },
        "properties": list(found.columns),
        "explained": found.projection.explained,
        "seconds": seconds,
    }
