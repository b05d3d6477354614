"""`Searches`: queries of an index, whose searches hold no lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from vectorize_core.local import querying
from vectorize_core.local.catalog import Index
from vectorize_core.local.exact_search import Found
from vectorize_core.local.index_transactions import IndexTransactions
from vectorize_core.local.querying import PreparedQuery
from vectorize_core.local.scrubbing import Scrub
from vectorize_core.local.snapshots import Snapshots
from vectorize_core.local.storage import Database
from vectorize_core.local.validation import QueryRequest
from vectorize_core.models import QueryResult
from vectorize_core.sqlite.connecting import Connection

_UNLOCKED: Final = 2
"""How often a query searches without a lock before it searches within a transaction."""


class Searches:
    """What a service is asked for is read, searched without a lock, and answered.

    If writers keep changing what is found, it is searched within a transaction.
    """

    def __init__(
        self, database: Database, indexes: IndexTransactions, snapshots: Snapshots, scrub: Scrub
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._snapshots = snapshots
        self._scrub = scrub

    def one(self, name: str, request: QueryRequest) -> QueryResult:
        """The answer of a query."""

        def read(
            tx: Connection, index: Index, now: float, *, at_once: bool
        ) -> PreparedQuery | QueryResult:
            (prepared,) = self._prepare(tx, index, now, [request])
            if not (at_once or prepared.is_short):
                return prepared
            answered = querying.answer(tx, prepared, querying.run(prepared), is_later=False)
            return querying.unchanged(index, answered)

        attempts = 0
        while True:
            prepared = self._indexes.read(name, partial(read, at_once=attempts == _UNLOCKED))
            if isinstance(prepared, QueryResult):
                return prepared
            found = querying.run(prepared)
            with self._database.reading() as tx:
                result = querying.answer(tx, prepared, found)
            if result is not None:
                return result
            attempts += 1

    def many(self, name: str, requests: Sequence[QueryRequest]) -> tuple[QueryResult, ...]:
        """The answers of queries that differ in their vectors only, all in one state."""

        def read_at_once(tx: Connection, index: Index, now: float) -> tuple[QueryResult, ...]:
            prepared = self._prepare(tx, index, now, requests)
            answer = partial(querying.answer_many, tx, prepared, is_later=False)
            return querying.unchanged(index, querying.answer_all(prepared, answer))

        def answer_later(found: Mapping[int, Found]) -> dict[int, QueryResult] | None:
            with self._database.reading() as tx:
                return querying.answer_many(tx, prepared, found)

        for _ in range(_UNLOCKED):
            prepared = self._indexes.read(name, partial(self._prepare, requests=requests))
            results = querying.answer_all(prepared, answer_later)
            if results is not None:
                return results
        return self._indexes.read(name, read_at_once)

    def _prepare(
        self, tx: Connection, index: Index, now: float, requests: Sequence[QueryRequest]
    ) -> list[PreparedQuery]:
        self._scrub.watch(tx, index)
        return [
            querying.prepare(tx, index, now, request=request, snapshots=self._snapshots)
            for request in requests
        ]
