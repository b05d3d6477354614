"""One index, as a user wants to hold it: `Index` and `AsyncIndex`.

Their methods are sync and async variants over the same flows. The caps of the service are not
theirs: ids, records and matches are cut into as many requests as it takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Literal, Unpack, overload

from numpy.typing import ArrayLike

from vectorize_core import limits
from vectorize_core.api.operations import GetInfo, ListMetadataIndexes
from vectorize_core.api.validation import flag
from vectorize_core.connection import Connection
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import (
    Id,
    IndexDetails,
    IndexInfo,
    IndexType,
    Match,
    MetadataIndex,
    Mutation,
    Vector,
)
from vectorize_core.reads import by_id, raw
from vectorize_core.reads.raw import EnumerateOptions, QueryOptions
from vectorize_core.reads.selection import AnyFilter, SelectOptions
from vectorize_core.state import index_state, metadata_indexes, waiting
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, WaitOptions
from vectorize_core.transport.io import iterate, run
from vectorize_core.writes import by_filter, writing
from vectorize_core.writes.by_filter import DeleteOptions
from vectorize_core.writes.estimate import WriteEstimate, estimate_vectors
from vectorize_core.writes.sources import Records
from vectorize_core.writes.writing import WriteOptions


class _Named:
    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self._state = connection.state(name)
        self.name = self._state.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


@checks_keywords()
class Index(_Named):
    """One index of a `VectorizeClient`. Making one sends nothing.

    Every method that sends requests raises `IndexNotFoundError` if there is no index of that name,
    and other subclasses of `VectorizeError`.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(connection, name)
        self._io = connection.io()

    @overload
    def upsert(
        self, vectors: Iterable[Vector], *, dry_run: Literal[True], **options: Unpack[WriteOptions]
    ) -> WriteEstimate: ...
    @overload
    def upsert(
        self,
        vectors: Iterable[Vector],
        *,
        dry_run: Literal[False] = False,
        **options: Unpack[WriteOptions],
    ) -> tuple[Mutation, ...]: ...
    def upsert(
        self, vectors: Iterable[Vector], *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> tuple[Mutation, ...] | WriteEstimate:
        """Write vectors; one whose id exists replaces the old one whole.

        Any number, also out of a generator: several requests of ``batch_size`` records (500) or
        8 MB are on their way at once. A sequence is checked as a whole before anything is sent.
        The options are those of `WriteOptions`, ``wait`` among them. With ``dry_run`` nothing is
        written; returns a `WriteEstimate`.

        Returns one `Mutation` a request. Raises `InvalidVectorError` naming the record,
        `PartialWriteError` when some were written and some not, `WaitTimeoutError`.
        """
        if flag("dry_run", dry_run):
            return run(estimate_vectors(self._io, self._state, vectors, **options))
        return run(writing.upsert(self._io, self._state, vectors, **options))

    @overload
    def insert(
        self, vectors: Iterable[Vector], *, dry_run: Literal[True], **options: Unpack[WriteOptions]
    ) -> WriteEstimate: ...
    @overload
    def insert(
        self,
        vectors: Iterable[Vector],
        *,
        dry_run: Literal[False] = False,
        **options: Unpack[WriteOptions],
    ) -> tuple[Mutation, ...]: ...
    def insert(
        self, vectors: Iterable[Vector], *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> tuple[Mutation, ...] | WriteEstimate:
        """Write vectors whose ids are new; the service ignores those that exist. See `upsert`."""
        if flag("dry_run", dry_run):
            return run(estimate_vectors(self._io, self._state, vectors, **options))
        return run(writing.insert(self._io, self._state, vectors, **options))

    def query(
        self,
        vector: ArrayLike,
        top_k: int = limits.DEFAULT_TOP_K,
        **options: Unpack[QueryOptions],
    ) -> list[Match]:
        """The ``top_k`` nearest vectors, any number of them, best first.

        ``vector`` has a number for each dimension of the index; ``top_k`` is 5 by default. The
        options are those of `QueryOptions`: what comes with a match, and which vectors are
        searched. From 51 to 100 with values or whole metadata, these are fetched by id after the
        search. `TooManyRequestsNeededError` where it takes more than ``max_requests``
        (100; embedded any number, and with None).
        """
        return run(raw.query(self._io, self._state, vector, top_k, **options))

    def query_by_id(
        self,
        vector_id: Id,
        top_k: int = limits.DEFAULT_TOP_K,
        **options: Unpack[QueryOptions],
    ) -> list[Match]:
        """The vectors nearest to the stored vector ``vector_id``, itself included. See `query`.

        If no vector has that id, the service finds nothing (or answers an error, which is raised).
        """
        return run(raw.query_by_id(self._io, self._state, vector_id, top_k, **options))

    def get(self, ids: Sequence[Id]) -> list[Vector]:
        """The vectors with these ids, in the order of ``ids``; missing ones are left out.

        Any number of ids, twenty a request. A repeated id counts once.
        """
        return run(raw.get(self._io, self._state, ids))

    def delete(
        self, ids: Sequence[Id] | None = None, **options: Unpack[DeleteOptions]
    ) -> tuple[Mutation, ...]:
        """Delete the vectors with these ids; unknown ids are no error, no ids no request.

        Or, without ids, those that ``filter=`` matches; the options are those of `DeleteOptions`.
        No filter, or one that is empty, is an error. Returns one `Mutation` a request, which
        deletes a hundred.
        """
        return run(by_filter.delete(self._io, self._state, ids, **options))

    def list_ids(self, *, page_size: int = limits.MAX_LIST_COUNT) -> Iterator[str]:
        """The id of every vector, out of a snapshot taken when the iteration begins.

        A request lists ``page_size`` ids, at most 1,000.
        """
        return iterate(by_id.iter_ids(self._io, self._state, page_size=page_size))

    def iter_ids(self, **options: Unpack[EnumerateOptions]) -> Iterator[str]:
        """The id of every vector that ``filter=`` matches, however many, in no order.

        Waits first until this client's own writes are visible. `TooManyRequestsNeededError` where
        it takes more than ``max_requests`` (1,000; embedded any number). The options are those of
        `EnumerateOptions`.
        """
        return iterate(raw.ids(self._io, self._state, **options))

    def iter(self, **options: Unpack[SelectOptions]) -> Iterator[Vector]:
        """Every vector that ``filter=`` matches, with values and metadata. See `iter_ids`."""
        return iterate(raw.vectors(self._io, self._state, **options))

    def count(self, **options: Unpack[EnumerateOptions]) -> int:
        """How many vectors ``filter=`` matches; all of an index in one request. See `iter_ids`."""
        return run(raw.count(self._io, self._state, **options))

    def explain_filter(
        self,
        filter: AnyFilter | None,
        top_k: int | None = limits.DEFAULT_TOP_K,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """How a filter would be answered, and for how many requests; print it.

        For a query of ``top_k``, or with None for all that matches. ``unindexed`` is as in a query:
        with "error", a filter that no metadata index can look up is an `UnindexedPropertyError`.
        """
        return run(raw.explain_filter(self._io, self._state, filter, top_k, unindexed=unindexed))

    def reindex_metadata(self, **options: Unpack[WaitOptions]) -> int:
        """Write every vector again as it is; returns how many.

        A metadata index covers what is written once it is live; this makes it cover the rest. A
        request reads twenty vectors. No other client should write meanwhile.
        """
        return run(by_filter.reindex_metadata(self._io, self._state, **options))

    def info(self) -> IndexInfo:
        """How many vectors the index holds, and the last mutation it has processed."""
        return run(self._io.call(GetInfo(self.name)))

    def details(self) -> IndexDetails:
        """Configuration and description, as the service says now."""
        return run(index_state.get_details(self._io, self._state, refresh=True))

    def create_metadata_index(self, property_name: str, index_type: IndexType) -> Mutation:
        """Make a metadata property filterable, for vectors written once the index is live.

        ``index_type`` is "string", "number" or "boolean". An index has at most ten of them.
        """
        return run(
            metadata_indexes.create_metadata_index(self._io, self._state, property_name, index_type)
        )

    def list_metadata_indexes(self) -> tuple[MetadataIndex, ...]:
        """The properties that filters can use; a new one appears once it is live."""
        return run(self._io.call(ListMetadataIndexes(self.name)))

    def delete_metadata_index(self, property_name: str) -> Mutation:
        """Make a metadata property unfilterable again."""
        return run(metadata_indexes.delete_metadata_index(self._io, self._state, property_name))

    def wait(self, *, wait_timeout: float = DEFAULT_WAIT_TIMEOUT) -> None:
        """Wait until reads see this client's own latest writes to the index.

        Raises `WaitTimeoutError` after ``wait_timeout`` seconds (180).
        """
        run(waiting.wait_for_own(self._io, self._state, wait_timeout))

    def to_async(self) -> AsyncIndex:
        """The async variant of this index, over the same connection."""
        return AsyncIndex(self.connection, self.name)


@checks_keywords()
class AsyncIndex(_Named):
    """`Index`, awaited; the same methods and arguments."""

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(connection, name)
        self._io = connection.async_io()

    @overload
    async def upsert(
        self, vectors: Records[Vector], *, dry_run: Literal[True], **options: Unpack[WriteOptions]
    ) -> WriteEstimate: ...
    @overload
    async def upsert(
        self,
        vectors: Records[Vector],
        *,
        dry_run: Literal[False] = False,
        **options: Unpack[WriteOptions],
    ) -> tuple[Mutation, ...]: ...
    async def upsert(
        self, vectors: Records[Vector], *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> tuple[Mutation, ...] | WriteEstimate:
        """`Index.upsert`, awaited; takes async iterables too."""
        if flag("dry_run", dry_run):
            return await estimate_vectors(self._io, self._state, vectors, **options)
        return await writing.upsert(self._io, self._state, vectors, **options)

    @overload
    async def insert(
        self, vectors: Records[Vector], *, dry_run: Literal[True], **options: Unpack[WriteOptions]
    ) -> WriteEstimate: ...
    @overload
    async def insert(
        self,
        vectors: Records[Vector],
        *,
        dry_run: Literal[False] = False,
        **options: Unpack[WriteOptions],
    ) -> tuple[Mutation, ...]: ...
    async def insert(
        self, vectors: Records[Vector], *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> tuple[Mutation, ...] | WriteEstimate:
        """`Index.insert`, awaited; takes async iterables too."""
        if flag("dry_run", dry_run):
            return await estimate_vectors(self._io, self._state, vectors, **options)
        return await writing.insert(self._io, self._state, vectors, **options)

    async def query(
        self,
        vector: ArrayLike,
        top_k: int = limits.DEFAULT_TOP_K,
        **options: Unpack[QueryOptions],
    ) -> list[Match]:
        """`Index.query`, awaited."""
        return await raw.query(self._io, self._state, vector, top_k, **options)

    async def query_by_id(
        self,
        vector_id: Id,
        top_k: int = limits.DEFAULT_TOP_K,
        **options: Unpack[QueryOptions],
    ) -> list[Match]:
        """`Index.query_by_id`, awaited."""
        return await raw.query_by_id(self._io, self._state, vector_id, top_k, **options)

    async def get(self, ids: Sequence[Id]) -> list[Vector]:
        """`Index.get`, awaited."""
        return await raw.get(self._io, self._state, ids)

    async def delete(
        self, ids: Sequence[Id] | None = None, **options: Unpack[DeleteOptions]
    ) -> tuple[Mutation, ...]:
        """`Index.delete`, awaited."""
        return await by_filter.delete(self._io, self._state, ids, **options)

    def list_ids(self, *, page_size: int = limits.MAX_LIST_COUNT) -> AsyncIterator[str]:
        """`Index.list_ids`, for ``async for``."""
        return by_id.iter_ids(self._io, self._state, page_size=page_size)

    def iter_ids(self, **options: Unpack[EnumerateOptions]) -> AsyncIterator[str]:
        """`Index.iter_ids`, for ``async for``."""
        return raw.ids(self._io, self._state, **options)

    def iter(self, **options: Unpack[SelectOptions]) -> AsyncIterator[Vector]:
        """`Index.iter`, for ``async for``."""
        return raw.vectors(self._io, self._state, **options)

    async def count(self, **options: Unpack[EnumerateOptions]) -> int:
        """`Index.count`, awaited."""
        return await raw.count(self._io, self._state, **options)

    async def explain_filter(
        self,
        filter: AnyFilter | None,
        top_k: int | None = limits.DEFAULT_TOP_K,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """`Index.explain_filter`, awaited."""
        return await raw.explain_filter(self._io, self._state, filter, top_k, unindexed=unindexed)

    async def reindex_metadata(self, **options: Unpack[WaitOptions]) -> int:
        """`Index.reindex_metadata`, awaited."""
        return await by_filter.reindex_metadata(self._io, self._state, **options)

    async def info(self) -> IndexInfo:
        """`Index.info`, awaited."""
        return await self._io.call(GetInfo(self.name))

    async def details(self) -> IndexDetails:
        """`Index.details`, awaited."""
        return await index_state.get_details(self._io, self._state, refresh=True)

    async def create_metadata_index(self, property_name: str, index_type: IndexType) -> Mutation:
        """`Index.create_metadata_index`, awaited."""
        return await metadata_indexes.create_metadata_index(
            self._io, self._state, property_name, index_type
        )

    async def list_metadata_indexes(self) -> tuple[MetadataIndex, ...]:
        """`Index.list_metadata_indexes`, awaited."""
        return await self._io.call(ListMetadataIndexes(self.name))

    async def delete_metadata_index(self, property_name: str) -> Mutation:
        """`Index.delete_metadata_index`, awaited."""
        return await metadata_indexes.delete_metadata_index(self._io, self._state, property_name)

    async def wait(self, *, wait_timeout: float = DEFAULT_WAIT_TIMEOUT) -> None:
        """`Index.wait`, awaited."""
        await waiting.wait_for_own(self._io, self._state, wait_timeout)

    def to_sync(self) -> Index:
        """The sync variant of this index, over the same connection."""
        return Index(self.connection, self.name)
