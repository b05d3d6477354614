"""What a client remembers of an index: its configuration, and its own recent writes."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from vectorize_core.errors import IndexNotFoundError
from vectorize_core.flows.claims import Claims
from vectorize_core.io import Io
from vectorize_core.models import IndexDetails, IndexType, Vector
from vectorize_core.operations import GetIndex, ListMetadataIndexes

_REMEMBERED = 16
_ORDERED = 1_000


class Span(NamedTuple):
    """Between these two moments of a state's clock the service accepted a mutation."""

    sent: float
    accepted: int


@dataclass(slots=True, eq=False)
class OwnWrite:
    """One accepted mutation of this client, with what proves that reads see it.

    ``probe_id`` reads as ``expected``: a vector, or nothing after a delete. An insert may leave
    an older vector in place, so only the presence of its id is expected (``exact=False``).
    What the probe shows may have been so before, hence also ``span``. When a later write
    overwrites the probe, ``spare``, another record of the same mutation, takes its place: that a
    deleted record is gone proves little while its own writing may not have been seen yet.
    """

    mutation_id: str | None
    probe_id: str
    expected: Vector | None
    span: Span
    exact: bool = True
    spare: Vector | None = None

    def overwritten(self, ids: Collection[str]) -> bool:
        """Whether nothing is left to recognise the write by, now that ``ids`` are rewritten."""
        if self.spare is not None and self.spare.id in ids:
            self.spare = None
        if self.probe_id not in ids:
            return False
        if self.spare is None:
            return True
        self.probe_id, self.expected, self.spare = self.spare.id, self.spare, None
        return False


@dataclass(slots=True)
class IndexState:
    """One index as this client knows it; shared by all faces of a connection.

    Forgetting is always safe: everything is read again when it is needed. Mutations of an index
    take effect in order, so the latest writes stand for all before them.
    """

    name: str
    details: IndexDetails | None = None
    metadata_indexes: Mapping[str, IndexType] | None = None
    unseen: deque[OwnWrite] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    spans: dict[str, Span] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims, repr=False)
    _clock: Iterator[int] = field(default_factory=count, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def moment(self) -> int:
        """A moment, later than any before it."""
        return next(self._clock)

    def remember(self, write: OwnWrite, ids: Collection[str]) -> None:
        """Note an accepted write of ``ids``; probes that it overwrites can prove nothing more."""
        with self._lock:
            for older in [write for write in self.unseen if write.overwritten(ids)]:
                self.unseen.remove(older)
            self.unseen.append(write)
            self._note(write.mutation_id, write.span)

    def observe(self, mutation_id: str | None) -> None:
        """Note that the index has processed a mutation, of whichever client."""
        with self._lock:
            if mutation_id not in self.spans:
                self._note(mutation_id, Span(-math.inf, self.moment()))

    def _note(self, mutation_id: str | None, span: Span) -> None:
        if mutation_id is not None:
            self.spans[mutation_id] = span
            if len(self.spans) > _ORDERED:
                del self.spans[next(iter(self.spans))]

    def still_unseen(self, writes: Collection[OwnWrite]) -> tuple[OwnWrite, ...]:
        """What to look at to know that ``writes`` took effect: them, or what overwrote them."""
        unseen = tuple(self.unseen)
        return tuple(writes) if set(writes) <= set(unseen) else unseen

    def settle(self, writes: Collection[OwnWrite]) -> None:
        """Note that reads see ``writes``."""
        with self._lock:
            for write in writes:
                if write in self.unseen:
                    self.unseen.remove(write)

    def forget(self) -> None:
        """Forget the configuration: the index was created, deleted or changed."""
        self.details = None
        self.metadata_indexes = None


async def get_details(io: Io, state: IndexState, *, refresh: bool = False) -> IndexDetails:
    """The index's configuration, asked for once."""
    details = state.details
    if details is None or refresh:
        details = state.details = await io.call(GetIndex(state.name))
    return details


async def find_details(io: Io, state: IndexState) -> IndexDetails | None:
    """The index's configuration, or None if the index does not exist."""
    try:
        return await get_details(io, state)
    except IndexNotFoundError:
        return None


async def get_metadata_indexes(
    io: Io, state: IndexState, *, refresh: bool = False
) -> Mapping[str, IndexType]:
    """The filterable properties with their types, asked for once."""
    known = state.metadata_indexes
    if known is None or refresh:
        listed = await io.call(ListMetadataIndexes(state.name))
        known = state.metadata_indexes = {m.property_name: m.index_type for m in listed}
    return known
