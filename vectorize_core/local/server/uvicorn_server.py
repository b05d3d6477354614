"""Running the server with uvicorn: in the foreground, or in a thread while a test runs."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from types import FrameType, TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.types import ASGIApp

from vectorize_core.errors import VectorizeError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.local import open_files
from vectorize_core.local.server import connections
from vectorize_core.local.server.app import create_app
from vectorize_core.local.server.logs import escape_logs
from vectorize_core.local.server.settings import Settings
from vectorize_core.transport.loopback import LOCAL_ACCOUNT, is_any_address, is_loopback

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8989
END_SECONDS: Final = 4.5
"""In which a server ends, whatever is going on."""
UVICORN_OPTIONS: Final[dict[str, Any]] = {
    "log_level": "warning",
    # A connection must not leave our bounds, nor a client choose who it is.
    "ws": "none",
    "proxy_headers": False,
    # Longer than clients keep idle connections, or they would send on one that was just closed.
    "timeout_keep_alive": 75,
}
_TOKEN: Final = "CLOUDFLARE_API_TOKEN"  # noqa: S105 (a name, not a token)
_BACKLOG = 2_048


def serve(
    settings: Settings,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    open_to_network: bool = False,
) -> None:
    """Serve until interrupted.

    Raises ValueError for an address that other machines can reach if there is no token, unless
    ``open_to_network`` allows that; OSError if the address cannot be listened on.
    """
    if settings.token is None and not open_to_network and is_open_to_network(host):
        raise ValueError(
            f"other machines can reach {host}: give a token, or open_to_network=True to do without"
        )
    app = create_app(replace(settings, hosts=[host, *settings.hosts]))
    with listen(host, port) as listener:
        end = run(app, listener, settings)
        if end is not None:
            # The caller's program may go on.
            end.cancel()


def is_open_to_network(host: str) -> bool:
    """Whether other machines can reach a server that listens on ``host``."""
    return is_any_address(host) or not is_loopback(base_url(host, DEFAULT_PORT))


def base_url(host: str, port: int) -> str:
    """The base URL of the API, for clients on this machine."""
    if is_any_address(host):
        host = DEFAULT_HOST
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/client/v4"


def listen(host: str, port: int) -> socket.socket:
    """A socket that queues connections from now on. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":
            # So that a port can be used again at once. Windows would share one that is in use.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Server(uvicorn.Server):
    """uvicorn's server, which ends in time: what takes longer is interrupted, then left behind."""

    def __init__(self, app: ASGIApp, settings: Settings, seconds: int) -> None:
        escape_logs()
        super().__init__(
            uvicorn.Config(
                app,
                http=connections.bounded(settings.head_timeout, settings.max_connections),
                backlog=connections.at_once(),
                **UVICORN_OPTIONS,
            )
        )
        self._app = app
        self._seconds = seconds
        self._ticking: asyncio.Task[None] | None = None
        self.end: threading.Timer | None = None
        """What ends the process if it has not ended by then."""

    def stop(self) -> None:
        """Begin to end, from another thread."""
        self.should_exit = True
        if self._ticking is not None:
            # A loop that is closed has ended already.
            with suppress(RuntimeError):
                self._ticking.get_loop().call_soon_threadsafe(self._ticking.cancel)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, at Ctrl-C or SIGTERM; end at once when it comes again."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True
        # Not even a thread that never ends holds it up. What is committed stays.
        self.end = threading.Timer(END_SECONDS, os._exit, (128 + sig,))
        self.end.daemon = True
        # Where no thread can begin, only the graceful end is left.
        with suppress(RuntimeError):
            self.end.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        for listener in sockets or ():
            # asyncio takes how many it accepts at once for how many may queue.
            listener.listen(_BACKLOG)

    async def main_loop(self) -> None:
        """Serve until it is to end: uvicorn looks for that now and then, `stop` ends it at once."""
        self._ticking = asyncio.create_task(super().main_loop())
        if not self.should_exit:
            await asyncio.wait([self._ticking])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End long work, let short work end, and close all connections.

        As uvicorn's does, without its tenths of a second, which tests would wait for.
        """
        stop = getattr(self._app, "stop", None)
        if stop is not None:
            stop()
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        deadline = time.monotonic() + self._seconds
        # uvicorn has no event for that.
        while (state.connections or state.tasks) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        for task in state.tasks:
            task.cancel()
        await self.lifespan.shutdown()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def run(app: ASGIApp, listener: socket.socket, settings: Settings) -> threading.Timer | None:
    """Serve on ``listener`` until Ctrl-C or SIGTERM, in a process that is to end then.

    Returns what ends it if it does not by itself. Raises VectorizeError if the server does not
    start.
    """
    open_files.allow_more()
    server = Server(app, settings, seconds=2)
    server.run(sockets=[listener])
    if not server.started:
        raise VectorizeError("the server did not start; see its log")
    return server.end


@checks_keywords({one.name: "Settings()" for one in fields(Settings)})
class BackgroundServer:
    """A server in a thread of this process, on a free port of the loopback address.

    ``with BackgroundServer() as server:`` then ``server.base_url``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else Settings()
        app = create_app(self.settings)
        # Asyncio turns off Nagle's algorithm, which delays every answer by 40 milliseconds, only
        # for sockets whose protocol is named.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._address = (DEFAULT_HOST, 0)
        self._server = Server(app, self.settings, seconds=1)
        self._thread = threading.Thread(
            target=self._server.run,
            args=([self._socket],),
            name="local-vectorize-server",
            daemon=True,
        )

    @property
    def base_url(self) -> str:
        """The value for ``base_url`` of a client, or for CLOUDFLARE_BASE_URL."""
        return base_url(*self._address)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point our clients, Cloudflare's SDKs and wrangler at this server."""
        return environment(self.base_url, self.settings.token)

    def start(self) -> Self:
        """Start; returns when requests are answered.

        RuntimeError if that takes 10 seconds, or if it was started or stopped before;
        `VectorizeError` if the system gives it no thread.
        """
        if self._thread.ident is not None or self._server.should_exit:
            raise RuntimeError("a BackgroundServer can be started once: make another one")
        self._socket.bind(self._address)
        self._address = self._socket.getsockname()
        try:
            self._thread.start()
        except RuntimeError as error:
            self._socket.close()
            raise VectorizeError(
                f"the server needs a thread of its own, and the system starts none ({error}): let "
                "this process have more, or end some"
            ) from error
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the server did not start; see its log")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop listening and close what was open, in five seconds; safe to call again.

        What is being carried out is interrupted if it is SQL, and otherwise ends in its thread.
        """
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def environment(base_url: str, token: str | None) -> dict[str, str]:
    """The variables that point other clients at a server. They show no token when printed."""
    return _Variables(
        {
            "CLOUDFLARE_BASE_URL": base_url,
            "CLOUDFLARE_API_BASE_URL": base_url,
            "CLOUDFLARE_ACCOUNT_ID": LOCAL_ACCOUNT,
            _TOKEN: token if token is not None else "any",
        }
    )


class _Variables(dict[str, str]):
    def __repr__(self) -> str:
        return repr({**self, **({_TOKEN: "***"} if _TOKEN in self else {})})

    def __rich_repr__(self) -> Iterator[str]:
        yield repr(self)
