"""Async methods leave the event loop's thread alone: nothing on it that could block."""

from __future__ import annotations

import gc
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager

from langchain_vectorize import VectorizeVectorStore
from tests.blocking import watched
from tests.stores import Embedder, vector
from vectorize_core import D1TextIndex, VectorizeClient
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer
from vectorize_core.sqlite.connecting import connect
from vectorize_core.texts.sqlite import SqliteTexts

SEEN = (
    *("open", "write", "unlink", "sleep", "execute", "commit", "send"),
    *("getaddrinfo", "load_verify"),
)
OF_ALL = ("areindex_metadata", "areindex_texts", "aexplain_text", "acreate_metadata_index", "adrop")
"""What a tenant's view refuses."""
LONG = "long enough to be kept beside its vector " * 400
DOCUMENTS = [
    Document(f"{n}, {LONG * (n % 40 == 0)}", id=f"{n}", metadata={"kind": "xy"[n % 2]})
    for n in range(120)
]


def calls(store: VectorizeVectorStore, folder: Path) -> dict[str, Any]:
    """Every async method, on a store that holds `DOCUMENTS`, and a call of it."""
    texts = ["a", LONG]
    vectors = [vector(text) for text in texts]
    embedder = store.embeddings
    place = {"index_name": "other", "path": folder / "other"}
    return {
        "aadd_documents": lambda: store.aadd_documents(DOCUMENTS, batch_size=50, wait=True),
        "aadd_texts": lambda: store.aadd_texts(texts, resume=folder / "checkpoint"),
        "aadd_embeddings": lambda: store.aadd_embeddings(texts, vectors, ids=["a", "b"]),
        "aupdate_documents": lambda: store.aupdate_documents(DOCUMENTS[:3]),
        "aupdate_metadata": lambda: store.aupdate_metadata(["1", "2"], {"kind": "x"}),
        "aget_by_ids": lambda: store.aget_by_ids([str(n) for n in range(50)]),
        "aiter_documents": lambda: listed(store.aiter_documents({"kind": "x"})),
        "aiter_ids": lambda: listed(store.aiter_ids()),
        "acount": lambda: store.acount({"kind": "y"}),
        "aexplain_filter": lambda: store.aexplain_filter({"kind": "y"}, 100),
        "await_writes": store.await_writes,
        "asearch": lambda: store.asearch("q", "similarity", k=60),
        "asimilarity_search": lambda: store.asimilarity_search("q", filter={"kind": "x"}),
        "asimilarity_search by words": (
            lambda: store.asimilarity_search("long", 60, retrieval_mode="text")
        ),
        "asimilarity_search by both": (
            lambda: store.asimilarity_search("long", 60, retrieval_mode="hybrid")
        ),
        "asimilarity_search_by_id": lambda: store.asimilarity_search_by_id("1", 60),
        "asimilarity_search_by_vector": lambda: store.asimilarity_search_by_vector(vectors[0]),
        "asimilarity_search_with_score": lambda: store.asimilarity_search_with_score("q", 110),
        "asimilarity_search_with_score_by_vector": (
            lambda: store.asimilarity_search_with_score_by_vector(vectors[0])
        ),
        "asimilarity_search_with_relevance_scores": (
            lambda: store.asimilarity_search_with_relevance_scores("q", score_threshold=0.1)
        ),
        "amax_marginal_relevance_search": (
            lambda: store.amax_marginal_relevance_search("q", 5, 110)
        ),
        "amax_marginal_relevance_search_by_vector": (
            lambda: store.amax_marginal_relevance_search_by_vector(vectors[0])
        ),
        "amax_marginal_relevance_search_with_score": (
            lambda: store.amax_marginal_relevance_search_with_score("q", 5, 110)
        ),
        "amax_marginal_relevance_search_with_score_by_vector": (
            lambda: store.amax_marginal_relevance_search_with_score_by_vector(vectors[0])
        ),
        "asimilarity_search_with_vectors": lambda: store.asimilarity_search_with_vectors("q", 60),
        "aget": lambda: store.aget(limit=9, offset=3, include=["documents", "embeddings"]),
        "acompare": lambda: store.acompare(InMemoryRecordManager("docs")),
        "acreate_metadata_index": lambda: store.acreate_metadata_index("n", "number"),
        "areindex_metadata": store.areindex_metadata,
        "areindex_texts": store.areindex_texts,
        "aexplain_text": lambda: store.aexplain_text("which words"),
        "adelete": lambda: store.adelete(["1"], wait=True),
        "afrom_texts": lambda: made(VectorizeVectorStore.afrom_texts(texts, embedder, **place)),
        "afrom_documents": lambda: made(
            VectorizeVectorStore.afrom_documents(DOCUMENTS, embedder, **place)
        ),
        "areset": store.areset,
        "adrop": store.adrop,
        "aclose": store.aclose,
    }


async def listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def made(coming: Any) -> None:
    await (await coming).aclose()


@pytest.fixture(params=["directory", "delayed", "http", "tenant"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    # Importing reads files too: the embedded service, which a constructor loads, and numpy.random.
    VectorizeVectorStore.local(Embedder(), index_name="docs").close()
    vector("")
    place = request.param
    options: dict[str, Any] = {"index_name": "docs", "metadata_indexes": {"kind": "string"}}
    async with VectorizeVectorStore(
        Embedder(), path=tmp_path / "data", text_index=True, **options
    ) as one:
        if place in ("directory", "tenant"):
            yield one.with_namespace("tenant") if place == "tenant" else one
            return
    options["texts"] = beside = SqliteTexts(tmp_path / "texts")
    options["text_index"] = D1TextIndex("words")
    if place == "http":
        with BackgroundServer() as server:
            client = VectorizeClient("account", base_url=server.base_url)
            yield VectorizeVectorStore(Embedder(), client=client, create_index=True, **options)
            await client.connection.aclose()
        beside.close()
        return
    behavior = Behavior(process_delay=0.01, propagate_delay=0.01)
    with VectorizeClient.local(tmp_path / "data", behavior=behavior) as client:
        yield VectorizeVectorStore(Embedder(), client=client, create_index=True, **options)
    beside.close()


async def test_no_async_method_does_what_may_block_on_the_loops_thread(
    store: VectorizeVectorStore, tmp_path: Path
) -> None:
    named = calls(store, tmp_path)
    names = {name for name in dir(store) if not name.startswith("_")}
    variants = {name for name in names if name.startswith("a") and name[1:] in names}
    assert variants <= named.keys()
    assert threading.current_thread() is threading.main_thread()
    for name, make in named.items():
        if name in OF_ALL and "namespace" in repr(store):
            continue
        with watched() as seen:
            await make()
        assert seen == [], name


def test_what_would_block_is_seen(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other, watched() as seen:
        (tmp_path / "file").write_text("x")
        (tmp_path / "file").unlink()
        time.sleep(0)
        connection = sqlite3.connect(tmp_path / "db")
        connection.execute("SELECT 1")
        connection.close()
        connect(":memory:").commit()
        one.send(b"x")
        socket.getaddrinfo("127.0.0.1", 80)
        ssl.create_default_context(cafile=certifi.where())
    missed = [name for name in SEEN if not any(f" {name}" in call for call in seen)]
    assert missed == []


def test_what_was_dropped_before_is_not_taken_for_what_blocks() -> None:
    dropped: list[object] = [connect(":memory:")]
    dropped.append(dropped)
    del dropped
    with watched() as seen:
        gc.collect()
    assert seen == []
