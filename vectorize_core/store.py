"""What the LangChain and the LlamaIndex store have in common: records in an index.

`RecordStore` holds the settings; its methods are flows over an `Io`, which each framework's
store runs for its sync methods and awaits for its async ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import checks, layout, scoring
from vectorize_core.errors import InvalidInputError
from vectorize_core.flows import reading, waiting, writing
from vectorize_core.flows.batching import check_batch_size
from vectorize_core.flows.estimating import estimate
from vectorize_core.flows.pending import warn_of_pending_writes
from vectorize_core.flows.source import Records
from vectorize_core.flows.state import IndexState, get_metadata_indexes
from vectorize_core.flows.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.flows.writing import WriteOptions
from vectorize_core.ingest import Ingest, Item
from vectorize_core.io import Io
from vectorize_core.layout import Record
from vectorize_core.models import Filter, Match, Vector, as_values
from vectorize_core.store_index import StoreIndex

_BUCKETS = reading.Buckets(layout.BUCKET, layout.OWN, layout.BUCKETS)


class Hit(NamedTuple):
    """A record found, and the match it was found by."""

    record: Record
    match: Match


class AddOptions(WriteOptions, total=False):
    """How records are written, and where to; ``dry_run`` estimates only."""

    namespace: str | None
    dry_run: bool


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
            batch_size=options["batch_size"],
        )
        if dry_run:
            return await estimate(io, self._state, source, **options)
        waits = self._waiting(options.get("wait"), options.get("wait_timeout"))
        await writing.write(
            io, self._state, source, "upsert", **WriteOptions(**{**options, **waits})
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
        native_filter = await self.index.check_filter(io, filter, vectorize_filter)
        namespace = self.in_namespace(namespace)
        if not await self.index.exists(io):
            return []
        if isinstance(query, str):
            query = (await io.embed([query], as_queries=True))[0]
        matches = await reading.nearest(
            io,
            self._state,
            as_values(query),
            k,
            return_values=return_values,
            return_metadata="all",
            filter=native_filter,
            namespace=namespace,
        )
        if k and not matches:
            await warn_of_pending_writes(io, self._state)
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

    async def matching_ids(
        self,
        io: Io,
        filter: Filter,
        namespace: str | None = None,
    ) -> list[str]:
        """The ids of all records that a filter matches, this client's latest writes included."""
        checked = await self.index.check_filter(io, filter)
        if checked is None:
            raise InvalidInputError("an empty filter matches everything; that must be explicit")
        if not await self.index.exists(io):
            return []
        await self.await_writes(io)
        indexed = await get_metadata_indexes(io, self._state)
        spread = {layout.BUCKET, layout.OWN} <= indexed.keys()
        return await reading.ids_matching(
            io,
            self._state,
            checked,
            buckets=_BUCKETS if spread else None,
            namespace=self.in_namespace(namespace),
        )

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
