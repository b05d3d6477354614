"""An embedding model, as the stores use one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vectorize_core.errors import ConfigurationError, InvalidVectorError, shown
from vectorize_core.transport.io import Io

Embedding = Sequence[float]


class Embedder(ABC):
    """Turns texts into vectors."""

    async def vectors(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        """What `embed` returns, if that is one embedding for each text.

        What is in them is checked by whoever knows the record that each is of.
        """
        found = await self.embed(io, texts, as_queries=as_queries)
        if isinstance(found, (str, bytes, Mapping)) or not isinstance(found, Iterable):
            raise InvalidVectorError(
                f"the embedding model returns a list of vectors, one for each of {len(texts)} "
                f"texts; it returned {shown(found)}"
            )
        # Copies before anything is awaited: a model may give another task's texts the same memory.
        vectors = [one.copy() if isinstance(one, np.ndarray) else one for one in found]
        if len(vectors) != len(texts):
            raise InvalidVectorError(
                f"the embedding model returned {len(vectors)} vectors for {len(texts)} texts"
            )
        return vectors

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
