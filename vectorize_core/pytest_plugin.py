"""A pytest fixture for your own tests: an embedded Vectorize for each test that asks for one.

Opt in, in the ``conftest.py`` at the root of the tests::

    pytest_plugins = ["vectorize_core.pytest_plugin"]

Then::

    def test_search(vectorize_local):
        vectorize_local.client.create_index("docs", dimensions=32)
        ...

    @pytest.mark.vectorize(process_delay=0.5, propagate_delay=0.1)
    def test_patience(vectorize_local): ...

It is not registered by an entry point: pytest imports those in every project of an environment,
and importing this one imports NumPy and httpx.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from vectorize_core.behavior import Behavior
from vectorize_core.client import VectorizeClient

if TYPE_CHECKING:
    from vectorize_core.local.server import BackgroundServer

MARKER = "vectorize"


class LocalVectorize:
    """An embedded Vectorize in memory, and on request a server; what `vectorize_local` gives.

    ``client`` and ``async_client`` are on one connection, so each sees what the other writes.
    """

    def __init__(self, behavior: Behavior) -> None:
        self.behavior = behavior
        self.client = VectorizeClient.local(behavior=behavior)
        self.async_client = self.client.to_async()
        self._server: BackgroundServer | None = None

    def server(self, **settings: Any) -> BackgroundServer:
        """A server on a free port of the loopback address, for tests that go over HTTP.

        Started by the first call, stopped after the test. It has data of its own, which
        ``VectorizeClient(base_url=server.base_url)`` reads and writes; ``server.environment``
        are the variables that point other clients at it. ``settings`` are those of
        `vectorize_core.local.server.Settings`, such as ``token`` or ``faults``, for the first
        call only. Needs the extra ``server``.
        """
        if self._server is None:
            # Here, for tests that never ask for it need not have the extra.
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
    """Make the marker known, for those who run with ``--strict-markers``."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**behavior): delays and switches of vectorize_local, the fields of "
        "vectorize_core.local.Behavior",
    )


@pytest.fixture
def vectorize_local(request: pytest.FixtureRequest) -> Iterator[LocalVectorize]:
    """A Vectorize for this test alone; ``@pytest.mark.vectorize(...)`` says how it behaves."""
    local = LocalVectorize(_behavior(request.node))
    try:
        yield local
    finally:
        local.close()


def _behavior(node: Any) -> Behavior:
    wanted: dict[str, Any] = {}
    # The nearest marker last: a test's own settings go before those of its class or module.
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(
                f"@pytest.mark.{MARKER} takes fields of Behavior by name, such as "
                f"process_delay=0.5; got {mark.args!r}"
            )
        wanted.update(mark.kwargs)
    try:
        return Behavior(**wanted)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from None
