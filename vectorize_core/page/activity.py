"""What happens: the last requests, and a stream of those that follow, as server-sent events.

Used on one event loop. A listener that reads too slowly loses the oldest events that it has not
read, and is told how many.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from vectorize_core.connection import EMBEDDED
from vectorize_core.page.answers import PageError, cut, plain
from vectorize_core.transport.events import Event, RequestEvent, RetryEvent

KEPT: Final = 500
MOST_LISTENERS: Final = 16
MOST_WAITING: Final = 500
"""Events of one listener."""
_BEAT: Final = 15.0
"""Seconds of silence after which something is sent, so that who has left is noticed."""
_TEXT: Final = 400
_NO_REQUESTS: Final = {op.__name__ for op in EMBEDDED}
"""Reads of an embedded Vectorize that are no calls of the API: a map takes hundreds of them."""


@dataclass(eq=False, slots=True)
class _Listener:
    """What one browser has still to be told."""

    events: deque[dict[str, Any]]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lost: int = 0


class Activity:
    """The last requests, each with a number of its own, and who listens."""

    def __init__(self) -> None:
        self._last: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: set[_Listener] = set()
        self._number = 0
        self._closed = False

    def note(self, **told: Any) -> None:
        """Note a request, which ends now, and tell all who listen."""
        self._number += 1
        error, hint = (told.get(name) for name in ("error", "hint"))
        event = {
            "n": self._number,
            "at": round(time.time(), 3),
            **{name: plain(value) for name, value in told.items()},
            "error": None if error is None else plain(cut(error, _TEXT)),
            "hint": None if hint is None else plain(cut(hint, _TEXT)),
        }
        self._last.append(event)
        for listener in self._listeners:
            if len(listener.events) == MOST_WAITING:
                listener.lost += 1
            listener.events.append(event)
            listener.news.set()

    def note_event(self, event: Event) -> None:
        """Note a request that the page itself has sent, or that it tries again."""
        if isinstance(event, RequestEvent) and event.operation not in _NO_REQUESTS:
            self.note(
                operation=event.operation,
                index=event.index,
                status=event.status,
                seconds=event.seconds,
                client="this page",
                error=event.error,
            )
        elif isinstance(event, RetryEvent):
            again = f"tried again in {event.delay:.1f} seconds"
            self.note(
                operation=event.operation,
                index=event.index,
                status=event.status,
                seconds=None,
                client="this page",
                error=event.error,
                hint=again,
            )

    def listen(self, after: int) -> Stream:
        """A stream of the requests after that number, those that are kept first."""
        if self._closed or len(self._listeners) >= MOST_LISTENERS:
            said = f"{MOST_LISTENERS} listen already; close another page"
            raise PageError(503, "Busy", said)
        # After a restart numbers begin anew.
        after = after if after <= self._number else 0
        waiting = [event for event in self._last if event["n"] > after]
        return Stream(self, _Listener(deque(waiting, maxlen=MOST_WAITING)))

    def close(self) -> None:
        """End all streams, and begin none any more."""
        self._closed = True
        for listener in self._listeners:
            listener.news.set()

    def join(self, listener: _Listener) -> None:
        """Tell a listener from now on."""
        self._listeners.add(listener)
        listener.news.set()

    def leave(self, listener: _Listener) -> None:
        """Tell it no more."""
        self._listeners.discard(listener)

    @property
    def closed(self) -> bool:
        """Whether the server ends."""
        return self._closed


class Stream:
    """An answer that goes on until the browser leaves, or the server ends."""

    def __init__(self, activity: Activity, listener: _Listener) -> None:
        self._activity = activity
        self._listener = listener
        activity.join(listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what happens."""
        gone = asyncio.ensure_future(_left(receive))
        try:
            kind = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": kind})
            # So that whoever waits for the first bytes knows that this is the stream.
            await _send(send, b": requests\n\n")
            while not gone.done() and not self._activity.closed:
                await self._wait(gone)
                if not gone.done():
                    await _send(send, self._take() or b": nothing\n\n")
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._activity.leave(self._listener)
            gone.cancel()

    async def _wait(self, gone: asyncio.Future[None]) -> None:
        """Until there is something to send, or has not been for long."""
        news = asyncio.ensure_future(self._listener.news.wait())
        try:
            await asyncio.wait((news, gone), timeout=_BEAT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        self._listener.news.clear()

    def _take(self) -> bytes:
        """What is waiting, as the text of a stream. JSON has no line breaks of its own."""
        listener, parts = self._listener, list[bytes]()
        if listener.lost:
            parts.append(b'event: lost\ndata: {"lost":%d}\n\n' % listener.lost)
            listener.lost = 0
        while listener.events:
            event = listener.events.popleft()
            parts.append(
                b"id: %d\nevent: request\ndata: %b\n\n" % (event["n"], orjson.dumps(event))
            )
        return b"".join(parts)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    """Return when the browser has left."""
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass
