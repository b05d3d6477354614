from __future__ import annotations

from typing import Any

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Embedder, Make, Recorder, recorded
from vectorize_core import VectorizeClient


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@pytest.fixture
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture
def make(client: VectorizeClient, sent: Recorder, embedder: Embedder) -> Make:
    """Makes stores over `client` that may create their index."""

    def build(**options: Any) -> VectorizeVectorStore:
        given = {"index_name": "docs", "client": client, "create_index": True, **options}
        return VectorizeVectorStore(embedder, **given)

    return build


@pytest.fixture
def store(make: Make) -> VectorizeVectorStore:
    return make()
