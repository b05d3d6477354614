"""Waiting until a write has taken effect, and not a moment less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from vectorize_core import json, limits
from vectorize_core.errors import InvalidInputError, WaitTimeoutError
from vectorize_core.flows.state import IndexState, OwnWrite
from vectorize_core.io import Io
from vectorize_core.models import Vector
from vectorize_core.operations import GetByIds, GetInfo

Wait = bool | Literal["processed", "visible"]
DEFAULT_WAIT_TIMEOUT = 180.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class WaitOptions(TypedDict, total=False):
    """What a write waits for.

    ``wait=False``: until it is accepted; "processed": until the index has taken it up; "visible"
    or True: until reads return it. For at most ``wait_timeout`` seconds (180), then
    `WaitTimeoutError`.
    """

    wait: Wait
    wait_timeout: float


def wait_goal(wait: Wait) -> Literal["processed", "visible"] | None:
    """What a ``wait=`` argument asks for; ``True`` means visible."""
    if wait is False:
        return None
    if wait is True:
        return "visible"
    if wait in ("processed", "visible"):
        return wait
    raise InvalidInputError(f"wait is False, True, 'processed' or 'visible'; got {wait!r}")


async def wait_for(
    io: Io,
    state: IndexState,
    writes: Sequence[OwnWrite],
    wait: Wait,
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
) -> None:
    """Wait until ``writes``, oldest first, are processed or visible.

    Processed: the index names the last of them, or a later write of this client, as its last
    processed mutation. Another client's mutation may overtake ours between two looks, and
    batches sent side by side may be taken up in another order, so seeing the written records
    themselves also counts; that alone proves them visible.
    """
    goal = wait_goal(wait)
    if goal is None or not writes:
        return
    waited, pause = 0.0, _FIRST_PAUSE
    while True:
        if goal == "processed" and await _is_processed(io, state, writes):
            return
        unseen = await _unseen(io, state, writes)
        if not unseen:
            state.settle(writes)
            return
        if waited >= wait_timeout:
            raise WaitTimeoutError(
                f"index {state.name!r}: accepted, but not {goal} after {waited:.0f} s; record "
                f"{unseen[0].probe_id!r} (mutation {unseen[0].mutation_id}) is not what reads "
                "return. It is not lost: wait longer with wait_timeout="
            )
        pause = min(pause, max(wait_timeout - waited, 0.01))
        await io.sleep(pause)
        waited += pause
        pause = min(pause * 2, _LONGEST_PAUSE)


async def wait_for_own(
    io: Io, state: IndexState, wait_timeout: float = DEFAULT_WAIT_TIMEOUT
) -> None:
    """Wait until this client's own latest writes to the index are visible."""
    await wait_for(io, state, tuple(state.unseen), "visible", wait_timeout)


async def _is_processed(io: Io, state: IndexState, writes: Sequence[OwnWrite]) -> bool:
    last = (await io.call(GetInfo(state.name))).processed_up_to_mutation
    known = list(state.mutation_ids)
    if last not in known:
        return False
    ids = [write.mutation_id for write in writes]
    if last in ids:
        return len(ids) == 1
    return all(known.index(last) > known.index(i) for i in ids if i in known)


async def _unseen(io: Io, state: IndexState, writes: Sequence[OwnWrite]) -> list[OwnWrite]:
    newest = list({write.probe_id: write for write in writes}.values())
    unseen: list[OwnWrite] = []
    for start in range(0, len(newest), limits.MAX_IDS_PER_GET):
        some = newest[start : start + limits.MAX_IDS_PER_GET]
        found = await io.call(GetByIds(state.name, tuple(write.probe_id for write in some)))
        stored = {vector.id: vector for vector in found}
        unseen += [write for write in some if not _is_seen(write, stored.get(write.probe_id))]
    return unseen


def _is_seen(write: OwnWrite, stored: Vector | None) -> bool:
    if write.expected is None or stored is None:
        return write.expected is None and stored is None
    if not write.exact:
        return True
    # Through JSON, so that 1 and 1.0 or a tuple and a list are what they are to the service.
    sent = json.loads(json.dumps(write.expected.metadata or {}))
    return (
        stored.namespace == write.expected.namespace
        and (stored.metadata or {}) == sent
        and bool((stored.values == write.expected.values).all())
    )
