"""`Database`: transactions over SQLite and the files of values, in memory or in a directory.

All access of the embedded Vectorize to SQLite goes through these transactions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from vectorize_core import forks, paths
from vectorize_core.errors import StorageError
from vectorize_core.local import acknowledged, checksums, schema, unsynced
from vectorize_core.local.value_store import FileMissingError
from vectorize_core.local.value_stores import ValueStores
from vectorize_core.sqlite.connecting import Connection
from vectorize_core.sqlite.explaining import is_damaged, is_of_storage
from vectorize_core.sqlite.file import Kind, SqliteFile

__all__ = ["FILE_NAME", "Database", "FileMissingError", "StorageError"]

FILE_NAME: Final = "vectorize.sqlite3"
_ROOM: Final = (
    "Make room (deletes need some, too; if there is none, close all that has the directory open "
    "and delete its files vectors-*.u8*, which are made again)"
)


class Database:
    """An SQLite database and the values of its vectors, opened when first used.

    ``path`` is ``":memory:"`` or a directory, which is made by the first write. Processes may share
    a directory, also across a fork; each sees what the others have committed. See `SqliteFile`.

    ``inspecting`` opens one that has lost commits too.
    """

    def __init__(self, path: str | os.PathLike[str], *, inspecting: bool = False) -> None:
        self._inspecting = inspecting
        self.lost_commits: str | None = None
        """What an inspection has found wrong with the database as a whole, in words."""
        self.note: acknowledged.Note | None = None
        """The note of the last commit, as it was when the database was opened."""
        location = paths.absolute_or_memory(path)
        self.directory = None if location == paths.MEMORY else Path(location)
        self._file = SqliteFile(
            None if self.directory is None else str(self.directory / FILE_NAME),
            "the embedded Vectorize",
            self._prepare,
            on_commit=self._acknowledge,
            on_rollback=self._undo,
            room=_ROOM,
        )
        self.value_stores = self._new_value_stores()
        self._commits: int | None = None
        self._before: acknowledged.Note | None = None
        """The last commit before the one that this has begun."""
        self._is_mended = False
        self._unmended: sqlite3.DatabaseError | None = None
        self._is_written = False
        self._closed = False
        forks.inherit(self)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self._file.place

    @property
    def is_read_only(self) -> bool:
        """Whether it was opened where this process cannot write."""
        return self._file.is_read_only

    def exists(self) -> bool:
        """Whether anything was ever written: in memory always."""
        self._check_open()
        return self._file.is_writing or self._file.exists()

    def check_place(self) -> None:
        """`StorageError` if it is open, and its path names another directory by now, or none."""
        self._file.check_place()

    def is_empty(self) -> bool:
        """Whether nothing was ever written."""
        return not (self._is_written if self.directory is None else self._file.exists())

    def open_files(self) -> int:
        """How many files are open, at most."""
        return self._file.open_files() + self.value_stores.mapped() + len(self.value_stores.kept)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads the state at its first read."""
        self._check_open()
        return self._file.reading()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits durably when its block ends, and rolls back on an error."""
        has_begun = False
        while not has_begun:
            self._check_open()
            with self._file.writing() as tx:
                # It may have waited for long.
                self._check_open()
                # Ctrl-C may have come after the last commit, just before it was noted.
                self.value_stores.keep()
                if self._unmended is not None and not self._inspecting:
                    # It could make the log forget what its file does not have.
                    raise self._unmended.with_traceback(None)
                before, self._commits = tx.total_changes, None
                has_begun = self._begin(tx)
                if has_begun:
                    yield tx
                if tx.total_changes != before or not has_begun:
                    self._commits = schema.count_commit(tx)
                    # Before the commit, which makes the values readable.
                    self.value_stores.sync()
                else:
                    self._note_undone()

    def vacuum(self) -> None:
        """Return unused space to the file system."""
        self._check_open()
        self._file.vacuum()

    def replace(self, other: sqlite3.Connection) -> None:
        """Let another database take the place of this one's content, at once."""
        self._check_open()
        self._file.replace(other)

    def close(self) -> bool:
        """Close it once running transactions have ended; safe to call again.

        False if a call that this thread is within keeps what it uses: see `SqliteFile.close`.
        """
        self._closed = True
        all_closed = self._file.close()
        if all_closed:
            self._forget_values()
        return all_closed

    def release(self) -> None:
        """Close the files until they are needed again, while nobody uses this; memory stays."""
        if self.directory is not None:
            self._file.close()
            self._forget_values()

    def after_fork_in_child(self) -> None:
        """Forget the parent's files of values, which another thread may have been changing."""
        if self.directory is not None:
            self._forget_values()

    def _forget_values(self) -> None:
        new = self._new_value_stores()
        token = getattr(self.value_stores, "token", None)
        if token is not None:
            new.token = token
        self.value_stores = new

    def _new_value_stores(self) -> ValueStores:
        return ValueStores(self.directory, lambda: self._file.directory)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("this embedded Vectorize is closed")

    def _acknowledge(self) -> None:
        self.value_stores.keep()
        self._is_written, self._before = True, None
        if self._commits is not None and self.directory is not None:
            note = acknowledged.Note(self.value_stores.token, self._commits)
            acknowledged.write(self.value_stores.kept, self._file.directory, note)

    def _begin(self, tx: Connection) -> bool:
        """Note that a commit is begun; False if another one is to take its place in the log."""
        if self.directory is None or self._inspecting:
            return True
        before = acknowledged.Note(self.value_stores.token, schema.next_commit(tx) - 1)
        if not acknowledged.begin(self.value_stores.kept, self._file.directory, before):
            return False
        self._before = before
        return True

    def _undo(self) -> None:
        # While no other process writes, which could be making the same files.
        self.value_stores.undo()
        self._note_undone()

    def _note_undone(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            acknowledged.undo(self.value_stores.kept, self._file.directory, before)

    def _prepare(self, connection: Connection, kind: Kind) -> None:
        # A call that was on its way must not open it again.
        self._check_open()
        note = None
        if self.directory is not None:
            problem = missing_database(self.directory)
            if problem is not None:
                raise StorageError(f"{self.place}: {problem}")
            # Before the database is read, because it may be behind, and never ahead.
            note = self.note = acknowledged.read(self.directory)
        if kind == "nothing":
            schema.prepare(connection, self.place, ValueStores(None))
            return
        try:
            self._open(connection, kind, note)
        except BaseException:
            if self.directory is not None:
                connection.keep_log()
            raise
        if self._inspecting:
            connection.text_factory = checksums.lenient

    def _open(self, connection: Connection, kind: Kind, note: acknowledged.Note | None) -> None:
        others = [] if self.directory is None else _others(self.directory)
        if others and schema.is_new(connection):
            none = sqlite3.DatabaseError("it has no tables")
            raise StorageError(f"{self.place}: {_empty('empty', others)}") from none
        known = getattr(self.value_stores, "token", None)
        target = self._file.path or self.place
        try:
            schema.prepare(connection, target, self.value_stores, writes=kind == "file")
            if known not in (None, self.value_stores.token):
                self.value_stores.token = known
                raise self._file.replaced()
            if note is not None:
                self._compare(connection, note)
        except sqlite3.DatabaseError as error:
            if not self._inspecting or note is None:
                raise
            # Its token is in the note too.
            self.value_stores.token, self.lost_commits = note.token, str(error)
        if self.directory is not None and self.lost_commits is None and not self._is_mended:
            self._mend(connection, writes=kind == "file")

    def _mend(self, connection: Connection, *, writes: bool) -> None:
        try:
            unsynced.mend(connection, self.value_stores, self.place, writes=writes)
            self._is_mended, self._unmended = True, None
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            # What is damaged is named by whoever reads it, and a repair takes values from the log.
            self._unmended = error.with_traceback(None)

    def _compare(self, connection: Connection, note: acknowledged.Note) -> None:
        """Refuse a database that has lost commits, unless it is to be inspected."""
        problem = note.problem(schema.token(connection), schema.commits(connection))
        if problem is None:
            return
        connection.keep_log()
        if not self._inspecting:
            raise StorageError(
                f"{self.place}: {problem}. Restore the directory from a copy; or accept what "
                "is there, and see what that is: vectorize-stores check --repair --path DIR"
            )
        self.lost_commits = problem


def missing_database(directory: Path) -> str | None:
    """Say so if a directory holds values and no database; such a one is not a new one."""
    # These first: whoever makes a new directory makes them after the tables.
    others = _others(directory)
    file = directory / FILE_NAME
    if not others or (file.exists() and file.stat().st_size):
        return None
    return _empty("empty" if file.exists() else "missing", others)


def _others(directory: Path) -> list[str]:
    """The files that stand beside a database that holds something."""
    others = sorted(path.name for path in directory.glob("vectors-*.f32"))
    return others if acknowledged.read(directory) is None else [*others, acknowledged.FILE_NAME]


def _empty(state: str, others: list[str]) -> str:
    return (
        f"{FILE_NAME} is {state}, and {others[0]} stands beside it: the ids and metadata of all "
        f"vectors are gone. Restore {FILE_NAME} from a copy. To begin anew instead, delete the "
        "whole directory"
    )


def is_damage(error: BaseException) -> bool:
    """Whether an error of a transaction is one of SQLite that a repair may mend."""
    cause = error.__cause__ if isinstance(error, StorageError) else error
    if isinstance(cause, sqlite3.ProgrammingError):
        # Such as of a connection that is closed.
        return False
    if isinstance(cause, sqlite3.DatabaseError):
        return not is_of_storage(cause) or is_damaged(cause)
    return not isinstance(error, StorageError) or (cause is not None and is_damaged(cause))
