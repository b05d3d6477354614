"""Texts kept in step with the vectors that name them, through crashes and beside other writers.

A text is put before the vector that names it, and goes only when reads no longer see a vector that
did. So whatever is interrupted, each vector that is read finds its text, and the same call again
ends what was begun.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Final, NamedTuple

from vectorize_core import forks, jsontext, layout
from vectorize_core.errors import At, InvalidVectorError, WaitTimeoutError
from vectorize_core.layout import Record
from vectorize_core.reads.by_id import get_many
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.polling import Polling
from vectorize_core.state.waiting import own_are_seen
from vectorize_core.texts.reading import name_outside
from vectorize_core.texts.store import (
    TextStore,
    Versions,
    is_intact,
    is_of_record,
    is_ours,
    list_name,
    read_versions,
    text_name,
)
from vectorize_core.transport.io import Io

logger = logging.getLogger("vectorize_core")

_AT_ONCE: Final = 100
_NOT_LISTED: Final = 0.0
_IN_PROGRESS: Final = 900.0
"""Seconds in which another process writes the vector of a text that it has put, or never."""
_SEEN_BY_THEN: Final = 600.0
"""Seconds after which reads see a write."""
_MOST_OWN: Final = 10_000


class Kept(NamedTuple):
    """A record about to be written; ``is_new`` if no other one can have had its id before."""

    record: Record
    is_new: bool = False


@dataclass(slots=True)
class Found:
    """The long texts of some records, by the ids of these."""

    versions: dict[str, Versions] = field(default_factory=dict)
    """What the texts of each record are called, with the times when they were put."""
    plain: set[str] = field(default_factory=set)
    """The ids under which other clients keep texts."""
    seen: set[str] = field(default_factory=set)
    """The ids of which reads see the last own write, or a vector that names one of these texts:
    where they see none later, it has changed since."""
    unnamed: set[str] = field(default_factory=set)
    """The ids of which a read has seen no vector that names one of these texts."""
    named: set[str] = field(default_factory=set)
    """The ids of which the last read has seen one."""

    def __bool__(self) -> bool:
        return bool(self.versions or self.plain)

    def __len__(self) -> int:
        return len(self.versions) + len(self.plain)

    def add(self, later: Found) -> None:
        """Add what was found later."""
        for vector_id, versions in later.versions.items():
            self.versions.setdefault(vector_id, {}).update(versions)
        self.plain |= later.plain

    def split(self, by: Collection[str]) -> tuple[Found, Found]:
        """The texts of the records with these ids, and the others."""
        chosen = {i: v for i, v in self.versions.items() if i in by}
        others = {i: v for i, v in self.versions.items() if i not in by}
        return Found(chosen, self.plain.intersection(by)), Found(others, self.plain.difference(by))


@dataclass(slots=True)
class Keeping:
    """The texts of the records of an index."""

    texts: TextStore
    state: IndexState

    async def find(self, io: Io, ids: Sequence[str]) -> Found:
        """The texts of vectors that are about to be deleted; `remove` deletes them afterwards."""
        found = await self._find(io, ids)
        found.seen |= set(ids) - self.state.own_writes.unseen_among(ids).keys()
        there = list(dict.fromkeys([*found.versions, *found.plain]))
        for vector_id, name in (await self._named(io, there)).items():
            found.seen.add(vector_id)
            self._add_named(found.versions, vector_id, name)
        return found

    def _add_named(self, versions: dict[str, Versions], vector_id: str, name: str) -> None:
        """Add a text that a vector names: another writer may have overwritten the list."""
        if vector_id in versions and is_of_record(name, list_name(self.state.name, vector_id)):
            versions[vector_id].setdefault(name, _NOT_LISTED)

    async def remove(self, io: Io, found: Found, wait_timeout: float) -> None:
        """Delete the texts of deleted vectors, when reads no longer see these.

        `WaitTimeoutError` if reads still see them after ``wait_timeout`` seconds.
        """
        if not await self.try_to_remove(io, found, wait_timeout):
            raise WaitTimeoutError(
                f"the vectors are deleted, but after {wait_timeout:.0f} s reads still see some of "
                "them, so their long texts have not been deleted. Delete them again"
            )

    def names(self, found: Found) -> list[str]:
        """What these texts are called, other clients' among them, and then the lists of them."""
        lists = [list_name(self.state.name, vector_id) for vector_id in found.versions]
        return [*found.plain, *chain.from_iterable(found.versions.values()), *lists]

    async def _find(self, io: Io, ids: Collection[str]) -> Found:
        lists = {vector_id: list_name(self.state.name, vector_id) for vector_id in ids}
        plain = {i for i in ids if not is_ours(i)} if self.texts.plain_ids else set[str]()
        names = [*lists.values(), *plain]
        there = await self.texts.get(io, self.state.name, names) if names else {}
        versions = {
            i: read_versions(there[name], name) for i, name in lists.items() if name in there
        }
        return Found(versions, there.keys() & plain)

    async def try_to_remove(self, io: Io, doomed: Found, wait_timeout: float) -> bool:
        """Delete texts when no vector names them any more; False if that takes too long.

        Those that were put again meanwhile stay. The lists of them go last.
        """
        if not doomed:
            return True
        if not await Polling(io, wait_timeout).until(partial(self._are_unnamed, io, doomed)):
            return False
        async with self._alone(io, doomed.versions):
            await self._remove(io, doomed)
        return True

    async def _remove(self, io: Io, doomed: Found) -> None:
        index = self.state.name
        now = await self._find(io, doomed.versions.keys())
        names, lists = list(doomed.plain), dict[str, dict[str, float | None]]()
        for vector_id, versions in doomed.versions.items():
            current = now.versions.get(vector_id, versions)
            gone = [n for n, put in versions.items() if current.get(n, _NOT_LISTED) == put]
            names += gone
            lists[list_name(index, vector_id)] = dict.fromkeys(gone)
        await self._delete(io, names)
        if lists:
            await self._put(io, {}, lists)

    def _alone(self, io: Io, ids: Collection[str]) -> AbstractAsyncContextManager[None]:
        """What is read of the lists of these records is still so when they are written."""
        if not ids:
            return nullcontext()
        return self.state.listing.alone(io, io.policy.write_deadline, ids)

    # What is cancelled must not change texts or lists that the next call has read by then.

    async def _put(
        self, io: Io, texts: Mapping[str, str], lists: Mapping[str, Mapping[str, float | None]]
    ) -> None:
        await io.whole(self.texts.put_listed(io, self.state.name, texts, lists))

    async def _delete(self, io: Io, names: Sequence[str]) -> None:
        await io.whole(self.texts.delete(io, self.state.name, names))

    async def _are_unnamed(self, io: Io, doomed: Found) -> bool:
        """Whether reads see no vector that names one of these texts, unless it was put again.

        Of which records that is so, and of which not, is noted.
        """
        doomed.named.clear()
        ids = sorted({*doomed.versions, *doomed.plain} - doomed.unnamed)
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            named = await self._named(io, some)
            old = {i: n for i, n in named.items() if n == i or n in doomed.versions.get(i, ())}
            now = (await self._find(io, old.keys())).versions
            still = {
                vector_id
                for vector_id, name in old.items()
                if name == vector_id
                or now.get(vector_id, {}).get(name) in (None, doomed.versions[vector_id][name])
            }
            doomed.unnamed.update(set(some) - still)
            doomed.named |= still
        return doomed.unnamed.issuperset(ids)

    async def _named(self, io: Io, ids: Sequence[str]) -> dict[str, str]:
        """The texts outside that the vectors with these ids name; those without are left out."""
        named: dict[str, str] = {}
        if not ids:
            return named
        for vector_id, vector in (await get_many(io, self.state, ids)).items():
            record = layout.decode(vector_id, vector.metadata, any_version=True)
            name = name_outside(vector_id, record, plain_ids=self.texts.plain_ids)
            if name is not None:
                named[vector_id] = name
        return named


@dataclass(slots=True)
class Putting(Keeping):
    """The texts of one write of records."""

    earlier: Collection[str] = ()
    """Texts of earlier writes of the store, which are over."""
    superseded: Found = field(default_factory=Found)
    own: set[str] = field(default_factory=set)

    def outside(self, record: Record, at: At) -> Record:
        """A record, called ``at`` in errors, whose text stands outside its vector."""
        assert record.text is not None
        size, most = jsontext.utf8_size(record.text), self.texts.max_bytes
        if most is not None and size > most:
            raise InvalidVectorError(
                f"{at}: its text takes {size} bytes, {self.texts!r} takes "
                f"{most}. Split it into smaller chunks"
            )
        name = text_name(self.state.name, record.id, record.text)
        return dataclasses.replace(record, text_name=name)

    async def put(self, io: Io, batch: Sequence[Kept]) -> None:
        """Put the texts of records that are about to be written; of equal ids the last counts."""
        records = {kept.record.id: kept.record for kept in batch}
        known = {kept.record.id for kept in batch if not kept.is_new}
        async with self._alone(io, [i for i, r in records.items() if r.text_name is not None]):
            await self._put_alone(io, records, known)

    async def _put_alone(
        self, io: Io, records: Mapping[str, Record], known: Collection[str]
    ) -> None:
        old = await self._find(io, known)
        await self._note(io, records, old)
        now, lists, texts = time.time(), dict[str, dict[str, float | None]](), {}
        for record in records.values():
            if record.text_name is None or record.text is None:
                continue
            lists[list_name(self.state.name, record.id)] = {record.text_name: now}
            texts[record.text_name] = record.text
        self.own |= texts.keys()
        if texts:
            # The lists first: what no list names, no delete finds.
            await self._put(io, texts, lists)

    async def put_again(self, io: Io, records: Iterable[Record]) -> None:
        """Put the long texts of records that are written with other metadata.

        Also those that are there, so that a writer that replaces one meanwhile does not delete it.
        """
        long = {record.text_name: record for record in records if record.text_name is not None}
        wanted = [name for name, record in long.items() if record.text is None]
        there = await self.texts.get(io, self.state.name, wanted) if wanted else {}
        for name, text in there.items():
            if is_intact(name, text):
                long[name] = dataclasses.replace(long[name], text=text)
        await self.put(io, [Kept(record) for record in long.values()])

    async def _note(self, io: Io, records: Mapping[str, Record], old: Found) -> None:
        """Note the texts that are obsolete once the records are seen.

        A young one may belong to a write of another process that is still going on, unless a
        vector names it, or it is from this write, or from an earlier one of this store.
        """
        oldest = time.time() - _IN_PROGRESS
        others = {
            vector_id: {n: put for n, put in versions.items() if n != records[vector_id].text_name}
            for vector_id, versions in old.versions.items()
        }
        replaced = [i for i, versions in others.items() if versions]
        named = await self._named(io, [*replaced, *(old.plain - others.keys())])
        for vector_id, name in named.items():
            if name != records[vector_id].text_name:
                self._add_named(others, vector_id, name)
        unseen = self.state.own_writes.unseen_among(records)
        for vector_id, versions in others.items():
            by_name = named.get(vector_id)
            sure = {name for name, put in versions.items() if put <= oldest or name == by_name}
            over = sure.union(n for n in versions if n in self.own or n in self.earlier)
            if over:
                listed = self.superseded.versions.setdefault(vector_id, {})
                listed.update((name, versions[name]) for name in over)
            if over == sure or vector_id not in unseen:
                self.superseded.seen.add(vector_id)
            else:
                self.superseded.seen.discard(vector_id)
        self.superseded.plain |= old.plain
        self.superseded.seen |= old.plain & named.keys() - others.keys()

    async def finish(self, io: Io, wait_timeout: float) -> None:
        """Delete what the write has superseded, when reads see the write."""
        if not await self.try_to_remove(io, self.superseded, wait_timeout):
            logger.warning(
                "index %r: reads do not see a write after %.0f s, so the long texts that it "
                "replaces have not been deleted; the next write or delete of its records will",
                self.state.name,
                wait_timeout,
            )


class Removals:
    """Texts of deleted and replaced records, which go when reads no longer see their vectors.

    A store and its views leave here what they would have to wait for, so that many deletes wait
    once: when all own writes are awaited, and when the store is closed. What is ten minutes old
    goes with the next delete or write. One whose vector another client has written again is of use
    to it, and due no more. Thread-safe. ``own`` are names of texts that the store has written.
    """

    def __init__(self) -> None:
        self.own: dict[str, None] = {}
        self._due: list[_Due] = []
        """In the order of their times."""
        self._count = 0
        self._lock = forks.lock()

    def __reduce__(self) -> tuple[object, ...]:
        # In another process nothing is due: what this one leaves, it removes itself.
        return Removals, ()

    def __len__(self) -> int:
        return self._count

    def count(self, tenant: str | None = None) -> int:
        """How many records' texts are due; a tenant's, unless None."""
        if tenant is None:
            return self._count
        return sum(len(due.found) for due in self._due if due.tenant == tenant)

    def note_own(self, names: Iterable[str]) -> None:
        """Note texts whose vectors are written."""
        with self._lock:
            self.own |= dict.fromkeys(names)
            for name in list(islice(self.own, max(0, len(self.own) - _MOST_OWN))):
                del self.own[name]

    def take(self) -> Found:
        """All that is due; nothing is any more."""
        with self._lock:
            due, self._due, self._count = self._due, [], 0
        together = Found()
        for one in due:
            together.add(one.found)
        return together

    async def leave(
        self, io: Io, keeping: Keeping, found: Found, tenant: str | None = None
    ) -> None:
        """Remove what reads are seen not to see any more; the rest is due later."""
        now = io.now()
        sure, rest = found.split(found.seen)
        if rest and await own_are_seen(io, keeping.state):
            sure, rest = found, Found()
        if not await keeping.try_to_remove(io, sure, 0.0):
            rest.add(sure)
        await self.remove(io, keeping, tenant, until=now - _SEEN_BY_THEN)
        if rest:
            with self._lock:
                insort(self._due, _Due(now, tenant, rest), key=_Due.order)
                self._count += len(rest)

    async def remove(
        self, io: Io, keeping: Keeping, tenant: str | None = None, *, until: float = math.inf
    ) -> None:
        """Remove all that is due since ``until``; to be awaited when reads see all own writes.

        What is in the way of others' is not told to a ``tenant``.
        """
        # At once, since another thread may take all.
        oldest = self._due[:1]
        if not oldest or oldest[0].since > until:
            return
        await self._remove(
            io, keeping, lambda due: due.since <= until and tenant in (None, due.tenant)
        )
        if tenant is not None:
            try:
                await self._remove(io, keeping, lambda due: due.since <= until)
            except Exception as error:
                logger.debug("index %r: removing texts: %s", keeping.state.name, type(error))

    async def _remove(self, io: Io, keeping: Keeping, is_ripe: Callable[[_Due], bool]) -> None:
        together, left = Found(), list[_Due]()
        try:
            with self._lock:
                left = [due for due in self._due if is_ripe(due)]
                self._due = [due for due in self._due if not is_ripe(due)]
            for due in left:
                together.add(due.found)
            if await keeping.try_to_remove(io, together, 0.0):
                left = []
            else:
                free, _ = together.split(together.unnamed)
                free.unnamed |= together.unnamed
                if await keeping.try_to_remove(io, free, 0.0):
                    over = free.unnamed | together.named
                    left = [rest for due in left if (rest := due.without(over)).found]
        finally:
            with self._lock:
                self._due = sorted(left + self._due, key=_Due.order)
                self._count = sum(len(due.found) for due in self._due)


class _Due(NamedTuple):
    """What a delete or write has left since then, of a tenant or (None) of the store itself."""

    since: float
    tenant: str | None
    found: Found

    def order(self) -> float:
        """What it is sorted by."""
        return self.since

    def without(self, ids: Collection[str]) -> _Due:
        """What is left of it without the texts of these records."""
        return self._replace(found=self.found.split(ids)[1])
