"""Workers AI's reranker, against a stub that answers as documented; docs/reranking.md runs."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core import MockEmbedding, Settings
from llama_index.core.llms import MockLLM
from llama_index.core.schema import NodeWithScore, TextNode

from examples.workers_ai import Reranker
from examples.workers_ai_langchain import WorkersAIReranker
from examples.workers_ai_llama_index import WorkersAIRerank
from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.documents import DOCS, examples, run
from vectorize_core import VectorizeClient

EXAMPLES = DOCS.parent / "examples"
TOKEN = "a-token-of-forty-characters-0123456789ab"
TEXTS = ["short", "", "the longest of all", "in between"]
BEST = ["the longest of all", "in between"]


class Stub(HTTPServer):
    """Scores a text by its length, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        if self.headers["authorization"] == f"Bearer {TOKEN}":
            scores = [len(context["text"]) / 100 for context in body["contexts"]]
            best = sorted(range(len(scores)), key=lambda place: -scores[place])[: body["top_k"]]
            response = [{"id": place, "score": scores[place]} for place in best]
            self._answer(200, {"result": {"response": response}, "success": True, "errors": []})
        else:
            error = {"code": 10000, "message": "Authentication error"}
            self._answer(401, {"result": None, "success": False, "errors": [error]})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Stub]:
    with Stub() as stub:
        thread = threading.Thread(target=stub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stub
        finally:
            stub.shutdown()
            thread.join()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "an-account")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    with running() as stub:
        url = f"http://127.0.0.1:{stub.server_port}/client/v4"
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", url)
        yield stub


def test_one_request_ranks_all_texts(stub: Stub) -> None:
    assert Reranker().rank("which?", TEXTS, 2) == [(2, 0.18), (3, 0.1)]
    assert stub.asked == [
        (
            "/client/v4/accounts/an-account/ai/run/@cf/baai/bge-reranker-base",
            f"Bearer {TOKEN}",
            {
                "query": "which?",
                "contexts": [{"text": text} for text in TEXTS if text],
                "top_k": 2,
            },
        )
    ]


def test_more_than_there_is_are_all_that_have_a_text(stub: Stub) -> None:
    assert [place for place, _ in Reranker().rank("which?", TEXTS, 100)] == [2, 3, 0]


@pytest.mark.parametrize(("texts", "top"), [([], 4), ([""], 4), (["one"], 0)])
def test_nothing_to_rank_asks_nothing(stub: Stub, texts: list[str], top: int) -> None:
    assert Reranker().rank("which?", texts, top) == []
    assert stub.asked == []


def test_a_refusal_says_what_the_service_said(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another")
    with pytest.raises(RuntimeError, match=r"401.*Authentication error") as raised:
        Reranker().rank("which?", TEXTS, 2)
    assert "another" not in str(raised.value)


async def test_langchain_keeps_the_best_documents(stub: Stub) -> None:
    documents = [Document(text, id=str(n), metadata={"n": n}) for n, text in enumerate(TEXTS)]
    compressor = WorkersAIReranker(top_n=2)
    found = compressor.compress_documents(documents, "which?")
    assert [(it.page_content, it.id) for it in found] == list(zip(BEST, "23", strict=True))
    assert found[0].metadata == {"n": 2, "relevance_score": 0.18}
    assert documents[2].metadata == {"n": 2}
    assert await compressor.acompress_documents(documents, "which?") == found


async def test_llama_index_keeps_the_best_nodes(stub: Stub) -> None:
    nodes = [NodeWithScore(node=TextNode(text=text), score=1) for text in TEXTS]
    postprocessor = WorkersAIRerank(top_n=2)
    found = postprocessor.postprocess_nodes(nodes, query_str="which?")
    assert [(it.get_content(), it.score) for it in found] == list(
        zip(BEST, (0.18, 0.1), strict=True)
    )
    assert await postprocessor.apostprocess_nodes(nodes, query_str="which?") == found
    with pytest.raises(ValueError, match="needs the query"):
        postprocessor.postprocess_nodes(nodes)


@pytest.mark.parametrize("adapter", ["workers_ai_langchain", "workers_ai_llama_index"])
def test_client_and_adapter_are_copied_into_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str
) -> None:
    folder = tmp_path / f"app_with_{adapter}"
    folder.mkdir()
    for name in ("workers_ai", adapter):
        shutil.copy(EXAMPLES / f"{name}.py", folder)
    monkeypatch.syspath_prepend(tmp_path)
    copied = importlib.import_module(f"{folder.name}.{adapter}")
    assert Path(inspect.getfile(copied.Reranker)).parent == folder


async def test_the_page_s_code_runs(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_classic")
    monkeypatch.setattr(Settings, "_llm", MockLLM())
    texts = [f"{'very ' * n}good" for n in range(120)]
    with VectorizeClient.local() as client:
        client.create_index("texts", dimensions=32)
        embeddings = DeterministicFakeEmbedding(size=32)
        store = VectorizeVectorStore(embeddings, client=client, index_name="texts")
        store.add_texts(texts)
        li_store = LlamaIndexStore(client=client, index_name="texts")
        embed_model = MockEmbedding(embed_dim=32)
        names: dict[str, Any] = {"store": store, "li_store": li_store, "embed_model": embed_model}
        (code,) = examples("reranking.md").values()
        await run(code, "reranking.md", names)
    among = [len(context["text"]) for context in stub.asked[0][2]["contexts"]]
    assert len(among) == len(stub.asked[1][2]["contexts"]) == 100
    assert [len(it.page_content) for it in names["documents"]] == sorted(among)[:-5:-1]
    assert len(names["answer"].source_nodes) == 4
