"""From records to vectors: encoded, checked and embedded, a batch at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import checks, layout
from vectorize_core.errors import InvalidInputError, InvalidVectorError
from vectorize_core.flows.batching import Entry, check_batch_size
from vectorize_core.flows.checkpoint import Checkpoint
from vectorize_core.flows.source import TURN, Records, Source, check_values
from vectorize_core.flows.state import find_details
from vectorize_core.io import Embedding, Io, in_batches
from vectorize_core.layout import Record
from vectorize_core.models import IndexType, Vector, as_values
from vectorize_core.store_index import StoreIndex

_TYPICAL = 0.012345678
"""As long in JSON as most values of an embedding."""


class Item(NamedTuple):
    """A record to add; ``values`` is None if it is to be embedded.

    ``named`` is False where the id is not the caller's but was made up.
    """

    record: Record
    values: ArrayLike | None = None
    named: bool = True


class Ingest(Source[Item]):
    """Items on their way to becoming vectors, a batch at a time."""

    def __init__(
        self,
        io: Io,
        index: StoreIndex,
        items: Records[Item],
        *,
        text_key: str,
        namespace: str | None,
        batch_size: int | None,
    ) -> None:
        super().__init__(items)
        self._batch_size = check_batch_size(batch_size)
        self._io = io
        self._index = index
        self._text_key = text_key
        self._namespace = namespace

    async def entries(
        self, checkpoint: Checkpoint, *, dry_run: bool = False
    ) -> AsyncGenerator[Entry, None]:
        """Vectors that are checked and embedded; a dry run only pretends to embed."""
        await self._index.check_promises(self._io)
        indexed = await self._index.properties(self._io)
        async with (
            aclosing(self._prepared(checkpoint, indexed)) as prepared,
            aclosing(in_batches(prepared, self._batch_size)) as batches,
        ):
            async for batch in batches:
                for entry in await (self._pretend(batch) if dry_run else self._embed(batch)):
                    yield entry

    async def _prepared(
        self, checkpoint: Checkpoint, indexed: Mapping[str, IndexType]
    ) -> AsyncGenerator[_Prepared, None]:
        """Records that are to be written; a sequence is checked as a whole first."""
        async with aclosing(self._one_by_one(checkpoint, indexed)) as prepared:
            if not isinstance(self.records, Sequence):
                async for item in prepared:
                    yield item
                return
            ready = [item async for item in prepared]
            await self._check([item.vector for item in ready if item.vector is not None])
            for item in ready:
                yield item

    async def _one_by_one(
        self, checkpoint: Checkpoint, indexed: Mapping[str, IndexType]
    ) -> AsyncGenerator[_Prepared, None]:
        async with aclosing(self.numbered()) as items:
            async for position, item in items:
                if position % TURN == 0:
                    await self._io.sleep(0)
                prepared = self._prepare(position, item, checkpoint, indexed)
                self.ids.append(prepared.id)
                if checkpoint.holds(position, prepared.id, prepared.digest):
                    self.skip(position)
                else:
                    yield prepared

    def _prepare(
        self,
        position: int,
        item: Item,
        checkpoint: Checkpoint,
        indexed: Mapping[str, IndexType],
    ) -> _Prepared:
        record, values, named = item
        if not named:
            record = dataclasses.replace(record, id=checkpoint.id_for(position, record.id))
        checks.check_id(record.id)
        metadata = layout.encode(record, text_key=self._text_key, indexed=indexed)
        size = checks.check_record(record.id, self._namespace, metadata)
        text, vector = None, None
        content: str | bytes
        if values is not None:
            vector = self._vector(record.id, values, metadata)
            content = vector.values.tobytes()
        elif record.text is not None:
            content = text = record.text
        else:
            raise InvalidVectorError(f"record {record.id!r} has neither a text nor an embedding")
        digest = checkpoint.digest(record.id if named else content)
        return _Prepared(position, record.id, metadata, size, text, vector, digest)

    async def _embed(self, batch: list[_Prepared]) -> list[Entry]:
        texts = [item.text for item in batch if item.text is not None]
        embeddings = await self._io.embed(texts) if texts else ()
        if len(embeddings) != len(texts):
            raise InvalidInputError(
                f"the embedding model returned {len(embeddings)} vectors for {len(texts)} texts"
            )
        embedded = iter(_rows(embeddings))
        vectors = [
            item.vector
            if item.vector is not None
            else self._vector(item.id, next(embedded), item.metadata)
            for item in batch
        ]
        await self._check(vectors)
        await self._index.ensure(self._io, len(vectors[0].values))
        return [item.entry(vector) for item, vector in zip(batch, vectors, strict=True)]

    async def _pretend(self, batch: list[_Prepared]) -> list[Entry]:
        details = await find_details(self._io, self._index.state)
        typical = np.full(0 if details is None else details.config.dimensions, _TYPICAL)
        return [
            item.entry(
                item.vector
                if item.vector is not None
                else self._vector(item.id, typical, item.metadata)
            )
            for item in batch
        ]

    async def _check(self, vectors: Sequence[Vector]) -> None:
        """Values that the index takes, or that one can be made for."""
        exists = await self._index.exists(self._io)
        for vector in vectors:
            if exists:
                await check_values(self._io, self._index.state, vector)
            else:
                checks.check_finite(vector)
                name, first = f"vector {vector.id!r}", len(vectors[0].values)
                checks.check_dimensions(name, first, len(vector.values), index=self._index.name)

    def _vector(self, vector_id: str, values: ArrayLike, metadata: Mapping[str, Any]) -> Vector:
        try:
            array = as_values(values)
        except (TypeError, ValueError) as error:
            raise InvalidVectorError(
                f"record {vector_id!r}: its embedding is not a list of numbers: {error}"
            ) from error
        return Vector(vector_id, array, self._namespace, metadata)


class _Prepared(NamedTuple):
    """A record that is checked and encoded: a ``text`` to embed, or a ``vector`` to send."""

    position: int
    id: str
    metadata: dict[str, Any]
    metadata_size: int
    text: str | None
    vector: Vector | None
    digest: int

    def entry(self, vector: Vector) -> Entry:
        """The record as ``vector``."""
        return Entry(self.position, self.id, vector, self.metadata_size, self.digest)


def _rows(embeddings: Sequence[Embedding]) -> Sequence[ArrayLike]:
    """Embeddings as float32, all at once if they are alike; if not, one by one will tell why."""
    try:
        with np.errstate(over="ignore"):
            rows = np.asarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError):
        return embeddings
    return list(rows) if rows.ndim == 2 else embeddings
