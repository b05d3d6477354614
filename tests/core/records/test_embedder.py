"""Embedding goes through the method that goes with the caller's Io."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from vectorize_core import ConfigurationError, VectorizeClient
from vectorize_core.records.embedder import Embedder, NoEmbedder
from vectorize_core.transport.io import Io, run


class Lengths(Embedder):
    """The length of a text, whether it is a query, and whether it was awaited."""

    async def embed(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> list[list[float]]:
        async def awaited() -> bool:
            return True

        is_async = await io.either(lambda: False, awaited)
        return [[len(text), as_queries, is_async] for text in texts]


@pytest.mark.parametrize("as_queries", [False, True])
def test_embedding_is_sync_or_async_like_its_caller(as_queries: bool) -> None:
    with VectorizeClient.local() as client:
        io, async_io = client.connection.io(), client.connection.async_io()
        found = run(Lengths().embed(io, ["ab"], as_queries=as_queries))
        assert found == [[2, as_queries, False]]
        awaited = Lengths().embed(async_io, ["ab"], as_queries=as_queries)
        assert asyncio.run(awaited) == [[2, as_queries, True]]


def test_without_a_model_a_text_cannot_be_embedded() -> None:
    with (
        VectorizeClient.local() as client,
        pytest.raises(ConfigurationError, match="no embedding model"),
    ):
        run(NoEmbedder().embed(client.connection.io(), ["a"]))
