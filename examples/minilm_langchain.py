"""MiniLM for LangChain."""

import asyncio

from langchain_core.embeddings import Embeddings

from examples.minilm import MiniLM


class MiniLMEmbeddings(Embeddings):
    """`MiniLM` for LangChain: lists of 384 floats, length one.

    The async methods work in a thread, so the event loop stays free.
    """

    def __init__(self, model: MiniLM | None = None) -> None:
        self._model = model or MiniLM()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in the order of `texts`."""
        vectors: list[list[float]] = self._model.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text; questions and documents are embedded alike."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, in a thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, in a thread."""
        return await asyncio.to_thread(self.embed_query, text)
