"""The ids that a client has on their way to an index, and those that lost requests may still reach.

Requests may overtake each other. So of two writes of an id, the second is sent only when the first
is known to have ended. A request without an answer is *lost*: it may be carried out for as long as
a request can live, and undo what was written since.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from vectorize_core import forks, jsontext
from vectorize_core.holds import Waker
from vectorize_core.models import Vector
from vectorize_core.transport.executor import Running

_MOST_LOST: Final = 100_000
"""Ids of lost requests that are kept; beyond, every id counts as one of the oldest of them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lost:
    """A request without an answer: digests of what it writes, by id, and when it is over."""

    written: Mapping[str, bytes]
    until: float


class InFlight:
    """The ids that the calls of a connection have on their way to one index; thread-safe."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._owners: dict[str, object] = {}
        self._waiting: dict[object, tuple[Collection[str], Waker]] = {}
        self._running: list[tuple[Running, object, Collection[str]]] = []
        self._lost: deque[_Lost] = deque()
        self._lost_of: dict[str, list[_Lost]] = {}
        self._lost_ids = 0
        self._any_until = 0.0
        self._lock = forks.lock()

    def _check_process(self) -> None:
        # A fork copies what other threads have on their way, but not these threads.
        if self._pid != os.getpid():
            self._begin()

    def take(self, owner: object, ids: Collection[str], waker: Waker | None = None) -> bool:
        """Take ``ids`` for ``owner``, all or none; False if another owner has one of them.

        Whoever waits then is woken when they are free, in the order of the first attempts, and
        asks again. It may be that others were faster, or that nobody could wake it.
        """
        self._check_process()
        self._release_ended()
        with self._lock:
            if not self._owners.keys().isdisjoint(ids):
                if waker is not None:
                    self._waiting.setdefault(owner, (ids, waker))
                return False
            self._owners.update(dict.fromkeys(ids, owner))
            self._waiting.pop(owner, None)
            return True

    def owners(self, ids: Collection[str]) -> set[object]:
        """Who has some of ``ids``."""
        with self._lock:
            return {self._owners[taken] for taken in ids if taken in self._owners}

    def release(self, owner: object, ids: Collection[str]) -> None:
        """Free those of ``ids`` that ``owner`` has, which waits for none any more."""
        self._check_process()
        with self._lock:
            self._waiting.pop(owner, None)
            for taken in ids:
                if self._owners.get(taken) is owner:
                    del self._owners[taken]
            waiting = list(self._waiting.items())
        # Without the lock, for what a call refers to that has ended is destroyed.
        woken: set[str] = set()
        for other, (wanted, waker) in waiting:
            if waker.has_ended():
                self._waiting.pop(other, None)
                continue
            is_free = self._owners.keys().isdisjoint(wanted) and woken.isdisjoint(wanted)
            if is_free and waker.wake():
                woken.update(wanted)

    def release_after(self, running: Running, owner: object, ids: Collection[str]) -> None:
        """`release` when a request that was interrupted has ended in its thread."""
        self._check_process()
        self._running.append((running, owner, ids))
        running.then(self._release_ended)

    async def is_quiet(self) -> bool:
        """Whether no request that was interrupted goes on in a thread."""
        self._check_process()
        self._release_ended()
        return not self._running

    def _release_ended(self) -> None:
        for ended in [one for one in self._running if one[0].has_ended()]:
            self.release(*ended[1:])
            with suppress(ValueError):
                self._running.remove(ended)

    def lose(self, kind: str, written: Mapping[str, Vector | None], until: float) -> None:
        """Note that a request got no answer, and may be carried out ``until`` then.

        ``written`` are its vectors by id, None for those it deletes.
        """
        self._check_process()
        lost = _Lost({i: _digest(kind, vector) for i, vector in written.items()}, until)
        with self._lock:
            # Last the list, by which it is forgotten.
            for vector_id in lost.written:
                self._lost_of.setdefault(vector_id, []).append(lost)
            number = len(lost.written)
            self._lost_ids += number
            self._lost.append(lost)
            while self._lost_ids > _MOST_LOST:
                self._any_until = max(self._any_until, self._lost[0].until)
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._lost[0]
        number = len(oldest.written)
        # Without a call in between, at which Ctrl-C could come.
        self._lost_ids -= number
        self._lost.popleft()
        for vector_id in oldest.written:
            self._lost_of[vector_id].remove(oldest)
            if not self._lost_of[vector_id]:
                del self._lost_of[vector_id]

    def exposed(
        self, kind: str, written: Mapping[str, Vector | None], now: float
    ) -> dict[str, float]:
        """Those ids of a write that a lost request may still change, and for how many seconds.

        A lost request that writes just the same changes nothing: a write may be tried again.
        """
        self._check_process()
        if not self._lost and now >= self._any_until:
            return {}
        with self._lock:
            while self._lost and self._lost[0].until <= now:
                self._forget_oldest()
            left = self._any_until - now
            found = dict.fromkeys(written, left) if left > 0 else {}
            for vector_id, vector in written.items():
                for lost in self._lost_of.get(vector_id, ()):
                    left = lost.until - now
                    if left > 0 and lost.written[vector_id] != _digest(kind, vector):
                        found[vector_id] = max(found.get(vector_id, 0.0), left)
        return found


def _digest(kind: str, vector: Vector | None) -> bytes:
    """What tells whether two requests write the same under an id."""
    if vector is None:
        return kind.encode()
    rest = jsontext.dumps([kind, vector.namespace, vector.metadata])
    return blake2b(rest + vector.values.tobytes(), digest_size=16).digest()
