"""What a client remembers of its own writes, and what proves that reads see them.

Mutations of an index take effect in the order in which they were accepted, each as a whole. So a
few of its records, the probes, are enough to recognise a write, and one write that reads see proves
all that were accepted before it was sent. Mutation ids have no order; a counter of moments orders
the writes of this client.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from vectorize_core import forks, jsontext
from vectorize_core.models import Vector
from vectorize_core.state.last_writes import LastWrites, Written
from vectorize_core.state.tracked import Tracked

Kind = Literal["upsert", "insert", "delete"]
_PROBES = 5
"""The probes of four requests in flight at once fit into a single read."""
_REMEMBERED, _REMEMBERED_IDS, _MOST_DROPPED = 64, 20_000, 8
_MOST_WRITTEN = 100_000
"""Ids whose last write is remembered until reads see it."""
_MOST_EXPECTED = 8
"""What a probe may read as; one that may read as more says too little."""
_ORDERED = 1_000
_LOST_FOR = 600.0
"""Seconds after which a write without an answer has landed, and is visible, or never will be."""


@dataclass(slots=True)
class Probe:
    """A record of a write, as it reads once reads see the write; None if it is gone then.

    There are several ``expected`` if writes were in flight at once, for any may be the last. Any
    record will do unless it is ``exact``: an insert may leave an older record in place. A probe is
    proof only if it was otherwise ``until`` some moment, as ``before`` says, and if no unseen write
    of ours makes it read the same (``distinct``). It is ``current`` until a later write of ours
    changes it.
    """

    expected: list[Vector | None]
    exact: bool
    distinct: bool = True
    current: bool = True
    until: float = math.inf
    before: Collection[Vector | None] = ()

    def reads(self, stored: Vector | None) -> bool:
        """Whether a record that was read is as expected, and not as it was before."""
        # It may be both: by a later write without an answer, it may be again as it was.
        if any(_same(stored, before) for before in self.before):
            return False
        if stored is not None and not self.exact:
            return True
        return any(_same(stored, expected) for expected in self.expected)


@dataclass(slots=True, eq=False, weakref_slot=True)
class OwnWrite:
    """One mutation of this client, from the moment it is sent.

    ``ids`` are all ids it touches, ``namespaces`` those it has put records in, once it is accepted.
    ``created_on`` tells which index it was meant for, ``since`` is when it was accepted or lost, by
    `time.monotonic`. After its probes were read, ``matching`` says that all current ones read as
    expected, ``proven`` that one did which is proof.
    """

    kind: Kind
    ids: frozenset[str]
    probes: dict[str, Probe]
    sent: int
    created_on: datetime | None
    namespaces: frozenset[str | None] = frozenset()
    accepted: float = math.inf
    mutation_id: str | None = None
    since: float = 0.0
    processed: bool = False
    visible: bool = False
    matching: bool = False
    proven: bool = False

    @property
    def overwritten(self) -> bool:
        """Whether later writes of ours have overwritten all its probes."""
        return not any(probe.current for probe in self.probes.values())

    def precedes(self, later: OwnWrite) -> None:
        """Note that ``later`` was sent after this write was accepted."""
        for vector_id in self.ids.intersection(later.probes):
            probe, mine = later.probes[vector_id], self.probes.get(vector_id)
            if mine is None:
                probe.distinct = False
                continue
            if mine.current and mine.exact and not probe.exact:
                # An insert keeps what this write has put there; after a delete it takes effect.
                decided = probe.expected if None in mine.expected else []
                probe.expected = [*decided, *(v for v in mine.expected if v is not None)]
                probe.exact = True
            probe.distinct &= not any(map(probe.reads, mine.expected))

    def crosses(self, other: OwnWrite) -> None:
        """Note that ``other`` is in flight at the same time: either may be accepted first."""
        for vector_id in other.ids.intersection(self.probes):
            mine, theirs = self.probes[vector_id], other.probes.get(vector_id)
            if theirs is None:
                del self.probes[vector_id]
                continue
            mine.distinct = theirs.distinct = False
            mine.expected = theirs.expected = _together(mine.expected, theirs.expected)
            if len(mine.expected) > _MOST_EXPECTED:
                # As where Ctrl-C has left a write that is neither accepted nor lost.
                del self.probes[vector_id], other.probes[vector_id]
        for vector_id in self.ids.intersection(other.probes) - self.probes.keys():
            del other.probes[vector_id]

    def note_overwrite(self, later: OwnWrite) -> None:
        """Note that ``later``, sent after this write was accepted, was accepted too."""
        for vector_id in later.ids.intersection(self.probes):
            probe = self.probes[vector_id]
            # An insert leaves in place what this write has put there.
            probe.current &= later.kind == "insert" and None not in probe.expected

    def follows(self, earlier: OwnWrite, moment: int) -> None:
        """Note that reads see a write from before this one: until then, its records were there."""
        for vector_id in self.probes.keys() & earlier.probes.keys():
            mine, theirs = self.probes[vector_id], earlier.probes[vector_id]
            if mine.distinct and theirs.exact and mine.until == math.inf:
                mine.until, mine.before = moment, tuple(theirs.expected)

    def note_lost(self, lost: OwnWrite) -> None:
        """Note that ``lost`` may have been accepted after this write, or may yet be."""
        for vector_id in lost.ids.intersection(self.probes):
            mine, theirs = self.probes[vector_id], lost.probes.get(vector_id)
            # One that was sent before may be what reads see in place of this write.
            mine.distinct &= lost.sent > self.accepted
            others = theirs.expected if theirs is not None else []
            mine.expected = _together(mine.expected, others)
            if theirs is None or len(mine.expected) > _MOST_EXPECTED:
                del self.probes[vector_id]

    def read(self, stored: Mapping[str, Vector | None], began: int, ended: int) -> None:
        """Note what its probes read as, between two moments.

        One probe that is proof would do, but other clients may write the same contents. So it
        takes all probes reading as expected to make the write visible.
        """
        if not self.probes.keys() <= stored.keys():
            return
        self.matching, self.proven, others = True, False, False
        for vector_id, probe in self.probes.items():
            if probe.reads(stored[vector_id]):
                self.proven |= probe.distinct and probe.until < began
            else:
                probe.until, probe.before = min(probe.until, ended), (stored[vector_id],)
                self.matching &= not probe.current
                others = True
        self.visible |= self.proven and not others


class Pending(NamedTuple):
    """Of records that reads may not see yet: ids of given documents, and which are of others."""

    wanted: frozenset[str]
    others: Callable[[Collection[str]], set[str]]


@dataclass(slots=True)
class OwnWrites:
    """The writes of one client to one index; thread-safe.

    It remembers the latest ones that reads may not see yet, and tracks every write as long as
    other code refers to it. Writes that may have landed are remembered apart: nobody waits for
    them, but what they wrote proves nothing of another write. ``last_sent`` is when the latest was
    sent, ``lag`` for how many seconds reads were found to lag behind processing, ``warned`` which
    tenants, or None for the whole index, were warned of unseen writes.
    """

    last_sent: float = -math.inf
    lag: float = 0.0
    warned: set[str | None] = field(default_factory=set)
    _unseen: deque[OwnWrite] = field(default_factory=deque)
    """Accepted writes that reads may not see yet, oldest first."""
    _dropped: tuple[OwnWrite, ...] = ()
    """The last of those that were too many to remember, which prove the others."""
    _lost: deque[OwnWrite] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """Writes without an answer."""
    _written: LastWrites = field(default_factory=LastWrites)
    """The last accepted write of each id."""
    _uncertain: LastWrites = field(default_factory=LastWrites)
    """The last write without an answer of each id."""
    _overflowed: float = -math.inf
    """The moment up to which ``_written`` had to forget writes that reads may not see yet."""
    _tracked: Tracked[OwnWrite] = field(default_factory=Tracked)
    _order: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When mutations were sent and accepted, by their ids."""
    _processed: float = -math.inf
    """Writes that were accepted before this moment are processed."""
    _visible: float = -math.inf
    """Writes that were accepted before this moment are visible."""
    _gone: float = -math.inf
    """The same for deletes alone, which is all that a delete that reads see can prove."""
    _clock: count[int] = field(default_factory=count)
    _lock: forks.Lock = field(default_factory=forks.lock)

    def moment(self) -> int:
        """The next moment of the counter."""
        return next(self._clock)

    def begin(
        self,
        kind: Kind,
        written: Mapping[str, Vector | None],
        created_on: datetime | None = None,
    ) -> OwnWrite:
        """Note a mutation that is about to be sent: vectors by id, None for those it deletes."""
        with self._lock:
            lost = [w for w in self._lost if time.monotonic() - w.since < _LOST_FOR]
            beside = self._tracked.beside(written)
            known = {i for write in (*beside, *lost) for i in write.probes}
            # Including probes of earlier writes: what they read as then proves those too.
            chosen = dict.fromkeys((*_spread(tuple(written)), *sorted(known & written.keys())[:2]))
            probes = {i: Probe([_copy(written[i])], exact=kind != "insert") for i in chosen}
            write = OwnWrite(kind, frozenset(written), probes, self.moment(), created_on)
            # From the latest to the earliest, for the last one decides what an insert finds.
            for other in sorted(beside, key=lambda other: -other.accepted):
                if other.accepted > write.sent:
                    other.crosses(write)
                elif not self.is_visible(other):
                    other.precedes(write)
            for other in lost:
                write.note_lost(other)
            self._tracked.add(write)
        return write

    def accept(
        self,
        write: OwnWrite,
        mutation_id: str | None,
        written: Mapping[str, Vector | None] = MappingProxyType({}),
    ) -> None:
        """Note that the service has accepted a write, of vectors by id, None for deleted ones."""
        with self._lock:
            write.mutation_id = mutation_id
            write.accepted, write.since = self.moment(), time.monotonic()
            self._note_written(write, written)
            self.last_sent = max(self.last_sent, write.sent)
            for other in self._tracked.beside(write.ids):
                if other.accepted < write.sent:
                    other.note_overwrite(write)
            if write.ids and not write.visible:
                self._unseen.append(write)
                self._drop_surplus()
            if mutation_id is not None:
                self._order[mutation_id] = write.sent, write.accepted
                if len(self._order) > _ORDERED:
                    del self._order[next(iter(self._order))]

    def _drop_surplus(self) -> None:
        """Remember no more than the latest writes, and those which prove what others have put."""
        unseen = self._unseen
        while len(unseen) > _REMEMBERED or sum(len(w.ids) for w in unseen) > _REMEMBERED_IDS:
            oldest = unseen[0]
            if oldest.kind != "delete":
                self._dropped = latest((*self._dropped, oldest))[-_MOST_DROPPED:]
            unseen.popleft()

    def _note_written(self, write: OwnWrite, written: Mapping[str, Vector | None]) -> None:
        sure = write.kind != "insert"
        self._uncertain.discard(written)
        made = self._written.note(written, write.accepted, write.since, sure=sure)
        write.namespaces = frozenset(one.namespace for one in made if one.there)
        self._forget_seen()

    def _forget_seen(self) -> LastWrites:
        """The last writes that reads may not see yet: they are seen in order."""
        known = self._written
        while (oldest := known.oldest) is not None:
            seen = oldest.accepted < self._visible or _is_over(oldest)
            if not seen and len(known) <= _MOST_WRITTEN:
                break
            if not seen:
                self._overflowed = oldest.accepted
            known.forget_oldest()
        return known

    def _forget_over(self) -> LastWrites:
        """The last writes without an answer that may have landed and that no read may see yet."""
        known = self._uncertain
        while (one := known.oldest) and (_is_over(one) or len(known) > _MOST_WRITTEN):
            known.forget_oldest()
        return known

    def of_documents(self, refs: Collection[str], namespace: str | None) -> Pending | None:
        """What was written that reads may not see yet: of documents, in a namespace unless None.

        ``refs`` as ``_vs_ref`` holds them. None if not all of that is known. What this client has
        deleted last is in neither part.
        """

        def is_wanted(last: Written) -> bool:
            return last.ref in refs and (namespace is None or last.namespace == namespace)

        with self._lock:
            known = self._forget_seen()
            if known.unsure or -math.inf < self._overflowed >= self._visible:
                return None
            wanted = {i for i, last in known.of(refs) if is_wanted(last)}
            maybe = {i for i, last in self._forget_over().of(refs) if is_wanted(last)}
            # By the time that ids are asked for, reads may see more than what they are of.
            now = known.copy()

        def others(ids: Collection[str]) -> set[str]:
            found = {i: now[i] for i in ids if i in now}
            return {i for i, last in found.items() if last.there and not is_wanted(last)}

        return Pending(frozenset(wanted | maybe - others(maybe)), others)

    def uncertain(self, namespace: str | None) -> list[str]:
        """Ids that writes without an answer may have put there, in a namespace unless None."""
        with self._lock:
            known = self._forget_over().copy()
        return [i for i, last in known.items() if namespace is None or last.namespace == namespace]

    def unseen_among(self, ids: Collection[str]) -> dict[str, Written]:
        """Those ids whose last write by this client reads may not see yet, and that write."""
        with self._lock:
            known = self._forget_seen()
            return {i: last for i in ids if (last := known.get(i)) is not None}

    def undeleted(self) -> tuple[OwnWrite, ...]:
        """Those of `pending` that wrote what this client has not deleted since.

        Also the last ones that are no longer among these, as where many deletes came after them.
        """
        deleted: set[str] = set()
        found: list[OwnWrite] = []
        for write in reversed(self.pending()):
            if write.kind == "delete":
                deleted |= write.ids
            elif not write.ids <= deleted:
                found.append(write)
        return (*self._dropped, *reversed(found))

    def fail(
        self,
        write: OwnWrite,
        written: Mapping[str, Vector | None] = MappingProxyType({}),
        *,
        may_have_landed: bool,
    ) -> None:
        """Note that a write of vectors by id was not accepted, or that nobody knows."""
        with self._lock:
            self._tracked.discard(write)
            if not may_have_landed:
                return
            write.since = time.monotonic()
            left = {
                vector_id: vector for vector_id, vector in written.items() if vector is not None
            }
            self._uncertain.note(left, write.accepted, write.since, sure=write.kind != "insert")
            self._forget_over()
            for other in self._tracked.beside(write.ids):
                if other.accepted < write.sent:
                    other.note_lost(write)
            self._lost.append(write)

    def processed(self, mutation_id: str | None) -> float:
        """Note the last mutation that the index has processed, of any client.

        Returns the latest moment at which it can have been accepted: writes sent after that are
        not processed yet.
        """
        if mutation_id is None:
            return -math.inf
        with self._lock:
            sent, accepted = self._order.get(mutation_id, (-math.inf, math.inf))
            self._processed = max(self._processed, sent)
            for write in self._tracked:
                write.processed |= write.mutation_id == mutation_id
            return accepted

    def read(
        self, stored: Mapping[str, Vector | None], began: int, asked: Collection[OwnWrite] = ()
    ) -> None:
        """Note what records read as, None for missing ones; the read ``began`` at a moment.

        They are the probes of the writes that ``asked``, of which some may have none.
        """
        with self._lock:
            ended = self.moment()
            for write in {*self._tracked.beside(stored), *asked}:
                write.read(stored, began, ended)
                if write.visible:
                    self._see(write)

    def see(self, write: OwnWrite, *, alone: bool = False) -> None:
        """Note that reads see a write, and so all before it unless ``alone``."""
        with self._lock:
            self._see(write, alone)

    def _see(self, write: OwnWrite, alone: bool = False) -> None:
        write.visible = True
        # Another client may have deleted the same records, so a delete proves less.
        if write.kind != "delete" and not alone:
            self._visible = max(self._visible, write.sent)
        elif write.processed or write.accepted < self._processed:
            self._gone = max(self._gone, write.sent)
        for seen in [write for write in self._unseen if self.is_visible(write)]:
            self._unseen.remove(seen)
            if write.proven:
                for later in self._tracked.beside(seen.probes):
                    if later.sent > seen.accepted:
                        later.follows(seen, self.moment())
            self.warned.clear()
        self._dropped = tuple(write for write in self._dropped if not self.is_visible(write))

    def is_visible(self, write: OwnWrite) -> bool:
        """Whether reads are known to see a write."""
        gone = self._gone if write.kind == "delete" else -math.inf
        return write.visible or write.accepted < max(self._visible, gone)

    def is_processed(self, write: OwnWrite) -> bool:
        """Whether the index is known to have processed a write."""
        return write.processed or write.accepted < self._processed or self.is_visible(write)

    def pending(self) -> tuple[OwnWrite, ...]:
        """The writes that reads may not see yet, oldest first; of many only the latest."""
        with self._lock:
            return tuple(self._unseen)

    def after(self, write: OwnWrite) -> tuple[OwnWrite, ...]:
        """Those of `pending` that were sent after ``write`` was accepted."""
        return tuple(later for later in self.pending() if later.sent > write.accepted)

    @property
    def are_forgotten(self) -> bool:
        """Whether nothing is remembered of any write."""
        return not (self._unseen or self._dropped or self._lost or self._written or self._uncertain)

    def forget(self, created_on: datetime | None = None) -> None:
        """Forget the pending writes, as their index is gone; keep those to the index since."""
        with self._lock:
            kept = [
                write for write in self._unseen if created_on and write.created_on == created_on
            ]
            self._lost.clear()
            self._written, self._uncertain = LastWrites(), LastWrites()
            self._overflowed = -math.inf
            self._dropped = ()
            self._unseen.clear()
            self._unseen.extend(kept)


def latest(writes: Collection[OwnWrite]) -> tuple[OwnWrite, ...]:
    """The last of ``writes``, which prove all of them once reads see them.

    Deletes do not prove what was written: another client may have deleted the same records.
    """
    last = max((write.sent for write in writes), default=-1)
    wrote = max((w.sent for w in writes if w.kind != "delete" and not w.overwritten), default=-1)
    return tuple(w for w in writes if w.accepted > (last if w.kind == "delete" else wrote))


def _spread(ids: Sequence[str]) -> Sequence[str]:
    """A few of ``ids``: the first, the last and some between them."""
    if len(ids) <= _PROBES:
        return ids
    return [ids[round(n * (len(ids) - 1) / (_PROBES - 1))] for n in range(_PROBES)]


def _is_over(written: Written) -> bool:
    """Whether it was so long ago that reads see it, or never will."""
    return time.monotonic() - written.at >= _LOST_FOR


def _copy(vector: Vector | None) -> Vector | None:
    """A copy, since the caller may change the metadata and the array."""
    if vector is None:
        return None
    metadata = jsontext.loads(jsontext.dumps(vector.metadata or {}))
    return Vector(vector.id, vector.values.copy(), vector.namespace, metadata)


def _together(some: list[Vector | None], others: list[Vector | None]) -> list[Vector | None]:
    """What a record may read as by either, each once."""
    return [*some, *(v for v in others if not any(_same(v, each) for each in some))]


def _same(stored: Vector | None, expected: Vector | None) -> bool:
    if stored is None or expected is None:
        return stored is expected
    return (
        stored.namespace == expected.namespace
        and np.array_equal(stored.values, expected.values)
        and _comparable(stored.metadata or {}) == _comparable(expected.metadata or {})
    )


def _comparable(value: Any) -> Any:
    """JSON without what the service may change: nulls in objects, and the types of numbers."""
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return float(value) if type(value) is int else value
