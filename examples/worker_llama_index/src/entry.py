"""A Worker that answers questions from documents: Vectorize, LlamaIndex' store, Workers AI.

``POST /documents`` takes a JSON list of objects with a text and a source. ``GET /answer?q=...``
answers a question, with the passages it is from; ``&source=...`` asks one source only.
"""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import processes  # noqa: F401 - before LlamaIndex
from ai import answer, embed
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from workers import Response, WorkerEntrypoint

from llama_index_vectorize import VectorizeVectorStore


class WorkersAIEmbedding(BaseEmbedding):
    """Embeddings of Workers AI; async only, as all that a Worker waits for."""

    _ai: Any = PrivateAttr()

    def __init__(self, ai: Any) -> None:
        super().__init__(model_name="workers-ai")
        self._ai = ai

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await embed(self._ai, texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        (vector,) = await embed(self._ai, [query])
        return vector

    def _get_text_embedding(self, text: str) -> list[float]:
        raise NotImplementedError("a Worker awaits: aget_text_embedding()")

    def _get_query_embedding(self, query: str) -> list[float]:
        raise NotImplementedError("a Worker awaits: aget_query_embedding()")


_kept: dict[str, VectorStoreIndex] = {}
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
    def index(self) -> VectorStoreIndex:
        """The index, with what its store has found out in earlier requests."""
        if "index" not in _kept:
            store = VectorizeVectorStore(
                index_name="docs",
                binding=self.env.VECTORIZE,
                metadata_indexes={"source": "string"},
            )
            _kept["index"] = VectorStoreIndex.from_vector_store(store, WorkersAIEmbedding(self.ai))
        return _kept["index"]

    async def add(self, given: list[dict[str, str]]) -> dict[str, Any]:
        """Write nodes, one for each text."""
        nodes = [TextNode(text=one["text"], metadata={"source": one["source"]}) for one in given]
        await self.index.ainsert_nodes(nodes)
        return {"ids": [node.node_id for node in nodes]}

    async def answer(self, question: str, source: str | None) -> dict[str, Any]:
        """Answer from the four passages that are nearest."""
        only = None
        if source is not None:
            only = MetadataFilters(filters=[MetadataFilter(key="source", value=source)])
        retriever = self.index.as_retriever(similarity_top_k=4, filters=only)
        passages = [found.node.get_content() for found in await retriever.aretrieve(question)]
        return {"answer": await answer(self.ai, question, passages), "passages": passages}


def shown(value: Any, status: int = 200) -> Response:
    """A response of JSON."""
    headers = {"content-type": "application/json"}
    return Response(json.dumps(value), status=status, headers=headers)
