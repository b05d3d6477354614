"""`LastWrites`: which write was the last of an id, and what it left there."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vectorize_core import layout
from vectorize_core.models import Vector

_MOST_IDLE: Final = 1_000
_GONE: Final = (None, None, False)


@dataclass(slots=True, eq=False)
class Written:
    """Records that a write left alike: the moment and time it was accepted, and what it left.

    ``ref`` is what ``_vs_ref`` holds. ``sure`` unless it is an insert, which may have left another
    record in place. ``there`` unless it was a delete. ``ids`` are theirs, some of which may have
    been written again since. ``later`` is the next one with that ``ref``, and ``latest``, of the
    first of several, the last one.
    """

    accepted: float
    at: float
    ref: str | None = None
    namespace: str | None = None
    sure: bool = True
    there: bool = True
    ids: tuple[str, ...] = ()
    later: Written | None = None
    latest: Written | None = None


class LastWrites:
    """The last write of each id, by id and by document; the oldest ones are forgotten in order.

    All but `copy` takes as long for many as for few. A dict in that order would not do: to find
    the first of its keys is to go by the places of all that were deleted before. ``unsure`` is of
    how many ids the last write is not ``sure``.
    """

    def __init__(self) -> None:
        self._last: dict[str, Written] = {}
        self._in_order: deque[Written] = deque()
        self._first_of: dict[str, Written] = {}
        self.unsure = 0
        self._listed = 0

    def __len__(self) -> int:
        return len(self._last)

    def note(
        self, written: Mapping[str, Vector | None], accepted: float, at: float, *, sure: bool
    ) -> Collection[Written]:
        """Note that these vectors were written under their ids, or (None) deleted."""
        # Most of them leave the same.
        alike: dict[tuple[str | None, str | None, bool], list[str]] = {}
        for vector_id, vector in written.items():
            left = _GONE if vector is None else (_ref(vector), vector.namespace, True)
            ids = alike.get(left)
            if ids is None:
                ids = alike[left] = []
            ids.append(vector_id)
        made = [
            Written(accepted, at, ref, namespace, sure or not there, there, tuple(ids))
            for (ref, namespace, there), ids in alike.items()
        ]
        if self.unsure:
            for vector_id in written:
                self._no_longer_unsure(self._last.get(vector_id))
        for one in made:
            self._last.update(dict.fromkeys(one.ids, one))
            self._append(one)
        if self._listed > 2 * len(self._last) + _MOST_IDLE:
            self._leave_out_idle()
        return made

    def _append(self, last: Written) -> None:
        self._in_order.append(last)
        self._listed += len(last.ids)
        if not last.sure:
            self.unsure += len(last.ids)
        if last.ref is not None:
            first = self._first_of.setdefault(last.ref, last)
            if first is not last:
                (first.latest or first).later = last
                first.latest = last

    def _leave_out_idle(self) -> None:
        """Leave out ids that were written again since, where most were."""
        new = LastWrites()
        for one in self._in_order:
            ids = tuple(i for i in one.ids if self._last.get(i) is one)
            if ids:
                still = replace(one, ids=ids, later=None, latest=None)
                new._last.update(dict.fromkeys(ids, still))
                new._append(still)
        # At once, for Ctrl-C comes behind a call.
        self._last, self._in_order, self._first_of = new._last, new._in_order, new._first_of
        self._listed, self.unsure = new._listed, new.unsure

    @property
    def oldest(self) -> Written | None:
        """The one to be forgotten next."""
        return self._in_order[0] if self._in_order else None

    def forget_oldest(self) -> None:
        """Forget the oldest one."""
        oldest = self._in_order[0]
        for vector_id in oldest.ids:
            if self._last.get(vector_id) is oldest:
                del self._last[vector_id]
                self._no_longer_unsure(oldest)
        number = len(oldest.ids)
        if oldest.ref is not None:
            first = oldest.later
            if first is None:
                del self._first_of[oldest.ref]
            else:
                self._first_of[oldest.ref] = first
                first.latest = None if first is oldest.latest else oldest.latest
        self._listed -= number
        self._in_order.popleft()

    def discard(self, ids: Iterable[str]) -> None:
        """Forget the last writes of these ids."""
        if self._last:
            for vector_id in ids:
                self._no_longer_unsure(self._last.pop(vector_id, None))

    def _no_longer_unsure(self, last: Written | None) -> None:
        """Note that an id has another last write than this one, or none."""
        if last is not None and not last.sure:
            self.unsure -= 1

    def get(self, vector_id: str) -> Written | None:
        """The last write of an id."""
        return self._last.get(vector_id)

    def of(self, refs: Iterable[str]) -> Iterator[tuple[str, Written]]:
        """The ids whose last write left a record of one of these documents."""
        for ref in refs:
            one = self._first_of.get(ref)
            while one is not None:
                for vector_id in one.ids:
                    if self._last.get(vector_id) is one:
                        yield vector_id, one
                one = one.later

    def copy(self) -> dict[str, Written]:
        """All of them, by id."""
        return self._last.copy()


def _ref(vector: Vector) -> str | None:
    """What ``_vs_ref`` holds, where it is a text: a vector may be of any make."""
    found = None if vector.metadata is None else vector.metadata.get(layout.REF)
    return found if isinstance(found, str) else None
