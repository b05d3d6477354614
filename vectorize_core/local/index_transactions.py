"""`IndexTransactions`: an index as each call finds it, when what is due has taken effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from vectorize_core.local import catalog, faults, mutations
from vectorize_core.local.catalog import Index
from vectorize_core.local.snapshots import Snapshots
from vectorize_core.local.storage import Database, FileMissingError
from vectorize_core.sqlite.connecting import Connection

T = TypeVar("T")
ReadIndex = Callable[[Connection, Index, float], T]
"""Reads an index in a read transaction, at a time of the index's own clock."""


class IndexTransactions:
    """Transactions over one index of a database. ``clock`` gives seconds since the epoch."""

    def __init__(
        self, database: Database, snapshots: Snapshots, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._snapshots = snapshots
        self._clock = clock

    def read(self, name: str, read: ReadIndex[T]) -> T:
        """Call ``read``, again if a compaction has removed the generation that it read."""
        missing: tuple[Index, FileMissingError] | None = None
        while True:
            with self.reading(name) as (tx, index, now):
                if missing is not None and missing[0].generation == index.generation:
                    raise missing[1]
                try:
                    return read(tx, index, now)
                except FileMissingError as error:
                    missing = index, error

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[Connection, Index, float]]:
        """A transaction that reads the index, and the time by its own clock."""
        while True:
            with self._database.reading() as tx:
                index, pending = self.look_up(tx, name)
                clock = self._clock()
                now = index.now(clock)
                due = pending and mutations.any_due(tx, index, now)
                # A clock that was set back is noted, so that time goes on for what is pending.
                settled = not (due or index.lags(clock))
                # Where nothing can be written, what is due stays so.
                if self._database.is_read_only or settled:
                    yield tx, index, now
                    self._snapshots.was_read(index)
                    return
            # Due mutations are committed before they are read: a snapshot must not be undone.
            with self.writing(name):
                pass

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[Connection, Index, float]]:
        """A transaction that writes to the index, and the time by its own clock."""
        self.check_made(name)
        with self._database.writing() as tx:
            index, pending = self.look_up(tx, name)
            clock = self._clock()
            now = index.now(clock)
            if index.lags(clock):
                index = index.noted(clock)
                index.save(tx)
            if pending:
                index = mutations.apply_due(tx, self._database.value_stores, index, now)
            yield tx, index, now

    def check_made(self, name: str) -> None:
        """Refuse to write to an index where nothing was written yet, rather than make a file."""
        if not self._database.exists():
            with self._database.reading() as tx:
                self.find(tx, name)

    def look_up(self, tx: Connection, name: str) -> tuple[Index, bool]:
        """An index, and whether any mutation of it is pending."""

        def read() -> tuple[Index, bool]:
            index = self.find(tx, name)
            return index, mutations.any_pending(tx, index)

        return tx.once(("index", name), read)

    def find(self, tx: Connection, name: str) -> Index:
        """The index of a name, or the fault of one that is not there."""
        try:
            return catalog.find(tx, name)
        except faults.ServiceFault:
            self._snapshots.forget(name)
            raise
