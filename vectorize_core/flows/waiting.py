"""Waiting until a write has taken effect, and not a moment less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from vectorize_core import limits
from vectorize_core.errors import InvalidInputError, WaitTimeoutError
from vectorize_core.flows.state import IndexState, OwnWrite, Span
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
    themselves also counts. Visible: they are seen, and the last processed mutation is not one
    from before the write; a record may have been there already as it is now written.
    """
    goal = wait_goal(wait)
    if goal is None or not writes:
        return
    waited, pause = 0.0, _FIRST_PAUSE
    while True:
        # Another thread may write what these writes would be recognised by.
        writes = state.still_unseen(writes)
        last = await observe(io, state)
        if goal == "processed" and all(_is_processed(write, last) for write in writes):
            return
        unseen = [write for write in writes if _is_pending(write, last)]
        if not unseen:
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


async def observe(io: Io, state: IndexState) -> Span | None:
    """When the last processed mutation was accepted; None if there is none.

    To be asked before a write that will be waited for: what is processed then does not prove it.
    """
    last = (await io.call(GetInfo(state.name))).processed_up_to_mutation
    state.observe(last)
    return None if last is None else state.spans.get(last)


def _is_processed(write: OwnWrite, last: Span | None) -> bool:
    return last is not None and (last is write.span or last.sent > write.span.accepted)


def _is_pending(write: OwnWrite, last: Span | None) -> bool:
    return last is None or last.accepted < write.span.sent


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
    return stored == write.expected
