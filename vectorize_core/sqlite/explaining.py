"""What SQLite says of a file, in words: what happened, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from typing import Final

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.holds import OwnHoldError
from vectorize_core.sqlite.connecting import LOCK_TIMEOUT, is_busy

_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OF_STORAGE: Final = {
    *_DAMAGED,
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL),
}
RESTORE: Final = "Restore it, or see what can be saved: vectorize-stores check --path DIR"
"""What to do about a file that is damaged."""


class Explained:
    """Raises errors of SQLite and of the file system as a `StorageError` that tells what to do.

    ``what`` is what is kept in the file ``path`` (None: in memory), such as "the embedded
    Vectorize", ``cure`` what to do if that is damaged, and ``room`` if the disk is full. A context
    manager, and a class because one of a generator takes longer.
    """

    def __init__(
        self, what: str, path: str | None, cure: str = RESTORE, room: str = paths.MAKE_ROOM
    ) -> None:
        self._what = what
        self._path = path
        self._cure = cure
        self._room = room

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise what has happened in other words."""
        if isinstance(error, OwnHoldError):
            raise StorageError(
                f"{self._what} in {_place(self._path)} cannot be used in the middle of another "
                "call, as by a signal's handler: nothing was done. Let the handler note what is "
                "to be done, and do it when that call has ended"
            ) from None
        if isinstance(error, OSError) and not paths.is_alarm(error):
            place = _place(self._path)
            raise paths.storage_error(error, self._what, place, self._room) from error
        if error is not None and is_damaged(error):
            raise StorageError(
                f"the database of {self._what} in {_place(self._path)} is damaged ({error}). "
                f"{self._cure}"
            ) from error
        if isinstance(error, sqlite3.Error):
            if code_of(error) == sqlite3.SQLITE_FULL:
                raise paths.no_space(self._what, _place(self._path), self._room) from error
            raise _in_words(error, self._what, _place(self._path), self._path) from error


def code_of(error: BaseException) -> int:
    """SQLite's primary code of an error; 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_damaged(error: BaseException) -> bool:
    """Whether SQLite has found a file damaged, which it may say in words of that file."""
    return code_of(error) in _DAMAGED or isinstance(error, UnicodeDecodeError)


def is_of_storage(error: BaseException) -> bool:
    """Whether it is the file that failed, and not a statement."""
    return is_busy(error) or code_of(error) in _OF_STORAGE


def read_only(what: str, place: str) -> StorageError:
    """The error of a write where nothing can be written."""
    return StorageError(
        f"{what} in {place} is open read-only, for this process cannot write there: nothing was "
        "written. Give its user the permission, or copy the directory to where it can be written"
    )


def locked(what: str, place: str) -> StorageError:
    """The error of a write that had no turn for too long."""
    return StorageError(
        f"{what} in {place} is locked: another process has been writing, or has held its lock, "
        f"for {LOCK_TIMEOUT:g} s. This call has written nothing. Let that process finish, or find "
        f"and end it (lsof {place}/*.sqlite3), then call again"
    )


def _place(path: str | None) -> str:
    return "memory" if path is None else os.path.dirname(path)


def _in_words(error: sqlite3.Error, what: str, place: str, path: str | None) -> StorageError:
    code = code_of(error)
    if is_busy(error) or code == sqlite3.SQLITE_PROTOCOL:
        return locked(what, place)
    if code == sqlite3.SQLITE_READONLY:
        return read_only(what, place)
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(
            f"the disk under {what} in {place} failed ({error}): this call is not done, and "
            "everything before it is kept. See to the disk, then call again"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) and path is not None:
        return _cannot_open(error, what, place, path)
    return StorageError(
        f"SQLite failed in {what} in {place}: {error}. If that remains so, see whether anything is "
        "damaged: vectorize-stores check --path DIR"
    )


def _cannot_open(error: sqlite3.Error, what: str, place: str, path: str) -> StorageError:
    """SQLite does not say why, so the file system is asked."""
    try:
        os.listdir(place)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        # A new file, for to close one of SQLite's would release the locks on it.
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as reason:
        return paths.storage_error(reason, what, place)
    return StorageError(
        f"{what} in {place} cannot be used: {path} cannot be opened ({error}). Check that it is a "
        "file, and that this process may read it and write in its directory"
    )
