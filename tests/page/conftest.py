from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page.helpers import fill
from vectorize_core import VectorizeClient


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    """The index ``docs``, of records that stores have written."""
    with VectorizeClient.local() as client:
        fill(client)
        yield client


@pytest.fixture(scope="session")
def still() -> Iterator[VectorizeClient]:
    """The same, for tests that change nothing."""
    with VectorizeClient.local() as client:
        fill(client)
        yield client
