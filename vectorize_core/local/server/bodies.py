"""Reading bodies: of a bounded size, within a bounded time, and bounded in memory all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from starlette.requests import ClientDisconnect, Request

from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault

MOST_BYTES: Final = 256 << 20
"""Of all bodies together that are being read, wait for their turn, or are being carried out."""
SMALL: Final = 1 << 16
"""Bytes of a body that do not count: connections are bounded, and each buffers as much anyway."""
GIANT: Final = 8 << 20
"""Larger bodies leave a part of the room to others."""
PART_OF_GIANTS: Final = 0.75
SILENCE: Final = 15.0
"""Seconds without a byte after which a body is given up."""
LEAST_PER_SECOND: Final = 256
"""Bytes that have to arrive in a second, on average, after `SILENCE`."""
PATIENCE: Final = 2.0
"""Seconds in which a body that others need room for has to get on."""
LEAST_IN_NEED: Final = 250_000
"""Bytes that it has to get on by in a second."""
_GLANCE: Final = 0.1


class _Body:
    """A body that is being read, or carried out."""

    def __init__(self, now: float, limit: asyncio.Timeout) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.room = 0
        """The bytes that it may have, once it has found room for them."""
        self.begun = now
        self.limit = limit
        self.waits_for: Literal["sender", "room", "turn"] = "sender"
        self.is_cut = False
        self._last = self._window = now
        self._in_window = 0
        self._is_slow = False

    def add(self, chunk: bytes, now: float) -> None:
        """Note what has arrived."""
        self.chunks.append(chunk)
        self.size += len(chunk)
        self._in_window += len(chunk)
        self._last = now
        spent = now - self._window
        if spent > PATIENCE:
            self._is_slow = self._in_window < LEAST_IN_NEED * spent
            self._window, self._in_window = now, 0

    def resume(self, now: float) -> None:
        """Wait for the sender again, who could send nothing meanwhile."""
        self.waits_for = "sender"
        self._last = self._window = now
        self._in_window = 0

    def is_too_slow(self, now: float) -> bool:
        """Whether it arrives at a speed that no client has."""
        spent = now - self.begun
        return spent > SILENCE and self.size < LEAST_PER_SECOND * spent

    def holds_up(self, now: float) -> bool:
        """Whether its sender lets those wait that need its room."""
        stalled = self._is_slow or now - self._last > PATIENCE
        return self.waits_for == "sender" and self.room > 0 and stalled

    def cut(self, now: float) -> None:
        """Give it up."""
        self.is_cut, self.waits_for = True, "turn"
        self.limit.reschedule(now)


class BodyReader:
    """Reads bodies of at most ``most`` bytes each, which must arrive within ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._room = max(MOST_BYTES, 2 * most)
        self._bodies: set[_Body] = set()
        self._lines = {is_giant: asyncio.Lock() for is_giant in (False, True)}

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, whose memory counts until the block ends."""
        declared = request.headers.get("content-length", "")
        # int() refuses very long strings of digits.
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self._most):
            raise self._too_large()
        body = _Body(asyncio.get_running_loop().time(), asyncio.timeout(self._seconds))
        self._bodies.add(body)
        try:
            yield await self._receive(request, body, int(declared) if declared.isdecimal() else 0)
        finally:
            self._bodies.discard(body)

    async def _receive(self, request: Request, body: _Body, declared: int) -> bytes:
        loop = asyncio.get_running_loop()
        end = body.begun + self._seconds
        try:
            async with body.limit:
                if declared > SMALL:
                    # Before anything is read, so that none waits for the other's room.
                    await self._find_room(body, declared)
                body.limit.reschedule(min(end, loop.time() + SILENCE))
                async for chunk in request.stream():
                    now = loop.time()
                    if body.size + len(chunk) > self._most:
                        raise self._too_large()
                    body.add(chunk, now)
                    if body.is_too_slow(now):
                        raise _too_slow()
                    if body.size > max(SMALL, body.room):
                        # Its length is not known.
                        body.limit.reschedule(end)
                        await self._find_room(body, self._most)
                    body.limit.reschedule(min(end, loop.time() + SILENCE))
        except TimeoutError:
            if body.is_cut or loop.time() < end:
                raise _too_slow() from None
            raise faults.refused(f"no body within {self._seconds:g} seconds", status=408) from None
        except ClientDisconnect:
            raise faults.refused("the body broke off") from None
        body.waits_for, body.room = "turn", body.size if body.size > SMALL else 0
        whole = body.chunks[0] if len(body.chunks) == 1 else b"".join(body.chunks)
        body.chunks.clear()
        return whole

    async def _find_room(self, body: _Body, size: int) -> None:
        """Wait for room, which bodies that get on too slowly have to leave to others."""
        loop = asyncio.get_running_loop()
        body.waits_for = "room"
        async with self._lines[size > GIANT]:
            while not self._fits(size):
                now = loop.time()
                slow = [other for other in self._bodies if other.holds_up(now)]
                if slow:
                    max(slow, key=lambda other: other.room).cut(now)
                await asyncio.sleep(_GLANCE)
            body.room = size
        body.resume(loop.time())

    def _fits(self, size: int) -> bool:
        rooms = [body.room for body in self._bodies]
        giants = sum(room for room in rooms if room > GIANT)
        if size > GIANT and giants and giants + size > PART_OF_GIANTS * self._room:
            return False
        return sum(rooms) + size <= self._room

    def _too_large(self) -> ServiceFault:
        return faults.refused(f"the body is larger than {self._most} bytes", status=413)


def _too_slow() -> ServiceFault:
    return faults.refused("the body arrives too slowly", status=408)
