"""Something that the calls of a connection do one after the other, in threads and tasks."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vectorize_core.holds import Holder, Waker
from vectorize_core.transport.io import Io, SyncIo

_LOOKS_AGAIN = 1.0
"""Seconds until whoever waits looks again by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class _Holder:
    """The one: a call of this process and thread; ``awaited`` if it is a task there.

    It wakes those who are ``waiting`` when it leaves.
    """

    process: int
    thread: int
    call: Holder
    awaited: bool
    waiting: list[Waker] = field(default_factory=list)


class OneAtATime:
    """What one call at a time does; the others wait, whether they are sync or async.

    Or one at a time for each of some names, such as the records whose texts are changed.
    After one that fails or is cancelled the next one goes ahead. A child process does not wait for
    what its parent did when it was forked, nor does a sync call for a task of its own event loop,
    which cannot go on before the call returns: these go ahead beside it.
    """

    def __init__(self) -> None:
        # By process. A dict, whose setdefault is one step, and no lock that a fork could find held.
        self._holders: dict[tuple[int, str], _Holder] = {}

    @asynccontextmanager
    async def alone(
        self, io: Io, patience: float, names: Collection[str] = ("",)
    ) -> AsyncGenerator[None, None]:
        """Be the one; after ``patience`` seconds of waiting go ahead beside the others."""
        mine = _Holder(os.getpid(), threading.get_ident(), io.caller(), not isinstance(io, SyncIo))
        until = io.now() + patience
        try:
            # All take them in the same order, so that no two wait for each other.
            for name in sorted(names):
                await self._take(io, mine, name, until)
            yield
        finally:
            for name in names:
                self._leave(mine, name)

    async def _take(self, io: Io, mine: _Holder, name: str, until: float) -> None:
        waker = io.waker()
        while (holder := self._holders.setdefault((mine.process, name), mine)) is not mine:
            if holder.call.has_ended():
                # Ctrl-C came when it was about to leave.
                self._leave(holder, name)
                continue
            stuck = not mine.awaited and holder.thread == mine.thread
            left = until - io.now()
            if stuck or left <= 0:
                break
            if waker not in holder.waiting:
                holder.waiting.append(waker)
            # Only then, for one that has left wakes nobody.
            if self._holders.get((mine.process, name)) is holder:
                await io.rest(waker, min(left, _LOOKS_AGAIN))

    def _leave(self, holder: _Holder, name: str) -> None:
        if self._holders.get((holder.process, name)) is holder:
            self._holders.pop((holder.process, name), None)
            for waker in list(holder.waiting):
                waker.wake()
