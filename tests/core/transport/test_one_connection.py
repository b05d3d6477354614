"""One connection is used again and again, and replaced when it cannot be."""

from __future__ import annotations

import asyncio
from typing import Any

import httpcore
import pytest

from vectorize_core.transport.one_connection import AsyncOneConnection, OneConnection

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
KEPT, CLOSED = [HEAD, b"\r\n", b"ok"], [HEAD, b"Connection: close\r\n\r\n", b"ok"]


class Backend(httpcore.MockBackend):
    """Counts the connections, each of which says the same."""

    opened = 0

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        self.opened += 1
        return super().connect_tcp(*args, **options)


class AsyncBackend(httpcore.AsyncMockBackend):
    """As `Backend`."""

    opened = 0

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.opened += 1
        return await super().connect_tcp(*args, **options)


def asked(host: str) -> httpcore.Request:
    return httpcore.Request("GET", f"http://{host}.test/", headers={"Host": f"{host}.test"})


def opened(says: list[bytes], *, keepalive_expiry: float | None, hosts: str = "aaa") -> list[int]:
    """How many connections a request to each of the hosts has taken, by both kinds."""
    backend = Backend(says * len(hosts))
    pool = httpcore.ConnectionPool(network_backend=backend, keepalive_expiry=keepalive_expiry)
    one = OneConnection(pool)
    for host in hosts:
        response = one.handle_request(asked(host))
        assert response.read() == b"ok"
        response.close()
        assert len(one.connections) == 1
    one.close()
    assert one.connections == []

    async def awaited() -> int:
        backend = AsyncBackend(says * len(hosts))
        pool = httpcore.AsyncConnectionPool(
            network_backend=backend, keepalive_expiry=keepalive_expiry
        )
        one = AsyncOneConnection(pool)
        for host in hosts:
            response = await one.handle_async_request(asked(host))
            assert await response.aread() == b"ok"
            await response.aclose()
            assert len(one.connections) == 1
        await one.aclose()
        assert one.connections == []
        return backend.opened

    return [backend.opened, asyncio.run(awaited())]


def test_it_is_used_for_all_requests() -> None:
    assert opened(KEPT, keepalive_expiry=None) == [1, 1]


@pytest.mark.parametrize(
    ("says", "options"),
    [
        pytest.param(CLOSED, {"keepalive_expiry": None}, id="closed by the server"),
        pytest.param(KEPT, {"keepalive_expiry": -1.0}, id="unused for too long"),
        pytest.param(KEPT, {"keepalive_expiry": None, "hosts": "abc"}, id="to another host"),
    ],
)
def test_a_new_one_is_made_where_the_last_cannot_be_used(
    says: list[bytes], options: dict[str, Any]
) -> None:
    assert opened(says, **options) == [3, 3]


def test_one_that_is_busy_is_not_shared() -> None:
    """Who takes it waits for its turn before; should that fail, answers do not mix."""
    backend = Backend(KEPT * 2)
    one = OneConnection(httpcore.ConnectionPool(network_backend=backend))
    first = one.handle_request(asked("a"))
    second = one.handle_request(asked("a"))
    assert second.read() == b"ok"
    assert backend.opened == 2
    first.close()
