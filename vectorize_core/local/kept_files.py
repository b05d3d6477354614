"""`KeptFiles`: the files that were written last, open for the next write."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Final

from vectorize_core.sqlite.identity import Directory, File

MOST_KEPT: Final = 7
"""Values and codes of two indexes, which may be in two files, and a note."""


class KeptFiles:
    """Up to `MOST_KEPT` files: to open and close one takes longer than to write a row.

    One that was deleted or replaced meanwhile is opened anew. Only one thread may `open` at a time;
    any may `close` what nobody writes any more. All close when this is dropped: not sooner, for a
    thread that still uses one would find another file in its place.
    A forked process needs another one, for it would share where in a file the parent is.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[File, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def open(self, directory: Directory, name: str, *, create: bool = True) -> tuple[int, int]:
        """The descriptor of a file, to read and write, and how long it is. Leave it open.

        `FileNotFoundError` if it does not exist and is not to be created.
        """
        kept = self._kept.get(name)
        if kept is not None:
            file, device, inode = kept
            found = directory.find(name)
            if found is not None and (found.st_dev, found.st_ino) == (device, inode):
                self._kept.move_to_end(name)
                return file.fileno(), found.st_size
            self.close(name)
        file = directory.file(name, writes=True, creates=create)
        found = os.fstat(file.fileno())
        self._kept[name] = file, found.st_dev, found.st_ino
        others = list(self._kept)[:-1]
        for n, other in enumerate(others, MOST_KEPT - len(others)):
            # Of a file that was deleted the disk has the space again when nobody has it open.
            if n < 1 or directory.find(other) is None:
                self.close(other)
        return file.fileno(), found.st_size

    def close(self, name: str) -> None:
        """Close a file, if it is open: Windows deletes none that is."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept[0].close()
