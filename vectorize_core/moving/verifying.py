"""Verifying: that each record of a file, or of another place, stands where it was moved to."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from itertools import islice
from typing import Final

from vectorize_core.errors import RecordsDifferError
from vectorize_core.models import Vector
from vectorize_core.moving.arriving import own_name
from vectorize_core.moving.departing import Departing, Page
from vectorize_core.moving.parcel import Parcel, Tally, digest
from vectorize_core.reads import by_id
from vectorize_core.transport.io import Io

_NAMED: Final = 100
"""Records that are missing, after which no more are looked for."""
_SHOWN: Final = 5
"""Records that the error names in its text; the others are in its ``ids``."""
_HELD: Final = 1_000_000
"""As many of those that are others, since each may come once more as it is there."""


class Comparison:
    """Which records are not at a place as they were where they came from.

    ``namespace`` is the one that they were all moved to, if they were.
    """

    def __init__(self, place: Departing, namespace: str | None) -> None:
        self._place = place
        self._namespace = namespace
        self._wrong: dict[str, str] = {}
        self._missing: set[str] = set()

    @property
    def is_enough(self) -> bool:
        """Whether so many differ that no more need be looked for."""
        return len(self._missing) >= _NAMED or len(self._wrong) >= _HELD

    async def compare(self, io: Io, parcels: Sequence[Parcel]) -> None:
        """Compare some records with those at the place. Of equal ids the last one counts."""
        store = self._place.store
        wanted = {vector.id: vector for vector in map(self._as_there, parcels)}
        stored = [store.stored_id(name) for name in wanted]
        found = await by_id.get_many(io, store.state, stored)
        there = await self._place.parcels(io, list(found.values()))
        digests = {parcel.vector.id: digest(parcel.vector) for parcel in there}
        for name, vector in wanted.items():
            self._missing.discard(name)
            if name not in digests:
                self._missing.add(name)
                self._wrong[name] = "is missing"
            elif digests[name] != digest(vector):
                self._wrong[name] = "is another"
            else:
                self._wrong.pop(name, None)

    def _as_there(self, parcel: Parcel) -> Vector:
        """A record as it would leave the place again."""
        vector, store = parcel.vector, self._place.store
        if store.bound:
            return self._place.departed(vector, own_name(vector, bound=True))
        namespace = vector.namespace if self._namespace is None else self._namespace
        return Vector(vector.id, vector.values, namespace, vector.metadata)

    def check(self) -> None:
        """`RecordsDifferError` that names those that differ."""
        if self._wrong:
            shown = ", ".join(f"{n!r} {says}" for n, says in islice(self._wrong.items(), _SHOWN))
            count = f"{len(self._wrong)}{' or more' if self.is_enough else ''}"
            raise RecordsDifferError(
                f"the index {self._place.store.index.name!r} does not have {count} of the records "
                f"as they were: {shown}{', ...' if len(self._wrong) > _SHOWN else ''}",
                ids=tuple(self._wrong),
            )


async def compared(
    io: Io, place: Departing, namespace: str | None, pages: AsyncIterable[Page]
) -> Tally:
    """Compare all records of ``pages``, and count them. `RecordsDifferError`."""
    comparison, tally = Comparison(place, namespace), Tally()
    async for parcels, _ in pages:
        tally.add(parcels)
        await comparison.compare(io, parcels)
        if comparison.is_enough:
            break
    comparison.check()
    return tally
