"""Notices that a server was started again: what it has recovered has to be settled then.

A server that ends takes its connections with it. So an answer over a known connection comes from
the same process, and with each new one its start time is read. That is in whole seconds: it proves
nothing as long as a server may have been started twice in one.

What stands between keeps a connection over a restart, so the time is read once a second, too; and
with each call where nothing is told of connections.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from vectorize_core.lynse.operations.metrics import StartTime
from vectorize_core.lynse.requests import Requests

_SURE_AFTER: Final = 2.0
"""Seconds after a start time was first seen in which no later process can have the same."""
_LOOK_EVERY: Final = 1.0
"""Seconds after which a connection may lead to another process, through a proxy."""
_LOOKS: Final = 3
"""Looks at most, each of which may need a connection of its own."""


class Process(NamedTuple):
    """A process of a server; ``number`` counts those that were seen, or may have been."""

    number: int
    started: int
    first_seen: float
    is_sure: bool


class Restarts:
    """Which process answers, as far as this client can tell."""

    def __init__(self) -> None:
        self._streams: WeakSet[Any] = WeakSet()
        self._connections = 0
        self._checked = 0
        self._looked = 0.0
        self._is_told = True
        self._process = Process(0, -1, 0.0, is_sure=False)

    def note(self, extensions: Mapping[str, Any]) -> None:
        """Take notice of the connection that an answer came over."""
        stream = extensions.get("network_stream")
        self._is_told = stream is not None
        if stream is not None and stream not in self._streams:
            self._connections += 1
            self._streams.add(stream)

    @property
    def is_known(self) -> bool:
        """Whether all answers since the last look came from the process that it found."""
        return self._checked == self._connections

    async def process(self, io: Requests, *, tells: bool = True) -> Process:
        """The process that answers now; always the same of a server that ``tells`` nothing."""
        if not tells:
            return self._process
        is_due = not self._is_told or time.monotonic() - self._looked > _LOOK_EVERY
        for _ in range(_LOOKS):
            if self.is_known and self._process.number and not is_due:
                break
            before, was_known = self._connections, self.is_known
            self._found(await io.call(StartTime()), was_known)
            self._checked, self._looked, is_due = before, time.monotonic(), False
        return self._process

    def _found(self, started: int, was_known: bool) -> None:
        known, now = self._process, time.monotonic()
        if started != known.started:
            self._process = Process(known.number + 1, started, now, is_sure=False)
        elif not (known.is_sure or was_known):
            is_sure = now - known.first_seen >= _SURE_AFTER
            self._process = Process(known.number + 1, started, known.first_seen, is_sure)
