"""`Service`: the 14 calls of the API as methods, on one machine.

https://developers.cloudflare.com/api/resources/vectorize/
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, Unpack

from vectorize_core import limits
from vectorize_core.behavior import Behavior, Delays
from vectorize_core.kwargs import checks_keywords
from vectorize_core.local import (
    catalog,
    faults,
    filter_hints,
    maintenance,
    mutations,
    scanning,
    validation,
    vectors,
    workers,
)
from vectorize_core.local.batch import Batch
from vectorize_core.local.catalog import Index
from vectorize_core.local.covering import Covering
from vectorize_core.local.cursors import Cursors
from vectorize_core.local.index_transactions import IndexTransactions
from vectorize_core.local.integrity import CheckReport
from vectorize_core.local.scrubbing import Scrub
from vectorize_core.local.searches import Searches
from vectorize_core.local.snapshots import Snapshots
from vectorize_core.local.storage import Database
from vectorize_core.models import (
    IdPage,
    IndexConfig,
    IndexDetails,
    IndexInfo,
    IndexType,
    Metadata,
    MetadataIndex,
    Mutation,
    Preset,
    QueryResult,
    ReturnMetadata,
    Values,
    Vector,
)
from vectorize_core.sqlite.connecting import Connection

T = TypeVar("T")


@checks_keywords()
class Service:
    """The Vectorize of one account, in memory or in a directory.

    ``path`` is ``":memory:"`` or a directory, which the first write makes; several processes may
    use one. ``behavior`` sets delays, and how to act where the real service is not known.
    ``clock`` gives the time in seconds since the epoch. Threads may share
    a service. Every call raises `ServiceFault` for what the real service would refuse, and
    `StorageError` if the storage is full, damaged, read-only, locked, or was replaced.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        behavior: Behavior = Behavior(),  # noqa: B008 - immutable
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(path)
        self._behavior = behavior
        # Checksums are of what SQLite gives back, which for a whole number of seconds is a float.
        self._clock: Callable[[], float] = lambda: float(clock())
        self._snapshots = Snapshots(self._database, behavior)
        self._cursors = Cursors(behavior.cursor_lifetime)
        self._scrub = Scrub(self._database, self._snapshots)
        self._covering = Covering()
        self._indexes = IndexTransactions(self._database, self._snapshots, self._clock)
        self._searches = Searches(self._database, self._indexes, self._snapshots, self._scrub)

    def close(self) -> None:
        """Close the database; what was in memory is lost. Safe to call again.

        If a signal's handler closes it within a call, that call ends first, or with an error.
        """
        all_closed = self._database.close()
        # Not before, for a read that is on its way starts the thread again.
        self._scrub.close(waits=all_closed)
        if all_closed:
            # On Windows no file can be deleted while it is mapped.
            self._snapshots.clear()
            workers.stop()

    def release(self) -> None:
        """Close files and end threads until they are needed again; what is in memory stays.

        No call may be on its way meanwhile.
        """
        self._scrub.close()
        self._database.release()
        self._snapshots.clear()
        workers.stop()

    @property
    def behavior(self) -> Behavior:
        """The delays and switches in force."""
        return self._behavior

    def delay(self, **delays: Unpack[Delays]) -> None:
        """Change delays, for what is written from now on; ValueError for what is none."""
        self._behavior = replace(self._behavior, **delays)

    def is_empty(self) -> bool:
        """Whether nothing was ever written."""
        return self._database.is_empty()

    def open_files(self) -> int:
        """How many files are open, at most."""
        return self._database.open_files()

    def compact(self, name: str | None = None) -> int:
        """Free the slots of deleted and replaced vectors in one index or all; returns how many.

        Reads go on meanwhile, writes wait. A large index with more dead slots than live ones is
        compacted by the write that made it so.
        """
        names = [name] if name is not None else [i.name for i in self.list_indexes()]
        freed = sum(maintenance.compact(self._database, each) for each in names)
        maintenance.vacuum(self._database)
        return freed

    def stats(self) -> maintenance.Stats:
        """How much is stored, and how much of it is obsolete."""
        return maintenance.stats(self._database)

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare all that is stored with its checksums; with ``repair``, repair what can be.

        A repair removes vectors whose values are lost from their index, and reports their ids.
        """
        return maintenance.check(self._database, repair=repair)

    def select(self, name: str, choose: Callable[[Metadata], T | None]) -> dict[str, T]:
        """What ``choose`` makes of the metadata of the vectors of an index, by their ids.

        Those for which that is None are left out, and so are damaged ones, which `check` names.
        """

        def read(tx: Connection, index: Index, _: float) -> dict[str, T]:
            rows = (row for row in vectors.unverified(tx, index) if row.intact)
            chosen = ((row.id, choose(row.parsed_metadata() or {})) for row in rows)
            return {vector_id: found for vector_id, found in chosen if found is not None}

        return self._indexes.read(name, read)

    def create_index(
        self, name: str, config: IndexConfig | Preset, description: str = ""
    ) -> IndexDetails:
        """Create an index; ``config`` may be the name of an embedding model."""
        validation.index_name(name)
        config = validation.index_config(config)
        validation.description(description)
        with self._database.reading() as tx:
            # Before it needs to write, which it may not be able to.
            catalog.check_new(tx, name)
        with self._database.writing() as tx:
            return catalog.create(tx, name, config, description, self._clock())

    def list_indexes(self) -> tuple[IndexDetails, ...]:
        """All indexes, oldest first."""
        with self._database.reading() as tx:
            return tuple(index.details() for index in catalog.all_indexes(tx))

    def get_index(self, name: str) -> IndexDetails:
        """One index: 404 (3000) if the name was never used, 410 (3005) if it was deleted."""
        with self._database.reading() as tx:
            return catalog.find(tx, name).details()

    def delete_index(self, name: str) -> None:
        """Delete an index with its vectors and metadata indexes, at once."""
        self._indexes.check_made(name)
        with self._database.writing() as tx:
            index = self._indexes.find(tx, name)
            catalog.delete(tx, index)
        self._snapshots.forget(name)
        self._database.value_stores.remove(index.id, index.generation, index.dimensions)

    def index_info(self, name: str) -> IndexInfo:
        """How many vectors are processed, and the last processed mutation if there was one."""
        with self._indexes.reading(name) as (tx, index, now):
            progress = mutations.progress(tx, index, now)
        submitted = self._behavior.processed_datetime == "submitted"
        at = progress.submitted if submitted else progress.processed
        return IndexInfo(
            index.dimensions,
            progress.vector_count,
            None if at is None else _milliseconds(catalog.as_datetime(at)),
            progress.mutation_id,
        )

    def insert(self, name: str, vectors: Sequence[Vector]) -> Mutation:
        """Add up to 5,000 vectors; skips ids that exist, or that are earlier in ``vectors``."""
        return self._put("insert", name, vectors)

    def upsert(self, name: str, vectors: Sequence[Vector]) -> Mutation:
        """Add or replace up to 5,000 vectors; if an id occurs twice, the last one counts."""
        return self._put("upsert", name, vectors)

    def query(
        self,
        name: str,
        *,
        vector: Values | None = None,
        vector_id: str | None = None,
        top_k: int = limits.DEFAULT_TOP_K,
        return_values: bool = False,
        return_metadata: ReturnMetadata = "none",
        filter: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> QueryResult:
        """The ``top_k`` vectors nearest to ``vector``, or to the vector ``vector_id``, best first.

        At most 100, or 50 with values or all metadata. ``namespace=None`` searches the whole
        index.
        https://developers.cloudflare.com/vectorize/best-practices/query-vectors/
        """
        request = validation.query(
            vector=vector,
            vector_id=vector_id,
            top_k=top_k,
            return_values=return_values,
            return_metadata=return_metadata,
            filter=filter,
            namespace=namespace,
        )
        return self._searches.one(name, request)

    def query_many(
        self,
        name: str,
        vectors: Sequence[Values],
        *,
        top_k: int = limits.DEFAULT_TOP_K,
        return_metadata: ReturnMetadata = "none",
        filter: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> tuple[QueryResult, ...]:
        """`query` for each of ``vectors``, all in one state of the index.

        Faster where few vectors are near to each (docs/storage.md). The API has no such call.
        """
        requests = [
            validation.query(
                vector=vector,
                vector_id=None,
                top_k=top_k,
                return_values=False,
                return_metadata=return_metadata,
                filter=filter,
                namespace=namespace,
            )
            for vector in vectors
        ]
        return self._searches.many(name, requests)

    def filter_hints(
        self, name: str, filter: Mapping[str, Any] | None, namespace: str | None = None
    ) -> tuple[str, ...]:
        """Reasons why a filter may find too little, in words. The real service gives none.

        For each property of the filter: that it has no metadata index, or how many vectors with
        the property were written before its metadata index was live; in one namespace, or all.
        """
        names = {condition.property_name for condition in validation.conditions(filter)}
        if not names:
            return ()
        with self._indexes.reading(name) as (tx, index, now):
            self._scrub.watch(tx, index, values=False)
            live = {m.property_name: m for m in catalog.live_metadata_indexes(tx, index, now)}
            doubtful = {
                name
                for name in names
                if name not in live or not self._covering.holds_all(tx, index, live[name])
            }
            if not doubtful:
                return ()
            stored = vectors.scan(tx, index, namespace=namespace)
            return filter_hints.explain(doubtful, live, stored)

    def count_pending(self, name: str) -> int:
        """How many mutations are not visible yet. The API has no such call."""
        with self._indexes.reading(name) as (tx, index, _):
            return mutations.count_pending(tx, index)

    def count_uncovered(
        self,
        name: str,
        property_name: str,
        namespace: str | None = None,
        lacks: Callable[[Metadata], bool] | None = None,
    ) -> int:
        """How many vectors with a property are older than its metadata index.

        Those of a property without one, too; in one namespace, or all; and those that ``lacks`` is
        true of. The real service does not tell.
        """
        with self._indexes.reading(name) as (tx, index, now):
            live = {m.property_name: m for m in catalog.live_metadata_indexes(tx, index, now)}
            covering = live.get(property_name)
            if covering is not None and self._covering.holds_all(tx, index, covering, lacks):
                return 0
            stored = vectors.scan(tx, index, namespace=namespace)
            return filter_hints.count_uncovered(property_name, covering, stored, lacks)

    def known_ids(self, name: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of any number of ids that vectors have, or mutations that are not visible yet.

        The API has no such call.
        """
        with self._indexes.reading(name) as (tx, index, _):
            return vectors.known(tx, index, ids) | mutations.pending_ids(tx, index, ids)

    def get_by_ids(self, name: str, ids: Sequence[str]) -> tuple[Vector, ...]:
        """Up to 20 vectors in the order of ``ids``, each once, unknown ones left out."""
        wanted = dict.fromkeys(validation.ids(ids, limits.MAX_IDS_PER_GET))
        value_stores = self._database.value_stores

        def read(tx: Connection, index: Index, _: float) -> list[Vector | None]:
            found = vectors.get(tx, value_stores, index, wanted)
            if None in found:
                # What is there is compared by itself; what is not may be damaged.
                self._scrub.watch(tx, index, values=False)
            return found

        return tuple(vector for vector in self._indexes.read(name, read) if vector is not None)

    def scan(
        self,
        name: str,
        *,
        count: int,
        cursor: str | None = None,
        namespace: str | None = None,
    ) -> tuple[tuple[Vector, ...], str | None]:
        """Those of the next ``count`` vectors in a namespace, or all; and the next cursor.

        In the order in which they were last written; the cursor is None behind the last one. One
        of before a compaction, or of another index, is unknown. The API has no such call.
        """
        value_stores = self._database.value_stores

        def read(tx: Connection, index: Index, _: float) -> tuple[tuple[Vector, ...], str | None]:
            if cursor is None:
                self._scrub.watch(tx, index, values=False)
            start = scanning.start(index, cursor)
            found, end = vectors.following(tx, value_stores, index, start, count, namespace)
            return tuple(found), None if end is None else scanning.cursor(index, end)

        return self._indexes.read(name, read)

    def scan_starts(self, name: str, count: int) -> tuple[str, ...]:
        """At most ``count`` cursors of `scan`, spread evenly over the slots of an index.

        The API has no such call.
        """
        with self._indexes.reading(name) as (_, index, __):
            some = min(count, index.slots)
            return tuple(scanning.cursor(index, at * index.slots // some) for at in range(some))

    def delete_by_ids(self, name: str, ids: Sequence[str]) -> Mutation:
        """Delete up to 100 vectors; unknown ids are ignored."""
        wanted = validation.ids(ids, limits.MAX_IDS_PER_DELETE)
        with self._indexes.writing(name) as (tx, index, now):
            accepted = self._submit(tx, index, now, "delete", Batch.of_ids(wanted))
        maintenance.tidy(self._database, accepted.index)
        return Mutation(accepted.mutation_id)

    def list_vectors(
        self, name: str, *, count: int = limits.DEFAULT_LIST_COUNT, cursor: str | None = None
    ) -> IdPage:
        """Up to 1,000 ids. ``cursor`` continues a listing, in the state of its first page."""
        validation.page_size(count)
        with self._indexes.reading(name) as (tx, index, _):
            self._scrub.watch(tx, index, values=False)
            if cursor is not None:
                return self._cursors.next(index.id, cursor, count, self._clock())
            ids = vectors.ids(tx, index)
        return self._cursors.first(index.id, ids, count, self._clock())

    def create_metadata_index(
        self, name: str, property_name: str, index_type: IndexType
    ) -> Mutation:
        """Let filters use a property, for vectors written from then on. Up to 10 an index."""
        wanted = validation.metadata_index(property_name, index_type)
        with self._indexes.writing(name) as (tx, index, now):
            existing = catalog.wanted_properties(tx, index)
            known = property_name in existing
            if known and self._behavior.duplicate_metadata_index == "error":
                raise faults.refused(f"a metadata index on {property_name!r} already exists")
            if not known and len(existing) >= limits.MAX_METADATA_INDEXES:
                raise faults.refused(
                    f"too many metadata indexes; max count is {limits.MAX_METADATA_INDEXES}"
                )
            accepted = self._submit(tx, index, now, "metadata-index", Batch.of_ids([]))
            if not known:
                live = accepted.submitted + self._behavior.metadata_index_delay
                catalog.add_metadata_index(tx, index, accepted.seq, wanted, live, now)
        return Mutation(accepted.mutation_id)

    def list_metadata_indexes(self, name: str) -> tuple[MetadataIndex, ...]:
        """The metadata indexes in force, oldest first."""
        with self._indexes.reading(name) as (tx, index, now):
            live = catalog.live_metadata_indexes(tx, index, now)
        return tuple(item.public() for item in live)

    def delete_metadata_index(self, name: str, property_name: str) -> Mutation:
        """Stop filters from using a property."""
        validation.property_name(property_name)
        with self._indexes.writing(name) as (tx, index, now):
            known = property_name in catalog.wanted_properties(tx, index)
            if not known and self._behavior.missing_metadata_index == "error":
                raise faults.refused(f"no metadata index on {property_name!r}", status=404)
            accepted = self._submit(tx, index, now, "metadata-index", Batch.of_ids([]))
            gone = accepted.submitted + self._behavior.metadata_index_delay
            catalog.drop_metadata_index(tx, index, property_name, gone)
        return Mutation(accepted.mutation_id)

    def _put(self, kind: vectors.Kind, name: str, given: Sequence[Vector]) -> Mutation:
        # Validated outside the write transaction, for which all other writers wait.
        try:
            batch = validation.batch(kind, given, self._behavior)
        except faults.ServiceFault:
            with self._indexes.reading(name):  # That there is no such index is said first.
                raise
        with self._indexes.writing(name) as (tx, index, now):
            validation.dimensions(given, index.dimensions)
            accepted = self._submit(tx, index, now, kind, batch)
            if accepted.is_last:
                tx.learn(("index", name), (accepted.index, False))
        maintenance.tidy(self._database, accepted.index)
        return Mutation(accepted.mutation_id)

    def _submit(
        self,
        tx: Connection,
        index: Index,
        now: float,
        kind: vectors.Kind,
        batch: Batch,
    ) -> mutations.AcceptedMutation:
        _, is_pending = self._indexes.look_up(tx, index.name)
        return mutations.submit(
            tx,
            self._database.value_stores,
            index.noted(self._clock()),
            kind,
            batch,
            now=now,
            behavior=self._behavior,
            after_others=is_pending,
        )


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
