"""No secret is in what a store says of itself, and a pickled store finds its own again."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.load import dumpd
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, both_ways
from vectorize_core import ConfigurationError, VectorizeError

SECRET = "s3cret-t0ken"
EMBEDDING = DeterministicFakeEmbedding(size=32)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("API_TOKEN", "ACCOUNT_ID", "BASE_URL", "API_KEY", "EMAIL", "API_BASE_URL"):
        monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
    for name in ("CF_ACCOUNT_ID", "CF_VECTORIZE_API_TOKEN", "CF_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def refusing(request: httpx.Request) -> httpx.Response:
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    error = {"code": 10000, "message": "Authentication error"}
    return httpx.Response(403, json={"success": False, "errors": [error], "result": None})


def on_cloudflare(**options: Any) -> VectorizeVectorStore:
    given = {"account_id": "acc", "api_token": SECRET, "index_name": "docs", **options}
    return VectorizeVectorStore(EMBEDDING, **given)


class Recording(BaseTracer):
    """Keeps runs as a tracing service would be sent them."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def _persist_run(self, run: Run) -> None:
        self.said.append(run.model_dump_json(fallback=repr))


@both_ways
async def test_a_trace_holds_no_secret_even_of_a_run_that_failed(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport = httpx.MockTransport(refusing)
    clients: dict[str, Any] = {
        "http_client": httpx.Client(transport=transport),
        "async_http_client": httpx.AsyncClient(transport=transport),
    }
    store, tracer = on_cloudflare(**clients), Recording()
    retriever = store.as_retriever()
    with pytest.raises(VectorizeError, match="Authentication error") as refused:
        await call(retriever, "invoke", "q", {"callbacks": [tracer]})
    assert len(tracer.said) == 1
    assert "VectorizeVectorStore" in tracer.said[0]
    shown = [*tracer.said, str(refused.value), repr(refused.value), caplog.text]
    assert not [text for text in shown if SECRET in text]
    clients["http_client"].close()
    await clients["async_http_client"].aclose()


def test_nothing_that_can_be_made_of_a_store_holds_its_secret() -> None:
    for store in (on_cloudflare(), on_cloudflare().with_namespace("tenant")):
        retriever = store.as_retriever(search_kwargs={"k": 1})
        shown = [
            *(repr(thing) for thing in (store, retriever, vars(store), store._records)),
            *(json.dumps(dumpd(thing)) for thing in (store, retriever)),
            repr(pickle.dumps(store)),
            repr(pickle.dumps(retriever)),
            retriever.model_dump_json(fallback=repr),
        ]
        assert not [text for text in shown if SECRET in text]
        assert "index_name='docs'" in shown[0]


def test_a_loaded_store_takes_its_secret_from_the_environment(
    environment: pytest.MonkeyPatch,
) -> None:
    pickled = pickle.dumps(on_cloudflare())
    with pytest.raises(ConfigurationError, match=r"secrets are not pickled.*CLOUDFLARE_API_TOKEN"):
        pickle.loads(pickled)
    environment.setenv("CLOUDFLARE_API_TOKEN", "of-this-process")
    with pickle.loads(pickled) as loaded:
        connection = loaded._records.index.target.connection
        assert connection.executor.credentials.account_id == "acc"
        assert "of-this-process" in str(connection.executor.credentials.headers)


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
async def test_a_store_in_a_directory_goes_on_where_it_is_loaded(
    tmp_path: Path, call: Call, tenant: bool
) -> None:
    given = {"index_name": "docs", "metadata_indexes": {"kind": "string"}, "text_key": "body"}
    with VectorizeVectorStore(EMBEDDING, path=tmp_path / "data", **given) as store:
        view = store.with_namespace("tenant") if tenant else store
        view.add_documents([Document("a", id="1", metadata={"kind": "x"})])
        loaded = pickle.loads(pickle.dumps(view))
    # It has a connection of its own, which it closes.
    assert await call(loaded, "get_by_ids", ["1"]) == [
        Document("a", id="1", metadata={"kind": "x"})
    ]
    assert await call(loaded, "add_texts", ["b"], ids=["2"]) == ["2"]
    assert len(await call(loaded, "similarity_search", "b", filter={"kind": "x"})) == 1
    assert repr(loaded) == repr(view)
    await call(loaded, "close")
    with pytest.raises(VectorizeError, match="closed"):
        await call(loaded, "get_by_ids", ["1"])


def test_what_is_in_the_memory_of_a_process_cannot_be_pickled() -> None:
    with (
        VectorizeVectorStore.local(EMBEDDING, index_name="docs") as store,
        pytest.raises(ConfigurationError, match="in the memory of this process"),
    ):
        pickle.dumps(store)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_shares_the_connection(copied: Any) -> None:
    with VectorizeVectorStore.local(EMBEDDING, index_name="docs") as store:
        other = copied(store)
        other.add_texts(["a"], ids=["1"])
        assert len(store.get_by_ids(["1"])) == 1
