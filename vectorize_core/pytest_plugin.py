"""A pytest plugin: the fixture ``vectorize_local``, an embedded Vectorize for a test of yours.

Opt in, in the ``conftest.py`` at the root of the tests::

    pytest_plugins = ["vectorize_core.pytest_plugin"]

Then::

    def test_search(vectorize_local):
        vectorize_local.client.create_index("docs", dimensions=32)
        ...

    @pytest.mark.vectorize(process_delay=0.5, propagate_delay=0.1, limits="cloudflare")
    def test_patience(vectorize_local: LocalVectorize): ...

No entry point registers it, because pytest would then import it, and NumPy and httpx with it, in
every project of the environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from vectorize_core.behavior import Behavior
from vectorize_core.client import VectorizeClient
from vectorize_core.connection import Limits
from vectorize_core.errors import ConfigurationError
from vectorize_core.secret import hide

if TYPE_CHECKING:
    from vectorize_core.local.server import BackgroundServer

MARKER = "vectorize"


class LocalVectorize:
    """The value of `vectorize_local`: an embedded Vectorize in memory, and a server if asked for.

    ``client`` and ``async_client`` share a connection, so each sees what the other writes.
    """

    def __init__(self, behavior: Behavior, limits: Limits | None = None) -> None:
        self.behavior = behavior
        self.client = VectorizeClient.local(behavior=behavior, limits=limits)
        self.async_client = self.client.to_async()
        self._server: BackgroundServer | None = None

    def server(self, **settings: Any) -> BackgroundServer:
        """A server on a free port of the loopback address, for tests over HTTP.

        The first call starts it; it stops after the test. It has its own data, which
        ``VectorizeClient(base_url=server.base_url)`` reads and writes. ``server.environment``
        are the variables that point other clients at it. ``settings`` are fields of
        `vectorize_core.local.server.Settings`, such as ``token`` or ``faults``; ValueError if a
        later call has any. Needs the extra ``server``.
        """
        hide(settings)
        if self._server is None:
            # Imported here, so that tests without a server do not need the extra.
            from vectorize_core.local.server import BackgroundServer, Settings  # noqa: PLC0415

            wanted = {"behavior": self.behavior, **settings}
            self._server = BackgroundServer(Settings(**wanted)).start()
        elif settings:
            raise ValueError(
                f"the server runs already, so {', '.join(sorted(settings))} would be ignored; "
                "give settings to the first call of server()"
            )
        return self._server

    def close(self) -> None:
        """Stop the server and close the clients; the fixture does."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self.client.close()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, which ``--strict-markers`` requires."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(limits=None, **behavior): vectorize_local with production's limits of requests "
        "('cloudflare'), and with delays and switches, the fields of vectorize_core.local.Behavior",
    )


@pytest.fixture
def vectorize_local(request: pytest.FixtureRequest) -> Iterator[LocalVectorize]:
    """A Vectorize for this test only; ``@pytest.mark.vectorize(...)`` sets how it behaves."""
    local = _made(request.node)
    try:
        yield local
    finally:
        local.close()


def _made(node: Any) -> LocalVectorize:
    wanted: dict[str, Any] = {}
    # The nearest marker comes last: a test's settings override those of its class and module.
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(
                f"@pytest.mark.{MARKER} takes fields of Behavior by name, such as "
                f"process_delay=0.5; got {mark.args!r}"
            )
        wanted.update(mark.kwargs)
    try:
        return LocalVectorize(limits=wanted.pop("limits", None), behavior=Behavior(**wanted))
    except (TypeError, ValueError, ConfigurationError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from None
