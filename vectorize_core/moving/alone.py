"""One call at a time does a move: a lock that is free again however its process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.transport.io import Io

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@asynccontextmanager
async def alone(io: Io, notes: Path | None) -> AsyncGenerator[None, None]:
    """Hold the lock beside the notes of a move, unless None: a file that goes at the end.

    `StorageError` if another call holds it, of any thread or process.
    """
    if notes is None:
        yield
        return
    path = notes.with_name(f"{notes.name}.lock")
    file = await io.offload(partial(_taken, path))
    try:
        yield
    finally:
        await io.offload(partial(_give_back, path, file))


def _taken(path: Path) -> BinaryIO:
    with paths.explained("the lock of a move", str(path)):
        while True:
            file = path.open("ab")
            try:
                _lock(file)
            except (BlockingIOError, PermissionError):
                file.close()
                raise StorageError(
                    f"another call does the same move, and holds {path}: wait for its end"
                ) from None
            # Whoever had it before may have removed what was opened.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()


def _give_back(path: Path, file: BinaryIO) -> None:
    with suppress(OSError):
        if sys.platform != "win32":
            path.unlink()
            # A process that was forked meanwhile has it open, too.
            fcntl.flock(file, fcntl.LOCK_UN)
        file.close()
        if sys.platform == "win32":
            path.unlink()


def _lock(file: BinaryIO) -> None:
    """Lock it at once; where the file system has no locks, nothing is locked."""
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return
