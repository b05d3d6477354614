from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import Settings
from llama_index.core.llms import MockLLM

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import MODEL, SPLITTER
from tests.stores import Make, Recorder, recorded
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer


@pytest.fixture(autouse=True)
def _no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is looked up, let alone downloaded."""
    monkeypatch.setattr(Settings, "_llm", MockLLM(max_tokens=8))
    monkeypatch.setattr(Settings, "_embed_model", MODEL)
    monkeypatch.setattr(Settings, "_node_parser", SPLITTER)
    # Which remembers the parser it was first asked with.
    monkeypatch.setattr(Settings, "_transformations", None)


@pytest.fixture(scope="session")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture(params=["embedded", "http"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[VectorizeClient]:
    """Everything runs in process, and over HTTP in an account of its own."""
    if request.param == "embedded":
        made = VectorizeClient.local()
    else:
        server: BackgroundServer = request.getfixturevalue("server")
        made = VectorizeClient(uuid4().hex, base_url=server.base_url)
    async with made.to_async():
        yield made


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
