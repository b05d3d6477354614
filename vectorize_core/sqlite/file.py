"""`SqliteFile`: transactions over a file of SQLite that threads and processes share, or memory.

The embedded Vectorize, the texts beside it and D1's databases are such files.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Literal

from vectorize_core import forks, paths
from vectorize_core.errors import StorageError
from vectorize_core.holds import FairLock, Hold, Holder
from vectorize_core.sqlite import connecting, explaining, identity, read_only
from vectorize_core.sqlite.explaining import RESTORE, Explained
from vectorize_core.sqlite.identity import Directory, Identity
from vectorize_core.sqlite.read_only import ReadOnlyFile
from vectorize_core.sqlite.turnstile import Turnstile

Kind = Literal["file", "read-only", "nothing"]
Prepare = Callable[[connecting.Connection, Kind], None]
"""Makes the tables of a connection that has just been opened: of a file (or of memory), of a file
that is read-only, whose tables it can only check, or of an empty database in memory that stands in
for a file that does not exist."""
_UNREADABLE: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_BLOCKED: Final = (sqlite3.Error, OSError, StorageError)


class _Link:
    """A connection, and the lock by which its transactions exclude each other."""

    def __init__(self) -> None:
        self.lock = FairLock()
        self.connection: connecting.Connection | None = None
        self.read_only: ReadOnlyFile | None = None
        self.is_stand_in = False

    def close(self) -> None:
        closing = self.read_only or self.connection
        # First, for Ctrl-C may come when it is closed. What is dropped closes, too.
        self.connection, self.read_only, self.is_stand_in = None, None, False
        if closing is not None:
            closing.close()


class SqliteFile:
    """The file ``path``, opened when first used and made by the first write, or memory (None).

    ``what`` it holds is for messages. ``on_commit`` is called after each commit, ``on_rollback``
    before what a block has written is rolled back, both before another transaction writes. In a
    file readers do not wait for a writer; in memory, and with ``one_link``, they do. All errors of
    the disk and of SQLite are a `StorageError`.

    - Reads of a file that does not exist find nothing, and make nothing.
    - Writers wait for each other in the order in which they come, those of other processes too, for
      at most a minute.
    - If the path names another file or directory than the one that was opened, or none, every
      transaction is refused.
    - What cannot be written is opened read-only.
    - After a fork, parent and child each have connections of their own.
    """

    def __init__(
        self,
        path: str | None,
        what: str,
        prepare: Prepare,
        *,
        on_commit: Callable[[], None] = lambda: None,
        on_rollback: Callable[[], None] = lambda: None,
        one_link: bool = False,
        cure: str = RESTORE,
        room: str = paths.MAKE_ROOM,
    ) -> None:
        self.path = path
        self.what = what
        self.place = "memory" if path is None else os.path.dirname(path)
        self._prepare = prepare
        self._on_commit, self._on_rollback = on_commit, on_rollback
        self._explained = Explained(what, path, cure, room)
        self._one_link = one_link or path is None
        self._turnstile = self._new_turnstile()
        self._identity: Identity | None = None
        self.directory = Directory(self.place)
        """Where files beside it belong."""
        self._inherited: list[object] = []
        self._carried = False
        self._link()
        forks.watch(self)

    @contextmanager
    def reading(self) -> Iterator[connecting.Connection]:
        """A transaction that reads the state at its first read."""
        self._note_fork()
        link = self._reader
        with self._explained, link.lock.take() as hold:
            connection = self._for_reading(link)
            connection.wait_for_locks(True)
            try:
                connection.execute("BEGIN")
                yield connection
                connection.commit()
            except BaseException as error:
                self._roll_back(link, hold, error)
                raise

    @contextmanager
    def writing(self, *, synced: bool = True) -> Iterator[connecting.Connection]:
        """A transaction that commits durably when its block ends, and rolls back on an error.

        One that is not ``synced`` survives the end of the process, but a loss of power only when a
        later one has been committed durably.
        """
        self._refuse_after_fork()
        link = self._writer
        with self._explained, self._queue.take() as waiting:
            connection, hold = self._turn(link, "BEGIN IMMEDIATE", waiting.call, synced=synced)
            with hold:
                undo = False
                try:
                    self.check_place()
                    undo = True
                    yield connection
                    undo = False
                    self._commit(connection)
                except BaseException as error:
                    self._roll_back(link, hold, error, undo=undo)
                    raise
                self.check_place(committed=True)
                self._on_commit()

    def vacuum(self) -> None:
        """Return unused space to the file system."""
        if not self.exists():
            return
        self._refuse_after_fork()
        with self._explained, self._queue.take() as waiting:
            self.check_place()
            connection, hold = self._turn(self._writer, "VACUUM", waiting.call)
            with hold:
                # Passive: does not wait for readers, and leaves to a later one what they need.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def replace(self, other: sqlite3.Connection) -> None:
        """Let another database take the place of this one's content, at once."""
        link = self._writer
        with self._explained, self._queue.take(), link.lock.take():
            connection = self._for_writing(link)
            self.check_place()
            connection.wait_for_locks(True)
            other.backup(connection)
            connection.forget()
        self.check_place(committed=True)

    def exists(self) -> bool:
        """Whether there is anything: in memory always."""
        with self._explained:
            return self._exists()

    @property
    def is_writing(self) -> bool:
        """Whether it is open for writing: then there was something."""
        return self._writer.connection is not None and not self._writer.is_stand_in

    def open_files(self) -> int:
        """How many files it has open, at most: the database, its log and index, its directory."""
        if self.path is None:
            return 0
        links = self._links
        return sum(4 for link in links if link.connection is not None and not link.is_stand_in)

    @property
    def is_read_only(self) -> bool:
        """Whether it was opened, for reading, where this process cannot write."""
        return self._reader.read_only is not None

    def check_place(self, *, committed: bool = False) -> None:
        """`StorageError` if the path names something else than what was opened."""
        if self._identity is None or self.path is None:
            return
        if not self._identity.is_that_of(self.path):
            raise identity.replaced(self.what, self.place, committed=committed)

    def replaced(self) -> StorageError:
        """The error of a file that is not the one that was opened."""
        return identity.replaced(self.what, self.place)

    def close(self) -> bool:
        """Close it once running transactions have ended. It is opened anew if used again.

        If a signal's handler closes it within a call that uses it, that keeps what it uses until it
        has ended, and False is returned.
        """
        self._note_fork()
        links = self._links
        in_use = any(link.lock.leave() for link in links)
        if in_use:
            # Connections close when nobody refers to them any more.
            self._link()
        else:
            for link in links:
                with link.lock.take(), self._explained:
                    link.close()
        self._turnstile = self._new_turnstile()
        self._identity, self.directory = None, Directory(self.place)
        return not in_use

    def _new_turnstile(self) -> Turnstile:
        return Turnstile(None if self.path is None else self.place)

    # Opening

    def _exists(self) -> bool:
        if self.path is None:
            return True
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", self.path)
        return True

    def _for_reading(self, link: _Link) -> connecting.Connection:
        self._clear(link)
        outdated = link.read_only is not None and not link.read_only.is_current()
        if outdated or (link.is_stand_in and self._exists()):
            link.close()
        self.check_place()
        if link.connection is None:
            if self._exists():
                self._open(link, writes=False)
            else:
                self._open_stand_in(link)
        assert link.connection is not None
        return link.connection

    def _for_writing(self, link: _Link) -> connecting.Connection:
        self._clear(link)
        if link.is_stand_in or link.read_only is not None:
            link.close()
        if link.connection is None:
            self.check_place()
            self._open(link, writes=True)
        assert link.connection is not None
        return link.connection

    def _open_stand_in(self, link: _Link) -> None:
        """An empty database in memory, in place of a file that does not exist."""
        link.connection, link.is_stand_in = self._prepared_in_memory("nothing"), True

    def _prepared_in_memory(self, kind: Kind) -> connecting.Connection:
        connection = connecting.connect(":memory:")
        try:
            self._prepare(connection, kind)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, link: _Link, *, writes: bool) -> None:
        if self.path is None:
            link.connection = self._prepared_in_memory("file")
            return
        if read_only.is_read_only(self.path) and self._exists():
            if writes:
                raise explaining.read_only(self.what, self.place)
            self._open_read_only(link)
            return
        before = Identity.of(self.path)
        try:
            connection = connecting.connect_durably(self.path, create=writes)
        except sqlite3.Error as error:
            if writes or explaining.code_of(error) not in _UNREADABLE:
                raise
            # The file system said that it could be written, and was wrong.
            try:
                self._open_read_only(link)
            except _BLOCKED:
                raise error from None
            return
        try:
            opened = before or Identity.of(self.path)
            self._prepare(connection, "file")
            self._identify(opened)
        except BaseException:
            connection.close()
            raise
        link.connection = connection

    def _open_read_only(self, link: _Link) -> None:
        assert self.path is not None
        before = Identity.of(self.path)
        opened = ReadOnlyFile(self.path, self.what)
        try:
            self._prepare(opened.connection, "read-only")
            opened.connection.execute("PRAGMA query_only = ON")
            self._identify(before)
        except BaseException:
            opened.close()
            raise
        link.connection, link.read_only = opened.connection, opened
        read_only.tell(self.what, self.place)

    # Where it is

    def _identify(self, opened: Identity | None) -> None:
        """Note which file was opened; refuse one that is not there any more."""
        assert self.path is not None
        if opened is None or opened != Identity.of(self.path):
            raise self.replaced()
        if self._identity is None:
            directory = Directory(self.place, is_open=True)
            if not directory.is_that_of(opened):
                raise self.replaced()
            self._identity, self.directory = opened, directory
        self.check_place()

    # Transactions

    def _roll_back(
        self, link: _Link, hold: Hold, error: BaseException, *, undo: bool = False
    ) -> None:
        if hold.call.has_ended():
            # Python ends what Ctrl-C has left in its middle when it forgets where that was: at any
            # time, in any thread, perhaps when others have gone on.
            late = link.lock.take_within(0)
            if late is not None:
                with late:
                    self._clear(link)
            return
        self._end(link, undo=undo, interrupted=not isinstance(error, Exception))
        if isinstance(error, _BLOCKED):
            # Files that are missing have gone with their directory, if that has.
            self.check_place()

    def _clear(self, link: _Link) -> None:
        """Roll back what Ctrl-C has left in its middle."""
        if link.connection is not None and link.connection.in_transaction:
            self._end(link, undo=link is self._writer, interrupted=True)

    def _end(self, link: _Link, *, undo: bool, interrupted: bool) -> None:
        try:
            if undo:
                self._on_rollback()
        finally:
            with suppress(sqlite3.Error):
                if link.connection is not None:
                    link.connection.rollback()
            if interrupted and self.path is not None:
                # Its traceback may keep a cursor, which would keep the connection in the state that
                # it was reading.
                with suppress(sqlite3.Error):
                    link.close()

    def _commit(self, connection: connecting.Connection) -> None:
        try:
            connection.commit()
        except sqlite3.Error as error:
            if explaining.code_of(error) == sqlite3.SQLITE_IOERR:
                raise StorageError(
                    f"the disk under {self.what} in {self.place} failed ({error}) while this call "
                    "was committed: whether it is done is not known. See to the disk, and read "
                    "what is there before you call again"
                ) from error
            raise

    def _refuse_after_fork(self) -> None:
        """Refuse to write where a fork has come in the middle of a write."""
        self._note_fork()
        if self._carried:
            raise StorageError(
                f"this process was forked while another thread was writing to {self.what} in "
                f"{self.place}, for more than {forks.PATIENCE:g} s, so it can only read there. "
                "Fork when no long write or compaction is going on, or start processes by spawn"
            )

    def _turn(
        self, link: _Link, statement: str, call: Holder, *, synced: bool = True
    ) -> tuple[connecting.Connection, Hold]:
        """The connection, and the hold of its lock, once the statement was executed."""
        if (link.connection is None or link.is_stand_in) and not self._exists():
            self.check_place()
            # For what it refuses, before anything is made.
            stand_in = _Link()
            self._open_stand_in(stand_in)
            stand_in.close()
            os.makedirs(self.place, exist_ok=True)

        held: list[Hold] = []

        def begin() -> bool:
            # Only for the attempt: a thread that waits must not hold up others, or a fork.
            held.append(link.lock.take(call))
            try:
                connection = self._for_writing(link)
                # The turnstile has a way of waiting of its own.
                connection.wait_for_locks(False)
                connection.sync_commits(synced)
                connection.execute(statement)
            except sqlite3.Error as error:
                if not connecting.is_busy(error):
                    raise
                held.pop().release()
                self.check_place()
                return False
            return True

        try:
            if not self._turnstile.wait(begin, connecting.LOCK_TIMEOUT):
                raise explaining.locked(self.what, self.place)
            assert link.connection is not None
            return link.connection, held[0]
        except BaseException as error:
            for hold in held:
                with hold:
                    self._roll_back(link, hold, error)
            raise

    # Forks

    def _link(self, memory: connecting.Connection | None = None) -> None:
        reader = _Link()
        reader.connection = memory
        writer = reader if self._one_link else _Link()
        queue, pid = FairLock(), os.getpid()
        # At once, for Ctrl-C comes behind a call.
        self._reader, self._writer, self._queue, self._pid = reader, writer, queue, pid

    @property
    def _links(self) -> list[_Link]:
        return list(dict.fromkeys((self._reader, self._writer)))

    def before_fork(self, fork: forks.Fork, patience: float) -> None:
        """Wait for the end of transactions: SQLite must not be in the middle of one in a child."""
        for link in self._links:
            if link.lock.holder is not fork:
                # Ctrl-C may have left it waiting.
                link.lock.drop(fork)
                link.lock.take_within(patience / len(self._links), call=fork)

    def after_fork(self, fork: forks.Fork) -> None:
        """In the parent: go on."""
        for link in self._links:
            link.lock.drop(fork)

    def after_fork_in_child(self, fork: forks.Fork | None) -> None:
        """In the child: close what the parent has open, and open it anew when it is used.

        SQLite knows by itself which locks this process has, and would take the parent's for its
        own. The parent keeps its locks, for they are a process's.
        """
        if self._pid == os.getpid():
            return
        links = self._links
        self._turnstile.after_fork_in_child()
        if any(link.lock.holder not in (None, fork) for link in links):
            self._carried = True
            # Not to be closed, not even as garbage: SQLite may be in the middle of something.
            self._inherited += links
        elif self.path is not None:
            for link in links:
                opened = link.read_only or link.connection
                with suppress(sqlite3.Error, OSError):
                    if opened is not None:
                        opened.close()
        # Last, for until then all of it can be done again.
        self._link(None if self.path is not None else self._reader.connection)

    def _note_fork(self) -> None:
        """After a fork that Python was not told of."""
        if self._pid != os.getpid():
            self.after_fork_in_child(None)
