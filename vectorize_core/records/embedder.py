"""An embedding model, as the stores use one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vectorize_core.errors import ConfigurationError
from vectorize_core.transport.io import Io

Embedding = Sequence[float]


class Embedder(ABC):
    """Turns texts into vectors."""

    @abstractmethod
    async def embed(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        """The embeddings of ``texts``, in order; some models embed queries differently.

        A flow: a model with methods of both kinds goes through ``io.either``.
        """


class NoEmbedder(Embedder):
    """Of a store whose records come with their embeddings."""

    async def embed(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        """Raises `ConfigurationError`."""
        raise ConfigurationError("this store has no embedding model: give it embeddings")
