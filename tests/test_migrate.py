"""The scripts of docs/migrate.md and docs/long-texts.md run as they stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from llama_index.core import MockEmbedding
from llama_index.core.schema import TextNode

from langchain_vectorize import VectorizeVectorStore
from tests.server.helpers import Peer
from tests.stores import DIMENSIONS, Embedder, vector
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer

DOCS = Path(__file__).parent.parent / "docs"
MOST_LINES = 15
DATABASE = "your-database-id"

# One line each of what the two send to /upsert, but for the values.
LANGCHAIN_JS = {
    "id": "9a4c4f9b-4f0a-4c1e-8b6e-6f2b8f2f6d0e",
    "metadata": {
        "source": "address.md",
        "loc": {"lines": {"from": 1, "to": 4}},
        "text": "Fourscore and seven years ago",
    },
}
MASTRA = {
    "id": "b1f7a8a2-6b50-4c4e-9f0e-3a1d2c5b7e90",
    "metadata": {"text": "Now we are engaged in a great civil war", "source": "b.md", "page": 2},
}


def scripts(page: str, heading: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def run(script: str, **names: Any) -> dict[str, Any]:
    exec(compile(script, "script", "exec"), names)
    return names


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """A server of our own that the environment names, and a folder to work in."""
    monkeypatch.chdir(tmp_path)
    with BackgroundServer() as server:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.base_url)
        peer = Peer(server.base_url)
        yield peer
        peer.close()


def statement(peer: Peer, sql: str, *params: str) -> None:
    url = f"{peer.base_url}/accounts/{peer.account}/d1/database/{DATABASE}/query"
    assert peer.http.post(url, json={"sql": sql, "params": params}).is_success


@pytest.fixture
def langchain_cloudflare(peer: Peer) -> Peer:
    """An index and a table as langchain-cloudflare leaves them."""
    peer.create(kind="string")
    statement(
        peer, "CREATE TABLE docs (id TEXT PRIMARY KEY, text TEXT, namespace TEXT, metadata TEXT)"
    )
    for number, text in enumerate(["one", "two", "three"]):
        metadata = {"kind": "speech" if number else "other"}
        namespace = "acme" if number == 2 else None
        peer.write(
            {
                "id": str(number),
                "values": vector(text),
                "namespace": namespace,
                "metadata": metadata,
            }
        )
        sql = "INSERT INTO docs VALUES (?, ?, ?, ?)"
        statement(peer, sql, str(number), text, namespace, json.dumps(metadata))
    return peer


def test_an_index_of_langchain_cloudflare_is_opened(langchain_cloudflare: Peer) -> None:
    names = run(scripts("migrate.md", "langchain-cloudflare")[0], embeddings=Embedder())
    assert {document.page_content for document in names["found"]} == {"two", "three"}
    names["store"].close()


def test_an_index_of_langchain_cloudflare_is_copied(langchain_cloudflare: Peer) -> None:
    opening, copying = scripts("migrate.md", "langchain-cloudflare")
    names = run(copying, **run(opening, embeddings=Embedder()))
    found = names["new"].similarity_search("two", k=1)
    assert found == [Document("two", id="1", metadata={"kind": "speech"})]
    assert names["new"].count() == 3
    assert names["new"].count(namespace="acme") == 1
    (copied,) = names["client"].index("docs-2").get(["1"])
    assert copied.metadata is not None
    assert copied.metadata["text"] == "two"
    for name in ("store", "new", "client"):
        names[name].close()


def test_thresholds_of_another_store_of_langchain_are_kept(peer: Peer) -> None:
    peer.create()
    asked = np.asarray(vector("x"))
    across = np.asarray(vector("y"))
    across -= asked * (across @ asked) / (asked @ asked)
    asked, across = asked / np.linalg.norm(asked), across / np.linalg.norm(across)
    for cosine in (0.7, 0.3, -0.7):  # 0.3 is 0.65 by the store's own measure
        values = cosine * asked + (1 - cosine**2) ** 0.5 * across
        peer.write({"id": str(cosine), "values": values.tolist(), "metadata": {"text": "a"}})
    (script,) = scripts("migrate.md", "Another store of LangChain")
    names = run(script, embeddings=Embedder())
    assert [document.id for document in names["retriever"].invoke("x")] == ["0.7"]
    scored = names["store"].similarity_search_with_relevance_scores("x")
    assert [score for _, score in scored] == pytest.approx([0.7, 0.3, 0.0], abs=1e-6)
    names["store"].close()


def test_an_index_of_langchain_js_is_opened(peer: Peer) -> None:
    peer.create()
    text = LANGCHAIN_JS["metadata"]["text"]  # type: ignore[index]
    peer.write({**LANGCHAIN_JS, "values": vector(text)})
    (script,) = scripts("migrate.md", "LangChain.js")
    names = run(script, embeddings=Embedder())
    metadata = {"source": "address.md", "loc": {"lines": {"from": 1, "to": 4}}}
    assert names["found"] == [Document(text, id=LANGCHAIN_JS["id"], metadata=metadata)]
    names["store"].close()


def test_an_index_of_mastra_is_opened_and_made_filterable(peer: Peer) -> None:
    peer.create()
    peer.write({**MASTRA, "values": vector("b")})
    opening, indexing = scripts("migrate.md", "Mastra")
    names = run(opening, ids=[MASTRA["id"]])
    (node,) = names["nodes"]
    assert node.text == "Now we are engaged in a great civil war"
    assert node.metadata == {"source": "b.md", "page": 2}
    names["store"].close()
    run(indexing)
    with VectorizeClient() as client:
        found = client.index("docs").query(vector("b"), filter={"source": "b.md"})
    assert [match.id for match in found] == [MASTRA["id"]]


class Collection:
    """What Chroma's `Collection` gives: a page of its records, as columns."""

    def __init__(self, count: int) -> None:
        self._ids = [f"id-{number}" for number in range(count)]

    def count(self) -> int:
        return len(self._ids)

    def get(self, *, include: list[str], offset: int, limit: int) -> dict[str, Any]:
        assert include == ["embeddings", "documents", "metadatas"]
        ids = self._ids[offset : offset + limit]
        return {
            "ids": ids,
            "embeddings": np.array([vector(record_id) for record_id in ids], np.float32),
            "documents": ids,
            "metadatas": [{"year": 1863} if record_id == "id-0" else None for record_id in ids],
        }


def test_a_collection_of_chroma_is_copied(peer: Peer) -> None:
    (script,) = scripts("migrate.md", "Chroma")
    names = run(script, embeddings=Embedder(), collection=Collection(501))
    store = names["store"]
    assert store.count() == 501
    assert store.similarity_search("id-0", k=1) == [
        Document("id-0", id="id-0", metadata={"year": 1863})
    ]
    assert peer.result("GET", "/docs")["config"]["metric"] == "euclidean"
    store.close()


def test_an_export_of_pinecone_is_copied(peer: Peer) -> None:
    rows = [
        {"id": str(n), "values": vector(str(n)), "metadata": {"text": str(n), "n": n}}
        for n in range(501)
    ]
    Path("export.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (script,) = scripts("migrate.md", "Pinecone")
    names = run(script, embeddings=Embedder())
    assert names["store"].count() == 501
    assert names["store"].get_by_ids(["7"]) == [Document("7", id="7", metadata={"n": 7})]
    names["store"].close()


def test_long_texts(peer: Peer) -> None:
    embedded, on_cloudflare = scripts("long-texts.md", "")[::2]
    names = run(embedded, embeddings=Embedder())
    assert len(names["document"].page_content) == 300_000
    names["store"].close()
    names = run(on_cloudflare, embeddings=Embedder(), VectorizeVectorStore=VectorizeVectorStore)
    peer.create("speeches")
    names["store"].add_texts(["x" * 20_000], ids=["a"])
    assert len(names["store"].get_by_ids(["a"])[0].page_content) == 20_000
    names["store"].close()


def test_long_texts_with_llama_index(peer: Peer) -> None:
    embedded, on_cloudflare = scripts("long-texts.md", "")[1::2]
    names = run(embedded, embed_model=MockEmbedding(embed_dim=DIMENSIONS))
    assert len(names["node"].get_content()) == 300_000
    names["store"].close()
    peer.create("speech-nodes")
    names = run(on_cloudflare, **names)
    long = TextNode(id_="a", text="x" * 20_000, embedding=vector("a"))
    names["store"].add([long])
    assert len(names["store"].get_nodes(["a"])[0].get_content()) == 20_000
    names["store"].close()


@pytest.mark.parametrize("script", scripts("migrate.md", ""))
def test_no_script_is_longer_than_it_has_to_be(script: str) -> None:
    assert len(script.splitlines()) <= MOST_LINES
