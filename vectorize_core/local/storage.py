"""The database that holds the truth: one SQLite connection, in memory or in a directory.

Everything else of the embedded Vectorize reaches SQLite only through the transactions of a
`Database`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from vectorize_core.errors import VectorizeError

FILE_NAME: Final = "vectorize.sqlite3"
FORMAT: Final = 1
"""Version of the schema below, kept in the file's ``user_version``."""

_LOCK_TIMEOUT: Final = 60.0
_LOCK_PAUSE: Final = 0.01
_SCHEMA: Final = """
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL,
    metric TEXT NOT NULL,
    description TEXT NOT NULL,
    created REAL NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    submitted REAL NOT NULL,
    last_mutation TEXT,
    last_submitted REAL,
    last_processed REAL
);
CREATE TABLE deleted_indexes (name TEXT PRIMARY KEY);
CREATE TABLE mutations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    mutation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    submitted REAL NOT NULL,
    processed REAL NOT NULL,
    visible REAL NOT NULL
);
CREATE INDEX mutations_of_index ON mutations (index_id, seq);
CREATE TABLE mutation_rows (
    seq INTEGER NOT NULL REFERENCES mutations ON DELETE CASCADE,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT,
    metadata TEXT,
    data BLOB,
    PRIMARY KEY (seq, position)
);
CREATE TABLE metadata_indexes (
    seq INTEGER PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    property_name TEXT NOT NULL,
    index_type TEXT NOT NULL,
    live REAL NOT NULL,
    gone REAL
);
CREATE INDEX metadata_indexes_of_index ON metadata_indexes (index_id, seq);
CREATE TABLE vectors (
    slot INTEGER PRIMARY KEY,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    processed REAL NOT NULL,
    namespace TEXT,
    metadata TEXT,
    data BLOB NOT NULL,
    UNIQUE (index_id, id)
);
CREATE INDEX vectors_of_index ON vectors (index_id, slot);
"""


class StorageError(VectorizeError):
    """The directory holds something that this version cannot read, or the storage is closed."""


class Database:
    """A lazily opened SQLite database whose transactions exclude each other between threads.

    ``path`` is ``":memory:"`` or a directory, which is made when first needed. Processes may
    share a directory, also across a fork; each sees what the others have committed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        location = os.fspath(path)
        self._directory = None if location == ":memory:" else Path(location)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._closed = False

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one state from its first read on."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that commits, durably, when its block ends, and rolls back on an error."""
        return self._transaction("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the file, after transactions under way; what is in memory is gone. Idempotent."""
        self._leave_parent()
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        self._leave_parent()
        with self._lock:
            connection = self._open()
            try:
                connection.execute(begin)
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _leave_parent(self) -> None:
        """After a fork: neither the parent's lock, which nobody may ever release, nor its file."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._lock = threading.RLock()
        if self._directory is not None and self._connection is not None:
            # Closing it here would drop the parent's locks on the file; so it is kept, unused.
            self._inherited.append(self._connection)
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StorageError("this embedded Vectorize is closed")
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:"
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            target = str(self._directory / FILE_NAME)
        connection = sqlite3.connect(
            target, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, target)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, target: str) -> None:
    version = _version(connection)
    if version > FORMAT:
        raise StorageError(
            f"{target} was written by a newer version of this library (format {version}; "
            f"this version reads up to {FORMAT}). Upgrade the library to open it"
        )
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made the tables since the version was read.
        if _version(connection) == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.commit()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # For this one statement SQLite fails at once, whatever the timeout, while others open the file.
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_PAUSE)
        else:
            return


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
