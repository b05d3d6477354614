"""Rows that a write is given, and what an index really holds of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from vectorize_core import PartialWriteError, limits
from vectorize_core.local import Service
from vectorize_core.models import Vector

DIMENSIONS = 32
_PAGE = 1_000
_MOST_TOLD = 5

Fate = Literal["written", "unknown", "not_written"]


class Row(NamedTuple):
    """A record as a test writes it; its vector is `hashed` of the text."""

    id: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A server, and the service behind it."""

    base_url: str
    service: Service


def hashed(texts: Iterable[str]) -> NDArray[np.float32]:
    """A vector for each text, decided by it and cheap; of shape (texts, `DIMENSIONS`)."""
    digests = (blake2b(text.encode(), digest_size=2 * DIMENSIONS).digest() for text in texts)
    integers = np.frombuffer(b"".join(digests), "<i2")
    return (integers.astype(np.float32) / 1024).reshape(-1, DIMENSIONS)


class HashEmbeddings(Embeddings):
    """`hashed`, as an embedding model."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = hashed(texts).tolist()
        return vectors

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def contents(service: Service, index: str) -> dict[str, Vector]:
    """Everything an index holds, by id."""
    found: dict[str, Vector] = {}
    cursor: str | None = None
    while True:
        page = service.list_vectors(index, count=_PAGE, cursor=cursor)
        for start in range(0, len(page.ids), limits.MAX_IDS_PER_GET):
            ids = page.ids[start : start + limits.MAX_IDS_PER_GET]
            found.update((vector.id, vector) for vector in service.get_by_ids(index, ids))
        cursor = page.next_cursor
        if cursor is None:
            return found


def fates(error: Exception | None, positions: int) -> list[Fate]:
    """What is said of each position of an input; one that was never taken is not written."""
    if error is None:
        return ["written"] * positions
    if not isinstance(error, PartialWriteError):
        # All share one fate, and the error does not say which.
        return ["unknown"] * positions
    told: list[Fate] = ["not_written"] * positions
    for position in error.written:
        told[position] = "written"
    for position in error.unknown:
        told[position] = "unknown"
    return told


def discrepancies(rows: Sequence[Row], told: Sequence[Fate], found: dict[str, Vector]) -> list[str]:
    """Where an index does not hold what was said of a write, of fresh ids; some of them.

    Of records with the same id the last one that was written counts, and what is unknown may be.
    """
    possible: dict[str, set[int | None]] = {}
    for position, (row, fate) in enumerate(zip(rows, told, strict=True)):
        if fate == "written":
            possible[row.id] = {position}
        else:
            kept = possible.setdefault(row.id, {None})
            if fate == "unknown":
                kept.add(position)
    values = hashed(row.text for row in rows)

    def is_as_at(vector: Vector, position: int | None) -> bool:
        if position is None:
            return False
        metadata = {k: v for k, v in (vector.metadata or {}).items() if not k.startswith("_vs")}
        return (
            metadata == rows[position].metadata | {"text": rows[position].text}
            and vector.values.tobytes() == values[position].tobytes()
            and vector.namespace is None
        )

    wrong = [f"{vector_id!r} was never given" for vector_id in found.keys() - possible.keys()]
    for vector_id, positions in possible.items():
        vector = found.get(vector_id)
        if vector is None:
            if None not in positions:
                wrong.append(f"{vector_id!r} is missing, but was written at {positions}")
        elif not any(is_as_at(vector, position) for position in positions):
            wrong.append(f"{vector_id!r} is {vector.metadata}, not as at {positions}")
    return wrong[:_MOST_TOLD]
