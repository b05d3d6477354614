"""What the LangChain and the LlamaIndex store have in common: records in an index.

`RecordStore` holds the settings; its methods are flows over an `Io`, which each framework's
store runs for its sync methods and awaits for its async ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import checks, layout, scoring
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Plan, Unindexed, in_records
from vectorize_core.flows import enumerating, reading, searching, selecting, waiting, writing
from vectorize_core.flows.batching import check_batch_size
from vectorize_core.flows.ceiling import MAX_ENUMERATION_REQUESTS, MAX_SEARCH_REQUESTS
from vectorize_core.flows.enumerating import Precision
from vectorize_core.flows.estimating import estimate
from vectorize_core.flows.pending import warn_of_pending_writes
from vectorize_core.flows.selecting import AnyFilter
from vectorize_core.flows.sieve import Sieve
from vectorize_core.flows.source import Records
from vectorize_core.flows.state import IndexState
from vectorize_core.flows.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.flows.writing import WriteOptions
from vectorize_core.ingest import Ingest, Item
from vectorize_core.io import Io
from vectorize_core.layout import Record
from vectorize_core.models import Filter, Match, Vector, as_values
from vectorize_core.store_index import StoreIndex


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match


class AddOptions(WriteOptions, total=False):
    """How records are written, and where to; ``dry_run`` estimates only."""

    namespace: str | None
    dry_run: bool


class FindOptions(TypedDict, total=False):
    """Which records, and how much may be read to find them. See `SelectOptions`."""

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int


class CountOptions(FindOptions, total=False):
    """As `FindOptions`; ``precision="high"`` leaves nothing to the service's approximation."""

    precision: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStore:
    """Records in one index, and how they are written unless a call says otherwise."""

    index: StoreIndex
    namespace: str | None = None
    text_key: str = layout.DEFAULT_TEXT_KEY
    batch_size: int | None = None
    wait: Wait = False
    wait_timeout: float = DEFAULT_WAIT_TIMEOUT

    def __post_init__(self) -> None:
        checks.check_namespace(self.namespace)
        layout.check_text_key(self.text_key)
        waiting.wait_goal(self.wait)
        check_batch_size(self.batch_size)

    @property
    def _state(self) -> IndexState:
        return self.index.state

    def close(self) -> None:
        """Close the connection, if it is the store's own."""
        if self.index.located.owned:
            self.index.located.connection.close()

    async def aclose(self) -> None:
        """Close both faces of the connection, if it is the store's own."""
        if self.index.located.owned:
            await self.index.located.connection.aclose()

    async def add(
        self,
        io: Io,
        items: Records[Item],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> list[str]:
        """Write records, embedding those without values; returns all ids in input order.

        Records are embedded and sent a batch at a time: the next batch is embedded while earlier
        ones are on their way. With ``dry_run`` nothing is embedded or written; returns a
        `WriteEstimate`.
        """
        if options.get("batch_size") is None:
            options["batch_size"] = self.batch_size
        source = Ingest(
            io,
            self.index,
            items,
            text_key=self.text_key,
            namespace=self.in_namespace(namespace),
        )
        if dry_run:
            return await estimate(io, self._state, source, **options)
        waits = self._waiting(options.get("wait"), options.get("wait_timeout"))
        await writing.write(
            io, self._state, source, "upsert", **WriteOptions(**{**options, **waits})
        )
        return source.ids

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
        return await selecting.make_plan(
            filter,
            vectorize_filter,
            partial(self.index.properties, io),
            index_name=self.index.name,
            stored=in_records(self.text_key),
            within=within,
            unindexed=unindexed,
        )

    async def search(
        self,
        io: Io,
        query: ArrayLike | str,
        k: int,
        *,
        filter: AnyFilter | None = None,
        vectorize_filter: Filter | None = None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
        unindexed: Unindexed = "error",
        max_requests: int = MAX_SEARCH_REQUESTS,
        return_values: bool = False,
    ) -> list[Hit]:
        """The ``k`` records nearest to a vector, or to the embedding of a text; best first."""
        reading.check_k(k)
        plan = await self.plan(io, filter, vectorize_filter, refs=refs, unindexed=unindexed)
        namespace = self.in_namespace(namespace)
        if plan.impossible or not await self.index.exists(io):
            return []
        if isinstance(query, str):
            query = (await io.embed([query], as_queries=True))[0]
        matches = await searching.search(
            io,
            self._state,
            as_values(query),
            k,
            plan=plan,
            read=self.record,
            return_values=return_values,
            return_metadata="all",
            namespace=namespace,
            max_requests=max_requests,
        )
        if k and not matches:
            await warn_of_pending_writes(io, self._state)
        return [Hit(self.record(match.id, match.metadata), match) for match in matches]

    async def embed_query(
        self, io: Io, query: str, filter: AnyFilter | None, **options: Unpack[FindOptions]
    ) -> Sequence[float] | None:
        """The embedding of a query; None, and nothing embedded, if the search will find nothing."""
        plan, _, _ = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return None
        return (await io.embed([query], as_queries=True))[0]

    async def search_among(
        self,
        io: Io,
        ids: Sequence[str],
        query: ArrayLike,
        k: int,
        *,
        filter: AnyFilter | None = None,
        vectorize_filter: Filter | None = None,
        refs: Sequence[str] | None = None,
        namespace: str | None = None,
    ) -> list[Hit]:
        """The ``k`` of the records with these ids that are nearest to a vector; best first.

        The service cannot restrict a search to ids: their vectors are fetched, and filtered and
        scored here.
        """
        reading.check_k(k)
        if vectorize_filter is not None:
            raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
        namespace = self.in_namespace(namespace)
        vectors = [
            vector
            for vector in await self._selected(io, ids, filter, refs)
            if namespace is None or vector.namespace == namespace
        ]
        if not vectors:
            return []
        target = as_values(query)
        await reading.check_query(io, self._state, target)
        matrix = np.stack([vector.values for vector in vectors])
        best, scores = scoring.nearest(await self.index.metric_of(io), matrix, target, k)
        return [
            Hit(
                self.record(vectors[at].id, vectors[at].metadata),
                Match(vectors[at].id, float(score), vectors[at].values),
            )
            for at, score in zip(best, scores, strict=True)
        ]

    async def _selected(
        self,
        io: Io,
        ids: Sequence[str],
        filter: AnyFilter | None,
        refs: Sequence[str] | None = None,
    ) -> list[Vector]:
        """The vectors with these ids that a filter matches; all of it is evaluated here."""
        plan = await self.plan(io, filter, refs=refs, unindexed="scan")
        if plan.impossible:
            return []
        sieve = Sieve(plan, self.record)
        return [vector for vector in await self._vectors(io, ids) if sieve.selects(vector)]

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
        if ids and await self.index.exists(io):
            waits = self._waiting(wait, wait_timeout)
            await writing.delete(io, self._state, ids, skip_impossible=True, **waits)

    async def records(
        self,
        io: Io,
        *,
        ids: Sequence[str] | None = None,
        filter: AnyFilter | None = None,
        **options: Unpack[FindOptions],
    ) -> list[Record]:
        """All records that a filter matches; of those with ``ids``, in their order, unless None."""
        if ids is not None:
            found = await self._selected(io, ids, filter)
            return [self.record(vector.id, vector.metadata) for vector in found]
        plan, namespace, most = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return []
        rounds = enumerating.iter_matching(
            io,
            self._state,
            plan=plan,
            read=self.record,
            namespace=namespace,
            return_metadata="all",
            max_requests=most,
        )
        async with aclosing(rounds) as found_rounds:
            return [self.record(m.id, m.metadata) async for some in found_rounds for m in some]

    async def count(
        self,
        io: Io,
        *,
        filter: AnyFilter | None = None,
        precision: Precision = "normal",
        **options: Unpack[FindOptions],
    ) -> int:
        """How many records a filter matches, or there are without one."""
        plan, namespace, most = await self._find(io, filter, options)
        if plan.impossible or not await self.index.exists(io):
            return 0
        return await enumerating.count(
            io,
            self._state,
            plan=plan,
            read=self.record,
            namespace=namespace,
            precision=precision,
            max_requests=most,
        )

    async def delete_matching(
        self,
        io: Io,
        *,
        filter: AnyFilter | None = None,
        refs: Sequence[str] | None = None,
        verify: bool = False,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[FindOptions],
    ) -> None:
        """Delete all records that a filter matches, or of the source documents ``refs``."""
        if refs is None:
            selecting.check_is_filter(filter, options.get("vectorize_filter"))
        plan, namespace, most = await self._find(io, filter, options, refs)
        if plan.impossible or not await self.index.exists(io):
            return
        await enumerating.delete_matching(
            io,
            self._state,
            plan=plan,
            read=self.record,
            namespace=namespace,
            verify=verify,
            max_requests=most,
            **self._waiting(wait, wait_timeout),
        )

    async def explain_filter(
        self,
        io: Io,
        filter: AnyFilter | None,
        k: int | None,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """How a filter is answered, and for how many requests."""
        plan = await self.plan(io, filter, unindexed=unindexed)
        return await selecting.explain_plan(io, self._state, plan, k)

    async def _find(
        self,
        io: Io,
        filter: AnyFilter | None,
        options: FindOptions,
        refs: Sequence[str] | None = None,
    ) -> tuple[Plan, str | None, int]:
        plan = await self.plan(
            io,
            filter,
            options.get("vectorize_filter"),
            refs=refs,
            unindexed=options.get("unindexed", "error"),
        )
        namespace = self.in_namespace(options.get("namespace"))
        return plan, namespace, options.get("max_requests", MAX_ENUMERATION_REQUESTS)

    async def clear(
        self, io: Io, *, wait: Wait | None = None, wait_timeout: float | None = None
    ) -> None:
        """Delete every record; in a store with a namespace, every record of that namespace."""
        if not await self.index.exists(io):
            return
        await self.await_writes(io)
        ids = [vector_id async for vector_id in reading.iter_ids(io, self._state)]
        if self.namespace is not None:
            ids = [v.id for v in await self._vectors(io, ids) if v.namespace == self.namespace]
        await self.delete(io, ids, wait=wait, wait_timeout=wait_timeout)

    async def reindex_metadata(self, io: Io, **waits: Unpack[WaitOptions]) -> int:
        """Write every vector of the index again as it is. See `selecting.reindex_metadata`."""
        if not await self.index.exists(io):
            return 0
        return await selecting.reindex_metadata(
            io, self._state, **self._waiting(waits.get("wait"), waits.get("wait_timeout"))
        )

    async def await_writes(self, io: Io, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store's connection to the index."""
        timeout = wait_timeout if wait_timeout is not None else self.wait_timeout
        await waiting.wait_for_own(io, self._state, timeout)

    def in_namespace(self, namespace: str | None) -> str | None:
        """The namespace of a call: its own, else the store's."""
        checks.check_namespace(namespace)
        return namespace if namespace is not None else self.namespace

    async def _vectors(self, io: Io, ids: Sequence[str]) -> list[Vector]:
        if not ids or not await self.index.exists(io):
            return []
        found = await reading.get_many(io, self._state, ids)
        if not found:
            await warn_of_pending_writes(io, self._state)
        return list(found.values())

    def record(self, vector_id: str, metadata: Mapping[str, Any] | None) -> Record:
        """The record that a vector's metadata holds."""
        return layout.decode(vector_id, metadata, text_key=self.text_key)

    def _waiting(self, wait: Wait | None, wait_timeout: float | None) -> WaitOptions:
        return WaitOptions(
            wait=wait if wait is not None else self.wait,
            wait_timeout=wait_timeout if wait_timeout is not None else self.wait_timeout,
        )
