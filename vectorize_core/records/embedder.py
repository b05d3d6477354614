"""An embedding model, as the stores use one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vectorize_core.errors import ConfigurationError
from vectorize_core.transport.io import Io

Embedding = Sequence[float]


class Embedder(ABC):
    """Turns texts into vectors; some models embed queries differently."""

    @abstractmethod
    def embed(self, texts: Sequence[str], /, *, as_queries: bool = False) -> Sequence[Embedding]:
        """The embeddings of ``texts``, in order."""

    @abstractmethod
    async def aembed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        """`embed`, awaited."""


async def embed(
    io: Io, embedder: Embedder | None, texts: Sequence[str], *, as_queries: bool = False
) -> Sequence[Embedding]:
    """The embeddings of ``texts``, in order; made by the method that goes with ``io``."""
    if embedder is None:
        raise ConfigurationError("this store has no embedding model: give it embeddings")
    return await io.either(
        lambda: embedder.embed(texts, as_queries=as_queries),
        lambda: embedder.aembed(texts, as_queries=as_queries),
    )
