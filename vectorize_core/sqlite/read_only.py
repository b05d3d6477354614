"""Reading a database of SQLite where nothing can be written: a read-only mount, a container image.

SQLite writes even to read: its index of the write-ahead log is a file beside it. Where that exists
already, because another user writes, it can be read. Where the log holds nothing, SQLite is told
that nothing changes. A log that holds something is read through a private copy.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from vectorize_core.errors import StorageError
from vectorize_core.sqlite.connecting import Connection, connect

_LOG_HEADER: Final = 32
"""Bytes of a write-ahead log that holds nothing."""
_ATTEMPTS: Final = 5
_EFFECTIVE: Final = os.access in os.supports_effective_ids
_log: Final = logging.getLogger(__name__)
_told: Final[set[str]] = set()
_MOST_TOLD: Final = 1_000


@dataclass(frozen=True, slots=True)
class _State:
    """Changes whenever another process may have written a file or its log."""

    files: tuple[tuple[int, int, int] | None, ...]

    @classmethod
    def of(cls, path: str) -> Self:
        return cls(tuple(_about(name) for name in (path, f"{path}-wal")))


class ReadOnlyFile:
    """A connection that only reads; ``is_current`` is whether it reads what is there now."""

    def __init__(self, path: str, what: str) -> None:
        self._path = path
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._state: _State | None = _State.of(path)
        self.connection = self._open(what)

    def is_current(self) -> bool:
        """Whether the file is still as it was opened, or SQLite notices by itself if not."""
        return self._state is None or self._state == _State.of(self._path)

    def close(self) -> None:
        """Close it, and remove a private copy."""
        self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _open(self, what: str) -> Connection:
        where = Path(self._path).as_uri()
        if os.path.exists(f"{self._path}-shm"):
            with suppress(sqlite3.Error):
                connection = _checked(f"{where}?mode=ro")
                self._state = None
                return connection
        log = _about(f"{self._path}-wal")
        if log is None or log[1] <= _LOG_HEADER:
            return _checked(f"{where}?mode=ro&immutable=1")
        return self._open_copy(what)

    def _open_copy(self, what: str) -> Connection:
        place = os.path.dirname(self._path)
        try:
            self._copy = tempfile.TemporaryDirectory(
                prefix="vectorize-", ignore_cleanup_errors=True
            )
            copy = Path(self._copy.name, os.path.basename(self._path))
            for _ in range(_ATTEMPTS):
                self._state = _State.of(self._path)
                for suffix in ("", "-wal"):
                    shutil.copyfile(self._path + suffix, f"{copy}{suffix}")
                if self.is_current():
                    break
            else:
                raise StorageError(
                    f"{what} in {place} can only be read here, and is being written by another "
                    "process: no copy of it could be made to read. Call again"
                )
        except OSError as error:
            raise StorageError(
                f"{what} in {place} can only be read here, and its write-ahead log holds writes, "
                f"so that a private copy is needed to read it, which failed: {error}. Make room "
                "for temporary files, or open it once where it can be written, and close it"
            ) from error
        connection = _checked(copy.as_uri())
        if sys.platform != "win32":
            # SQLite has the files open, so nothing can be left behind.
            self._copy.cleanup()
        return connection


def is_read_only(path: str) -> bool:
    """Whether this process cannot write a file, which exists, and beside it."""
    directory = os.path.dirname(path)
    return not (
        os.access(path, os.R_OK | os.W_OK, effective_ids=_EFFECTIVE)
        and os.access(directory, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE)
    )


def tell(what: str, place: str) -> None:
    """Log, once for each place, that it is open read-only."""
    if place not in _told and len(_told) < _MOST_TOLD:
        _told.add(place)
        _log.warning("%s in %s is open read-only: this process cannot write there", what, place)


def _about(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _checked(uri: str) -> Connection:
    connection = connect(uri, uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
