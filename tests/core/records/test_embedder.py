"""Embedding goes through the method that goes with the caller's Io."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from vectorize_core import ConfigurationError
from vectorize_core.connection import local_connection
from vectorize_core.records.embedder import Embedder, embed
from vectorize_core.transport.io import run


class Lengths(Embedder):
    """The length of a text, whether it is a query, and whether it was awaited."""

    def embed(self, texts: Sequence[str], /, *, as_queries: bool = False) -> list[list[float]]:
        return [[len(text), as_queries, False] for text in texts]

    async def aembed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> list[list[float]]:
        return [[len(text), as_queries, True] for text in texts]


@pytest.mark.parametrize("as_queries", [False, True])
def test_embedding_is_sync_or_async_like_its_caller(as_queries: bool) -> None:
    connection = local_connection()
    found = run(embed(connection.io(), Lengths(), ["ab"], as_queries=as_queries))
    assert found == [[2, as_queries, False]]
    awaited = embed(connection.async_io(), Lengths(), ["ab"], as_queries=as_queries)
    assert asyncio.run(awaited) == [[2, as_queries, True]]


def test_without_a_model_a_text_cannot_be_embedded() -> None:
    with pytest.raises(ConfigurationError, match="no embedding model"):
        run(embed(local_connection().io(), None, ["a"]))
