"""A LangChain embedding model, as the core uses one."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.embeddings import Embeddings

from vectorize_core.records.embedder import Embedder


class LangChainEmbedder(Embedder):
    """Embeds with ``model``."""

    def __init__(self, model: Embeddings) -> None:
        self.model = model

    def embed(self, texts: Sequence[str], /, *, as_queries: bool = False) -> list[list[float]]:
        """The embeddings of ``texts``, in order."""
        if as_queries:
            return [self.model.embed_query(text) for text in texts]
        return self.model.embed_documents(list(texts))

    async def aembed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> list[list[float]]:
        """`embed`, awaited."""
        if as_queries:
            return [await self.model.aembed_query(text) for text in texts]
        return await self.model.aembed_documents(list(texts))
