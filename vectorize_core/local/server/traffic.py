"""Which lane a request takes, and how it ends early: its client leaves, or the server closes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from vectorize_core.local.server.binding_paths import PROXY, whole_path
from vectorize_core.local.server.lanes import Lane
from vectorize_core.local.server.long_sql import MOST_LONG, LongStatements, Statement
from vectorize_core.transport.loopback import LOCAL_ACCOUNT

LARGE_BODY: Final = 1 << 20
"""Bytes of a body from which on parsing takes long enough to hold others up."""
SLOW: Final = 0.1
"""Seconds of a processor from which on a call is taken for a slow one the next time."""
_MOST_SLOW: Final = 1_000
_WRITES: Final = (
    *("/insert", "/upsert", "/delete_by_ids", "/deleteByIds", "/indexes"),
    *("/metadata_index/create", "/metadata_index/delete"),
)

Breathe = Callable[[], None]
Work = Callable[[Breathe, bytes], Response]


class Traffic:
    """The lanes of a server."""

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin, also again after `close`."""
        self._reads = Lane("read", slots=6, each=6)
        self._writes = Lane("write", slots=4, each=1)
        self._long = Lane("long", slots=2, each=1)
        self._sql = Lane("sql", slots=4, each=1, aside=MOST_LONG, line=100)
        self._long_sql = LongStatements()
        self._slow: dict[str, None] = {}
        self.closed = False

    async def carry_out(self, request: Request, body: bytes, work: Work) -> Response:
        """Carry out ``work`` in a thread of its lane."""
        path = whole_path(request.scope["path"], request.headers)
        account = request.path_params.get("account", LOCAL_ACCOUNT)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            if "database" in request.path_params:
                return await self._carry_out_sql(request, body, work, gone)

            def timed(_: Breathe) -> Response:
                begun = time.thread_time()
                try:
                    return work(_nothing, body)
                finally:
                    self._note(path, time.thread_time() - begun)

            return await self._lane(request.method, path, body).run(account, timed, gone)
        finally:
            gone.cancel()

    def close(self) -> None:
        """End statements, refuse what waits, and begin nothing more."""
        self.closed = True
        self._long_sql.close()
        for lane in (self._reads, self._writes, self._long, self._sql):
            lane.close()

    async def _carry_out_sql(
        self, request: Request, body: bytes, work: Work, gone: asyncio.Future[None]
    ) -> Response:
        # A database carries out one request at a time.
        client = request.path_params["account"], request.path_params["database"]

        def run(step_aside: Breathe) -> Response:
            statement = Statement(self._long_sql, client, step_aside)
            gone.add_done_callback(statement.leave)
            try:
                return work(statement, body)
            finally:
                statement.end()

        return await self._sql.run(client, run, gone)

    def _lane(self, method: str, path: str, body: bytes) -> Lane:
        if len(body) > LARGE_BODY or path in self._slow:
            return self._long
        may_write = method == "POST" or path.startswith(f"{PROXY}/")
        if method in ("PUT", "DELETE") or (may_write and path.endswith(_WRITES)):
            return self._writes
        return self._reads

    def _note(self, path: str, seconds: float) -> None:
        self._slow.pop(path, None)
        if seconds > SLOW:
            self._slow[path] = None
            if len(self._slow) > _MOST_SLOW:
                self._slow.pop(next(iter(self._slow)), None)


async def _disconnected(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _nothing() -> None:
    """What does not run SQL needs not breathe."""
