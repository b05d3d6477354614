"""Connections to SQLite that close when they are dropped."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Hashable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

LOCK_TIMEOUT: Final = 60.0
"""Seconds to wait while another connection writes."""
_PAUSE: Final = 0.005
_MOST_FOUND: Final = 1_000
"""What `Connection.once` keeps at most."""
T = TypeVar("T")


class Connection(sqlite3.Connection):
    """Closes when it is dropped; since 3.13 Python warns where a connection is left to it.

    The last connection deletes the write-ahead log by its name, unless SQLite sees that the file of
    that name is not the one that it has open.
    """

    _process: int | None = None
    """The process that opened it; None until it is open."""
    _keeps_log = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._process = os.getpid()
        self._version: int | None = None
        """What others have committed, as the running transaction sees it; None: not asked yet."""
        self._state: object = None
        self._found: dict[Hashable, Any] = {}
        self._learned: dict[Hashable, Any] = {}
        self._waits = self._syncs = True

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` returns; it is called again only when something has been changed.

        Only within transactions.
        """
        if self._version is None:
            (self._version,) = self.execute("PRAGMA data_version").fetchone()
        # The one counts what this connection changes, the other is changed by what others commit.
        state = self.total_changes, self._version
        if state != self._state or len(self._found) >= _MOST_FOUND:
            self._state, self._found = state, {}
        if key not in self._found:
            self._found[key] = read()
        found: T = self._found[key]
        return found

    def learn(self, key: Hashable, found: object) -> None:
        """Take what `once` would read when the running transaction is committed.

        Only after `once`, in the same transaction.
        """
        self._learned[key] = found

    def commit(self) -> None:
        """Commit the running transaction."""
        super().commit()
        if self._learned:
            self._state, self._found = (self.total_changes, self._version), self._learned
            self._learned = {}
        self._version = None

    def rollback(self) -> None:
        """Undo the running transaction."""
        self.forget()
        super().rollback()

    def forget(self) -> None:
        """Read again what `once` knows: all of it may have changed."""
        self._version, self._state, self._learned = None, None, {}

    def wait_for_locks(self, waits: bool) -> None:
        """Let statements wait for locks of other connections, or fail at once."""
        if waits is not self._waits:
            seconds = LOCK_TIMEOUT if waits else 0
            self.execute(f"PRAGMA busy_timeout = {seconds * 1_000:.0f}")
            self._waits = waits

    def sync_commits(self, syncs: bool) -> None:
        """Let commits to a file survive a loss of power, or only the end of the process."""
        if syncs is not self._syncs:
            self.execute(f"PRAGMA synchronous = {'FULL' if syncs else 'NORMAL'}")
            self._syncs = syncs

    def keep_log(self) -> None:
        """Let closing leave the write-ahead log as it is, for whoever looks at what is wrong."""
        self._keeps_log = True
        if sys.version_info >= (3, 12):
            self.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)

    def close(self) -> None:
        """Close it; the last connection to a file moves its log into it, unless that is kept."""
        if not self._keeps_log or sys.version_info >= (3, 12):
            super().close()
            return
        # One that cannot write leaves the log alone, so that one is to be the last.
        self._keeps_log = False
        with suppress(sqlite3.Error):
            (path,) = (
                file for _, name, file in self.execute("PRAGMA database_list") if name == "main"
            )
            with closing(connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as last:
                with suppress(sqlite3.Error):
                    last.execute("PRAGMA schema_version").fetchone()
                super().close()
        super().close()

    def __del__(self) -> None:
        # After a fork only the parent closes it.
        if self._process == os.getpid():
            self.close()


def connect(target: str, *, uri: bool = False) -> Connection:
    """A connection for any thread, which begins its transactions only when it is told to."""
    return sqlite3.connect(
        target,
        timeout=LOCK_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        uri=uri,
    )


def connect_durably(path: str, *, create: bool) -> Connection:
    """A connection to a file with a write-ahead log, whose commits survive a loss of power."""
    connection = connect(f"{Path(path).as_uri()}?mode={'rwc' if create else 'rw'}", uri=True)
    try:
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS, where fsync is less than that
    except BaseException:
        connection.keep_log()
        connection.close()
        raise
    return connection


def is_busy(error: BaseException) -> bool:
    """Whether another connection has a lock that was needed."""
    code = int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite ignores the timeout for this statement: it fails while others open the file.
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return
