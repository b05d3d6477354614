"""Servers that the tests of a process share; each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lynse.servers import KEY, NEW, OLD, Lynse, running
from vectorize_core.lynse import LynseClient


@pytest.fixture(scope="session")
def old_lynse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lynse]:
    with running(OLD, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def new_lynse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lynse]:
    with running(NEW, tmp_path_factory) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Lynse]:
    """One that a test may kill."""
    server = Lynse(NEW, tmp_path)
    (tmp_path / "data").mkdir()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def lynse(new_lynse: Lynse, request: pytest.FixtureRequest) -> Iterator[LynseClient]:
    name = f"t{abs(hash(request.node.nodeid)):x}"
    with LynseClient(new_lynse.url, database=name, api_key=KEY) as client:
        client.database(name).create_database(drop_if_exists=True)
        yield client
