from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.corpus import DIMENSIONS, Target
from vectorize_core import VectorizeClient
from vectorize_core.local import Service

SERVE = """
import sys
from vectorize_core.local.server import BackgroundServer, Settings
with BackgroundServer(Settings(data=sys.argv[1])) as server:
    print(server.base_url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server in a process of its own, and the same data to look at directly."""
    directory = tmp_path_factory.mktemp("vectorize")
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    ) as process:
        assert process.stdout is not None
        service = Service(directory)
        yield Target(process.stdout.readline().strip(), service)
        service.close()


@pytest.fixture
def index(target: Target) -> Iterator[str]:
    """The name of an empty index, made for records."""
    name = f"faults-{uuid.uuid4()}"
    with VectorizeClient(base_url=target.base_url) as client:
        client.create_index(name, dimensions=DIMENSIONS)
    yield name
    target.service.delete_index(name)
