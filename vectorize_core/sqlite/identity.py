"""Which directory and file a path names, so that an open store notices when it is another one."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache, partial
from io import FileIO
from typing import NamedTuple, Self

from vectorize_core.errors import StorageError


class Identity(NamedTuple):
    """Device and inode of a file and of its directory.

    While a file is open its inode is not given to another one. Windows lets no file that is open
    be moved or removed.
    """

    directory: tuple[int, int]
    file: tuple[int, int]

    @classmethod
    def of(cls, path: str) -> Self | None:
        """What ``path`` names; None if there is nothing."""
        try:
            directory, file = os.stat(_dirname(path)), os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls((directory.st_dev, directory.st_ino), (file.st_dev, file.st_ino))

    def is_that_of(self, path: str) -> bool:
        """Whether ``path`` names this."""
        try:
            found = os.stat(path)
            if (found.st_dev, found.st_ino) != self.file:
                return False
            found = os.stat(_dirname(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino) == self.directory


class File(FileIO):
    """A file that closes when it is dropped, as Ctrl-C may leave it, and warns of nothing."""

    # No function of ours, in which Ctrl-C could come.
    __del__ = FileIO.close


class Directory:
    """A directory by its path; or, once it was opened, that one, wherever the path leads by then.

    Windows lets no directory be moved in which a file is open, and opens none.
    """

    def __init__(self, path: str, *, is_open: bool = False) -> None:
        self.path = path
        self._opened: list[int] = []
        if is_open and os.open in os.supports_dir_fd:
            # In one step: Ctrl-C behind it leaves none open that nobody knows.
            self._opened.extend(map(os.open, [path], [getattr(os, "O_PATH", os.O_RDONLY)]))

    def __del__(self) -> None:
        # Not sooner, for a thread that still uses it would find another file in its place.
        for descriptor in getattr(self, "_opened", ()):
            os.close(descriptor)

    @property
    def _descriptor(self) -> int | None:
        return self._opened[0] if self._opened else None

    def is_that_of(self, identity: Identity) -> bool:
        """Whether a file was opened in it."""
        found = os.stat(self.path if self._descriptor is None else self._descriptor)
        return (found.st_dev, found.st_ino) == identity.directory

    def file(self, name: str, *, writes: bool = False, creates: bool = False) -> File:
        """A file in it, to read or also to write.

        `FileNotFoundError`, unless it ``creates`` what is not there.
        """
        while True:
            try:
                return self._file(name, "r+b" if writes else "rb")
            except FileNotFoundError:
                if not creates:
                    raise
            with suppress(FileExistsError):
                return self._file(name, "x+b")

    def _file(self, name: str, mode: str) -> File:
        if self._descriptor is None:
            return File(os.path.join(self.path, name), mode)
        try:
            # The opener is no function of ours either.
            return File(name, mode, opener=partial(os.open, mode=0o666, dir_fd=self._descriptor))
        except OSError as error:
            error.filename = os.path.join(self.path, name)
            raise

    def find(self, name: str) -> os.stat_result | None:
        """What the file system says of a file in it; None if there is none."""
        at = self._descriptor
        try:
            return os.stat(os.path.join(self.path, name) if at is None else name, dir_fd=at)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Delete a file in it, if there is one."""
        with suppress(FileNotFoundError):
            if self._descriptor is None:
                os.unlink(os.path.join(self.path, name))
                return
            try:
                os.unlink(name, dir_fd=self._descriptor)
            except OSError as error:
                error.filename = os.path.join(self.path, name)
                raise

    def sync(self) -> None:
        """Make the name of a new file survive a loss of power too."""
        if os.name != "posix":
            return
        at = self._descriptor
        name = self.path if at is None else "."
        # By a loop, which begins the try in one step: Ctrl-C comes behind calls.
        for descriptor in map(partial(os.open, dir_fd=at), [name], [os.O_RDONLY]):
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


_dirname = lru_cache(256)(os.path.dirname)


def replaced(what: str, place: str, *, committed: bool = False) -> StorageError:
    """The error of a store whose directory or file is not the one that was opened."""
    happened = (
        "was replaced: what is there now is not what was opened"
        if os.path.isdir(place)
        else "was removed or moved away"
    )
    nothing = (
        "What this call has written is not there"
        if committed
        else "This call has read and written nothing"
    )
    return StorageError(
        f"the directory {place} of {what}, which is open, {happened}. {nothing}. Close this store "
        "and open a new one to work with what is there now, or put back what was there"
    )
