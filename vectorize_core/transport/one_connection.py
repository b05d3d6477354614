"""`OneConnection` and `AsyncOneConnection`: a connection of httpcore, in place of a pool for it.

With a single connection, a pool of httpcore still looks through its queues and connections, under
locks, when a request begins and when it ends: a tenth of the time of a search.
"""

from __future__ import annotations

from contextlib import suppress

import httpcore


class OneConnection:
    """For threads: one request at a time, over what ``pool`` makes, also to a proxy."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool
        self._made: httpcore.ConnectionInterface | None = None

    @property
    def connections(self) -> list[httpcore.ConnectionInterface]:
        """The connection, once there is one."""
        return [] if self._made is None else [self._made]

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, over a new connection if the last one has ended."""
        made, origin = self._made, request.url.origin
        if made is not None and _is_usable(made, origin):
            with suppress(httpcore.ConnectionNotAvailable):
                return made.handle_request(request)
        self.close()
        self._made = self._pool.create_connection(origin)
        return self._made.handle_request(request)

    def close(self) -> None:
        """Close the connection."""
        made, self._made = self._made, None
        if made is not None:
            made.close()


class AsyncOneConnection:
    """As `OneConnection`, for an event loop."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool
        self._made: httpcore.AsyncConnectionInterface | None = None

    @property
    def connections(self) -> list[httpcore.AsyncConnectionInterface]:
        """The connection, once there is one."""
        return [] if self._made is None else [self._made]

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, over a new connection if the last one has ended."""
        made, origin = self._made, request.url.origin
        if made is not None and _is_usable(made, origin):
            with suppress(httpcore.ConnectionNotAvailable):
                return await made.handle_async_request(request)
        await self.aclose()
        self._made = self._pool.create_connection(origin)
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connection."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()


def _is_usable(
    made: httpcore.ConnectionInterface | httpcore.AsyncConnectionInterface, origin: httpcore.Origin
) -> bool:
    """Whether it is open and free, as far as is known, and leads to ``origin``."""
    return made.can_handle_request(origin) and made.is_available() and not made.has_expired()
