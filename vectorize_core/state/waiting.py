"""Waiting until a write is processed, or until reads see it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Literal, NoReturn, TypedDict, TypeVar
from uuid import uuid4

import numpy as np

from vectorize_core import limits
from vectorize_core.api import validation
from vectorize_core.api.operations import DeleteByIds, GetByIds, GetIndex, GetInfo, Op
from vectorize_core.api.pending import CountPending
from vectorize_core.errors import (
    IndexNotFoundError,
    InvalidInputError,
    UnexpectedAnswerError,
    VectorizeError,
    WaitTimeoutError,
)
from vectorize_core.models import Vector
from vectorize_core.state.index_state import IndexState, get_details
from vectorize_core.state.own_writes import Kind, OwnWrite, latest
from vectorize_core.state.polling import Polling, is_temporary
from vectorize_core.transport.events import WaitEvent
from vectorize_core.transport.io import Io

logger = logging.getLogger("vectorize_core")

Wait = bool | Literal["processed", "visible"]
T = TypeVar("T")
Goal = Literal["processed", "visible"]
DEFAULT_WAIT_TIMEOUT = 180.0

_LAG, _LONGEST_LAG = 10.0, 30.0
"""Seconds that reads may lag behind processing; the lags that were seen are far shorter."""
_USUALLY = 120.0
"""Seconds after which 99 % of all writes are visible."""
_OLD = 600.0
"""Seconds after which reads see a write, once it is processed, if later ones are to prove it."""
_FIRST_BARRIER, _NEXT_BARRIER = 5.0, 4.0
"""Seconds until the first barrier, and the factor by which that time grows for each next one."""
_INDEX_CHECK = 15.0
_TOLD_AFTER = {0.04: logging.INFO, 10.0: logging.WARNING}
"""After how many seconds a wait that nobody asked for is logged."""
_LOOK_BACK = 8


class WaitOptions(TypedDict, total=False):
    """What a write waits for.

    ``wait=False``: until it is accepted; "processed": until the index has processed it; "visible"
    or True: until reads return it. After ``wait_timeout`` seconds (180) it raises
    `WaitTimeoutError`.
    """

    wait: Wait
    wait_timeout: float


def wait_goal(wait: Wait) -> Goal | None:
    """What a ``wait=`` argument asks for; ``True`` means visible."""
    if isinstance(wait, (bool, np.bool_)):
        return "visible" if wait else None
    if isinstance(wait, str) and wait in ("processed", "visible"):
        return wait
    raise InvalidInputError(f"wait is False, True, 'processed' or 'visible'; got {wait!r}")


def check_waits(wait: Wait, wait_timeout: float) -> Goal | None:
    """What is waited for, if both arguments are as they should be."""
    validation.number("wait_timeout", wait_timeout, least=0.0, most=math.inf)
    return wait_goal(wait)


async def prepare(io: Io, state: IndexState) -> None:
    """Note when the index was created; to be awaited before a write that will be waited for."""
    with suppress(IndexNotFoundError):
        await get_details(io, state, refresh=True)


async def begin(
    io: Io,
    state: IndexState,
    kind: Kind,
    written: Mapping[str, Vector | None],
    *,
    read_first: bool = False,
) -> OwnWrite:
    """Note a mutation that is about to be sent; call `OwnWrites.accept` once it is accepted.

    ``read_first`` reads its probes before: one that reads otherwise now is proof later. Without it
    the first polls of a wait find that out, unless the service is faster than they are.
    """
    created_on = None if state.details is None else state.details.created_on
    write = state.own_writes.begin(kind, written, created_on)
    if read_first:
        with suppress(VectorizeError):
            await _read(state, [write], io.once)
    return write


async def wait_for(
    io: Io,
    state: IndexState,
    writes: Collection[OwnWrite],
    wait: Wait,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> None:
    """Wait until ``writes``, and so all before them, are processed or visible.

    Processed: the index names one of them or a later mutation of this client as its last, or
    reads see them. Where mutations of other clients hide that, a mutation that changes nothing is
    sent after ours. Visible: the probes read as written, and one of them did not before. If all
    read so before, or later writes of this client have changed some of them, a write counts as
    visible some time after it is processed: as long as that took, at most ten seconds. If other
    clients overwrite some of the probes: ten seconds after it is processed. If they write so much
    that processing stays hidden: after two minutes.

    Raises `WaitTimeoutError` after ``wait_timeout`` seconds, `IndexReplacedError` and
    `IndexNotFoundError` if the index is no longer the same.
    """
    goal = wait_goal(wait)
    if goal is not None and writes:
        await _Wait(io, state, latest(writes), goal, wait_timeout).run()


async def wait_for_own(
    io: Io,
    state: IndexState,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    *,
    purpose: str = "",
    to_delete: bool = False,
    confined: bool = False,
) -> None:
    """Wait until this client's own latest writes to the index are visible.

    As `wait_for`; and a write whose probes other clients have all overwritten, so that nothing
    shows whether reads see it, counts as visible some time after it is processed: as long as that
    took, at least ten seconds and at most thirty. At once if it is two minutes old.

    ``purpose`` is what a call waits for unasked, for the log. ``to_delete``: what is read will be
    deleted, so what this client has deleted already may be read once more. ``confined``: it waits
    for a tenant, whom its error is not to tell of others' records.
    """
    check_waits("visible", wait_timeout)
    own = state.own_writes
    if to_delete:
        # What a cancelled write still does in its thread is to be found too.
        await Polling(io, wait_timeout).until(state.in_flight.is_quiet)
    writes = latest(own.undeleted() if to_delete else own.pending())
    if writes:
        wait = _Wait(
            io,
            state,
            writes,
            "visible",
            wait_timeout,
            proof=False,
            purpose=purpose,
            confined=confined,
        )
        try:
            await wait.run()
            return
        except UnexpectedAnswerError:
            if not confined:
                raise
        # Only here, so that what tells of others' records is not even the context of this error.
        raise UnexpectedAnswerError(
            f"index {state.name!r}: an answer that shows whether reads see this client's own last "
            "writes does not have the form that the API documents"
        )


async def own_are_seen(io: Io, state: IndexState) -> bool:
    """Whether this client's own latest writes to the index are visible by now."""
    try:
        await wait_for_own(io, state, 0.0)
    except WaitTimeoutError:
        return False
    return True


class _Wait:
    """One wait, with the writes that it still waits for.

    Unless ``proof`` is asked for, a write counts as visible some time after it is processed, even
    if nothing shows that reads see it. Times are seconds of this wait.
    """

    def __init__(
        self,
        io: Io,
        state: IndexState,
        writes: Collection[OwnWrite],
        goal: Goal,
        timeout: float,
        *,
        proof: bool = True,
        purpose: str = "",
        confined: bool = False,
    ) -> None:
        self._io = io
        self._state = state
        self._pending = list(writes)
        self._goal = goal
        self._proof = proof
        self._purpose = purpose
        self._confined = confined
        self._told: set[int] = set()
        """The levels at which this wait was logged."""
        self._polling = Polling(io, timeout)
        self._lagging = False
        """Whether reads were found not to show what is processed."""
        self._looked_back = False
        """Whether earlier writes were looked at to find that out."""
        self._until = -math.inf
        """The moment by which what is processed was accepted: later writes are not."""
        self._processed: dict[OwnWrite, tuple[float, float]] = {}
        """When each write was first known to be processed: waited, and slept, by then."""
        self._index_check = _FIRST_BARRIER
        """When to look next whether the index is still the same."""
        self._barrier = max(_FIRST_BARRIER - min(map(_age, writes)), 0.0)
        """When to send the next barrier."""
        self._barrier_sent = -math.inf
        """When the last one was sent."""
        self._passed = max(write.accepted for write in writes)
        """A mutation of ours that was sent after this moment serves as the next barrier."""

    async def run(self) -> None:
        """Poll until all writes are seen, or time is up."""
        outcome: Literal["seen", "timeout", "error"] = "error"
        last, polling = self._pending[-1].mutation_id, self._polling
        try:
            if not await polling.until(self._poll):
                outcome = "timeout"
                await self._time_out()
            outcome = "seen"
        except IndexNotFoundError:
            self._state.forget()
            raise
        finally:
            name, seconds, polls = self._state.name, polling.waited, polling.polls
            self._io.emit(WaitEvent(name, self._goal, seconds, polls, last, outcome))

    async def _poll(self) -> bool:
        """Read probes and progress, drop the writes that are seen, send a barrier if it is due."""
        waited = self._polling.waited
        self._tell(waited)
        followers = [later for write in self._pending for later in self._followers(write)]
        await self._read([*self._pending, *followers])
        self._check_index()
        self._settle()
        if self._pending and await self._is_nothing_pending():
            return True
        if self._pending:
            await self._ask_progress()
        if self._processed and not self._looked_back:
            await self._look_back()
        if not self._pending:
            return True
        barrier = any(map(self._is_hidden, self._pending)) and (
            waited >= self._barrier or all(map(_is_ready, self._pending))
        )
        if waited >= self._index_check or (barrier and self._polling.polls > 1):
            self._index_check = waited + _INDEX_CHECK
            await self._ask_index()
        if barrier:
            self._barrier = max(waited, _FIRST_BARRIER / _NEXT_BARRIER) * _NEXT_BARRIER
            await self._send_barrier()
            await self._ask_progress()
        return not self._pending

    def _tell(self, waited: float) -> None:
        """Log that a call waits though it was not asked to; first quietly, then not."""
        for after, level in _TOLD_AFTER.items():
            if self._purpose and waited >= after and level not in self._told:
                self._told.add(level)
                logger.log(
                    level,
                    "index %r: %s waits until reads see this client's own last write (mutation "
                    "%s); %.1f s so far, at most %.0f s",
                    self._state.name,
                    self._purpose,
                    self._pending[-1].mutation_id,
                    waited,
                    waited + self._polling.left,
                )

    async def _read(self, writes: Collection[OwnWrite]) -> None:
        await _read(self._state, writes, self._ask)

    async def _ask(self, op: Op[T]) -> T:
        # Without retries: the next poll asks again.
        return await self._io.once(op, patience=self._polling.left)

    async def _is_nothing_pending(self) -> bool:
        """Whether it is said, as not over HTTP, that reads see all writes, of whichever client."""
        state = self._state
        if CountPending not in state.capabilities.operations:
            return False
        if await self._ask(CountPending(state.name)):
            return False
        await self._ask_index()  # Afterwards: of an index that has replaced ours it says nothing.
        for write in self._pending:
            state.own_writes.see(write)
        return True

    async def _ask_progress(self) -> None:
        info = await self._ask(GetInfo(self._state.name))
        self._until = self._state.own_writes.processed(info.processed_up_to_mutation)
        self._settle()

    async def _look_back(self) -> None:
        """Learn from earlier writes whether reads lag behind, as these may have no proof."""
        known = self._state.own_writes
        earlier = known.pending()[-_LOOK_BACK:]
        await self._read(earlier)
        self._looked_back = True
        self._lagging |= any(known.is_processed(write) and not write.matching for write in earlier)
        self._settle()

    def _is_hidden(self, write: OwnWrite) -> bool:
        """Whether a mutation of another client hides if a write is processed."""
        return write.sent < self._until and not self._state.own_writes.is_processed(write)

    def _settle(self) -> None:
        """Drop the writes that need no more waiting."""
        self._pending = [write for write in self._pending if not self._is_done(write)]

    def _is_done(self, write: OwnWrite) -> bool:
        """Whether a write need not be waited for any more."""
        known, waited = self._state.own_writes, self._polling.waited
        if known.is_visible(write):
            if write in self._processed:
                # Where it was longer, this process has stood still, or its event loop.
                lag = min(waited - self._processed[write][0], _LONGEST_LAG)
                known.lag = max(known.lag, lag)
            return True
        alone = self._is_followed(write)
        if alone:
            done = True
        elif known.is_processed(write):
            done = self._goal == "processed" or self._is_seen(write)
        else:
            done = (
                max(waited, _age(write)) >= _USUALLY
                and self._is_hidden(write)
                and (_is_ready(write) or not self._proof)
            )
        if done and self._goal == "visible":
            known.see(write, alone=alone)
        return done

    def _is_followed(self, write: OwnWrite) -> bool:
        """Whether later writes that are done prove this one; a delete only proves its own ids."""
        done = [later for later in self._followers(write) if self._is_done(later)]
        deleted = {vector_id for later in done for vector_id in later.ids}
        wrote = any(later.kind != "delete" for later in done)
        return wrote or (bool(done) and write.probes.keys() <= deleted)

    def _followers(self, write: OwnWrite) -> list[OwnWrite]:
        """Later writes of ours that prove this one, if they have overwritten all its probes."""
        later = self._state.own_writes.after(write) if write.overwritten else ()
        known = [write for write in later if not write.overwritten]
        return [later for later in known if not write.probes.keys().isdisjoint(later.ids)] or (
            known[-_LOOK_BACK:]
        )

    def _is_seen(self, write: OwnWrite) -> bool:
        """Whether reads see a write that is processed, as far as its probes tell."""
        waited, slept = self._polling.waited, self._polling.slept
        since, took = self._processed.setdefault(write, (waited, slept))
        self._lagging |= not write.matching
        if write.proven and not write.matching:
            return waited - since >= _LAG
        if write.proven or (write.matching and self._looked_back and not self._followers(write)):
            patience = _LAG if self._lagging and not write.proven else min(took, _LAG)
            return waited - since >= max(patience, self._state.own_writes.lag) or self._polling.over
        if write.matching or self._proof:
            return _age(write) >= _OLD
        # Reads lag, or other clients have overwritten all its probes.
        age = max(waited, _age(write))
        processing = since - max(self._barrier_sent, waited - age)
        return age >= _USUALLY or waited - since >= max(_LAG, min(processing, _LONGEST_LAG))

    async def _send_barrier(self) -> None:
        """Send a mutation that changes nothing: once it is processed, all before it are.

        Not needed if this client has sent another one since the last barrier.
        """
        known = self._state.own_writes
        if known.last_sent <= self._passed:
            barrier = known.begin("delete", {})
            unused_id = f"_vs-barrier-{uuid4().hex}"
            self._barrier_sent = max(self._barrier_sent, self._polling.waited)
            mutation = await self._ask(DeleteByIds(self._state.name, (unused_id,)))
            known.accept(barrier, mutation.mutation_id)
        self._passed = known.moment()

    async def _ask_index(self) -> None:
        state = self._state
        details = await self._ask(GetIndex(state.name))
        state.learn(details, self._io.now())
        for write in self._pending:
            if write.created_on is None:
                write.created_on = details.created_on
        self._check_index()

    def _check_index(self) -> None:
        for write in self._pending:
            self._state.check_same(write.created_on)

    async def _time_out(self) -> NoReturn:
        """Raise the error of a wait whose time is up."""
        failure = self._polling.failure
        try:
            await self._ask_index()
        except VectorizeError as error:
            if not is_temporary(error):
                raise
            failure = error
        state, write, waited = self._state, self._pending[0], self._polling.waited
        records = f" {', '.join(map(repr, write.probes)) or 'all overwritten'}"
        if self._confined:
            records = ""
        text = f"index {state.name!r}: mutation {write.mutation_id} was accepted"
        if waited - self._processed.get(write, (waited, 0.0))[0] >= _LAG:
            for over in filter(state.own_writes.is_processed, self._pending):
                # It is said once; later waits are not to end in the same error.
                state.own_writes.see(over, alone=True)
            raise WaitTimeoutError(
                f"{text} and processed, but not visible after {waited:.0f} s: its "
                f"records{records} do not read as written. Another client has probably written "
                "these ids since; then nothing shows whether reads see this write"
            ) from failure
        # What waits unasked need not take that argument itself.
        whose = "wait_timeout=" + " (the store's, where a call takes none)" * bool(self._purpose)
        raise WaitTimeoutError(
            f"{text}, but is not {self._goal} after {waited:.0f} s, as far as its "
            f"records{records} tell. It is not lost: wait longer with {whose}"
        ) from failure


def _age(write: OwnWrite) -> float:
    """Seconds since a write was accepted."""
    return time.monotonic() - write.since


def _is_ready(write: OwnWrite) -> bool:
    """Whether a write only lacks the proof that it is processed."""
    return write.matching or write.proven


async def _read(
    state: IndexState,
    writes: Collection[OwnWrite],
    ask: Callable[[GetByIds], Awaitable[tuple[Vector, ...]]],
) -> None:
    """Read the probes of ``writes``."""
    began = state.own_writes.moment()
    ids = tuple(dict.fromkeys(vector_id for write in writes for vector_id in tuple(write.probes)))
    stored: dict[str, Vector | None] = dict.fromkeys(ids)
    for start in range(0, len(ids), limits.MAX_IDS_PER_GET):
        some = ids[start : start + limits.MAX_IDS_PER_GET]
        stored.update((v.id, v) for v in await ask(GetByIds(state.name, some)))
    state.own_writes.read(stored, began, writes)
