"""Something that the calls of a connection do one after the other, in threads and tasks."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vectorize_core.holds import Holder
from vectorize_core.transport.io import Io, SyncIo

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Holder:
    """The one: a call of this process and thread; ``awaited`` if it is a task there."""

    process: int
    thread: int
    call: Holder
    awaited: bool


class OneAtATime:
    """What one call at a time does; the others wait, whether they are sync or async.

    After one that fails or is cancelled the next one goes ahead. A child process does not wait for
    what its parent did when it was forked, nor does a sync call for a task of its own event loop,
    which cannot go on before the call returns: these go ahead beside it.
    """

    def __init__(self) -> None:
        # By process. A dict, whose setdefault is one step, and no lock that a fork could find held.
        self._holders: dict[int, _Holder] = {}

    @asynccontextmanager
    async def alone(self, io: Io, patience: float) -> AsyncGenerator[None, None]:
        """Be the one; after ``patience`` seconds of waiting go ahead beside the other."""
        mine = _Holder(os.getpid(), threading.get_ident(), io.caller(), not isinstance(io, SyncIo))
        pause, waited = _FIRST_PAUSE, 0.0
        while (holder := self._holders.setdefault(mine.process, mine)) is not mine:
            if holder.call.has_ended():
                # Ctrl-C came when it was about to leave.
                self._leave(holder)
                continue
            stuck = not mine.awaited and holder.thread == mine.thread
            if stuck or waited >= patience:
                break
            await io.sleep(pause)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        try:
            yield
        finally:
            self._leave(mine)

    def _leave(self, holder: _Holder) -> None:
        if self._holders.get(holder.process) is holder:
            self._holders.pop(holder.process, None)
