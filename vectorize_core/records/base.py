"""A store of records: its index and settings, and which records a call is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self, TypeAlias, TypedDict

from vectorize_core import layout
from vectorize_core.api import validation
from vectorize_core.connection import Connection
from vectorize_core.errors import ConfigurationError, InvalidInputError
from vectorize_core.filters.plan import Plan, Unindexed, in_records
from vectorize_core.layout import Record
from vectorize_core.models import Filter, Vector
from vectorize_core.reads import by_id, selection
from vectorize_core.reads.post_filter import ReadRecord, Sieve
from vectorize_core.reads.request_limit import MAX_ENUMERATION_REQUESTS
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.embedder import Embedder
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.state import waiting
from vectorize_core.state.index_state import IndexState
from vectorize_core.state.pending import warn_of_pending_writes
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.texts.reading import (
    OnMissingText,
    TextReading,
    V,
    WholeRecords,
    check_on_missing_text,
)
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io
from vectorize_core.writes.batching import check_batch_size

OnOversize: TypeAlias = Literal["error", "cut"]
"""What becomes of a text that does not fit into its vector and has nowhere else to go."""


class FindOptions(TypedDict, total=False):
    """Which records, and how much may be read to find them. See `SelectOptions`."""

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordBase:
    """Records in one index, and how they are written unless a call says otherwise.

    ``namespace`` is where. A store that is ``bound`` to its namespace is a tenant's: it reaches no
    record of another namespace. Its records are stored under digests of their ids, so that no
    two tenants' are the same; all ids that it takes and returns are the tenant's own.
    """

    index: StoreIndex
    embedder: Embedder | None = dataclasses.field(default=None, repr=False)
    namespace: str | None = None
    bound: bool = False
    text_key: str = layout.DEFAULT_TEXT_KEY
    texts: TextStore | None = None
    on_oversize: OnOversize = "error"
    on_missing_text: OnMissingText = "error"
    batch_size: int | None = None
    wait: Wait = False
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT

    def __post_init__(self) -> None:
        validation.check_namespace(self.namespace)
        layout.check_text_key(self.text_key)
        waiting.wait_goal(self.wait)
        check_batch_size(self.batch_size)
        if self.on_oversize not in ("error", "cut"):
            raise InvalidInputError(f"on_oversize is 'error' or 'cut'; got {self.on_oversize!r}")
        if self.on_oversize == "cut" and self.texts is not None:
            raise ConfigurationError(
                "texts= keeps long texts whole, on_oversize='cut' does not: give one of them"
            )
        check_on_missing_text(self.on_missing_text)

    @property
    def connection(self) -> Connection:
        """The connection that the records are reached over."""
        return self.index.located.connection

    @property
    def _state(self) -> IndexState:
        return self.index.state

    def with_namespace(self, namespace: str) -> Self:
        """This store, bound to a namespace. It leaves the connection to this one to close."""
        validation.check_namespace(namespace)
        if namespace is None:
            raise InvalidInputError("a tenant has a namespace of its own; got None")
        if self.bound:
            raise TypeError(
                f"this view is bound to the namespace {self.namespace!r}; make others with "
                "with_namespace() of the store itself"
            )
        located = self.index.located._replace(owned=False)
        index = dataclasses.replace(self.index, located=located)
        return dataclasses.replace(self, index=index, namespace=namespace, bound=True)

    def owning(self) -> Self:
        """This store, with a connection that nobody else will close."""
        located = self.index.located._replace(owned=True)
        return dataclasses.replace(self, index=dataclasses.replace(self.index, located=located))

    def close(self) -> None:
        """Close the connection, if it is the store's own."""
        located = self.index.located
        if located.owned:
            located.connection.close()
            if located.texts is not None:
                located.texts.close()

    async def aclose(self) -> None:
        """Close both faces of the connection, if it is the store's own."""
        located = self.index.located
        if located.owned:
            await located.connection.aclose()
            if located.texts is not None:
                await located.connection.async_io().offload(located.texts.close)

    async def await_writes(self, io: Io, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store's connection to the index."""
        timeout = wait_timeout if wait_timeout is not None else self.wait_timeout
        await waiting.wait_for_own(io, self._state, timeout)

    def _waiting(self, wait: Wait | None, wait_timeout: float | None) -> WaitOptions:
        return WaitOptions(
            wait=wait if wait is not None else self.wait,
            wait_timeout=wait_timeout if wait_timeout is not None else self.wait_timeout,
        )

    # Which records

    def in_namespace(self, namespace: str | None) -> str | None:
        """The namespace of a call: its own, else the store's; a TypeError in a bound store."""
        if namespace is not None and self.bound:
            raise TypeError(
                f"namespace={namespace!r}: this view is bound to the namespace {self.namespace!r}"
            )
        validation.check_namespace(namespace)
        return namespace if namespace is not None else self.namespace

    def stored_id(self, name: str) -> str:
        """The id that a record is stored under; one that no record can have stays as it is."""
        if not self.bound or not validation.possible_id(name):
            return name
        assert self.namespace is not None
        return layout.stored_id(self.namespace, name)

    def record(self, vector_id: str, metadata: Mapping[str, Any] | None) -> Record:
        """The record that a vector's metadata holds, with the id that this store knows it by."""
        record = layout.decode(vector_id, metadata, text_key=self.text_key)
        return dataclasses.replace(record, id=record.name) if self.bound else record

    @property
    def long_texts(self) -> TextStore | None:
        """Where texts are that are too long for a vector; embedded, beside the vectors."""
        return self.texts if self.texts is not None else self.index.located.texts

    async def whole(self, io: Io, vectors: Sequence[V]) -> list[tuple[V, Record]]:
        """Vectors with their records, and the texts that stand elsewhere. See `TextReading`."""
        return await self._text_reading.records(io, vectors)

    @property
    def _reader(self) -> ReadRecord:
        """`record` for one filter, which may look at texts."""
        return WholeRecords(self._text_reading)

    @property
    def _text_reading(self) -> TextReading:
        return TextReading(self._state, self.record, self.long_texts, self.on_missing_text)

    async def plan(
        self,
        io: Io,
        filter: AnyFilter | None = None,
        vectorize_filter: Filter | None = None,
        *,
        refs: Sequence[str] | None = None,
        unindexed: Unindexed = "error",
    ) -> Plan:
        """How to find records by a filter, and, unless None, by the documents they came from."""
        within = None if refs is None else {layout.REF: [layout.ref_value(ref) for ref in refs]}
        return await selection.make_plan(
            filter,
            vectorize_filter,
            partial(self.index.properties, io),
            index_name=self.index.name,
            stored=in_records(self.text_key),
            within=within,
            unindexed=unindexed,
        )

    async def _find(
        self,
        io: Io,
        filter: AnyFilter | None,
        options: FindOptions,
        refs: Sequence[str] | None = None,
    ) -> tuple[Plan, str | None, int]:
        namespace = self.in_namespace(options.get("namespace"))
        plan = await self.plan(
            io,
            filter,
            options.get("vectorize_filter"),
            refs=refs,
            unindexed=options.get("unindexed", "error"),
        )
        return plan, namespace, options.get("max_requests", MAX_ENUMERATION_REQUESTS)

    async def _vectors(
        self, io: Io, ids: Sequence[str], namespace: str | None = None
    ) -> list[Vector]:
        """The vectors with these ids, of one namespace unless None, in order."""
        validation.check_id_list(ids)
        if not ids or not await self.index.exists(io):
            return []
        found = await by_id.get_many(io, self._state, [*map(self.stored_id, ids)])
        if not found:
            await warn_of_pending_writes(io, self._state)
        within = self.namespace if self.bound else namespace
        return [v for v in found.values() if within is None or v.namespace == within]

    async def _selected(
        self,
        io: Io,
        ids: Sequence[str],
        filter: AnyFilter | None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[Vector]:
        """The vectors with these ids that a filter matches; all of it is evaluated here."""
        plan = await self.plan(io, filter, refs=refs, unindexed="scan")
        if plan.impossible:
            return []
        sieve = Sieve(plan, self._reader)
        vectors = await self._vectors(io, ids, namespace)
        await sieve.prepare(io, vectors)
        return [vector for vector in vectors if sieve.selects(vector)]
