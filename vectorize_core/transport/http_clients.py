"""httpx clients: one for each process, and for async calls one for each event loop."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import httpx

from vectorize_core import forks
from vectorize_core.errors import ConfigurationError, VectorizeError
from vectorize_core.holds import Call, Calls
from vectorize_core.threads import in_thread
from vectorize_core.transport.direct_client import AsyncDirectClient, DirectClient
from vectorize_core.transport.executor import Use
from vectorize_core.transport.http_pool import AsyncPool, Pool
from vectorize_core.transport.network import Proxy, check_injected, find_proxy, tls_context
from vectorize_core.transport.workers import is_shutting_down, shielded

SyncClient: TypeAlias = httpx.Client | Pool
AsyncClient: TypeAlias = httpx.AsyncClient | AsyncPool
MOST_LOOPS: Final = 16
"""Event loops whose clients are kept. What is not in use in others is closed."""


class HttpClients:
    """The clients of an executor, made on first use. Injected ones are never closed.

    The client of an event loop is closed when its loop ends as by ``asyncio.run``, which closes
    async generators. Those of loops that were closed otherwise are let go of when another loop
    needs one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        for injected in (http_client, async_http_client):
            check_injected(base_url, injected)
        self._base_url = base_url
        self._http_client = http_client
        self._async_http_client = async_http_client
        # A transport for both variants, such as httpx.MockTransport, need be given only once.
        if async_transport is None and isinstance(transport, httpx.AsyncBaseTransport):
            async_transport = transport
        elif transport is None and isinstance(async_transport, httpx.BaseTransport):
            transport = async_transport
        self._transport = transport
        self._async_transport = async_transport
        self.proxy: Proxy | None = None
        self._tls: ssl.SSLContext | None = None
        self._use = Use()
        # By process: connections shared with a parent would mix up answers. Without a lock, which
        # a fork could leave locked: setdefault decides between two threads.
        self._clients: dict[int, _SyncClient] = {}
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], LoopClient] = {}

    @property
    def injected(self) -> bool:
        """Whether a client was injected, with settings of its own."""
        return self._http_client is not None or self._async_http_client is not None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._use.is_closed

    @property
    def is_own_async(self) -> bool:
        """Whether async calls go over connections of our own making."""
        return self._async_http_client is None and self._async_transport is None

    def check(self) -> None:
        """Raise an error where they may not be used any more."""
        self._use.check()

    @contextmanager
    def client(self) -> Iterator[SyncClient]:
        """The client of sync calls, while one call uses it."""
        self.check()
        if self._http_client is not None:
            _check_open("http_client", self._http_client)
            yield self._http_client
            return
        if self._async_http_client is not None:
            raise _needs_both("async_http_client", "sync calls need http_client=")
        if self._async_transport is not None and self._transport is None:
            raise _needs_both("async_transport", "sync calls need transport=")
        pid, call = os.getpid(), Call()
        while True:
            known = self._clients.get(pid)
            if known is None:
                known = self._clients.setdefault(pid, _SyncClient(self._new_client()))
            if known.enter(call):
                break
            # `aclose` of an event loop is closing it, since nobody used it.
            if self._clients.get(pid) is known:
                self._clients.pop(pid, None)
        try:
            yield known.client
        finally:
            known.users.end(call)

    async def loop_client(self) -> LoopClient:
        """The client of the running event loop; whoever uses it counts among its ``users``."""
        self.check()
        if self._http_client is not None and self._async_http_client is None:
            raise _needs_both("http_client", "async calls need async_http_client=")
        if self._transport is not None and self._async_transport is None:
            raise _needs_both("transport", "async calls need async_transport=")
        if self._async_http_client is not None:
            _check_open("async_http_client", self._async_http_client)
            return LoopClient(self._async_http_client)
        key = os.getpid(), asyncio.get_running_loop()
        known = self._loops.get(key)
        if known is None:
            self._let_go()
            known = self._loops[key] = LoopClient()
        known.used_at = time.monotonic()
        if known.client is None:
            try:
                await known.opened_by(self._open)
            except BaseException:
                if known.client is None and self._loops.get(key) is known and not known.opening:
                    del self._loops[key]
                raise
            if self._loops.get(key) is not known:
                # It was let go of before this task got its turn.
                return await self.loop_client()
        return known

    async def _open(self, known: LoopClient) -> None:
        loop = asyncio.get_running_loop()
        client: AsyncClient
        if self._async_transport is not None:
            client = AsyncDirectClient(self._async_transport)
        else:
            client = await in_thread(self._new_async_client)
        known.client = client
        known.closing = self._closing(loop, client)
        await anext(known.closing)

    async def _closing(
        self, loop: asyncio.AbstractEventLoop, client: AsyncClient
    ) -> AsyncGenerator[None, None]:
        """Close the client when this is closed: by `aclose`, or by the loop when it ends."""
        try:
            yield
        finally:
            known = self._loops.get((os.getpid(), loop))
            if known is not None and known.client is client:
                del self._loops[os.getpid(), loop]
            await client.aclose()

    def _new_client(self) -> SyncClient:
        if self._transport is not None:
            return DirectClient(self._transport)
        return Pool(**self._network())

    def _new_async_client(self) -> AsyncPool:
        """In a thread, since it reads files: certificates, and modules httpx loads on first use."""
        # It comes with httpx; only async calls need it here.
        import anyio.streams.tls  # noqa: PLC0415

        if not is_shutting_down():
            anyio.run(anyio.sleep, 0)
        return AsyncPool(**self._network())

    def _network(self) -> dict[str, Any]:
        """The options of httpx's transports for the way to the server."""
        self.proxy = find_proxy(self._base_url)
        if self._tls is None and self._base_url.startswith("https:"):
            self._tls = tls_context()
        proxy = None if self.proxy is None else self.proxy.for_httpx()
        # Without TLS there is nothing to verify, and no certificate to load.
        return {"verify": self._tls if self._tls is not None else False, "proxy": proxy}

    def _let_go(self) -> None:
        """Close clients of closed loops; of many loops, also those used least recently."""
        mine = [
            (loop, known) for (pid, loop), known in [*self._loops.items()] if pid == os.getpid()
        ]
        mine.sort(key=lambda pair: pair[1].used_at)
        surplus = len(mine) + 1 - MOST_LOOPS
        for loop, known in mine:
            if loop.is_closed():
                self._drop(loop)
            elif surplus <= 0 or known.users:
                continue
            elif loop.is_running():
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._drop_unused, loop)
            else:
                self._drop(loop)
            surplus -= 1

    def _drop_unused(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread of ``loop``, so that no request can begin meanwhile."""
        known = self._loops.get((os.getpid(), loop))
        if known is not None and not known.users and known.client is not None:
            self._drop(loop)

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        known = self._loops.pop((os.getpid(), loop), None)
        if known is not None:
            known.drop(loop)

    def close(self) -> None:
        """Close all clients of this process, unless they were injected; none can be had then."""
        self._use.close()
        known = self._clients.pop(os.getpid(), None)
        if known is not None:
            known.client.close()
        for pid, loop in [*self._loops]:
            if pid == os.getpid():
                self._drop(loop)

    async def aclose(self) -> None:
        """Close the client of the running loop, and the one of sync calls if none is running.

        None can be had in this loop then.
        """
        self._use.leave()
        sync = self._clients.get(os.getpid())
        if sync is not None and sync.close_unused() and self._clients.get(os.getpid()) is sync:
            self._clients.pop(os.getpid(), None)
        known = self._loops.pop((os.getpid(), asyncio.get_running_loop()), None)
        if known is not None:
            await known.aclose()


class _SyncClient:
    """A client, and which calls use it now."""

    def __init__(self, client: SyncClient) -> None:
        self.client = client
        self.users = Calls()
        self._closed = False
        self._lock = forks.lock()

    def enter(self, call: Call) -> bool:
        with self._lock:
            if not self._closed:
                self.users.begin(call)
            return not self._closed

    def close_unused(self) -> bool:
        """Close it unless it is being used; whether it is closed."""
        with self._lock:
            self._closed = not self.users
        if self._closed:
            self.client.close()
        return self._closed


class LoopClient:
    """A client of an event loop, and which calls use it now."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self.client = client
        self.users = Calls()
        self.used_at = 0.0
        self.opening: asyncio.Task[None] | None = None
        self.closing: AsyncGenerator[None, None] | None = None

    async def opened_by(self, open_: Any) -> None:
        """Wait until it is open; the calls that come meanwhile share the wait."""
        if self.opening is None:
            self.opening = asyncio.ensure_future(open_(self))
        opening = self.opening
        try:
            await shielded(opening)
        finally:
            if opening.done():
                self.opening = None

    def drop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close its sockets without ``loop``, which may be closed."""
        if isinstance(self.client, AsyncPool):
            self.client.drop(loop)
            if self.closing is not None:
                # With nothing left to wait for, one step takes it to its end; or the loop does it.
                with suppress(StopIteration, RuntimeError):
                    self.closing.aclose().__await__().send(None)

    async def aclose(self) -> None:
        """Close it, also if it is only being opened."""
        if self.opening is not None:
            with suppress(Exception):
                await self.opening
        if self.closing is not None:
            await self.closing.aclose()


def _check_open(name: str, injected: httpx.Client | httpx.AsyncClient) -> None:
    if injected.is_closed:
        raise VectorizeError(
            f"{name}, which was passed in, is closed: close it only when no call is to follow"
        )


def _needs_both(given: str, needed: str) -> ConfigurationError:
    return ConfigurationError(f"only {given}= was given; {needed} too")
