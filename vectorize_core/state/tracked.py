"""`Tracked`: the writes that other code refers to, by the ids that they touch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakSet, ref

_FEW: Final = 50
"""Ids of a write up to which it is looked up by them. Of more, all it costs is little for each."""


class Touching(Protocol):
    """A write, as far as it matters here."""

    @property
    def ids(self) -> frozenset[str]:
        """What it touches."""


T = TypeVar("T", bound=Touching)


class Tracked(Generic[T]):
    """Writes, each as long as anything else refers to it.

    There are as many as calls at once. If each looked at all others, thousands of calls that write
    one record each would take minutes.
    """

    def __init__(self) -> None:
        self._large: WeakSet[T] = WeakSet()
        self._small: dict[ref[T], frozenset[str]] = {}
        self._of: dict[str, list[ref[T]]] = {}
        # An object may come to its end anywhere, also while this is being changed.
        self._gone: deque[ref[T]] = deque()

    def add(self, write: T) -> None:
        """Track a write."""
        while self._gone:
            self._forget(self._gone.popleft())
        if len(write.ids) > _FEW:
            self._large.add(write)
            return
        known = ref(write, self._gone.append)
        self._small[known] = write.ids
        for vector_id in write.ids:
            self._of.setdefault(vector_id, []).append(known)

    def discard(self, write: T) -> None:
        """Track it no longer."""
        self._large.discard(write)
        self._forget(ref(write))

    def _forget(self, known: ref[T]) -> None:
        for vector_id in self._small.pop(known, ()):
            self._of[vector_id].remove(known)
            if not self._of[vector_id]:
                del self._of[vector_id]

    def beside(self, ids: Iterable[str]) -> list[T]:
        """All that touch some of ``ids``, and a few others."""
        found = {known for one in ids for known in self._of.get(one, ())} if self._of else ()
        return [*self._large, *_alive(found)]

    def __iter__(self) -> Iterator[T]:
        yield from [*self._large, *_alive(self._small)]


def _alive(refs: Iterable[ref[T]]) -> list[T]:
    return [write for known in refs if (write := known()) is not None]
