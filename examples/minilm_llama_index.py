"""MiniLM for LlamaIndex."""

import asyncio
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import BaseEmbedding

from examples.minilm import MiniLM


class MiniLMEmbedding(BaseEmbedding):
    """`MiniLM` for LlamaIndex: lists of 384 floats, length one.

    The async methods work in a thread, so the event loop stays free.
    """

    _model: MiniLM = PrivateAttr()

    def __init__(self, model: MiniLM | None = None, **kwargs: Any) -> None:
        super().__init__(**{"model_name": "all-MiniLM-L6-v2", **kwargs})
        self._model = model or MiniLM()

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex stores and logs."""
        return "MiniLMEmbedding"

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        vectors: list[Embedding] = self._model.embed(texts).tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._get_text_embedding(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await asyncio.to_thread(self._get_query_embedding, query)
