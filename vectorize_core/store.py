"""What the LangChain and the LlamaIndex store have in common: records in an index.

`RecordStore` holds the settings; its methods are flows over an `Io`, which each framework's
store runs for its sync methods and awaits for its async ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import checks, layout, scoring
from vectorize_core.errors import (
    ApiMessage,
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    InvalidVectorError,
    UnindexedPropertyError,
)
from vectorize_core.filters import native
from vectorize_core.flows import indexes, reading, waiting, writing
from vectorize_core.flows.state import (
    IndexState,
    find_details,
    get_details,
    get_metadata_indexes,
)
from vectorize_core.flows.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.flows.writing import Measured, OnBatch
from vectorize_core.io import Io, each, in_batches
from vectorize_core.layout import Record
from vectorize_core.locate import Located
from vectorize_core.models import Filter, IndexType, Match, Metric, Vector, as_values

_BUCKETS = reading.Buckets(layout.BUCKET, layout.OWN, layout.BUCKETS)


class Item(NamedTuple):
    """A record to add; ``values`` is None if it is to be embedded."""

    record: Record
    values: ArrayLike | None = None


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match


class SearchOptions(TypedDict, total=False):
    """Which records a search considers, and whether their vectors come along."""

    filter: Filter | None
    vectorize_filter: Filter | None
    namespace: str | None
    return_values: bool


class AddOptions(WaitOptions, total=False):
    """How records are written."""

    namespace: str | None
    batch_size: int | None
    on_batch: OnBatch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStore:
    """Records in one index.

    ``create_index`` says whether the first write may create the index, with ``metric`` ("cosine"
    if None) and ``metadata_indexes``; until then searches find nothing. None: only with
    ``path=``. An index that exists is checked against both.
    """

    located: Located = field(repr=False)
    namespace: str | None = None
    text_key: str = layout.DEFAULT_TEXT_KEY
    create_index: bool | None = None
    metric: Metric | None = None
    metadata_indexes: Mapping[str, IndexType] | None = None
    batch_size: int | None = None
    wait: Wait = False
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT

    def __post_init__(self) -> None:
        checks.check_namespace(self.namespace)
        layout.check_text_key(self.text_key)
        waiting.wait_goal(self.wait)
        writing.check_batch_size(self.batch_size)
        if self.metric is not None:
            indexes.check_metric(self.metric)
        indexes.check_metadata_indexes(self.index_name, self._promised)

    @property
    def index_name(self) -> str:
        """The index worked on."""
        return self.located.index_name

    @property
    def may_create(self) -> bool:
        """Whether the first write creates a missing index."""
        return self.located.embedded if self.create_index is None else self.create_index

    @property
    def state(self) -> IndexState:
        """What the connection knows of the index."""
        return self.located.connection.state(self.index_name)

    def close(self) -> None:
        """Close the connection, if it is the store's own."""
        if self.located.owned:
            self.located.connection.close()

    async def aclose(self) -> None:
        """Close both faces of the connection, if it is the store's own."""
        if self.located.owned:
            await self.located.connection.aclose()

    async def add(
        self,
        io: Io,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        namespace: str | None = None,
        batch_size: int | None = None,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        on_batch: OnBatch | None = None,
    ) -> list[str]:
        """Write records, embedding those without values; returns all ids in input order.

        Records are embedded and sent a batch at a time: the next batch is embedded while earlier
        ones are on their way.
        """
        source = _Source(
            self, io, namespace, batch_size if batch_size is not None else self.batch_size
        )
        await writing.write(
            io,
            self.state,
            source.measured(items),
            batch_size=source.batch_size,
            on_batch=on_batch,
            taken=lambda: source.taken,
            **self._waiting(wait, wait_timeout),
        )
        return source.ids

    async def search(
        self,
        io: Io,
        query: ArrayLike | str,
        k: int,
        *,
        filter: Filter | None = None,
        vectorize_filter: Filter | None = None,
        namespace: str | None = None,
        return_values: bool = False,
    ) -> list[Hit]:
        """The ``k`` records nearest to a vector, or to the embedding of a text; best first."""
        reading.check_k(k)
        native_filter = await self.check_filter(io, filter, vectorize_filter)
        namespace = self.in_namespace(namespace)
        if not await self.exists(io):
            return []
        if isinstance(query, str):
            query = (await io.embed([query], as_queries=True))[0]
        matches = await reading.nearest(
            io,
            self.state,
            as_values(query),
            k,
            return_values=return_values,
            return_metadata="all",
            filter=native_filter,
            namespace=namespace,
        )
        return [Hit(self.record(match.id, match.metadata), match) for match in matches]

    async def search_among(
        self,
        io: Io,
        ids: Sequence[str],
        query: ArrayLike,
        k: int,
        *,
        filter: Filter | None = None,
        vectorize_filter: Filter | None = None,
        namespace: str | None = None,
    ) -> list[Hit]:
        """The ``k`` of the records with these ids that are nearest to a vector; best first.

        The service cannot restrict a search to ids: their vectors are fetched and scored here.
        """
        reading.check_k(k)
        if vectorize_filter is not None:
            raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
        namespace = self.in_namespace(namespace)
        if filter is not None:
            matching = set(await self.matching_ids(io, filter, namespace))
            ids = [i for i in ids if i in matching]
        vectors = [
            vector
            for vector in await self._vectors(io, ids)
            if namespace is None or vector.namespace == namespace
        ]
        if not vectors:
            return []
        target = as_values(query)
        await reading.check_query(io, self.state, target)
        matrix = np.stack([vector.values for vector in vectors])
        best, scores = scoring.nearest(await self.index_metric(io), matrix, target, k)
        return [
            Hit(
                self.record(vectors[at].id, vectors[at].metadata),
                Match(vectors[at].id, float(score), vectors[at].values),
            )
            for at, score in zip(best, scores, strict=True)
        ]

    async def get(self, io: Io, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in the order of ``ids``; missing ones are left out."""
        return [self.record(v.id, v.metadata) for v in await self._vectors(io, ids)]

    async def delete(
        self,
        io: Io,
        ids: Sequence[str],
        *,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
    ) -> None:
        """Delete the records with these ids; unknown ids are no error."""
        checks.check_id_list(ids)
        possible = [i for i in ids if checks.possible_id(i)]
        if possible and await self.exists(io):
            waits = self._waiting(wait, wait_timeout)
            await writing.delete(io, self.state, possible, **waits)

    async def matching_ids(
        self,
        io: Io,
        filter: Filter,
        namespace: str | None = None,
    ) -> list[str]:
        """The ids of all records that a filter matches, this client's latest writes included."""
        checked = await self.check_filter(io, filter)
        if checked is None:
            raise InvalidInputError("an empty filter matches everything; that must be explicit")
        if not await self.exists(io):
            return []
        await waiting.wait_for_own(io, self.state)
        indexed = await get_metadata_indexes(io, self.state)
        spread = {layout.BUCKET, layout.OWN} <= indexed.keys()
        return await reading.ids_matching(
            io,
            self.state,
            checked,
            buckets=_BUCKETS if spread else None,
            namespace=self.in_namespace(namespace),
        )

    async def clear(
        self, io: Io, *, wait: Wait | None = None, wait_timeout: float | None = None
    ) -> None:
        """Delete every record; in a store with a namespace, every record of that namespace."""
        if not await self.exists(io):
            return
        await waiting.wait_for_own(io, self.state)
        ids = [vector_id async for vector_id in reading.iter_ids(io, self.state)]
        if self.namespace is not None:
            ids = [v.id for v in await self._vectors(io, ids) if v.namespace == self.namespace]
        await self.delete(io, ids, wait=wait, wait_timeout=wait_timeout)

    async def exists(self, io: Io) -> bool:
        """Whether the index exists; an error if it does not and the store may not create it."""
        details = await find_details(io, self.state)
        if details is None and not self.may_create:
            raise IndexNotFoundError(
                f"index {self.index_name!r}",
                404,
                [ApiMessage(3000, "it does not exist; create_index=True lets the store make it")],
            )
        if details is not None and self.metric not in (None, details.config.metric):
            raise ConfigurationError(
                f"the index {self.index_name!r} has the metric {details.config.metric!r}, the "
                f"store was given {self.metric!r}; it cannot be changed"
            )
        return details is not None

    async def index_metric(self, io: Io) -> Metric:
        """The metric of the index, or the one it will be created with."""
        if await self.exists(io):
            return (await get_details(io, self.state)).config.metric
        return self.metric if self.metric is not None else "cosine"

    async def check_filter(
        self,
        io: Io,
        filter: Filter | None,
        vectorize_filter: Filter | None = None,
    ) -> Filter | None:
        """The filter to send, None for all records; ``vectorize_filter`` passes untouched.

        By a property without a metadata index the service finds nothing, and does not say so:
        here it is an error, with the line that mends it.
        """
        if filter is not None and vectorize_filter is not None:
            raise InvalidInputError("give filter= or vectorize_filter=, not both")
        if filter is None:
            return vectorize_filter
        names = {condition.property_name for condition in native.parse(filter)}
        if not names:
            return None
        if names <= (await self.indexed_properties(io)).keys():
            return filter
        indexed = await self.indexed_properties(io, refresh=True)
        missing = sorted(names - indexed.keys())
        if not missing:
            return filter
        raise UnindexedPropertyError(
            f"the index {self.index_name!r} has no metadata index on {missing[0]!r}, so the filter "
            f"would find nothing. Name it in metadata_indexes={{{missing[0]!r}: 'string'}} (or "
            "'number', 'boolean') when the index is created; or call client.index("
            f"{self.index_name!r}).create_metadata_index({missing[0]!r}, 'string') and, once it "
            "is live, add the records again: it covers what is written from then on. Indexed "
            f"are: {', '.join(sorted(indexed)) or 'none'}"
        )

    async def indexed_properties(self, io: Io, *, refresh: bool = False) -> Mapping[str, IndexType]:
        """The filterable properties of the index, or those it will be created with."""
        if await self.exists(io):
            return await get_metadata_indexes(io, self.state, refresh=refresh)
        return {**layout.METADATA_INDEXES, **self._promised}

    async def ensure_index(self, io: Io, dimensions: int) -> None:
        """Create the index if it is missing and the store may."""
        if not await self.exists(io):
            await indexes.create_index(
                io,
                self.state,
                dimensions=dimensions,
                metric=self.metric if self.metric is not None else "cosine",
                metadata_indexes=self.metadata_indexes,
                exist_ok=True,
            )

    async def check_metadata_indexes(self, io: Io) -> None:
        """What is written now must be found by the filters that the store was promised."""
        if not await self.exists(io):
            wanted = {**layout.METADATA_INDEXES, **self._promised}
            indexes.check_metadata_indexes(self.index_name, wanted)
            return
        promised = self._promised.items()
        if promised <= (await self.indexed_properties(io)).items():
            return
        indexed = await self.indexed_properties(io, refresh=True)
        missing = dict(promised - indexed.items())
        if missing:
            raise ConfigurationError(
                f"the index {self.index_name!r} exists without the metadata indexes {missing}; it "
                "is not altered behind your back. Create them with client.index("
                f"{self.index_name!r}).create_metadata_index(name, type), or leave them out of "
                "metadata_indexes="
            )

    def in_namespace(self, namespace: str | None) -> str | None:
        """The namespace of a call: its own, else the store's."""
        checks.check_namespace(namespace)
        return namespace if namespace is not None else self.namespace

    @property
    def _promised(self) -> Mapping[str, IndexType]:
        return self.metadata_indexes if self.metadata_indexes is not None else {}

    async def _vectors(self, io: Io, ids: Sequence[str]) -> list[Vector]:
        if not ids or not await self.exists(io):
            return []
        return list((await reading.get_many(io, self.state, ids)).values())

    def record(self, vector_id: str, metadata: Mapping[str, Any] | None) -> Record:
        """The record that a vector's metadata holds."""
        return layout.decode(vector_id, metadata, text_key=self.text_key)

    def _waiting(self, wait: Wait | None, wait_timeout: float | None) -> WaitOptions:
        return WaitOptions(
            wait=wait if wait is not None else self.wait,
            wait_timeout=wait_timeout if wait_timeout is not None else self.wait_timeout,
        )


class _Source:
    """Items on their way to becoming vectors, a batch at a time."""

    def __init__(
        self, store: RecordStore, io: Io, namespace: str | None, batch_size: int | None
    ) -> None:
        self.store = store
        self.io = io
        self.namespace = store.in_namespace(namespace)
        self.batch_size = writing.check_batch_size(batch_size)
        self.ids: list[str] = []
        self.taken = 0

    async def measured(
        self, items: Iterable[Item] | AsyncIterable[Item]
    ) -> AsyncIterator[Measured]:
        """Vectors that are checked and embedded; a sequence is checked as a whole first."""
        await self.store.check_metadata_indexes(self.io)
        indexed = await self.store.indexed_properties(self.io)
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
        metadata = layout.encode(record, text_key=self.store.text_key, indexed=indexed)
        size = checks.check_record(record.id, self.namespace, metadata)
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
        embeddings = await self.io.embed(texts) if texts else ()
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
        await self.store.ensure_index(self.io, len(vectors[0].values))
        return [
            Measured(vector, item.metadata_size)
            for vector, item in zip(vectors, batch, strict=True)
        ]

    async def _check(self, vectors: Sequence[Vector]) -> None:
        """Values that the index takes, or that one can be made for."""
        exists = await self.store.exists(self.io)
        for vector in vectors:
            if exists:
                await writing.check_values(self.io, self.store.state, vector)
            else:
                checks.check_finite(vector)
                name, first = f"vector {vector.id!r}", len(vectors[0].values)
                checks.check_dimensions(
                    name, first, len(vector.values), index=self.store.index_name
                )

    def _vector(self, vector_id: str, values: ArrayLike, metadata: Mapping[str, Any]) -> Vector:
        try:
            array = as_values(values)
        except (TypeError, ValueError) as error:
            raise InvalidVectorError(
                f"record {vector_id!r}: its embedding is not a list of numbers: {error}"
            ) from error
        return Vector(vector_id, array, self.namespace, metadata)


class _Prepared(NamedTuple):
    """A record that is checked and encoded: a ``text`` to embed, or a ``vector`` to send."""

    id: str
    metadata: dict[str, Any]
    metadata_size: int
    text: str | None
    vector: Vector | None
