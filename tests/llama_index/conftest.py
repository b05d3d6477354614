from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import Settings
from llama_index.core.llms import MockLLM
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index_vectorize import VectorizeVectorStore
from tests import stores
from tests.llama_index.helpers import MODEL, SPLITTER
from tests.nightly import NIGHTLY
from tests.stores import Make, Recorder, recorded
from vectorize_core import (
    IndexNotFoundError,
    MissingTextError,
    PartialIndexError,
    SqliteTextIndex,
    VectorizeClient,
)
from vectorize_core.local.server import BackgroundServer

TEXT_SEARCH = VectorStoreQueryMode.TEXT_SEARCH
WITH_WORDS_BY_DAY = ("test_round_trips",)


@pytest.fixture(autouse=True)
def _no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is looked up, let alone downloaded."""
    monkeypatch.setattr(Settings, "_llm", MockLLM(max_tokens=8))
    monkeypatch.setattr(Settings, "_embed_model", MODEL)
    monkeypatch.setattr(Settings, "_node_parser", SPLITTER)
    # Which remembers the parser it was first asked with.
    monkeypatch.setattr(Settings, "_transformations", None)


@pytest.fixture
def server() -> BackgroundServer:
    return stores.server()


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """At night every test of `make` runs with a text index too, by day those of some files."""
    by_day = metafunc.module.__name__.rpartition(".")[2] in WITH_WORDS_BY_DAY
    if "make" in metafunc.fixturenames and (NIGHTLY or by_day):
        words = pytest.param(True, id="words")
        metafunc.parametrize("with_words", [pytest.param(False, id="plain"), words], indirect=True)


@pytest.fixture
def with_words(request: pytest.FixtureRequest) -> bool:
    """Whether stores have a text index, if a test says nothing of that."""
    return getattr(request, "param", False)


@pytest.fixture
def make(client: VectorizeClient, sent: Recorder, with_words: bool) -> Iterator[Make]:
    """Makes stores over `client` that may create their index."""
    words = SqliteTextIndex() if with_words else None
    made: list[VectorizeVectorStore] = []

    def build(**options: Any) -> VectorizeVectorStore:
        given = {"index_name": "docs", "client": client, "create_index": True, "text_index": words}
        made.append(VectorizeVectorStore(**{**given, **options}))
        return made[-1]

    yield build
    if words is not None:
        for store in (one for one in made if one.text_index is words):
            # Some tests write vectors as others do, which are not among the words.
            with suppress(IndexNotFoundError, MissingTextError, PartialIndexError):
                _check_words(store)
        words.close()


def _check_words(store: VectorizeVectorStore) -> None:
    """What is in a store is found by its words."""
    for node in islice(store.iter_nodes(), 20):
        text = node.get_content()
        query = VectorStoreQuery(query_str=text, mode=TEXT_SEARCH, similarity_top_k=100)
        if any(map(str.isalnum, text)):
            assert text in {one.get_content() for one in store.query(query).nodes or ()}


@pytest.fixture
def store(make: Make) -> Any:
    return make()
