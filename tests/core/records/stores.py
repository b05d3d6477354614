"""Records in an embedded index with a text index, written and searched without a framework."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, cast

import numpy as np

from vectorize_core import VectorizeClient
from vectorize_core.layout import Record
from vectorize_core.records.embedder import Embedder
from vectorize_core.records.hit import Hit
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.transport.io import Io


class Vectors(Embedder):
    """A random vector for each text, always the same."""

    async def embed(
        self, io: Io, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> list[list[float]]:
        return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    seed = blake2b(text.encode(), digest_size=8).digest()
    return np.random.default_rng(list(seed)).standard_normal(32).tolist()


def store_of(
    client: VectorizeClient, text_index: Any = None, *, name: str = "docs", **options: Any
) -> RecordStore:
    of_index = {"metadata_indexes": {"year": "number"}, "create_index": True}
    of_index |= {
        given: options.pop(given) for given in ("metadata_indexes", "metric") & options.keys()
    }
    index = StoreIndex(target=locate(name, client=client), **cast("Any", of_index))
    return RecordStore(index=index, embedder=Vectors(), text_index=text_index, **options)


def item(record_id: str, text: str | None, ref: str | None = None, **metadata: Any) -> Item:
    return Item(Record(record_id, text, metadata, ref=ref))


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.record.id for hit in hits]
