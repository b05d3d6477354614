"""Waiting until a write has taken effect, and not a moment less."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Literal, NoReturn, TypedDict, TypeVar
from uuid import uuid4

from vectorize_core import limits
from vectorize_core.api.operations import DeleteByIds, GetByIds, GetIndex, GetInfo, Op
from vectorize_core.errors import (
    IndexNotFoundError,
    InvalidInputError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.state.own_writes import Kind, OwnWrite, latest
from vectorize_core.state.polling import Pauses, is_passing
from vectorize_core.transport.events import WaitEvent
from vectorize_core.transport.io import Io

Wait = bool | Literal["processed", "visible"]
T = TypeVar("T")
Goal = Literal["processed", "visible"]
DEFAULT_WAIT_TIMEOUT = 180.0

_LAG = 10.0
"""Reads were seen to lag behind processing for a moment; this is taken for the longest."""
_USUALLY = 120.0
"""99 % of all writes are visible by then."""
_OLD = 600.0
"""A write that was accepted so long ago and is processed is seen."""
_FIRST_BARRIER, _NEXT_BARRIER = 5.0, 4.0
"""After so many seconds, and then each time that so many times as many have passed."""
_INDEX_CHECK = 15.0
_LOOK_BACK = 8


class WaitOptions(TypedDict, total=False):
    """What a write waits for.

    ``wait=False``: until it is accepted; "processed": until the index has taken it up; "visible"
    or True: until reads return it. For at most ``wait_timeout`` seconds (180), then
    `WaitTimeoutError`.
    """

    wait: Wait
    wait_timeout: float


def wait_goal(wait: Wait) -> Goal | None:
    """What a ``wait=`` argument asks for; ``True`` means visible."""
    if wait is False:
        return None
    if wait is True:
        return "visible"
    if wait in ("processed", "visible"):
        return wait
    raise InvalidInputError(f"wait is False, True, 'processed' or 'visible'; got {wait!r}")


async def prepare(io: Io, state: IndexState) -> None:
    """Note which index it is; to be awaited before writes that will be waited for."""
    with suppress(IndexNotFoundError):
        await get_details(io, state, refresh=True)


async def begin(
    io: Io,
    state: IndexState,
    kind: Kind,
    written: Mapping[str, Vector | None],
    *,
    look: bool = False,
) -> OwnWrite:
    """Note a mutation that is about to be sent; once it is, `OwnWrites.accept` is to follow.

    ``look`` reads its probes, for what reads otherwise now will be proof later. Without it a
    wait learns that from its own first polls, unless the service is faster than they are.
    """
    created_on = None if state.details is None else state.details.created_on
    own = state.own.begin(kind, written, created_on)
    if look:
        with suppress(VectorizeError):
            await _read(state, [own], io.once)
    return own


async def wait_for(
    io: Io,
    state: IndexState,
    writes: Collection[OwnWrite],
    wait: Wait,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> None:
    """Wait until ``writes``, and so all before them, are processed or visible.

    Processed: the index names one of them or a later mutation of this client as its last, or
    reads see them. Where other clients' mutations overtake ours, a mutation that changes nothing
    is sent after them. Visible: the probes read as written, and one of them did not before. Where
    none can tell, for they were so before: they are processed, and as long again as that took
    has passed, at most ten seconds. Where other clients overwrite some of the probes: they are
    processed, for ten seconds. Where they write so much that nothing tells what is processed:
    two minutes have passed.

    Raises `WaitTimeoutError` after ``wait_timeout`` seconds, `IndexReplacedError` and
    `IndexNotFoundError` if the index is no longer the same.
    """
    goal = wait_goal(wait)
    if goal is not None and writes:
        await _Wait(io, state, latest(writes), goal, wait_timeout).run()


async def wait_for_own(
    io: Io, state: IndexState, wait_timeout: float = DEFAULT_WAIT_TIMEOUT
) -> None:
    """Wait until this client's own latest writes to the index are visible."""
    await wait_for(io, state, state.own.pending(), "visible", wait_timeout)


class _Wait:
    """One wait: what it waits for still, and for how long it has."""

    def __init__(
        self, io: Io, state: IndexState, writes: Collection[OwnWrite], goal: Goal, timeout: float
    ) -> None:
        self._io = io
        self._state = state
        self._pending = list(writes)
        self._goal = goal
        self._pauses = Pauses(io, timeout)
        self._lagging = self._looked_back = False
        self._until = -math.inf
        self._processed: dict[OwnWrite, tuple[float, float]] = {}
        self._index_check = self._barrier = _FIRST_BARRIER
        self._passed = max(own.accepted for own in writes)

    async def run(self) -> None:
        outcome: Literal["seen", "timeout", "error"] = "error"
        last, pauses = self._pending[-1].mutation_id, self._pauses
        try:
            if not await pauses.until(self._poll):
                outcome = "timeout"
                await self._time_out()
            outcome = "seen"
        except IndexNotFoundError:
            self._state.forget()
            raise
        finally:
            name, seconds, polls = self._state.name, pauses.waited, pauses.polls
            self._io.emit(WaitEvent(name, self._goal, seconds, polls, last, outcome))

    async def _poll(self) -> bool:
        waited = self._pauses.waited
        followers = [later for own in self._pending for later in self._followers(own)]
        await self._read([*self._pending, *followers])
        self._check_index()
        self._settle()
        if self._pending:
            await self._ask_progress()
        if self._processed and not self._looked_back:
            await self._look_back()
        if not self._pending:
            return True
        barrier = any(map(self._is_hidden, self._pending)) and (
            waited >= self._barrier or all(map(_is_ready, self._pending))
        )
        if waited >= self._index_check or (barrier and self._pauses.polls > 1):
            self._index_check = waited + _INDEX_CHECK
            await self._ask_index()
        if barrier:
            self._barrier = max(waited, _FIRST_BARRIER / _NEXT_BARRIER) * _NEXT_BARRIER
            await self._send_barrier()
            await self._ask_progress()
        return not self._pending

    async def _read(self, writes: Collection[OwnWrite]) -> None:
        await _read(self._state, writes, self._ask)

    async def _ask(self, op: Op[T]) -> T:
        # Once: what fails is tried again by the next poll.
        return await self._io.once(op, patience=self._pauses.left)

    async def _ask_progress(self) -> None:
        info = await self._ask(GetInfo(self._state.name))
        self._until = self._state.own.processed(info.processed_up_to_mutation)
        self._settle()

    async def _look_back(self) -> None:
        """See from earlier writes whether reads lag behind, for these may not be able to tell."""
        known = self._state.own
        earlier = known.pending()[-_LOOK_BACK:]
        await self._read(earlier)
        self._looked_back = True
        self._lagging |= any(known.is_processed(own) and not own.matching for own in earlier)
        self._settle()

    def _is_hidden(self, own: OwnWrite) -> bool:
        """Whether a mutation of another client hides if a write is processed."""
        return own.sent < self._until and not self._state.own.is_processed(own)

    def _settle(self) -> None:
        """Drop what is done."""
        self._pending = [own for own in self._pending if not self._is_done(own)]

    def _is_done(self, own: OwnWrite) -> bool:
        known, waited = self._state.own, self._pauses.waited
        if known.is_visible(own):
            if own in self._processed:
                known.lag = max(known.lag, waited - self._processed[own][0])
            return True
        alone = self._is_followed(own)
        if alone:
            done = True
        elif known.is_processed(own):
            done = self._goal == "processed" or self._is_seen(own)
        else:
            age = max(waited, time.monotonic() - own.since)
            done = age >= _USUALLY and self._is_hidden(own) and _is_ready(own)
        if done and self._goal == "visible":
            known.see(own, alone=alone)
        return done

    def _is_followed(self, own: OwnWrite) -> bool:
        """Whether later writes that are done prove this one; deletes only what they delete."""
        done = [later for later in self._followers(own) if self._is_done(later)]
        deleted = {vector_id for later in done for vector_id in later.ids}
        wrote = any(later.kind != "delete" for later in done)
        return wrote or (bool(done) and own.probes.keys() <= deleted)

    def _followers(self, own: OwnWrite) -> list[OwnWrite]:
        """What proves a write of which later ones of ours have left nothing to read."""
        later = self._state.own.after(own) if own.rewritten else ()
        known = [write for write in later if not write.rewritten]
        return [write for write in known if not own.probes.keys().isdisjoint(write.ids)] or (
            known[-_LOOK_BACK:]
        )

    def _is_seen(self, own: OwnWrite) -> bool:
        """Whether reads see a write that is processed, as far as its records tell."""
        waited, slept = self._pauses.waited, self._pauses.slept
        since, took = self._processed.setdefault(own, (waited, slept))
        self._lagging |= not own.matching
        if own.shown:
            return waited - since >= _LAG
        if own.matching and self._looked_back and not self._followers(own):
            patience = _LAG if self._lagging else min(took, _LAG)
            return waited - since >= max(patience, self._state.own.lag) or self._pauses.over
        return time.monotonic() - own.since >= _OLD

    async def _send_barrier(self) -> None:
        """Send what comes after all of ours: once it is processed, they are.

        Any other mutation of this client since the last time does as well.
        """
        own = self._state.own
        if own.last_sent <= self._passed:
            barrier = own.begin("delete", {})
            nobody = f"_vs-barrier-{uuid4().hex}"
            mutation = await self._ask(DeleteByIds(self._state.name, (nobody,)))
            own.accept(barrier, mutation.mutation_id)
        self._passed = own.moment()

    async def _ask_index(self) -> None:
        state = self._state
        state.details = await self._ask(GetIndex(state.name))
        for own in self._pending:
            if own.created_on is None:
                own.created_on = state.details.created_on
        self._check_index()

    def _check_index(self) -> None:
        for own in self._pending:
            self._state.check_same(own.created_on)

    async def _time_out(self) -> NoReturn:
        """Raise what a wait ends with whose time is up."""
        failure = self._pauses.failure
        try:
            await self._ask_index()
        except VectorizeError as error:
            if not is_passing(error):
                raise
            failure = error
        state, own, waited = self._state, self._pending[0], self._pauses.waited
        records = ", ".join(map(repr, own.probes)) or "all written again"
        said = f"index {state.name!r}: mutation {own.mutation_id} was accepted"
        if waited - self._processed.get(own, (waited, 0.0))[0] >= _LAG:
            raise WaitTimeoutError(
                f"{said} and processed, but not visible after {waited:.0f} s: its records "
                f"{records} do not read as written. Another client has probably written these "
                "ids since; then nothing can tell whether reads see this write"
            ) from failure
        raise WaitTimeoutError(
            f"{said}, but is not {self._goal} after {waited:.0f} s, as far as its records "
            f"{records} tell. It is not lost: wait longer with wait_timeout="
        ) from failure


def _is_ready(own: OwnWrite) -> bool:
    """Whether all that is not known of a write is that it is processed."""
    return own.matching or own.shown


async def _read(
    state: IndexState,
    writes: Collection[OwnWrite],
    ask: Callable[[GetByIds], Awaitable[tuple[Vector, ...]]],
) -> None:
    """Read the probes of ``writes``."""
    began = state.own.moment()
    ids = tuple(dict.fromkeys(vector_id for own in writes for vector_id in tuple(own.probes)))
    stored: dict[str, Vector | None] = dict.fromkeys(ids)
    for start in range(0, len(ids), limits.MAX_IDS_PER_GET):
        some = ids[start : start + limits.MAX_IDS_PER_GET]
        stored.update((v.id, v) for v in await ask(GetByIds(state.name, some)))
    state.own.read(stored, began)
