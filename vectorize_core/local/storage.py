"""`Database`: transactions over SQLite and the files of values, in memory or in a directory.

All access of the embedded Vectorize to SQLite goes through these transactions.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from vectorize_core import sqlite
from vectorize_core.local import schema
from vectorize_core.local.value_store import FileMissingError, StorageError, ValueStores

__all__ = ["FILE_NAME", "Database", "FileMissingError", "StorageError"]

FILE_NAME: Final = "vectorize.sqlite3"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _Link:
    """A connection, and the lock by which its transactions exclude each other."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None


class Database:
    """An SQLite database and the values of its vectors, opened when first used.

    ``path`` is ``":memory:"`` or a directory, which is made when first used. Processes may share
    a directory, also across a fork; each sees what the others have committed. In a directory
    readers do not wait for a writer, in memory they do.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        location = os.fspath(path)
        self.directory = None if location == ":memory:" else Path(location)
        self.value_stores = ValueStores(self.directory)
        self._links()
        self._pid = os.getpid()
        self._inherited: list[object] = []
        self._closed = False

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that reads the state at its first read."""
        return self._transaction(writes=False)

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that commits durably when its block ends, and rolls back on an error."""
        return self._transaction(writes=True)

    def vacuum(self) -> None:
        """Return unused space to the file system."""
        with self._writer.lock, _explained(self.place):
            connection = self._open(self._writer)
            connection.execute("VACUUM")
            # Passive: does not wait for readers, and leaves to a later one what they still need.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close it once running transactions have ended; safe to call again."""
        self._leave_parent()
        with self._reader.lock, self._writer.lock:
            self._closed = True
            for link in (self._reader, self._writer):
                if link.connection is not None:
                    link.connection.close()
                    link.connection = None
            self.value_stores = ValueStores(self.directory)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return "memory" if self.directory is None else str(self.directory)

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[sqlite3.Connection]:
        self._leave_parent()
        link = self._writer if writes else self._reader
        with link.lock, _explained(self.place):
            connection = self._open(link)
            try:
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                yield connection
                if writes:
                    # Before the commit, which makes the values readable.
                    self.value_stores.sync()
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _links(self) -> None:
        self._reader = _Link()
        # A database in memory exists for one connection only.
        self._writer = self._reader if self.directory is None else _Link()

    def _leave_parent(self) -> None:
        """After a fork, use neither the parent's locks, which may stay locked, nor its file."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        reader, writer = self._reader, self._writer
        self._links()
        if self.directory is None:
            self._reader.connection = reader.connection
            return
        # Closing them would release the parent's locks on the file, so they stay open, unused.
        self._inherited += [reader, writer]
        self.value_stores = ValueStores(self.directory)

    def _open(self, link: _Link) -> sqlite3.Connection:
        if self._closed:
            raise StorageError("this embedded Vectorize is closed")
        if link.connection is None:
            link.connection = self._connect()
        return link.connection

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:"
        if self.directory is not None:
            self.directory.mkdir(parents=True, exist_ok=True)
            target = str(self.directory / FILE_NAME)
        connection = sqlite.connect(target, timeout=schema.LOCK_TIMEOUT)
        try:
            schema.prepare(connection, target, self.value_stores)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Raise errors of the disk and of SQLite as a `StorageError` that tells what to do."""
    full = (
        f"no space is left for the embedded Vectorize in {place}: this call has changed nothing, "
        "and everything before it is kept. Make room, then call again"
    )
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageError(full) from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StorageError(full) from error
        if code == sqlite3.SQLITE_IOERR:
            raise StorageError(
                f"the disk under the embedded Vectorize in {place} failed ({error}): this call is "
                "not done, and everything before it is kept. See to the disk, then call again"
            ) from error
        if code in _DAMAGED:
            raise StorageError(
                f"the database of the embedded Vectorize in {place} is damaged ({error}). Restore "
                "it, or see what can be saved: vectorize-stores check --path DIR"
            ) from error
        raise
