"""A server, and the binding of an index on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.workers.bindings import VectorizeBinding
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer
from vectorize_core.models import IndexType, Metric

Bind = Callable[..., VectorizeBinding]


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture
def bind(server: BackgroundServer) -> Bind:
    """Makes an index with metadata indexes, and a binding of it."""

    def make(metric: Metric = "cosine", record_layout: bool = True, **indexes: IndexType) -> object:
        name = uuid.uuid4().hex
        with VectorizeClient(base_url=server.base_url) as client:
            client.create_index(
                name,
                dimensions=32,
                metric=metric,
                metadata_indexes=indexes,
                record_layout=record_layout,
            )
        return VectorizeBinding(server.base_url.removesuffix("/client/v4"), name)

    return make  # type: ignore[return-value]
