"""The server on a socket: in the foreground, or in a thread for the length of a test."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from vectorize_core.local.server.app import create_app
from vectorize_core.local.server.settings import Settings
from vectorize_core.transport.loopback import LOCAL_ACCOUNT, is_loopback

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8989
UVICORN_OPTIONS: Final[dict[str, Any]] = {
    "log_level": "warning",
    # Longer than clients keep a connection in their pools; they would send on one just closed.
    "timeout_keep_alive": 75,
}


def serve(
    settings: Settings,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    open_to_network: bool = False,
) -> None:
    """Serve until interrupted.

    Raises ValueError for an address that others can reach, unless there is a token or
    ``open_to_network`` says that none is wanted.
    """
    address = f"[{host}]" if ":" in host else host
    if settings.token is None and not open_to_network and not is_loopback(f"http://{address}"):
        raise ValueError(
            f"{host} can be reached by others: give a token, or say that none is wanted"
        )
    uvicorn.run(create_app(settings), host=host, port=port, **UVICORN_OPTIONS)


class BackgroundServer:
    """A server in a thread of this process, on a free port of the loopback address.

    ``with BackgroundServer() as server:`` then ``server.base_url``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else Settings()
        # Only where the protocol is named does asyncio turn off Nagle's algorithm, which would
        # hold up every answer by 40 milliseconds.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        app = create_app(self.settings)
        self._server = uvicorn.Server(
            uvicorn.Config(app, timeout_graceful_shutdown=1, **UVICORN_OPTIONS)
        )
        self._thread = threading.Thread(
            target=self._server.run,
            args=([self._socket],),
            name="local-vectorize-server",
            daemon=True,
        )

    @property
    def base_url(self) -> str:
        """What a client takes as ``base_url`` or CLOUDFLARE_BASE_URL."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}/client/v4"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point our clients, Cloudflare's SDKs and wrangler at this server."""
        return environment(self.base_url, self.settings.token)

    def start(self) -> Self:
        """Listen; returns when requests are answered."""
        self._socket.bind((DEFAULT_HOST, 0))
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the server did not start; see its log")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop listening and close what was open; safe to call again."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
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
    """The variables that point other clients at a server."""
    return {
        "CLOUDFLARE_BASE_URL": base_url,
        "CLOUDFLARE_API_BASE_URL": base_url,
        "CLOUDFLARE_ACCOUNT_ID": LOCAL_ACCOUNT,
        "CLOUDFLARE_API_TOKEN": token if token is not None else "any",
    }
