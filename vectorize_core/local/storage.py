"""`Database`: transactions over SQLite and the files of values, in memory or in a directory.

All access of the embedded Vectorize to SQLite goes through these transactions.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from vectorize_core import sqlite
from vectorize_core.local import acknowledged, checksums, schema
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

    ``inspecting`` opens one that has lost commits too.
    """

    def __init__(self, path: str | os.PathLike[str], *, inspecting: bool = False) -> None:
        self._inspecting = inspecting
        self.lost_commits: str | None = None
        """What an inspection has found wrong with the database as a whole, in words."""
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

    def replace(self, other: sqlite3.Connection) -> None:
        """Let another database take the place of this one's content, at once."""
        with self._writer.lock, _explained(self.place):
            other.backup(self._open(self._writer))

    def close(self) -> None:
        """Close it once running transactions have ended; safe to call again."""
        self._closed = True
        self._shut()

    def release(self) -> None:
        """Close the files until they are needed again; what is in memory stays."""
        if self.directory is not None:
            self._shut()

    def _shut(self) -> None:
        self._leave_parent()
        with self._reader.lock, self._writer.lock:
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
            before, commits = connection.total_changes, None
            try:
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                yield connection
                if writes and connection.total_changes != before:
                    commits = schema.count_commit(connection)
                    # Before the commit, which makes the values readable.
                    self.value_stores.sync()
            except BaseException:
                # While no other process writes, which could be making the same files.
                if writes:
                    self.value_stores.undo()
                connection.rollback()
                raise
            self._commit(connection)
            if writes:
                self.value_stores.keep()
            if commits is not None and self.directory is not None:
                note = acknowledged.Note(self.value_stores.token, commits)
                acknowledged.write(self.directory, note)

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.commit()
        except BaseException as error:
            connection.rollback()
            if _code(error) == sqlite3.SQLITE_IOERR:
                raise StorageError(
                    f"the disk under the embedded Vectorize in {self.place} failed ({error}) while "
                    "this call was committed: whether it is done is not known. See to the disk, "
                    "and read what is there before you call again"
                ) from error
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
        target, note = ":memory:", None
        if self.directory is not None:
            problem = missing_database(self.directory)
            if problem is not None:
                raise StorageError(f"{self.place}: {problem}")
            self.directory.mkdir(parents=True, exist_ok=True)
            target = str(self.directory / FILE_NAME)
            # Before the database is read, because it may be behind, and never ahead.
            note = acknowledged.read(self.directory)
        connection = sqlite.connect(target, timeout=schema.LOCK_TIMEOUT)
        try:
            schema.prepare(connection, target, self.value_stores)
            if note is not None:
                self._compare(connection, note)
        except BaseException:
            connection.close()
            raise
        if self._inspecting:
            connection.text_factory = checksums.lenient
        return connection

    def _compare(self, connection: sqlite3.Connection, note: acknowledged.Note) -> None:
        """Refuse a database that has lost commits, unless it is to be inspected."""
        problem = note.problem(schema.token(connection), schema.commits(connection))
        if problem is None:
            return
        _keep_log(connection)
        if not self._inspecting:
            raise StorageError(
                f"{self.place}: {problem}. Restore the directory from a copy; or accept what "
                "is there, and see what that is: vectorize-stores check --repair --path DIR"
            )
        self.lost_commits = problem


def missing_database(directory: Path) -> str | None:
    """Say so if a directory holds values and no database; such a one is not a new one."""
    file = directory / FILE_NAME
    state = "empty" if file.exists() else "missing"
    if state == "empty" and file.stat().st_size:
        return None
    others = sorted(path.name for path in directory.glob("vectors-*.f32"))
    if acknowledged.read(directory) is not None:
        others.append(acknowledged.FILE_NAME)
    if not others:
        return None
    return (
        f"{FILE_NAME} is {state}, and {others[0]} stands beside it: the ids and metadata of all "
        f"vectors are gone. Restore {FILE_NAME} from a copy. To begin anew instead, delete the "
        "whole directory"
    )


def is_damage(error: BaseException) -> bool:
    """Whether an error of a transaction is one of SQLite that a repair may mend."""
    cause = error.__cause__ if isinstance(error, StorageError) else error
    if isinstance(cause, sqlite3.DatabaseError):
        return _code(cause) not in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
        )
    return not isinstance(error, StorageError)


def _keep_log(connection: sqlite3.Connection) -> None:
    """Let closing leave the write-ahead log as it is, for whoever looks at what is wrong."""
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


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
        if error.errno in _FULL:
            raise StorageError(full) from error
        raise StorageError(f"the embedded Vectorize in {place} cannot be used: {error}") from error
    except sqlite3.DatabaseError as error:
        code = _code(error)
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
        raise StorageError(
            f"SQLite failed in the embedded Vectorize in {place}: {error}. If that remains so, see "
            "whether anything is damaged: vectorize-stores check --path DIR"
        ) from error
