from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.server.helpers import Clock, Peer
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[BackgroundServer]:
    """A server with no switch set; each test has an account of its own on it."""
    with BackgroundServer() as server:
        yield server


@pytest.fixture
def peer(shared_server: BackgroundServer) -> Iterator[Peer]:
    peer = Peer(shared_server.base_url, uuid.uuid4().hex)
    yield peer
    peer.close()


@pytest.fixture
def docs(peer: Peer) -> Peer:
    """An account with the empty index ``docs``."""
    peer.create()
    return peer


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    """Starts servers of their own, by settings or by switches of the service's behavior."""
    with ExitStack() as stack:

        def start(**options: Any) -> Peer:
            switches = {k: v for k, v in options.items() if k not in Settings.__dataclass_fields__}
            rest = {k: v for k, v in options.items() if k in Settings.__dataclass_fields__}
            settings = Settings(behavior=Behavior(**switches), **rest)
            server = stack.enter_context(BackgroundServer(settings))
            peer = Peer(server.base_url, token=settings.token)
            stack.callback(peer.close)
            return peer

        yield start
