"""No secret is in a trace."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, both_ways
from vectorize_core import VectorizeError

SECRET = "s3cret-t0ken"
EMBEDDING = DeterministicFakeEmbedding(size=32)


def refusing(request: httpx.Request) -> httpx.Response:
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    error = {"code": 10000, "message": "Authentication error"}
    return httpx.Response(403, json={"success": False, "errors": [error], "result": None})


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
    place = {"account_id": "acc", "api_token": SECRET, **clients}
    store, tracer = VectorizeVectorStore(EMBEDDING, index_name="docs", **place), Recording()
    retriever = store.as_retriever()
    with pytest.raises(VectorizeError, match="Authentication error") as refused:
        await call(retriever, "invoke", "q", {"callbacks": [tracer]})
    assert len(tracer.said) == 1
    assert "VectorizeVectorStore" in tracer.said[0]
    shown = [*tracer.said, str(refused.value), repr(refused.value), caplog.text]
    assert not [text for text in shown if SECRET in text]
    clients["http_client"].close()
    await clients["async_http_client"].aclose()
