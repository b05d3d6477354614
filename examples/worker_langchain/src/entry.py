"""A Worker that answers questions from documents: Vectorize, LangChain's store, Workers AI.

``POST /documents`` takes a JSON list of objects with a text and a source. ``GET /answer?q=...``
answers a question, with the passages it is from; ``&source=...`` asks one source only.
"""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ai import answer, embed
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from workers import Response, WorkerEntrypoint

from langchain_vectorize import VectorizeVectorStore


class WorkersAIEmbeddings(Embeddings):
    """Embeddings of Workers AI; async only, as all that a Worker waits for."""

    def __init__(self, ai: Any) -> None:
        self._ai = ai

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await embed(self._ai, texts)

    async def aembed_query(self, text: str) -> list[float]:
        (vector,) = await embed(self._ai, [text])
        return vector

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError("a Worker awaits: aembed_documents()")

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError("a Worker awaits: aembed_query()")


_kept: dict[str, VectorizeVectorStore] = {}
"""Of all requests that one isolate answers."""


class Default(WorkerEntrypoint):
    """What the Worker answers to its requests."""

    async def fetch(self, request: Any) -> Response:
        url = urlsplit(request.url)
        match request.method, url.path:
            case "POST", "/documents":
                return shown(await self.add(json.loads(await request.text())))
            case "GET", "/answer":
                asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                return shown(await self.answer(asked.get("q", ""), asked.get("source")))
        return shown({"error": "POST /documents, or GET /answer?q="}, 404)

    @property
    def ai(self) -> Any:
        """Workers AI, or None where there is no account."""
        return getattr(self.env, "AI", None)

    @property
    def store(self) -> VectorizeVectorStore:
        """The store, with what it has found out about the index in earlier requests."""
        if "store" not in _kept:
            _kept["store"] = VectorizeVectorStore(
                WorkersAIEmbeddings(self.ai),
                index_name="docs",
                binding=self.env.VECTORIZE,
                metadata_indexes={"source": "string"},
            )
        return _kept["store"]

    async def add(self, given: list[dict[str, str]]) -> dict[str, Any]:
        """Write documents, one for each text."""
        documents = [Document(one["text"], metadata={"source": one["source"]}) for one in given]
        return {"ids": await self.store.aadd_documents(documents)}

    async def answer(self, question: str, source: str | None) -> dict[str, Any]:
        """Answer from the four passages that are nearest."""
        only = None if source is None else {"source": source}
        found = await self.store.asimilarity_search(question, 4, filter=only)
        passages = [document.page_content for document in found]
        return {"answer": await answer(self.ai, question, passages), "passages": passages}


def shown(value: Any, status: int = 200) -> Response:
    """A response of JSON."""
    headers = {"content-type": "application/json"}
    return Response(json.dumps(value), status=status, headers=headers)
