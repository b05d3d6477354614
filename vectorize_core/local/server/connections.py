"""Connections: what a client may do with one, and for how long.

A head has to arrive in a bounded time, an answer has to be read, and connections are bounded: the
ones that do nothing make room for new ones. uvicorn knows only how long one may idle.

Always with h11, which lets us see each head as it was sent. With httptools a small request took
0.59 milliseconds of a processor, with this 0.61.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from vectorize_core.local import open_files
from vectorize_core.local.server.heads import StrictConnection

HEAD_SECONDS: Final = 10.0
"""For a head to arrive, from its first byte on, or from the beginning of a connection."""
MOST: Final = 1_000
"""Connections, where the process may have enough files open."""
_PART_OF_FILES: Final = 0.4
_PART_AT_ONCE: Final = 0.02
_MOST_AT_ONCE: Final = 128
FRESH_SECONDS: Final = 0.2
UNREAD_SECONDS: Final = 15.0
"""In which a client has to read `LEAST_READ` bytes of an answer."""
LEAST_READ: Final = 64_000
MOST_UNREAD: Final = 128 << 20
"""Bytes of answers that clients have not read, of all connections together."""


class _Flow(FlowControl):
    """Reads no more from a client that sends requests ahead, until it is their turn.

    uvicorn reads on whenever an application asks for a part of a body, or whether a client is
    still there.
    """

    def __init__(self, transport: asyncio.Transport, conn: StrictConnection) -> None:
        super().__init__(transport)
        self._conn = conn

    def resume_reading(self) -> None:
        """Read on, unless the next request is here already."""
        if not (self._conn.their_state is h11.DONE and self._conn.trailing_data[0]):
            super().resume_reading()


class Connection(H11Protocol):
    """One connection."""

    head_seconds = HEAD_SECONDS
    most = MOST

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = StrictConnection()
        self.begun = time.monotonic()
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unread = 0

    # What comes in

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for it, or refuse it; then wait for a head."""
        super().connection_made(transport)
        self.flow = _Flow(transport, cast("StrictConnection", self.conn))
        if not self._find_room():
            transport.abort()
            return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Go on with the next request, a part of which may have arrived."""
        self.begun = time.monotonic()
        super().on_response_complete()
        if not self.transport.is_closing():
            # The next request may have begun meanwhile.
            self.flow.resume_reading()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._cancel_timers()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            # Nothing that the application says could follow.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: the client goes on without, and uvicorn's advice would not help."""

    @property
    def waits_for(self) -> str:
        """What keeps it: a "head", a "body", the next request ("idle"), or an "answer"."""
        if self.cycle is None or self._head_timer is not None:
            return "head"
        if self.cycle.response_complete:
            return "idle"
        return "body" if self.cycle.more_body else "answer"

    def _watch_head(self) -> None:
        conn = cast("StrictConnection", self.conn)
        waits = conn.their_state is h11.IDLE and (self.cycle is None or conn.has_part)
        if conn.their_state is h11.SEND_BODY:
            # The rest of a body that was refused already.
            waits = self.cycle is not None and self.cycle.response_complete
        if waits and not self.transport.is_closing():
            if self._head_timer is None:
                self.begun = time.monotonic()
                self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
            self.begun = time.monotonic()

    def _head_is_late(self) -> None:
        if cast("StrictConnection", self.conn).has_part:
            self.send_400_response("The head of the request did not arrive in time.")
        else:
            self.transport.close()

    def _find_room(self) -> bool:
        """Close one that does nothing, if there are too many; False if all do something."""
        open_ = [each for each in self.connections if not each.transport.is_closing()]
        if len(open_) <= open_files.share(_PART_OF_FILES, self.most):
            return True
        now = time.monotonic()
        victims = [
            (rank, other.begun, other)
            for other in cast("list[Connection]", open_)
            if other is not self and (rank := other.rank(now)) is not None
        ]
        if not victims:
            return False
        min(victims, key=lambda each: each[:2])[2].transport.abort()
        return True

    def rank(self, now: float) -> int | None:
        """How soon it makes room for another one; None if it is busy.

        A head comes with its connection, or it is a slow one.
        """
        waits_for = self.waits_for
        if waits_for == "head" and now - self.begun < FRESH_SECONDS:
            return 3
        return {"head": 0, "idle": 1, "body": 2}.get(waits_for)

    # What goes out

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer is written: watch it."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(UNREAD_SECONDS, self._look_whether_it_reads)
        self._bound_unread()

    def resume_writing(self) -> None:
        """The client has read most of it."""
        self._cancel_write_timer()
        super().resume_writing()

    def _look_whether_it_reads(self) -> None:
        left = self.transport.get_write_buffer_size()
        if self._unread - left < LEAST_READ:
            self.transport.abort()
            return
        self._unread = left
        self._write_timer = self.loop.call_later(UNREAD_SECONDS, self._look_whether_it_reads)

    def _bound_unread(self) -> None:
        unread = {
            other: other.transport.get_write_buffer_size()
            for other in cast("set[Connection]", self.connections)
        }
        total = sum(unread.values())
        for other in sorted(unread, key=lambda each: each.begun):
            if total <= MOST_UNREAD:
                return
            if other is not self and unread[other]:
                other.transport.abort()
                total -= unread[other]

    # The end

    def shutdown(self) -> None:
        """Close it, or let an answer that is being made be the last one."""
        if self.cycle is not None and self.waits_for == "body":
            # Nobody waits for what its sender may never send.
            self.transport.abort()
        else:
            super().shutdown()

    def _cancel_timers(self) -> None:
        self._cancel_write_timer()
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def bounded(head_seconds: float, most: int) -> type[Connection]:
    """The class of connections with these bounds, for uvicorn to make them."""
    bounds = {"head_seconds": head_seconds, "most": most}
    return type("Connection", (Connection,), bounds)


def at_once() -> int:
    """How many connections asyncio may accept in one turn of its loop.

    It makes a protocol of them some turns later. Until then they are open files that nobody
    counts, and asyncio logs each one that it cannot accept.
    """
    return open_files.share(_PART_AT_ONCE, _MOST_AT_ONCE)
