"""Which directory and file a path names, so that an open store notices when it is another one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from vectorize_core.errors import StorageError


@dataclass(frozen=True, slots=True)
class Identity:
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
            directory, file = os.stat(os.path.dirname(path)), os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls((directory.st_dev, directory.st_ino), (file.st_dev, file.st_ino))


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
