"""`Words`: by what the texts of an index are found, BM25 of the server or sparse vectors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vectorize_core import jsontext
from vectorize_core.errors import ConfigurationError, InvalidVectorError, shown
from vectorize_core.lynse import checks
from vectorize_core.lynse.models import SparseVector
from vectorize_core.lynse.requests import Requests

SparseEmbedding: TypeAlias = Callable[
    [list[str]], tuple[Sequence[Sequence[int]], Sequence[Sequence[float]]]
]
"""Of texts, for each the indices of its words, and their weights."""


@dataclass(frozen=True, slots=True)
class Words:
    """The property that holds texts, and what makes sparse vectors of them; None for BM25."""

    text_key: str = "text"
    sparse_embedding: SparseEmbedding | None = None

    def __post_init__(self) -> None:
        key = self.text_key
        if not isinstance(key, str) or not key or jsontext.has_lone_surrogate(key):
            raise ConfigurationError(f"text_key is a key of metadata; got {shown(key)}")
        if not (self.sparse_embedding is None or callable(self.sparse_embedding)):
            raise ConfigurationError(
                "sparse_embedding is a function of a list of texts that returns two lists, of "
                f"indices and of weights; got {shown(self.sparse_embedding)}"
            )

    async def sparse(self, io: Requests, texts: Sequence[str]) -> list[SparseVector]:
        """The sparse vector of each text. `InvalidVectorError` for what is none."""
        embedding = self.sparse_embedding
        assert embedding is not None, "asked for by who knows that there is one"
        found = await io.offload(lambda: embedding(list(texts)))
        try:
            indices, weights = found
            made = [
                SparseVector([*map(operator.index, at)], [*map(float, weight)])
                for at, weight in zip(indices, weights, strict=True)
            ]
        except (TypeError, ValueError, OverflowError):
            raise InvalidVectorError(
                "sparse_embedding returns two lists, for each text of indices and of weights; got "
                f"{shown(found)}"
            ) from None
        if len(made) != len(texts):
            raise InvalidVectorError(
                f"sparse_embedding returned {len(made)} vectors for {len(texts)} texts"
            )
        return [
            checks.sparse(one, f"sparse_embedding(texts)[{number}]")
            for number, one in enumerate(made)
        ]


BM25: Final = Words()
