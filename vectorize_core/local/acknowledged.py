"""A note beside the database of the last commit that was acknowledged.

SQLite takes what it finds for the truth: it drops the rest of its log from a damaged frame on, and
an older copy of its file is as good to it as the newest. So the database counts its commits, and
this file says how far it had got. It is written after a commit and not synced, so it may be behind
the database, never ahead of it.

It also says which commit was begun last. A process can be killed when its commit is in the log of
SQLite, and nobody sees it yet. It comes back if the directory is opened anew before the next commit
takes its place in the log; with files that whoever wrote meanwhile has taken for unused. So such a
place is taken first.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from vectorize_core.local.kept_files import KeptFiles
from vectorize_core.sqlite.identity import Directory

FILE_NAME: Final = "vectorize.commits"
_AFTER_TOKEN: Final = len(f" {0:020d} {0:08x}\n")


class Note(NamedTuple):
    """How many commits a database had made."""

    token: str
    commits: int

    def line(self) -> bytes:
        """What is written of it."""
        return (
            f"{self.token} {self.commits:020d} {_checksum(self.token, self.commits):08x}\n".encode()
        )

    def foreign(self, token: str) -> bool:
        """Whether a token is that of another database, and not this one's with a damaged letter."""
        return sum(a != b for a, b in zip(self.token, token, strict=False)) > 1

    def problem(self, token: str, commits: int) -> str | None:
        """What is wrong with a database of that name and number of commits; None if nothing is."""
        if self.token != token:
            return (
                f"its database is not the one that was written here: {FILE_NAME} names another. "
                f"Restore the database with its log (-wal); or, if {FILE_NAME} is what was put "
                "here from elsewhere, delete that"
            )
        if commits < self.commits:
            return (
                f"{self.commits - commits} acknowledged commits are gone: the database or its "
                "write-ahead log (-wal) is damaged, missing, or an older copy"
            )
        return None


def read(directory: Path) -> Note | None:
    """The note; None if there is none, or none that can be read."""
    try:
        token, commits, checksum = (directory / FILE_NAME).read_text("ascii").split()[:3]
        intact = int(checksum, 16) == _checksum(token, int(commits))
        return Note(token, int(commits)) if intact else None
    except (OSError, ValueError):
        return None


def write(kept: KeptFiles, directory: Directory, note: Note) -> None:
    """Write the note. It never fails: without it, a loss would be overlooked, and nothing lost."""
    with suppress(OSError):
        _write(_opened(kept, directory), 0, note.line())


def begin(kept: KeptFiles, directory: Directory, last: Note) -> bool:
    """Note that the commit after the ``last`` one is begun; False if it was begun before.

    Then whoever began it has not ended it, and has not undone it, as far as others see.
    """
    begun, place = _begun(last.commits + 1), len(last.token) + _AFTER_TOKEN
    with suppress(OSError):
        descriptor = _opened(kept, directory)
        os.lseek(descriptor, place, os.SEEK_SET)
        if os.read(descriptor, len(begun)) == begun:
            return False
        _write(descriptor, place, begun)
    return True


def undo(kept: KeptFiles, directory: Directory, last: Note) -> None:
    """Note that what was begun after the ``last`` commit left nothing in the log."""
    with suppress(OSError):
        _write(_opened(kept, directory), len(last.token) + _AFTER_TOKEN, _begun(0))


def _begun(number: int) -> bytes:
    return f"{number:020d}\n".encode()


def _opened(kept: KeptFiles, directory: Directory) -> int:
    return kept.open(directory, FILE_NAME)[0]


def _write(descriptor: int, place: int, line: bytes) -> None:
    os.lseek(descriptor, place, os.SEEK_SET)
    # In place and in one call: a reader sees this line or the last one.
    os.write(descriptor, line)


def _checksum(token: str, commits: int) -> int:
    return zlib.crc32(f"{token} {commits}".encode())
