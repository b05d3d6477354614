from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llama_index_vectorize import VectorizeVectorStore
from tests.stores import Make, Recorder, recorded
from vectorize_core import VectorizeClient


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@pytest.fixture
def make(client: VectorizeClient, sent: Recorder) -> Make:
    """Makes stores over `client` that may create their index."""

    def build(**options: Any) -> VectorizeVectorStore:
        given = {"index_name": "docs", "client": client, "create_index": True, **options}
        return VectorizeVectorStore(**given)

    return build


@pytest.fixture
def store(make: Make) -> Any:
    return make()
