"""A LangChain embedding model, as the core uses one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from langchain_core.embeddings import Embeddings

from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.records.embedder import Embedder
from vectorize_core.transport.io import Io


class LangChainEmbedder(Embedder):
    """Embeds with ``model``: by its plain methods in sync code, by the awaited ones in async."""

    def __init__(self, model: Embeddings) -> None:
        methods = (getattr(model, name, None) for name in ("embed_documents", "embed_query"))
        if isinstance(model, type) or not all(map(callable, methods)):
            raise InvalidInputError(
                "embedding is an Embeddings of LangChain, or has its methods embed_documents() and "
                f"embed_query(); got {shown(model)}"
            )
        self.model = model

    async def embed(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> list[list[float]]:
        """The embeddings of ``texts``, in order."""
        if not as_queries:
            found: list[list[float]] = await self._embedded(io, "embed_documents", list(texts))
            return found
        return [await self._embedded(io, "embed_query", text) for text in texts]

    async def _embedded(self, io: Io, method: str, given: object) -> Any:
        blocking = partial(getattr(self.model, method), given)
        awaited = getattr(self.model, f"a{method}", None)
        if awaited is None:
            # It only has the methods that the constructor asks for.
            return await io.offload(blocking)
        return await io.either(blocking, partial(awaited, given))
