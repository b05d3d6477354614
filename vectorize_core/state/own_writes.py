"""What a client remembers of its own writes, and what proves that reads see them.

Mutations of an index take effect in the order in which they were accepted, each as a whole. So a
few records of a write are enough to recognise it by, and one write that is seen proves all that
were accepted before it was sent. Mutation ids are not ordered; moments of a clock of one's own
order those of one client.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Literal
from weakref import WeakSet

import numpy as np

from vectorize_core import jsontext
from vectorize_core.models import Vector

Kind = Literal["upsert", "insert", "delete"]
_PROBES = 5
"""Of four requests on their way at once, all are read again in a single one."""
_REMEMBERED, _REMEMBERED_IDS = 64, 20_000
_ORDERED = 1_000


@dataclass(slots=True)
class Probe:
    """A record of a write, as it reads once reads see the write; None if it is gone then.

    Of writes sent side by side either may be the last, hence several ``expected``. An insert may
    leave an older record in place, so any will do unless ``exact``. A record may have been there
    before as it is now written: it is proof only if it read otherwise ``until`` some moment, and
    if no write of ours that is still unseen makes it read so too (``telling``). It is ``current``
    until a later write of ours changes it again.
    """

    expected: list[Vector | None]
    exact: bool
    telling: bool = True
    current: bool = True
    until: float = math.inf

    def reads(self, stored: Vector | None) -> bool:
        """Whether a record that was read is as expected."""
        if stored is not None and not self.exact:
            return True
        return any(_same(stored, expected) for expected in self.expected)


@dataclass(slots=True, eq=False, weakref_slot=True)
class OwnWrite:
    """One mutation of this client, from the moment it is sent.

    ``ids`` are all it touches; ``created_on`` is that of the index it was meant for; ``since`` is
    when it was accepted, by `time.monotonic`. When its probes were last read, all current ones
    read as expected if ``matching``, and one that is proof did if ``shown``.
    """

    kind: Kind
    ids: frozenset[str]
    probes: dict[str, Probe]
    sent: int
    created_on: datetime | None
    accepted: float = math.inf
    mutation_id: str | None = None
    since: float = 0.0
    processed: bool = False
    visible: bool = False
    matching: bool = False
    shown: bool = False

    @property
    def rewritten(self) -> bool:
        """Whether later writes of ours have changed all its probes."""
        return not any(probe.current for probe in self.probes.values())

    def precedes(self, later: OwnWrite) -> None:
        """Note that ``later`` was sent when this write was accepted, though perhaps not seen."""
        for vector_id, probe in later.probes.items():
            if vector_id not in self.ids:
                continue
            mine = self.probes.get(vector_id)
            if mine is None:
                probe.telling = False
                continue
            if mine.current and mine.exact and not probe.exact:
                # An insert keeps what this write has put there, and decides where it deletes.
                decided = probe.expected if None in mine.expected else []
                probe.expected = [*decided, *(v for v in mine.expected if v is not None)]
                probe.exact = True
            probe.telling &= not any(map(probe.reads, mine.expected))

    def crosses(self, other: OwnWrite) -> None:
        """Note that ``other`` is on its way at the same time: either may be accepted first."""
        for vector_id in other.ids.intersection(self.probes):
            mine, theirs = self.probes[vector_id], other.probes.get(vector_id)
            if theirs is None:
                del self.probes[vector_id]
                continue
            mine.telling = theirs.telling = False
            mine.expected = theirs.expected = [*mine.expected, *theirs.expected]
        for vector_id in (other.probes.keys() & self.ids) - self.probes.keys():
            del other.probes[vector_id]

    def rewrite(self, later: OwnWrite) -> None:
        """Note that ``later``, sent after this write was accepted, was accepted too."""
        for vector_id in later.ids.intersection(self.probes):
            probe = self.probes[vector_id]
            # An insert leaves what this write has put there.
            probe.current &= later.kind == "insert" and None not in probe.expected

    def read(self, stored: Mapping[str, Vector | None], began: int, ended: int) -> None:
        """Note what its probes read as, between two moments.

        One that is proof would be enough, did not other clients write the same things. So a write
        that is not known to be processed is not taken for seen unless all read as expected.
        """
        if not self.probes.keys() <= stored.keys():
            return
        self.matching, self.shown, others = True, False, False
        for vector_id, probe in self.probes.items():
            if probe.reads(stored[vector_id]):
                self.shown |= probe.telling and probe.until < began
            else:
                probe.until = min(probe.until, ended)
                self.matching &= not probe.current
                others = True
        self.visible |= self.shown and not others


@dataclass(slots=True)
class OwnWrites:
    """The writes of one client to one index; threads may share it.

    It remembers the latest that are not known to be seen, and keeps track of every write that
    somebody holds because he waits for it. ``last_sent`` is when the latest was sent, ``lag`` for
    how many seconds reads were found to lag behind processing, ``warned`` whether its user has
    been told of unseen writes.
    """

    last_sent: float = -math.inf
    lag: float = 0.0
    warned: bool = False
    _unseen: deque[OwnWrite] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _tracked: WeakSet[OwnWrite] = field(default_factory=WeakSet)
    _order: dict[str, tuple[float, float]] = field(default_factory=dict)
    _processed: float = -math.inf
    _visible: float = -math.inf
    _gone: float = -math.inf
    _clock: count[int] = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def moment(self) -> int:
        """A moment, later than any before it."""
        return next(self._clock)

    def begin(
        self,
        kind: Kind,
        written: Mapping[str, Vector | None],
        created_on: datetime | None = None,
    ) -> OwnWrite:
        """A mutation that is about to be sent: what it writes, None for what it deletes."""
        with self._lock:
            known = {vector_id for own in self._tracked for vector_id in own.probes}
            # Some that were probes before: what they read as then proves the earlier writes too.
            chosen = dict.fromkeys((*_spread(tuple(written)), *sorted(known & written.keys())[:2]))
            probes = {i: Probe([_copy(written[i])], exact=kind != "insert") for i in chosen}
            own = OwnWrite(kind, frozenset(written), probes, self.moment(), created_on)
            for other in self._tracked:
                if other.accepted > own.sent:
                    other.crosses(own)
                elif not self.is_visible(other):
                    other.precedes(own)
            self._tracked.add(own)
        return own

    def accept(self, own: OwnWrite, mutation_id: str | None) -> None:
        """Note that the service has accepted a write."""
        with self._lock:
            own.mutation_id, own.accepted, own.since = mutation_id, self.moment(), time.monotonic()
            self.last_sent = max(self.last_sent, own.sent)
            for other in self._tracked:
                if other.accepted < own.sent:
                    other.rewrite(own)
            if own.ids and not own.visible:
                self._unseen.append(own)
                while sum(len(write.ids) for write in self._unseen) > _REMEMBERED_IDS:
                    self._unseen.popleft()
            if mutation_id is not None:
                self._order[mutation_id] = own.sent, own.accepted
                if len(self._order) > _ORDERED:
                    del self._order[next(iter(self._order))]

    def processed(self, mutation_id: str | None) -> float:
        """Note the last mutation that the index has processed, of whichever client.

        Returns a moment by which it was accepted at the latest: what was sent after that is not
        processed yet.
        """
        if mutation_id is None:
            return -math.inf
        with self._lock:
            sent, accepted = self._order.get(mutation_id, (-math.inf, math.inf))
            self._processed = max(self._processed, sent)
            for own in self._tracked:
                own.processed |= own.mutation_id == mutation_id
            return accepted

    def read(self, stored: Mapping[str, Vector | None], began: int) -> None:
        """Note what records read as, None for what is not there; it began at a moment."""
        with self._lock:
            ended = self.moment()
            for own in self._tracked:
                own.read(stored, began, ended)
                if own.visible:
                    self._see(own)

    def see(self, own: OwnWrite, *, alone: bool = False) -> None:
        """Note that reads see a write, and so all before it unless it is seen ``alone``."""
        with self._lock:
            self._see(own, alone)

    def _see(self, own: OwnWrite, alone: bool = False) -> None:
        own.visible = True
        # That records are gone may be another client's doing: it proves less.
        if own.kind != "delete" and not alone:
            self._visible = max(self._visible, own.sent)
        elif own.processed or own.accepted < self._processed:
            self._gone = max(self._gone, own.sent)
        for seen in [write for write in self._unseen if self.is_visible(write)]:
            self._unseen.remove(seen)
            self.warned = False

    def is_visible(self, own: OwnWrite) -> bool:
        """Whether reads are known to see a write."""
        gone = self._gone if own.kind == "delete" else -math.inf
        return own.visible or own.accepted < max(self._visible, gone)

    def is_processed(self, own: OwnWrite) -> bool:
        """Whether the index is known to have taken a write up."""
        return own.processed or own.accepted < self._processed or self.is_visible(own)

    def pending(self) -> tuple[OwnWrite, ...]:
        """The writes that are not known to be seen, oldest first; of many only the latest."""
        with self._lock:
            return tuple(self._unseen)

    def after(self, own: OwnWrite) -> tuple[OwnWrite, ...]:
        """Those of `pending` that were sent when ``own`` was accepted."""
        return tuple(later for later in self.pending() if later.sent > own.accepted)

    def forget(self, created_on: datetime | None = None) -> None:
        """Wait for none of these any more, the index being gone; or only for those since."""
        with self._lock:
            kept = [own for own in self._unseen if created_on and own.created_on == created_on]
            self._unseen.clear()
            self._unseen.extend(kept)


def latest(writes: Collection[OwnWrite]) -> tuple[OwnWrite, ...]:
    """Those of ``writes`` that prove all when they are seen, for no other follows them.

    That records are gone may be another client's doing, so it does not prove what was written.
    """
    last = max((own.sent for own in writes), default=-1)
    telling = (own.sent for own in writes if own.kind != "delete" and not own.rewritten)
    wrote = max(telling, default=-1)
    return tuple(own for own in writes if own.accepted > (last if own.kind == "delete" else wrote))


def _spread(ids: Sequence[str]) -> Sequence[str]:
    """A few of many: the first, the last and some between them."""
    if len(ids) <= _PROBES:
        return ids
    return [ids[round(n * (len(ids) - 1) / (_PROBES - 1))] for n in range(_PROBES)]


def _copy(vector: Vector | None) -> Vector | None:
    """As the service has it, whatever becomes of the caller's metadata and array."""
    if vector is None:
        return None
    metadata = jsontext.loads(jsontext.dumps(vector.metadata or {}))
    return Vector(vector.id, vector.values.copy(), vector.namespace, metadata)


def _same(stored: Vector | None, expected: Vector | None) -> bool:
    if stored is None or expected is None:
        return stored is expected
    return (
        stored.namespace == expected.namespace
        and np.array_equal(stored.values, expected.values)
        and _comparable(stored.metadata or {}) == _comparable(expected.metadata or {})
    )


def _comparable(value: Any) -> Any:
    """JSON without what a service may well change: nulls in objects, and how numbers are held."""
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return float(value) if type(value) is int else value
