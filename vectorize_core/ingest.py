"""From records to vectors: encoded, checked and embedded, a batch at a time."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from vectorize_core import checks, layout
from vectorize_core.errors import InvalidInputError, InvalidVectorError
from vectorize_core.flows import writing
from vectorize_core.flows.writing import Measured
from vectorize_core.io import Io, each, in_batches
from vectorize_core.layout import Record
from vectorize_core.models import IndexType, Vector, as_values
from vectorize_core.store_index import StoreIndex


class Item(NamedTuple):
    """A record to add; ``values`` is None if it is to be embedded."""

    record: Record
    values: ArrayLike | None = None


class Ingest:
    """Items on their way to becoming vectors, a batch at a time.

    ``ids`` are those of the items so far, ``taken`` is how many of the input are used up.
    """

    def __init__(
        self,
        io: Io,
        index: StoreIndex,
        *,
        text_key: str,
        namespace: str | None,
        batch_size: int | None,
    ) -> None:
        self.ids: list[str] = []
        self.taken = 0
        self.batch_size = writing.check_batch_size(batch_size)
        self._io = io
        self._index = index
        self._text_key = text_key
        self._namespace = namespace

    async def measured(
        self, items: Iterable[Item] | AsyncIterable[Item]
    ) -> AsyncIterator[Measured]:
        """Vectors that are checked and embedded; a sequence is checked as a whole first."""
        await self._index.check_promises(self._io)
        indexed = await self._index.properties(self._io)
        prepared: AsyncIterator[_Prepared]
        if isinstance(items, Sequence):
            self.taken = len(items)
            ready = [self._prepare(item, indexed) for item in items]
            await self._check([item.vector for item in ready if item.vector is not None])
            prepared = each(ready)
        else:
            source = items if isinstance(items, AsyncIterable) else each(items)
            prepared = self._one_by_one(source, indexed)
        async for batch in in_batches(prepared, self.batch_size):
            for measured in await self._embed(batch):
                yield measured

    async def _one_by_one(
        self, items: AsyncIterable[Item], indexed: Mapping[str, IndexType]
    ) -> AsyncIterator[_Prepared]:
        async for item in items:
            self.taken += 1
            yield self._prepare(item, indexed)

    def _prepare(self, item: Item, indexed: Mapping[str, IndexType]) -> _Prepared:
        record, values = item
        checks.check_id(record.id)
        metadata = layout.encode(record, text_key=self._text_key, indexed=indexed)
        size = checks.check_record(record.id, self._namespace, metadata)
        self.ids.append(record.id)
        if values is None:
            if record.text is None:
                raise InvalidVectorError(
                    f"record {record.id!r} has neither a text nor an embedding"
                )
            return _Prepared(record.id, metadata, size, record.text, None)
        vector = self._vector(record.id, values, metadata)
        return _Prepared(record.id, metadata, size, None, vector)

    async def _embed(self, batch: list[_Prepared]) -> list[Measured]:
        texts = [item.text for item in batch if item.text is not None]
        embeddings = await self._io.embed(texts) if texts else ()
        if len(embeddings) != len(texts):
            raise InvalidInputError(
                f"the embedding model returned {len(embeddings)} vectors for {len(texts)} texts"
            )
        embedded = iter(embeddings)
        vectors = [
            item.vector
            if item.vector is not None
            else self._vector(item.id, next(embedded), item.metadata)
            for item in batch
        ]
        await self._check(vectors)
        await self._index.ensure(self._io, len(vectors[0].values))
        return [
            Measured(vector, item.metadata_size)
            for vector, item in zip(vectors, batch, strict=True)
        ]

    async def _check(self, vectors: Sequence[Vector]) -> None:
        """Values that the index takes, or that one can be made for."""
        exists = await self._index.exists(self._io)
        for vector in vectors:
            if exists:
                await writing.check_values(self._io, self._index.state, vector)
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

    id: str
    metadata: dict[str, Any]
    metadata_size: int
    text: str | None
    vector: Vector | None
